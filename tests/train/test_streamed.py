"""Clips that stay on the disk train as clips in memory do: the same steps, however they are cut into windows."""

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace

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
            raise UnreadableClips(tuple(AudioError("missing", path, "is gone", "Copy it.") for path in gone))
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
