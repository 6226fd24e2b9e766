"""The index stream: every row once a shuffle, the same whatever the block size, resumed exactly."""

import contextlib
from dataclasses import replace

import numpy as np
import pytest

from serjax.data.batches import IndexBlocks, shuffled_rows

ROWS = [np.arange(10, 20), np.array([3, 5, 8, 13]), np.arange(40, 47)]
SEEDS = [(0, 7), (0, 8), (1, 7)]
BLOCKS = IndexBlocks(rows=ROWS, seeds=SEEDS, batch_size=5, steps=2, epochs=3, n_chunks=4)


def sequence(blocks: IndexBlocks) -> np.ndarray:
    """Return what each run reads over all blocks, `[R, places]`."""
    chunks = [blocks[c] for c in range(len(blocks))]
    return np.concatenate([chunk.reshape(len(ROWS), -1) for chunk in chunks], axis=1)


def test_blocks_have_the_promised_shape_and_type():
    assert len(BLOCKS) == 4
    assert BLOCKS[0].shape == (3, 3, 2, 5)
    assert BLOCKS[0].dtype == np.int32


def test_every_row_comes_once_a_shuffle_and_smaller_sets_reshuffle_sooner():
    for rows, places in zip(ROWS, sequence(BLOCKS), strict=True):
        rounds = np.split(places, range(len(rows), len(places), len(rows)))
        assert len(rounds) == -(-len(places) // len(rows))
        for shuffle in rounds[:-1]:
            np.testing.assert_array_equal(np.sort(shuffle), rows)
        assert len({tuple(shuffle) for shuffle in rounds[:-1]}) > 1  # not one order again and again


@pytest.mark.parametrize(("steps", "epochs", "n_chunks"), [(1, 1, 24), (3, 2, 4), (24, 1, 1), (1, 5, 5)])
def test_block_sizes_cut_one_and_the_same_sequence(steps, epochs, n_chunks):
    other = replace(BLOCKS, steps=steps, epochs=epochs, n_chunks=n_chunks)
    n = min(sequence(other).shape[1], 120)
    np.testing.assert_array_equal(sequence(other)[:, :n], sequence(BLOCKS)[:, :n])


def test_a_block_is_a_function_of_its_number_alone():
    fresh = replace(BLOCKS)
    np.testing.assert_array_equal(fresh[3], BLOCKS[3])  # not read in order
    alone = replace(BLOCKS, rows=ROWS[1:2], seeds=SEEDS[1:2])
    np.testing.assert_array_equal(alone[2][0], BLOCKS[2][1])  # neither of the neighbours in the stack


def test_shuffles_differ_between_seeds_and_rounds():
    rows = np.arange(50)
    first = shuffled_rows(rows, (0,), 0, 50)
    assert not np.array_equal(first, shuffled_rows(rows, (1,), 0, 50))
    assert not np.array_equal(first, shuffled_rows(rows, (0,), 50, 100))
    np.testing.assert_array_equal(shuffled_rows(rows, (0,), 37, 63)[:13], first[37:])


def test_the_iterator_goes_on_exactly_where_it_was():
    with contextlib.closing(BLOCKS.iterator()) as iterator:
        whole = list(iterator)
    assert len(whole) == 4
    for done in range(5):
        with contextlib.closing(BLOCKS.iterator()) as before:
            read = [next(before) for _ in range(done)]
            state = before.get_state()
        assert state["next_index"] == done
        with contextlib.closing(BLOCKS.iterator()) as after:
            after.set_state(state)
            np.testing.assert_array_equal([*read, *after], whole)


@pytest.mark.parametrize(
    "change",
    [
        {"rows": [*ROWS[:2], np.arange(40, 48)]},
        {"rows": [ROWS[1], ROWS[0], ROWS[2]]},
        {"seeds": [(0, 7), (0, 9), (1, 7)]},
        {"batch_size": 6},
        {"steps": 3},
        {"epochs": 2},
        {"n_chunks": 5},
    ],
)
def test_the_fingerprint_tells_streams_apart(change):
    assert replace(BLOCKS).fingerprint() == BLOCKS.fingerprint()
    assert replace(BLOCKS, **change).fingerprint() != BLOCKS.fingerprint()
