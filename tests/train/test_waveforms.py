"""Waveforms augmented in the train step: each change does what it says, and no clip knows its neighbours."""

from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from serjax.dsp import Frontend, extract, frame_mask
from serjax.models.linear import LogisticRegression
from serjax.train.loop import compile_training
from serjax.train.objectives import ClassifierObjective, PictureAugmentation
from serjax.train.parallel import Layout
from serjax.train.runs import Run, init_params, stack_inputs, stack_states
from serjax.train.state import Dataset, Sound, gather
from serjax.train.waveforms import AugmentedFeatures, WaveformAugmentation
from tests.train import tiny


@dataclass(frozen=True, kw_only=True)
class Loudness(Frontend):
    """Mean and mean square of the samples between frames: a front end that compiles in no time."""

    n_features = 2

    def features(self, clip_N, n_valid):
        frames_TH = jnp.pad(clip_N, (0, self.hop_length)).reshape(self.frames, self.hop_length)
        return jnp.stack([frames_TH.mean(axis=1), jnp.square(frames_TH).mean(axis=1)], axis=1)


FRONTEND = Loudness(sample_rate_hz=8_000, frames=12, n_fft=256, hop_length=128)
N, L, T = 24, FRONTEND.n_samples, FRONTEND.frames
OFF = WaveformAugmentation(noise_share=0.0, pitch_semitones=0.0)
SHIFT = replace(OFF, picks=1, shift_samples=300)
EACH = {"noise_share": 0.1, "pitch_semitones": 4.0, "stretch_rate": 0.8, "shift_samples": 50}


def make_dataset() -> Dataset:
    """Return noisy tones of three classes, the later ones shorter than the window."""
    rng = np.random.default_rng(0)
    label_N, n_valid_N = np.arange(N) % 3, np.where(np.arange(N) < 12, L, L - 40 * np.arange(N)).astype(np.int32)
    wav_NL = np.sin(2 * np.pi * (300 + 200 * label_N[:, None]) * np.arange(L) / 8_000) + 0.1 * rng.normal(size=(N, L))
    wav_NL = jnp.asarray(np.where(np.arange(L) < n_valid_N[:, None], wav_NL, 0), jnp.float32)
    x_NTC = extract(FRONTEND, wav_NL, n_valid=n_valid_N)
    mask_NT = frame_mask(FRONTEND, n_valid_N).astype(jnp.float32)
    return Dataset(x_NTC, mask_NT, jnp.asarray(label_N), Sound(wav_NL, jnp.asarray(n_valid_N)))


DATASET = make_dataset()
WAV_L, N_VALID = np.asarray(DATASET.sound.wav_NL[20]), int(DATASET.sound.n_valid_N[20])


def make_runs() -> list[Run]:
    parts = [np.arange(0, 14), np.arange(14, 20)], [np.arange(4, 22), np.arange(0, 4)]
    level = (np.array([0.0, 0.4], np.float32), np.array([0.05, 0.2], np.float32))
    return [Run(r, "f", "all", *part, *level, 0.1, 0.0, 2, 2, np.ones(3, np.float32)) for r, part in enumerate(parts)]


RUNS = make_runs()
OBJECTIVE = ClassifierObjective(LogisticRegression(3), PictureAugmentation(2), T, 2)
SCHEDULE = replace(tiny.SCHEDULE, steps=3)


def train(layout, augmentation, runs=RUNS):
    """Return parameters and metrics of two epochs."""
    augmented = None if augmentation is None else AugmentedFeatures(augmentation, FRONTEND, layout.stacking == "map")
    optimizer, compiled = compile_training(OBJECTIVE, SCHEDULE, layout, augmented)
    state = layout.put_runs(stack_states(runs, init_params(runs, OBJECTIVE), optimizer))
    shared = layout.put_shared(replace(DATASET, sound=None) if augmentation is None else DATASET)
    rows, inputs = layout.put_rows(tiny.make_rows(runs, SCHEDULE, 2)), layout.put_runs(stack_inputs(runs))
    state, metrics = layout.get_runs(compiled(state, inputs, rows, np.int32(2), shared), len(runs))
    return state.params, metrics


@pytest.fixture(scope="module")
def one_device():
    return train(Layout(tuple(jax.devices()[:1])), SHIFT)


@partial(jax.jit, static_argnums=0)
def change_all(augmentation, keys, wav_L, n_valid):
    return jax.vmap(lambda key: augmentation(key, wav_L, n_valid))(keys)


