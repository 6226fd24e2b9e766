"""What must hold of the signal path whatever the signal."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from serjax import dsp
from tests.reference.dsp import relative_error, vowel

SIGNAL = vowel(1_000, 8_000)
FRONTEND = dsp.Mfcc(sample_rate_hz=8_000, n_mfcc=5, frames=9, n_fft=64, hop_length=16, n_mels=8)


def test_a_sine_stands_in_its_bin():
    y = np.sin(2 * np.pi * 10 * np.arange(1_024) / 128).astype(np.float32)
    magnitude = dsp.spectrogram(y, n_fft=128, hop_length=32)[:, 4:-4]
    np.testing.assert_array_equal(magnitude.argmax(axis=0), 10)
    np.testing.assert_allclose(
        magnitude[10], 128 / 4, rtol=1e-5
    )  # amplitude 1, half of it here, mean of the window 1/2


def test_energy_is_kept():
    """Parseval: hann windows that overlap by three quarters add up, squared, to 3/2."""
    D = dsp.stft(SIGNAL, n_fft=64, hop_length=16)
    weights = jnp.full((33, 1), 2.0).at[jnp.array([0, 32])].set(1.0)
    assert relative_error(jnp.sum(weights * jnp.abs(D) ** 2) / 64, 1.5 * np.sum(SIGNAL.astype(np.float64) ** 2)) <= 1e-5


def test_stft_is_linear():
    other = vowel(1_000, 8_000, seed=1)
    together = dsp.stft(2.0 * SIGNAL + other, n_fft=64)
    assert relative_error(together, 2.0 * dsp.stft(SIGNAL, n_fft=64) + dsp.stft(other, n_fft=64)) <= 1e-6


def test_db_and_power_are_inverse():
    power = np.geomspace(1e-9, 1e9, 50).astype(np.float32)
    np.testing.assert_allclose(dsp.db_to_power(dsp.power_to_db(power, top_db=None)), power, rtol=1e-5)
    np.testing.assert_allclose(dsp.db_to_power(jnp.zeros(3), ref=7.0), 7.0, rtol=1e-6)


@pytest.mark.parametrize("htk", [False, True])
def test_mel_and_hz_are_inverse(htk):
    hz = np.linspace(0.0, 11_025.0, 100).astype(np.float32)
    np.testing.assert_allclose(dsp.mel_to_hz(dsp.hz_to_mel(hz, htk=htk), htk=htk), hz, rtol=1e-5, atol=1e-3)
    assert (np.diff(dsp.hz_to_mel(hz, htk=htk)) > 0).all()


def test_unit_height_triangles_share_each_bin():
    """Between the middles of the first and the last band, neighbouring triangles add up to one."""
    weights = dsp.mel_filterbank(sr=8_000, n_fft=1_024, n_mels=20, norm=None)
    middles = np.asarray(weights.argmax(axis=1))
    np.testing.assert_allclose(weights[:, middles[0] + 1 : middles[-1]].sum(axis=0), 1.0, rtol=1e-5)


def test_dct_types_2_and_3_are_inverse():
    x = np.random.default_rng(0).standard_normal((4, 16)).astype(np.float32)
    np.testing.assert_allclose(dsp.dct(dsp.dct(x, norm="ortho"), type=3, norm="ortho"), x, atol=1e-6)
    np.testing.assert_allclose(dsp.dct(dsp.dct(x, type=1, norm="ortho"), type=1, norm="ortho"), x, atol=1e-6)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_delta_differentiates_polynomials(order):
    t = np.arange(12.0, dtype=np.float32)
    expected = {1: 1.0, 2: 2.0, 3: 6.0}[order]
    np.testing.assert_allclose(dsp.delta(t**order, width=9, order=order), expected, rtol=1e-4)


def test_a_louder_clip_moves_only_the_first_coefficient():
    quiet, loud = dsp.mfcc(SIGNAL, sr=8_000, n_mels=20), dsp.mfcc(10.0 * SIGNAL, sr=8_000, n_mels=20)
    np.testing.assert_allclose(loud[0] - quiet[0], 20.0 * np.sqrt(20.0), rtol=1e-4)
    np.testing.assert_allclose(loud[1:], quiet[1:], atol=1e-3)


def test_gradient_of_mfcc_is_the_slope():
    direction = vowel(1_000, 8_000, seed=2)

    def total(step):
        return dsp.mfcc(SIGNAL.astype(np.float64) + step * direction, sr=8_000, n_mels=20, n_fft=256).sum()

    with jax.enable_x64(True):
        slope, step = jax.grad(total)(0.0), 1e-6
        assert relative_error(slope, (total(step) - total(-step)) / (2 * step)) <= 1e-6


samples = arrays.arrays(np.float32, 128, elements=st.floats(-(2.0**40), 2.0**40, width=32))  # beyond 1e12


@settings(max_examples=100, deadline=None, derandomize=True)
@given(wav=samples)
def test_features_and_gradients_are_finite_for_any_samples(wav):
    features, slope = jax.value_and_grad(lambda wav: dsp.extract(FRONTEND, wav).sum())(jnp.asarray(wav))
    assert np.isfinite(features)
    assert np.isfinite(slope).all()
