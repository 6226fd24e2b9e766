"""The index stream: every row once a shuffle, the same whatever the block size, resumed exactly."""

import contextlib
from dataclasses import replace

import numpy as np
import pytest

from serjax.data.batches import IndexBlocks, balanced_rows, shuffled_rows

ROWS = [np.arange(10, 20), np.array([3, 5, 8, 13]), np.arange(40, 47)]
SEEDS = [(0, 7), (0, 8), (1, 7)]
BLOCKS = IndexBlocks(rows=ROWS, seeds=SEEDS, batch_size=5, steps=2, n_epochs=12)
CLASSES = [np.repeat([0, 1, 2], [7, 2, 1]), np.array([1, 0, 1, 1]), np.zeros(7, np.int64)]
BALANCED = replace(BLOCKS, classes=CLASSES)


def sequence(blocks: IndexBlocks) -> np.ndarray:
    """Return what each run reads over all blocks, `[R, places]`."""
    return np.concatenate([blocks[e].reshape(len(ROWS), -1) for e in range(len(blocks))], axis=1)


def test_blocks_have_the_promised_shape_and_type():
    assert len(BLOCKS) == 12
    assert BLOCKS[0].shape == (3, 2, 5)
    assert BLOCKS[0].dtype == np.int32


def test_every_row_comes_once_a_shuffle_and_smaller_sets_reshuffle_sooner():
    for rows, places in zip(ROWS, sequence(BLOCKS), strict=True):
        rounds = np.split(places, range(len(rows), len(places), len(rows)))
        assert len(rounds) == -(-len(places) // len(rows))
        for shuffle in rounds[:-1]:
            np.testing.assert_array_equal(np.sort(shuffle), rows)
        assert len({tuple(shuffle) for shuffle in rounds[:-1]}) > 1  # not one order again and again


@pytest.mark.parametrize(("steps", "n_epochs"), [(1, 24), (3, 8), (24, 1), (1, 25)])
def test_block_sizes_cut_one_and_the_same_sequence(steps, n_epochs):
    other = replace(BLOCKS, steps=steps, n_epochs=n_epochs)
    n = min(sequence(other).shape[1], 120)
    np.testing.assert_array_equal(sequence(other)[:, :n], sequence(BLOCKS)[:, :n])


def test_balanced_shuffles_have_every_class_as_often_as_the_largest():
    rows, classes = np.arange(100, 110), CLASSES[0]
    places = balanced_rows(rows, classes, (0, 7), 0, 21 * 12)
    for shuffle in np.split(places, 12):
        np.testing.assert_array_equal(np.bincount(classes[shuffle - 100]), [7, 7, 7])
        np.testing.assert_array_equal(np.sort(shuffle[shuffle < 107]), rows[:7])  # the largest class: each row once
    often = np.bincount(places - 100)
    np.testing.assert_array_equal(often[:7], np.full(7, 12))
    np.testing.assert_array_equal(often[7:], [42, 42, 84])  # rows of a class come equally often


def test_balanced_batches_have_all_classes_equally_likely():
    classes = np.repeat([0, 1], [90, 10])
    places = balanced_rows(np.arange(100), classes, (3,), 0, 18_000).reshape(-1, 20)
    share = classes[places].mean(axis=0)  # by place in the batch, 900 batches: sd 1/60
    assert np.all(np.abs(share - 0.5) < 4 / 60)
    assert np.std(classes[places].mean(axis=1)) > 0.05  # drawn, not dealt: batches differ


@pytest.mark.parametrize(("steps", "n_epochs"), [(1, 24), (3, 8), (24, 1), (1, 25)])
def test_block_sizes_cut_one_and_the_same_balanced_sequence(steps, n_epochs):
    other = replace(BALANCED, steps=steps, n_epochs=n_epochs)
    n = min(sequence(other).shape[1], 120)
    np.testing.assert_array_equal(sequence(other)[:, :n], sequence(BALANCED)[:, :n])
    assert not np.array_equal(sequence(BALANCED), sequence(BLOCKS))
    assert BALANCED[0].dtype == np.int32
    for rows, places in zip(ROWS, sequence(BALANCED), strict=True):
        assert set(places.tolist()) <= set(rows.tolist())


def test_balanced_shuffles_differ_between_seeds_and_rounds():
    rows, classes = np.arange(50), np.repeat([0, 1], [40, 10])
    first = balanced_rows(rows, classes, (0,), 0, 80)
    assert not np.array_equal(first, balanced_rows(rows, classes, (1,), 0, 80))
    assert not np.array_equal(first, balanced_rows(rows, classes, (0,), 80, 160))
    np.testing.assert_array_equal(balanced_rows(rows, classes, (0,), 63, 99)[:17], first[63:])


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
    assert len(whole) == 12
    for done in (0, 1, 4, 11, 12):
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
        {"n_epochs": 5},
        {"classes": CLASSES},
    ],
)
def test_the_fingerprint_tells_streams_apart(change):
    assert replace(BLOCKS).fingerprint() == BLOCKS.fingerprint()
    assert replace(BLOCKS, **change).fingerprint() != BLOCKS.fingerprint()
    other = [*CLASSES[:2], np.array([0, 1, 0, 0, 0, 0, 0])]
    assert replace(BALANCED, classes=other).fingerprint() != BALANCED.fingerprint()
    assert replace(BALANCED).fingerprint() == BALANCED.fingerprint()
