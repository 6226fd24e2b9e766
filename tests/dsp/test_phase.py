"""Phases are found as librosa finds them, and a vowel that went through mel bands has its mel bands again."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serjax import dsp
from tests.dsp.cases import POWER_BFT, Case
from tests.reference.dsp import relative_error, vowel

CASES = [
    Case("griffin_lim", lambda S: dsp.griffin_lim(jax.random.key(0), S, n_iter=3, hop_length=16), POWER_BFT),
    Case(
        "mel_to_audio",
        lambda M: dsp.mel_to_audio(jax.random.key(0), M[..., :6, :], n_fft=64, hop_length=16, n_iter=2),
        POWER_BFT,
    ),
]
FRAMING = {"n_fft": 256, "hop_length": 64}


def magnitude(seed, **framing):
    return dsp.spectrogram(vowel(4_000, 8_000, seed), **{**FRAMING, **framing})


def convergence(S, y):
    """The spectral convergence, in dB: the distance of a signal's magnitudes from those asked for."""
    return 20 * np.log10(np.linalg.norm(dsp.spectrogram(np.asarray(y), **FRAMING) - S) / np.linalg.norm(S))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("momentum", [0.99, 0.0])
@pytest.mark.parametrize("framing", [{}, {"win_length": 200, "window": "hamming", "center": False}], ids=["", "left"])
def test_each_iteration_is_that_of_librosa(momentum, framing):
    librosa = pytest.importorskip("librosa")
    S = magnitude(0, **framing)
    given = {**FRAMING, **framing, "momentum": momentum, "n_iter": 4, "init": None}
    expected = librosa.griffinlim(np.asarray(S, np.float64), **given)
    assert relative_error(dsp.griffin_lim(jax.random.key(0), S, **given), expected) <= 1e-4


@pytest.mark.filterwarnings("ignore")
def test_it_converges_as_far_as_librosa_from_random_phases():
    librosa = pytest.importorskip("librosa")
    ours, theirs = [], []
    for seed in range(4):
        S = magnitude(seed)
        ours.append(convergence(S, dsp.griffin_lim(jax.random.key(seed), S, **FRAMING)))
        theirs.append(convergence(S, librosa.griffinlim(np.asarray(S), random_state=seed, **FRAMING)))
    assert np.mean(ours) <= np.mean(theirs) + 1.0


def test_a_length_that_the_frames_have_is_kept_and_the_phases_follow_the_key():
    S = magnitude(0)
    make = partial(dsp.griffin_lim, S=S, length=4_000, n_iter=2, **FRAMING)
    assert make(jax.random.key(0)).shape == (4_000,)
    np.testing.assert_array_equal(make(jax.random.key(0)), make(jax.random.key(0)))
    assert relative_error(make(jax.random.key(1)), make(jax.random.key(0))) > 0.1


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_mel_bands_come_back_from_the_waveform_made_of_them(power):
    bands = partial(dsp.melspectrogram, sr=8_000, n_mels=40, power=power, **FRAMING)
    M = np.asarray(bands(vowel(4_000, 8_000)))
    y = dsp.mel_to_audio(jax.random.key(0), M, sr=8_000, power=power, length=4_000, **FRAMING)
    asked, made = (np.asarray(20 / power * jnp.log10(S)) for S in (M, bands(np.asarray(y))))
    loud = asked > asked.max() - 40
    assert np.abs(asked - made)[loud].mean() <= 2.0  # dB; measured: 1.02 and 1.49


S = np.ones((33, 12), np.float32)
WRONG = {
    "iterations": (lambda: dsp.griffin_lim(jax.random.key(0), S, n_iter=-1), "n_iter=-1"),
    "momentum": (lambda: dsp.griffin_lim(jax.random.key(0), S, momentum=-0.5), "momentum=-0.5"),
    "init": (
        lambda: dsp.griffin_lim(jax.random.key(0), S, init="zero"),
        "init='zero' is unknown: give one of 'random'",
    ),
    "length": (lambda: dsp.griffin_lim(jax.random.key(0), S, length=999), "length=999 makes 63 frames, S has 12"),
    "complex": (lambda: dsp.griffin_lim(jax.random.key(0), S + 1j), "S has dtype complex64"),
    "bins": (lambda: dsp.griffin_lim(jax.random.key(0), S, n_fft=128), "33 bins, n_fft=128 makes 65"),
    "power": (lambda: dsp.mel_to_audio(jax.random.key(0), S, power=0), "power=0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_argument(case, monkeypatch):
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)
    call, message = WRONG[case]
    with pytest.raises(dsp.ParameterError, match=message):
        call()