def drawn(augmentation, n_keys=100, wav_L=WAV_L, n_valid=N_VALID):
    """Return what a waveform becomes by so many keys."""
    keys = jax.random.split(jax.random.key(7), n_keys)
    return [np.asarray(a) for a in change_all(augmentation, keys, jnp.asarray(wav_L), jnp.int32(n_valid))]


def alone(name):
    """Return the recipe of one change."""
    return replace(OFF, picks=1, **{name: EACH[name]})


@pytest.mark.parametrize(("shard", "stacking"), [("runs", "vmap"), ("data", "map")])
def test_four_devices_equal_one(one_device, shard, stacking):
    params, metrics = train(Layout(tuple(jax.devices()[:4]), shard, stacking), SHIFT)
    for name, values in metrics.items():
        np.testing.assert_allclose(values, one_device[1][name], rtol=1e-4, atol=1e-5, err_msg=name)
    for a, b in zip(jax.tree.leaves(params), jax.tree.leaves(one_device[0]), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)


def test_training_clips_are_changed_and_validation_clips_are_not(one_device):
    """With runs that learn nothing the parameters are the same in both, and so is what they are tested on."""
    still = [replace(run, learning_rate=0.0) for run in RUNS]
    plain, changed = (train(Layout(tuple(jax.devices()[:1])), how, still)[1] for how in (None, SHIFT))
    np.testing.assert_array_equal(plain["validation_loss"], changed["validation_loss"])
    assert (np.abs(plain["loss"] - changed["loss"]) > 1e-5).all()
    assert (one_device[1]["validation_loss"][:, 1] != plain["validation_loss"][:, 1]).all()  # others do learn


@pytest.mark.parametrize(("name", "strengths"), [("noise_share", (0.05, 0.4)), ("shift_samples", (300, 20))])
def test_the_strength_of_a_run_is_that_of_a_recipe(name, strengths):
    """Two runs of one stack, each with its own strength, become what each becomes by a recipe that has it."""
    recipes = [replace(OFF, picks=2, **{name: strength}) for strength in strengths]
    assert recipes[0].switched == recipes[1].switched
    runs = [replace(run, **{name: strength}) for run, strength in zip(RUNS, strengths, strict=True)]
    layout = Layout(tuple(jax.devices()[:1]))
    params_R, metrics = train(layout, recipes[0].switched, runs)
    for r, recipe in enumerate(recipes):
        alone_R, alone = train(layout, recipe)
        np.testing.assert_array_equal(metrics["loss"][r], alone["loss"][r])
        for own, expected in zip(jax.tree.leaves(params_R), jax.tree.leaves(alone_R), strict=True):
            np.testing.assert_array_equal(own[r], expected[r])
    assert (np.abs(metrics["loss"][0] - alone["loss"][0]) > 1e-6).all(), "the first run has a strength of its own"


