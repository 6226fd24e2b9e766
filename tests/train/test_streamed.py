"""Clips that stay on the disk train as clips in memory do: the same steps, however they are cut into windows."""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import numpy as np
import pytest

from serjax.data import Waveforms, Window
from serjax.data.audio import AudioError, UnreadableClips
from serjax.data.features import BLOCK
from serjax.data.stream import ClipStream
from serjax.train import programs
from serjax.train.loop import Interrupted, index_blocks, train_stack
from serjax.train.parallel import Layout
from serjax.train.programs import Streamed, Windows
from serjax.train.runs import init_params, stack_inputs
from serjax.train.waveforms import AugmentedFeatures
from tests.train import test_waveforms as sounding
from tests.train import tiny

pytestmark = pytest.mark.slow

RUNS = [replace(run, epochs=3, decay_epochs=3) for run in sounding.make_runs()]
RUNS[1] = replace(RUNS[1], epochs=2)
SCHEDULE = sounding.SCHEDULE
DATASET = jax.device_get(sounding.DATASET)
ONE = Layout(tuple(jax.devices()[:1]))


@dataclass(frozen=True, eq=False)
class Taped:
    """The clips of the data set, as from files named by their numbers; those that are `gone` cannot be read."""

    gone: tuple[str, ...] = ()

    def read(self, paths: Sequence[str], window: Window) -> Waveforms:
        if gone := [path for path in paths if path in self.gone]:
            raise UnreadableClips(tuple(AudioError("missing", Path(path), "is gone", "Copy it.") for path in gone))
        rows = [int(path) for path in paths]
        return Waveforms(DATASET.sound.wav_NL[rows], DATASET.sound.n_valid_N[rows])

    def digest(self, path: str) -> str:
        return path


def make_clips(source=Taped(), n_workers=0, sounds=False):
    window = Window(sounding.FRONTEND.sample_rate_hz, sounding.FRONTEND.n_samples)
    paths = tuple(str(row) for row in range(sounding.N))
    return Streamed(ClipStream(source, paths, window, sounding.FRONTEND, n_workers), DATASET.label_N, sounds)


def train(folder, clips, layout=ONE, augmentation=None, report=None):
    augmented = None if augmentation is None else AugmentedFeatures(augmentation, sounding.FRONTEND)
    stage, params = tiny.make_stage(folder, save_every_s=1e9), init_params(RUNS, sounding.OBJECTIVE)
    stage = stage if report is None else replace(stage, report=report)
    return train_stack(
        RUNS, params, sounding.OBJECTIVE, clips, SCHEDULE, layout, stage, augmented
    ), stage.history.read()


def check_alike(streamed, held):
    """Compare outcomes and histories."""
    (own, own_rows), (expected, rows) = streamed, held
    np.testing.assert_array_equal(own.epoch_R, expected.epoch_R)
    np.testing.assert_allclose(own.loss_R, expected.loss_R, rtol=1e-5)
    for a, b in zip(jax.tree.leaves(own.params), jax.tree.leaves(expected.params), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)
    assert [row.keys() for row in own_rows] == [row.keys() for row in rows]
    for own_row, row in zip(own_rows, rows, strict=True):
        numbers = [name for name, value in row.items() if isinstance(value, float)]
        assert {n: v for n, v in own_row.items() if n not in numbers} == {
            n: v for n, v in row.items() if n not in numbers
        }
        np.testing.assert_allclose([own_row[n] for n in numbers], [row[n] for n in numbers], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("most", [1, 14, 2048])
@pytest.mark.parametrize(
    ("devices", "shard", "stacking"), [(1, "runs", "map"), (2, "runs", "vmap"), (2, "data", "map")]
)
def test_streamed_clips_train_as_clips_in_memory(tmp_path, monkeypatch, most, devices, shard, stacking):
    """By windows of one step and one validation row, of one step and several, and of all that there is."""
    monkeypatch.setattr(programs, "WINDOW", most)
    layout = Layout(tuple(jax.devices()[:devices]), shard, stacking)
    held = train(tmp_path / "held", replace(sounding.DATASET, sound=None), layout)
    check_alike(train(tmp_path / "streamed", make_clips(), layout), held)
    assert [row["epoch"] for row in held[1]] == [1, 1, 2, 2, 3]  # one run stands still at the end


@pytest.mark.parametrize("stacking", ["map", "vmap"])
def test_streamed_waveforms_are_augmented_as_those_in_memory(tmp_path, monkeypatch, stacking):
    monkeypatch.setattr(programs, "SOUNDING_WINDOW", 12)
    layout = replace(ONE, stacking=stacking)
    held = train(tmp_path / "held", sounding.DATASET, layout, sounding.SHIFT)
    check_alike(train(tmp_path / "streamed", make_clips(sounds=True), layout, sounding.SHIFT), held)


def test_worker_processes_decode_the_same(tmp_path):
    check_alike(train(tmp_path / "workers", make_clips(n_workers=2)), train(tmp_path / "thread", make_clips()))


@pytest.mark.parametrize("goes_on_with", [make_clips, lambda: replace(sounding.DATASET, sound=None)])
def test_a_stopped_training_goes_on_where_it_was(tmp_path, monkeypatch, goes_on_with):
    """On streamed clips, or on clips in memory; by windows of one step, which have other clips in each epoch."""
    monkeypatch.setattr(programs, "WINDOW", 14)

    def stop(epoch, loss):
        if epoch == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted, match="saved after epoch 1 of 3"):
        train(tmp_path / "stopped", make_clips(), report=stop)
    check_alike(train(tmp_path / "stopped", goes_on_with()), train(tmp_path / "whole", make_clips()))


def test_a_clip_that_has_gone_since_is_an_error(tmp_path):
    with pytest.raises(UnreadableClips, match="7: is gone"):
        train(tmp_path, make_clips(Taped(gone=("7",))))


@pytest.mark.parametrize("most", [1, 12, 13, 30, 2048])
def test_blocks_of_clips_are_those_that_the_pieces_need(most):
    """Whatever their number, in the order of the pieces, and no piece has more clips than a window holds."""
    blocks = index_blocks(RUNS, SCHEDULE)
    windows = Windows.of(blocks, stack_inputs(RUNS), most)
    needed = [piece for rows in map(blocks.__getitem__, range(3)) for piece in windows.cut(rows)]
    assert len(windows) == len(needed) * windows.n_blocks
    for number, piece in enumerate(needed):
        own = [windows[number * windows.n_blocks + block] for block in range(windows.n_blocks)]
        np.testing.assert_array_equal(np.concatenate(own), piece.clips)
        assert len(piece.clips) <= max(most, len(RUNS) * SCHEDULE.batch_size)
        assert max(map(len, own)) <= BLOCK
    rows_RSB, *others = (np.concatenate(parts, axis=1) for parts in zip(*needed, strict=True))
    np.testing.assert_array_equal(rows_RSB, np.concatenate([blocks[epoch] for epoch in range(3)], axis=1))
    inputs = stack_inputs(RUNS)
    for rows_RV, whole in zip(others, (inputs.validation_V, inputs.validation_weight_V), strict=True):
        np.testing.assert_array_equal(rows_RV, np.tile(whole, 3))
