"""The voice of a clip: F0 and periodicity, which frames sound, copies of other vocal tracts, functionals."""

import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest

from serjax import dsp
from serjax.dsp import augment
from serjax.dsp.utterance import Functionals
from serjax.dsp.voice import VoiceFrames, slice_means, spoken_frames

SR = 16_000
RNG = np.random.default_rng(0)
TIME = np.arange(SR) / SR
HUM = np.sum([np.sin(2 * np.pi * 150 * k * TIME) / k for k in range(1, 8)], axis=0).astype(np.float32)
HISS = RNG.normal(size=SR).astype(np.float32)
YIN = {"fmin": 70, "fmax": 500, "sr": SR, "frame_length": 1024, "hop_length": 160}


def test_voicing_is_one_for_a_hum_and_low_for_noise():
    f0_T, periodicity_T = dsp.yin_voicing(HUM, **YIN)
    np.testing.assert_array_equal(f0_T, dsp.yin(HUM, **YIN))
    assert periodicity_T[5:-5].min() > 0.9
    assert np.median(dsp.yin_voicing(HISS, **YIN)[1]) < 0.5
    assert not dsp.yin_voicing(np.zeros(SR, np.float32), **YIN)[1].any()


def test_frames_that_sound_are_those_near_the_loudest_valid_one():
    energy = jnp.array([[-50.0, -10.0, -54.0, -56.0, 20.0], [-50.0, -10.0, -54.0, -56.0, 20.0]])
    mask = jnp.array([[True, True, True, True, False], [True, True, True, True, True]])
    assert dsp.trim_mask(energy, mask, top_db=45).tolist() == [
        [True, True, True, False, False],
        [False, True, False, False, True],
    ]


def test_a_warp_moves_a_peak_and_f0_by_the_same_factor():
    bands = np.zeros((64, 3), np.float32)
    bands[30] = 1.0
    assert augment.mel_warp(jax.random.key(0), bands, factor=1.2)[:, 0].argmax() == 36
    np.testing.assert_array_equal(augment.mel_warp(jax.random.key(0), bands, factor=1.0), bands)
    voice = np.concatenate([np.zeros((40, 64)), np.zeros((40, 1)), np.full((40, 1), 5.0), np.ones((40, 1))], axis=1)
    frames, _ = spoken_frames(jnp.asarray(voice, jnp.float32), jnp.ones(40, bool), warp=1.2)
    np.testing.assert_allclose(frames[:, 21], 5.0 + np.log(1.2), rtol=1e-6)


@pytest.mark.slow
def test_spoken_frames_are_cepstra_of_what_sounds_with_slopes_across_pauses():
    voice = RNG.normal(size=(60, 67)).astype(np.float32)
    voice[:, 64] = np.where(np.arange(60) % 3 == 0, -90, -20)  # every third frame is a pause
    voice[:, 66] = np.where(np.arange(60) % 2 == 0, 0.9, 0.1)
    mask = np.arange(60) < 50
    frames, counts = spoken_frames(jnp.asarray(voice), jnp.asarray(mask))
    sounding = voice[mask & (voice[:, 64] > -65)]
    assert int(counts.sum()) == len(sounding)
    assert not counts[len(sounding) :].any()
    f0 = np.where(sounding[:, 66] > 0.5, sounding[:, 65], np.sort(sounding[sounding[:, 66] > 0.5, 65])[(16 - 1) // 2])
    cepstra = librosa.feature.mfcc(S=sounding[:, :64].T, n_mfcc=20).T
    rows = np.column_stack([cepstra, sounding[:, 64], f0, sounding[:, 66]])
    slopes = librosa.feature.delta(rows, axis=0, mode="nearest")
    np.testing.assert_allclose(frames[: len(rows), :23], rows, atol=1e-4)
    np.testing.assert_allclose(frames[: len(rows), 23:46], slopes, atol=1e-4)


@pytest.mark.slow
def test_more_padding_changes_nothing():
    clip = (HUM * np.hanning(SR) + 0.01 * HISS).astype(np.float32)[:8000]
    n_valid = np.int32(8000)
    short, long = (dsp.extract(Functionals(frames=frames), clip, n_valid=n_valid) for frames in (71, 131))
    np.testing.assert_allclose(short, long, rtol=1e-4, atol=1e-4)
    short, long = (dsp.extract(VoiceFrames(frames=frames), clip, n_valid=n_valid) for frames in (71, 131))
    np.testing.assert_allclose(short, long[:71], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_functionals_are_statistics_of_the_rows():
    frontend = Functionals(frames=101)
    clip = (HUM * np.hanning(SR) + 0.01 * HISS).astype(np.float32)
    rows, amplitude = (np.asarray(a, np.float64) for a in frontend.rows(jnp.asarray(clip)))
    level = 20 * np.log10(amplitude + 1e-6)
    inside = np.flatnonzero(level >= level.max() - 35)
    inside = np.arange(inside[0], inside[-1] + 1)
    sounds = inside[amplitude[inside] >= 0.1 * amplitude[inside].max()]
    x, slopes = rows[:, sounds], librosa.feature.delta(rows, width=9)[:, sounds]
    mean, std = x.mean(1), x.std(1) + 1e-6
    quantiles = np.percentile(x, [5, 25, 50, 75, 95], axis=1)
    expected = [
        mean,
        std,
        *quantiles,
        quantiles[-1] - quantiles[0],
        (((x - mean[:, None]) / std[:, None]) ** 3).mean(1),
        slopes.std(1),
        np.abs(slopes).mean(1),
        *np.percentile(slopes, [10, 90], axis=1),
    ]
    found = np.asarray(dsp.extract(frontend, clip))[0]
    assert found.shape == (988,)
    np.testing.assert_allclose(found[: 13 * 56], np.concatenate(expected), rtol=2e-3, atol=2e-3)
    thirds = [rows[:, part].mean(1) for part in np.array_split(inside, 3)]
    np.testing.assert_allclose(found[14 * 56 : 17 * 56].reshape(3, 56)[1], thirds[1], rtol=0.05, atol=0.05)
    np.testing.assert_allclose(found[-3:], [len(inside) / 100, len(sounds) / len(inside), 1], rtol=1e-5)


@pytest.mark.parametrize("n_frames", [1, 3, 7, 20])
def test_slices_are_means_over_equal_parts_of_what_counts(n_frames: int) -> None:
    """A frame on an edge counts for both parts: each frame as eight alike, of which the parts are means."""
    frames = RNG.normal(size=(20, 3)).astype(np.float32)
    found = slice_means(jnp.asarray(frames), jnp.arange(20) < n_frames, 8)
    expected = np.repeat(frames[:n_frames].astype(np.float64), 8, axis=0).reshape(8, n_frames, 3).mean(axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-5)