def test_without_a_pick_a_batch_is_that_of_the_data_set():
    """Its features are computed anew, normalised, projected and weighted as those that are there."""
    basis_CP = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    weighted = replace(RUNS[0], projection_CP=basis_CP, class_weight_K=np.array([1.0, 2.0, 0.5], np.float32))
    inputs = jax.tree.map(lambda a: a[0], stack_inputs([weighted]))
    taken = DATASET, inputs, jnp.array([3, 20, 23, 0]), jnp.array([1.0, 1.0, 1.0, 0.0])
    hyper = jax.tree.map(lambda a: a[0], stack_states([weighted], {}, optax.identity()).hyper)
    anew = partial(AugmentedFeatures(OFF, FRONTEND).gather, jax.random.key(0), hyper)
    batch = jax.jit(jax.vmap(anew, in_axes=None, out_axes=None, axis_name="data", axis_size=1))(*taken)
    for name, values in vars(jax.jit(gather)(*taken)).items():
        np.testing.assert_allclose(getattr(batch, name), values, rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.slow
def test_a_clip_does_not_know_its_neighbours():
    """Changed one by one, at once, among others or alone: the same, by its own key."""
    heard = AugmentedFeatures(replace(OFF, picks=1, **EACH), FRONTEND)
    rows = np.arange(9, 24)
    sound = DATASET.sound.wav_NL[rows], DATASET.sound.n_valid_N[rows]

    def features(heard, order=slice(None)):
        words = jax.random.key_data(jax.random.split(jax.random.key(3), 15))[order]
        return jax.jit(heard.features)(jax.random.wrap_key_data(words), *(a[order] for a in sound))

    one_by_one, at_once = features(heard), features(replace(heard, one_by_one=False))
    backwards = features(heard, slice(None, None, -1))
    for (x_BTC, mask_BT), order in ((at_once, slice(None)), (backwards, slice(None, None, -1))):
        np.testing.assert_allclose(x_BTC[order], one_by_one[0], atol=1e-5)
        np.testing.assert_array_equal(mask_BT[order], one_by_one[1])
    longer_B = np.sum(one_by_one[1], axis=1) - np.sum(DATASET.mask_NT[rows], axis=1)
    assert longer_B.any()  # a clip that was stretched has more frames that count


def test_picks_are_even_and_none_is_always_among_them():
    """Two picks from noise, shift and none leave one clip in nine as it was."""
    wav_nL, n_valid_n = drawn(replace(SHIFT, picks=2, noise_share=0.5), 1_800, WAV_L[:16] + 2, 16)
    untouched = (wav_nL == WAV_L[:16] + 2).all(axis=1)
    shifted_only = (np.sort(wav_nL) == np.sort(WAV_L[:16] + 2)).all(axis=1) & ~untouched
    assert untouched.mean() == pytest.approx(1 / 9 + 1 / 16 / 3, abs=0.03)  # some shifts end where they began
    assert shifted_only.mean() == pytest.approx(3 / 9 * 15 / 16, abs=0.04)
    assert set(n_valid_n) == {16}


def test_a_change_without_strength_is_not_picked():
    assert len(OFF.changes()) == 1
    for name, strength in EACH.items():
        assert len(replace(OFF, **{name: strength}).changes()) == 2
    assert len(replace(OFF, **EACH).changes()) == 5


def test_noise_has_up_to_its_share_of_the_peak():
    wav_nL, _ = drawn(alone("noise_share"))
    deviation_n = (wav_nL - WAV_L)[:, :N_VALID].std(axis=1) / np.abs(WAV_L).max()
    assert deviation_n.max() == pytest.approx(0.1, rel=0.1)
    assert np.median(deviation_n[deviation_n > 0]) == pytest.approx(0.05, rel=0.25)


def test_shift_wraps_at_the_end_of_the_clip_and_not_of_the_padding():
    wav_nL, _ = drawn(alone("shift_samples"))
    rolled = [np.roll(WAV_L[:N_VALID], shift) for shift in range(-50, 51)]
    found = [next(s for s, clip in enumerate(rolled, -50) if (clip == row[:N_VALID]).all()) for row in wav_nL]
    assert min(found) < -35
    assert max(found) > 35


def test_pitch_moves_and_length_stays():
    wav_nL, n_valid_n = drawn(alone("pitch_semitones"))
    loudest_n = np.abs(np.fft.rfft(wav_nL, 8 * L)).argmax(axis=1) * 8_000 / (8 * L)  # row 20: 700 Hz
    assert set(n_valid_n) == {N_VALID}
    assert {round(hz) for hz in loudest_n} <= {*range(690, 711), *range(870, 895)}  # 700 · 2^(4/12) = 882
    assert (loudest_n > 800).any()


@pytest.mark.parametrize(("rate", "n_expected"), [(0.8, N_VALID / 0.8), (0.3, L)])
def test_stretching_alters_the_length(rate, n_expected):
    wav_nL, n_valid_n = drawn(replace(alone("stretch_rate"), stretch_rate=rate))
    assert set(n_valid_n) == {N_VALID, round(n_expected)}
    assert all(np.abs(row[n - 100 : n]).max() > 0.1 for row, n in zip(wav_nL, n_valid_n, strict=True))


@pytest.mark.parametrize("name", EACH)
def test_behind_the_clip_there_is_nothing(name):
    wav_nL, n_valid_n = drawn(alone(name))
    assert any((row != WAV_L).any() for row in wav_nL)
    assert all((row[n:] == 0).all() for row, n in zip(wav_nL, n_valid_n, strict=True))
    silent_nL, _ = drawn(alone(name), wav_L=np.zeros(L, np.float32), n_valid=0)
    assert (silent_nL == 0).all()


def test_waveforms_stay_off_the_device_unless_asked_for():
    assert len(jax.tree.leaves(replace(DATASET, sound=None))) == 3
