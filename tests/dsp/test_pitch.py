"""YIN: librosa's values in float64, and tones whose pitch is known."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serjax import dsp
from tests.dsp.cases import CLIPS_BN, Case
from tests.reference.dsp import relative_error, vowel

SMALL = {"fmin": 80, "fmax": 400, "sr": 8_000, "frame_length": 256}
CASES = [
    Case("yin", partial(dsp.yin, **SMALL), CLIPS_BN),
    Case("yin edge", partial(dsp.yin, pad_mode="edge", trough_threshold=0.5, **SMALL), CLIPS_BN),
]


@pytest.mark.filterwarnings("ignore")  # librosa imports lazily and warns of its own dependencies
@given(
    frame_length=st.sampled_from([512, 801, 2_048]),
    hop_length=st.none() | st.integers(50, 400),
    fmin=st.floats(45.0, 150.0),
    fmax=st.floats(300.0, 8_000.0),
    trough_threshold=st.floats(0.0, 0.5),
    center=st.booleans(),
    pad_mode=st.sampled_from(["constant", "edge", "reflect"]),
    n_samples=st.integers(2_048, 12_000),
    seed=st.integers(0, 99),
)
def test_equals_librosa(n_samples, seed, **arguments):
    librosa = pytest.importorskip("librosa")
    y = vowel(n_samples, 16_000, seed)
    expected = librosa.yin(y.astype(np.float64), sr=16_000, **arguments)
    # Measured: 1.8e-7 of each frequency; 6.4e-7 for sines, whose troughs are flat.
    actual = jax.jit(lambda y: dsp.yin(y, sr=16_000, **arguments))(y)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("y", [np.zeros(3_000), np.ones(3_000), np.zeros(1), np.ones(1), np.zeros(0)])
def test_silence_and_constants_equal_librosa(y):
    librosa = pytest.importorskip("librosa")
    expected = librosa.yin(y, fmin=65, fmax=500)
    np.testing.assert_allclose(dsp.yin(y.astype(np.float32), fmin=65, fmax=500), expected, rtol=1e-6)


@pytest.mark.parametrize("hz", [70.0, 123.4, 440.0])
@pytest.mark.parametrize("level", [1e-12, 1.0, 1e12])
def test_a_sine_has_its_pitch_at_any_level(hz, level):
    y = (level * np.sin(2 * np.pi * hz * np.arange(8_000) / 16_000)).astype(np.float32)
    np.testing.assert_allclose(dsp.yin(y, fmin=60, fmax=500, sr=16_000, center=False), hz, rtol=5e-3)


def test_gradient_is_the_slope():
    y, direction = vowel(3_000, 16_000).astype(np.float64), vowel(3_000, 16_000, seed=2)

    def total(step):
        return jnp.sum(dsp.yin(y + step * direction, fmin=65, fmax=500, sr=16_000))

    with jax.enable_x64(True):
        total = jax.jit(total)
        slope, step = jax.grad(total)(0.0), 1e-7
        assert relative_error(slope, (total(step) - total(-step)) / (2 * step)) <= 1e-5


Y = np.ones(4_000, np.float32)
WRONG = {
    "fmin": (lambda: dsp.yin(Y, fmin=0, fmax=500), "fmin=0 .* above 0"),
    "fmin low": (lambda: dsp.yin(Y, fmin=10, fmax=500), "fmin=10 Hz .* too long for frame_length=2048: .* fmin=10.77"),
    "band": (lambda: dsp.yin(Y, fmin=500, fmax=65), "fmin=500 to fmax=65"),
    "fmax": (lambda: dsp.yin(Y, fmin=65, fmax=12_000), "fmax=12000"),
    "no fmax": (lambda: dsp.yin(Y, fmin=65, fmax=None), "fmax=None cannot be"),
    "denormal fmin": (lambda: dsp.yin(Y, fmin=5e-324, fmax=500), "period of inf samples"),
    "sr": (lambda: dsp.yin(Y, fmin=65, fmax=500, sr=0), "sr=0"),
    "frame_length": (lambda: dsp.yin(Y, fmin=65, fmax=500, frame_length=0), "frame_length=0"),
    "hop_length": (lambda: dsp.yin(Y, fmin=65, fmax=500, hop_length=0), "hop_length=0"),
    "threshold": (lambda: dsp.yin(Y, fmin=65, fmax=500, trough_threshold=-0.1), "trough_threshold=-0.1"),
    "pad_mode": (lambda: dsp.yin(Y, fmin=65, fmax=500, pad_mode="wrap"), "pad_mode='wrap'"),
    "short": (lambda: dsp.yin(Y[:100], fmin=65, fmax=500, center=False), "100 samples .* frame of 2048"),
    "PCM": (lambda: dsp.yin(Y.astype(np.int16), fmin=65, fmax=500), "y has dtype int16"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_argument(case, monkeypatch):
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)
    call, message = WRONG[case]
    with pytest.raises(dsp.ParameterError, match=message):
        call()
