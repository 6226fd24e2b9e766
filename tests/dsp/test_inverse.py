"""The ways back give what librosa's give, and undo the ways there."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serjax import dsp
from tests.dsp.cases import CLIPS_BN, POWER_BFT, SMALL, Case
from tests.reference.dsp import relative_error, vowel

CASES = [
    Case("istft", lambda S: dsp.istft(jnp.asarray(S) * (1 + 0.5j), hop_length=16), POWER_BFT),
    Case("istft of stft", lambda y: dsp.istft(dsp.stft(y, **SMALL), hop_length=16, length=400), CLIPS_BN),
    Case(
        "istft left",
        lambda S: dsp.istft(jnp.asarray(S) * (1 + 0.5j), window="hamming", center=False, n_fft=65),
        POWER_BFT,
    ),
    Case("db_to_amplitude", dsp.db_to_amplitude, POWER_BFT),
    Case("mel_to_power", partial(dsp.mel_to_power, sr=8_000, n_fft=256), POWER_BFT),
    Case("mel_to_power of mfcc_to_mel", lambda c: dsp.mel_to_power(dsp.mfcc_to_mel(c, n_mels=40)), 0.1 * POWER_BFT),
]

live = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def unchecked(monkeypatch):
    """Meet the values as a user does, without the run-time type checks that tests switch on."""
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)


def noise_spectrum(n_fft, frames, seed):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((2, 1 + n_fft // 2, frames)) + 1j * rng.standard_normal((2, 1 + n_fft // 2, frames))


@st.composite
def istft_arguments(draw):
    n_fft = draw(st.sampled_from([64, 100, 256, 511]))
    center = draw(st.booleans())
    # Without centring, the outermost samples of windows that begin with zero have no digits, in librosa neither.
    window = draw(st.sampled_from(["hann", "hamming", "bartlett", "boxcar"] if center else ["hamming", "boxcar"]))
    win_length = draw(st.none() | st.integers(n_fft // 2, n_fft))
    return {
        "n_fft": n_fft,
        "hop_length": draw(st.none() | st.integers(8, (win_length or n_fft) // 2)),
        "win_length": win_length,
        "window": window,
        "center": center,
        "length": draw(st.none() | st.integers(1, 3_000)),
    }


@live
@given(arguments=istft_arguments(), frames=st.integers(2, 30), seed=st.integers(0, 99))
def test_istft_equals_librosa(arguments, frames, seed):
    librosa = pytest.importorskip("librosa")
    D = noise_spectrum(arguments["n_fft"], frames, seed)
    expected = librosa.istft(D, **arguments)
    actual = jax.jit(lambda D: dsp.istft(D, **arguments))(D.astype(np.complex64))
    assert relative_error(actual, expected) <= 2e-6  # measured: 8.6e-7


@pytest.mark.parametrize("window", ["hann", np.hamming(200).astype(np.float32)], ids=["hann", "array"])
def test_istft_undoes_stft(window):
    y = np.stack([vowel(3_001, 22_050, seed) for seed in range(2)])
    arguments = {"n_fft": 256, "win_length": 200, "window": window}
    again = dsp.istft(dsp.stft(y, **arguments), n_fft=256, win_length=200, window=window, length=3_001)
    assert relative_error(again, y) <= 1e-6  # measured: 2.5e-7


def test_istft_of_other_lengths():
    D = dsp.stft(vowel(1_000, 8_000), n_fft=64)
    whole = dsp.istft(D)
    assert whole.shape == (992,)  # 62 hops of 16
    np.testing.assert_array_equal(dsp.istft(D, length=500), whole[:500])
    longer = dsp.istft(D, length=2_000)
    np.testing.assert_array_equal(longer[:992], whole)
    assert not longer[1_024:].any()  # beyond the last frame
    assert dsp.istft(D[:, :1]).shape == (0,)
    assert dsp.istft(D, length=0).shape == (0,)


def test_istft_is_the_adjoint_of_stft_up_to_the_weights():
    """A gradient by finite differences of a known linear map: `sum(istft(D) * g)` is linear in D."""
    D, direction = (noise_spectrum(64, 5, seed)[0].astype(np.complex64) for seed in (0, 1))
    g = vowel(64, 8_000)
    slope = jax.grad(lambda s: jnp.sum(dsp.istft(jnp.asarray(D) + s * direction) * g))(0.0)
    assert relative_error(slope, jnp.sum(dsp.istft(direction) * g)) <= 1e-5


@live
@given(
    n_mfcc=st.integers(2, 20),
    n_mels=st.integers(20, 64),
    dct_type=st.sampled_from([1, 2, 3]),
    norm=st.sampled_from(["ortho", None]),
    lifter=st.sampled_from([0, 10, 22.5]),
    ref=st.sampled_from([1.0, 3.0]),
)
def test_mfcc_to_mel_equals_librosa(n_mfcc, n_mels, ref, **arguments):
    librosa = pytest.importorskip("librosa")
    y = vowel(4_000, 16_000, seed=n_mfcc)
    c = librosa.feature.mfcc(y=y, sr=16_000, n_mfcc=n_mfcc, n_mels=n_mels, n_fft=1_024, **arguments).astype(np.float32)
    expected = librosa.feature.inverse.mfcc_to_mel(c.astype(np.float64), n_mels=n_mels, ref=ref, **arguments)
    actual = jax.jit(lambda c: dsp.mfcc_to_mel(c, n_mels=n_mels, ref=ref, **arguments))(c)
    assert relative_error(actual, expected) <= 1e-5  # measured: 8e-7
    np.testing.assert_allclose(actual, expected, rtol=1e-4)  # measured: 5e-6, an error of decibels


def test_mfcc_and_all_its_coefficients_are_inverse():
    mel = np.square(np.random.default_rng(0).standard_normal((40, 7))).astype(np.float32) + 0.1
    c = dsp.mfcc(S=dsp.power_to_db(mel), n_mfcc=40, lifter=22)
    np.testing.assert_allclose(dsp.mfcc_to_mel(c, n_mels=40, lifter=22), mel, rtol=1e-4)


def test_mel_to_power_is_the_pseudo_inverse_without_its_negative_part():
    weights = np.asarray(dsp.mel_filterbank(sr=16_000, n_fft=512, n_mels=40), np.float64)
    bands = weights @ np.square(np.random.default_rng(0).standard_normal((257, 9)))
    expected = np.maximum(np.linalg.pinv(weights) @ bands, 0.0)
    assert relative_error(dsp.mel_to_power(bands.astype(np.float32), sr=16_000, n_fft=512), expected) <= 1e-5
    # A spectrum that is a mixture of triangles comes back whole.
    smooth = weights.T @ np.square(np.random.default_rng(1).standard_normal((40, 9)))
    again = dsp.mel_to_power((weights @ smooth).astype(np.float32), sr=16_000, n_fft=512)
    assert relative_error(again, smooth) <= 1e-5


def test_db_and_amplitude_are_inverse():
    amplitude = np.geomspace(1e-4, 1e4, 50).astype(np.float32)
    np.testing.assert_allclose(dsp.db_to_amplitude(dsp.amplitude_to_db(amplitude, top_db=None)), amplitude, rtol=1e-5)
    np.testing.assert_allclose(dsp.db_to_amplitude(jnp.zeros(3), ref=7.0), 7.0, rtol=1e-6)


D, C = np.ones((33, 12), np.complex64), np.ones((13, 12), np.float32)
WRONG = {
    "istft real": (lambda: dsp.istft(D.real), "stft_matrix has dtype float32, expected a complex"),
    "istft shape": (lambda: dsp.istft(D[0]), r"shape \(12,\), expected \(..., bins, frames\)"),
    "istft no frame": (lambda: dsp.istft(D[:, :0]), r"shape \(33, 0\)"),
    "istft bins": (lambda: dsp.istft(D, n_fft=128), "33 bins, n_fft=128 makes 65"),
    "istft hop": (lambda: dsp.istft(D, hop_length=0), "hop_length=0"),
    "istft window": (lambda: dsp.istft(D, win_length=65), "win_length=65 exceeds n_fft=64"),
    "istft length": (lambda: dsp.istft(D, length=-1), "length=-1"),
    "dB ref": (lambda: dsp.db_to_amplitude(C, ref=-1.0), "ref=-1.0"),
    "mfcc bands": (lambda: dsp.mfcc_to_mel(C, n_mels=12), "13 coefficients .* n_mels=12"),
    "mfcc type": (lambda: dsp.mfcc_to_mel(C, dct_type=4), "type=4"),
    "mfcc lifter": (lambda: dsp.mfcc_to_mel(C, lifter=-1), "lifter=-1"),
    "mfcc lost": (lambda: dsp.mfcc_to_mel(C, lifter=2), "lifter=2 multiplied coefficient 2 by zero"),
    "mel sr": (lambda: dsp.mel_to_power(C, sr=0), "sr=0"),
    "mel complex": (lambda: dsp.mel_to_power(C + 1j), "M has dtype complex64"),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("case", WRONG)
def test_wrong_argument(case):
    call, message = WRONG[case]
    with pytest.raises(dsp.ParameterError, match=message):
        call()
