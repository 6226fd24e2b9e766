"""Loudness, zero crossings and the shape of the spectrum: librosa's values in float64, and what must hold."""

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

FRAMES = {"frame_length": 64, "hop_length": 16}
SHAPE = {"sr": 8_000, **SMALL}

CASES = [
    Case("rms", partial(dsp.rms, **FRAMES), CLIPS_BN),
    Case("rms reflect", partial(dsp.rms, pad_mode="reflect", **FRAMES), CLIPS_BN),
    Case("rms of S", lambda S: dsp.rms(S=S, frame_length=64), POWER_BFT),
    Case("zero_crossing_rate", partial(dsp.zero_crossing_rate, **FRAMES), CLIPS_BN),
    Case("zero_crossing_rate signed", partial(dsp.zero_crossing_rate, zero_pos=False, pad=True, **FRAMES), CLIPS_BN),
    Case("spectral_centroid", partial(dsp.spectral_centroid, **SHAPE), CLIPS_BN),
    Case("spectral_centroid of S", lambda S: dsp.spectral_centroid(S=S), POWER_BFT),
    Case("spectral_bandwidth", partial(dsp.spectral_bandwidth, **SHAPE), CLIPS_BN),
    Case("spectral_bandwidth 0.5", partial(dsp.spectral_bandwidth, p=0.5, norm=False, **SHAPE), CLIPS_BN),
    Case("spectral_bandwidth 10 of S", lambda S: dsp.spectral_bandwidth(S=S, p=10), POWER_BFT),
    Case("spectral_rolloff", partial(dsp.spectral_rolloff, **SHAPE), CLIPS_BN),
    Case("spectral_flatness", partial(dsp.spectral_flatness, **SMALL), CLIPS_BN),
    Case("spectral_flatness of S", lambda S: dsp.spectral_flatness(S=S, power=1.3), POWER_BFT),
    Case("spectral_contrast", partial(dsp.spectral_contrast, n_bands=3, **SHAPE), CLIPS_BN),
    Case(
        "spectral_contrast linear", lambda S: dsp.spectral_contrast(S=S, fmin=1_000, n_bands=3, linear=True), POWER_BFT
    ),
]

# librosa imports lazily and warns of its own dependencies; that is no business of this test.
live = pytest.mark.filterwarnings("ignore")
seeds = st.integers(0, 99)


@st.composite
def spectra(draw):
    """Arguments of the transform, and a signal that they fit."""
    n_fft = draw(st.sampled_from([256, 400, 511]))
    arguments = {
        "n_fft": n_fft,
        "hop_length": draw(st.integers(50, 300)),
        "win_length": draw(st.none() | st.integers(100, n_fft)),
        "window": draw(st.sampled_from(["hann", "hamming", "blackman"])),
        "center": draw(st.booleans()),
        "pad_mode": draw(st.sampled_from(["constant", "edge", "reflect"])),
    }
    return arguments, vowel(draw(st.integers(511, 3_000)), 16_000, draw(seeds))


def errors(name, y, **arguments):
    """Compare a descriptor of a signal, and the same of its magnitudes, with librosa."""
    librosa = pytest.importorskip("librosa")
    ours, theirs = getattr(dsp, name), getattr(librosa.feature, name)
    exact = y.astype(np.float64)
    yield relative_error(jax.jit(lambda y: ours(y, **arguments))(y), theirs(y=exact, **arguments))
    shared = {
        k: v for k, v in arguments.items() if k not in ("window", "win_length", "center", "pad_mode", "hop_length")
    }
    S = np.abs(librosa.stft(exact, n_fft=arguments["n_fft"], hop_length=64)).astype(np.float32)
    yield relative_error(jax.jit(lambda S: ours(S=S, **shared))(S), theirs(S=S.astype(np.float64), **shared))


@live
@given(
    frame_length=st.sampled_from([64, 101, 512]),
    hop_length=st.integers(8, 300),
    center=st.booleans(),
    pad_mode=st.sampled_from(["constant", "edge", "reflect", "symmetric"]),
    n_samples=st.integers(512, 3_000),
    seed=seeds,
)
def test_rms_equals_librosa(n_samples, seed, **arguments):
    librosa = pytest.importorskip("librosa")
    y = vowel(n_samples, 16_000, seed)
    expected = librosa.feature.rms(y=y.astype(np.float64), dtype=np.float64, **arguments)
    assert relative_error(jax.jit(lambda y: dsp.rms(y, **arguments))(y), expected) <= 5e-7  # measured: 1.2e-7


@live
@pytest.mark.parametrize("frame_length", [256, 255])
def test_rms_of_magnitudes_equals_librosa_and_parseval(frame_length):
    librosa = pytest.importorskip("librosa")
    y, ones = vowel(3_000, 16_000), {"window": "ones", "n_fft": frame_length, "hop_length": 64}
    S = dsp.spectrogram(y, **ones)
    actual = jax.jit(lambda S: dsp.rms(S=S, frame_length=frame_length))(S)
    expected = librosa.feature.rms(S=np.asarray(S, np.float64), frame_length=frame_length, dtype=np.float64)
    assert relative_error(actual, expected) <= 5e-7  # measured: 1e-7
    assert relative_error(actual, dsp.rms(y, frame_length=frame_length, hop_length=64)) <= 1e-6


@live
@given(
    frame_length=st.sampled_from([3, 100, 511, 2_048]),
    hop_length=st.integers(8, 300),
    center=st.booleans(),
    threshold=st.sampled_from([0, 1e-10, 1e-3, 0.1]),
    zero_pos=st.booleans(),
    pad=st.booleans(),
    n_samples=st.integers(2_048, 4_000),
    seed=seeds,
)
def test_zero_crossing_rate_equals_librosa_to_the_last_bit(n_samples, seed, **arguments):
    librosa = pytest.importorskip("librosa")
    y = np.round(vowel(n_samples, 16_000, seed), 2)  # with zeros, and samples on the threshold
    expected = librosa.feature.zero_crossing_rate(y.astype(np.float64), **arguments).astype(np.float32)
    np.testing.assert_array_equal(jax.jit(lambda y: dsp.zero_crossing_rate(y, **arguments))(y), expected)


def test_the_threshold_is_inclusive_and_not_rounded_up():
    y = np.array([1e-10, -1e-10, 1e-10, -1e-10], np.float32)  # the first float32 beyond 1e-10
    assert dsp.zero_crossing_rate(y, frame_length=4, hop_length=1, center=False) == 0.75
    assert dsp.zero_crossing_rate(0.9 * y, frame_length=4, hop_length=1, center=False) == 0.0


@live
@given(spectrum=spectra())
def test_centroid_equals_librosa(spectrum):
    arguments, y = spectrum
    for error in errors("spectral_centroid", y, sr=16_000, **arguments):
        assert error <= 1e-6  # measured: 4.1e-7


@live
@given(spectrum=spectra(), p=st.sampled_from([2, 1, 0.5, 3, 10]), norm=st.booleans())
def test_bandwidth_equals_librosa(spectrum, p, norm):
    arguments, y = spectrum
    for error in errors("spectral_bandwidth", y, sr=16_000, p=p, norm=norm, **arguments):
        assert error <= 1e-6  # measured: 5.0e-7


@live
@given(spectrum=spectra(), roll_percent=st.floats(0.01, 0.99))
def test_rolloff_equals_librosa(spectrum, roll_percent):
    arguments, y = spectrum
    for error in errors("spectral_rolloff", y, sr=16_000, roll_percent=roll_percent, **arguments):
        assert error <= 1e-6  # measured: 3.5e-8, the same bins


@live
@given(spectrum=spectra(), power=st.sampled_from([2.0, 1, 0.7]), amin=st.sampled_from([1e-10, 1e-3]))
def test_flatness_equals_librosa(spectrum, power, amin):
    arguments, y = spectrum
    for error in errors("spectral_flatness", y, power=power, amin=amin, **arguments):
        # Logarithms of the gaps between harmonics, which float32 keeps to about 1e-7 of the peaks. Measured: 1.8e-6.
        assert error <= 5e-6


@live
@pytest.mark.parametrize("linear", [False, True])
@given(
    spectrum=spectra(),
    fmin=st.floats(100.0, 300.0),
    n_bands=st.integers(1, 4),
    quantile=st.floats(0.01, 0.5),  # beyond it peak and valley share bins, and their difference loses digits
)
def test_contrast_equals_librosa(linear, spectrum, **contrast):
    arguments, y = spectrum
    for error in errors("spectral_contrast", y, sr=16_000, linear=linear, **contrast, **arguments):
        # Decibels of valleys, which float32 keeps to 1e-7 of the peaks. Measured: 2.2e-5, 6e-5 at n_fft=2048.
        assert error <= (1e-6 if linear else 1e-4)


@live
@pytest.mark.parametrize("name", ["spectral_centroid", "spectral_bandwidth", "spectral_rolloff"])
def test_other_frequencies_and_a_given_centroid(name):
    librosa = pytest.importorskip("librosa")
    S = POWER_BFT[0]
    ours, theirs = getattr(dsp, name), getattr(librosa.feature, name)
    for freq in (np.geomspace(50.0, 9_000.0, 33), 8_000 * np.random.default_rng(2).random(S.shape)):
        assert relative_error(ours(S=S, freq=freq), theirs(S=S.astype(np.float64), freq=freq)) <= 1e-6
    if name == "spectral_bandwidth":
        centroid = np.full((1, 12), 3_000.0)
        expected = theirs(S=S.astype(np.float64), centroid=centroid)
        assert relative_error(ours(S=S, centroid=centroid), expected) <= 1e-6


@live
def test_contrast_with_other_frequencies():
    librosa = pytest.importorskip("librosa")
    freq = np.geomspace(50.0, 9_000.0, 33)
    expected = librosa.feature.spectral_contrast(S=POWER_BFT[0].astype(np.float64), freq=freq)
    assert relative_error(dsp.spectral_contrast(S=POWER_BFT[0], freq=freq), expected) <= 1e-6


@live
@pytest.mark.parametrize(
    "name",
    ["rms", "spectral_centroid", "spectral_bandwidth", "spectral_rolloff", "spectral_flatness", "spectral_contrast"],
)
@pytest.mark.parametrize("n_samples", [0, 1, 700])
def test_silence_has_librosas_values(name, n_samples):
    librosa = pytest.importorskip("librosa")
    y = np.zeros(n_samples, np.float32)
    expected = getattr(librosa.feature, name)(y=y.astype(np.float64))
    np.testing.assert_allclose(getattr(dsp, name)(y), expected, rtol=5e-7)


def test_a_sine_is_narrow_and_centred():
    y = np.sin(2 * np.pi * 1_000 * np.arange(4_096) / 8_000).astype(np.float32)
    arguments = {"sr": 8_000, "n_fft": 512, "center": False}
    np.testing.assert_allclose(dsp.spectral_centroid(y, **arguments), 1_000.0, rtol=1e-4)
    assert (np.asarray(dsp.spectral_bandwidth(y, **arguments)) < 20.0).all()
    np.testing.assert_allclose(dsp.zero_crossing_rate(y, center=False), 0.25, atol=2e-3)
    np.testing.assert_allclose(dsp.rms(y, frame_length=512, center=False), np.sqrt(0.5), rtol=1e-6)
    assert (np.asarray(dsp.spectral_flatness(y, n_fft=512, center=False)) < 1e-6).all()


@pytest.mark.parametrize("name", ["spectral_centroid", "spectral_bandwidth", "spectral_flatness"])
def test_shape_does_not_depend_on_level(name):
    describe = jax.jit(partial(getattr(dsp, name), n_fft=256))
    y = vowel(2_000, 22_050)
    quiet = describe(y) if name != "spectral_flatness" else describe(1e3 * y)  # above amin
    assert relative_error(describe(1e9 * y), quiet) <= 2e-6


@pytest.mark.parametrize(
    "name", ["rms", "spectral_centroid", "spectral_bandwidth", "spectral_flatness", "spectral_contrast"]
)
def test_gradient_is_the_slope(name):
    y, direction = vowel(3_000, 22_050).astype(np.float64), vowel(3_000, 22_050, seed=2)

    def total(step):
        return jnp.sum(getattr(dsp, name)(y + step * direction))

    with jax.enable_x64(True):
        total = jax.jit(total)
        slope, step = jax.grad(total)(0.0), 1e-7
        assert relative_error(slope, (total(step) - total(-step)) / (2 * step)) <= 1e-5


Y, S = np.ones(4_000, np.float32), np.ones((33, 12), np.float32)
WRONG = {
    "rms none": (lambda: dsp.rms(), "either a signal y or a spectrogram S"),
    "rms both": (lambda: dsp.rms(Y, S=S), "exactly one"),
    "rms bins": (lambda: dsp.rms(S=S), "S has 33 bins, frame_length=2048 makes 1025"),
    "rms hop": (lambda: dsp.rms(Y, hop_length=0), "hop_length=0"),
    "rms frame": (lambda: dsp.rms(Y, frame_length=0), "frame_length=0"),
    "rms pad_mode": (lambda: dsp.rms(Y, pad_mode="wrap"), "pad_mode='wrap'"),
    "rms short": (lambda: dsp.rms(Y, frame_length=5_000, center=False), "4000 samples .* frame of 5000"),
    "zcr empty": (lambda: dsp.zero_crossing_rate(Y[:0]), "pad_mode='edge' .* empty signal"),
    "zcr threshold": (lambda: dsp.zero_crossing_rate(Y, threshold=-1.0), "threshold=-1.0"),
    "zcr PCM": (lambda: dsp.zero_crossing_rate(Y.astype(np.int16)), "y has dtype int16"),
    "centroid none": (lambda: dsp.spectral_centroid(), "spectral_centroid takes either"),
    "centroid freq": (
        lambda: dsp.spectral_centroid(S=S, freq=np.ones(12)),
        r"freq has shape \(12,\), expected \(33,\)",
    ),
    "centroid sr": (lambda: dsp.spectral_centroid(Y, sr=0), "sr=0"),
    "centroid S": (lambda: dsp.spectral_centroid(S=S[0]), r"S has shape \(12,\), expected \(..., bins, frames\)"),
    "bandwidth p": (lambda: dsp.spectral_bandwidth(Y, p=0), "p=0 .* above 0"),
    "bandwidth centroid": (
        lambda: dsp.spectral_bandwidth(S=S, centroid=S),
        r"centroid has shape .* expected \(1, 12\)",
    ),
    "rolloff": (lambda: dsp.spectral_rolloff(Y, roll_percent=1.0), "roll_percent=1.0 .* between 0 and 1"),
    "flatness amin": (lambda: dsp.spectral_flatness(Y, amin=0), "amin=0"),
    "flatness power": (lambda: dsp.spectral_flatness(Y, power=0), "power=0"),
    "contrast high": (
        lambda: dsp.spectral_contrast(Y, sr=8_000),
        "n_bands=6 bands begins at 6400 Hz, beyond .* 4000 Hz",
    ),
    "contrast bins": (lambda: dsp.spectral_contrast(Y, n_fft=64), "band from 0 to 200 Hz holds too few bins"),
    "contrast bands": (lambda: dsp.spectral_contrast(Y, n_bands=0), "n_bands=0"),
    "contrast fmin": (lambda: dsp.spectral_contrast(Y, fmin=0), "fmin=0"),
    "contrast quantile": (lambda: dsp.spectral_contrast(Y, quantile=1), "quantile=1"),
    "contrast freq": (lambda: dsp.spectral_contrast(S=S, freq=-np.arange(33.0)), r"expected \(33,\) and ascending"),
    "contrast traced": (
        lambda: jax.jit(lambda f: dsp.spectral_contrast(S=S, freq=f))(np.arange(33.0)),
        "freq is traced",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_argument(case, monkeypatch):
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)
    call, message = WRONG[case]
    with pytest.raises(dsp.ParameterError, match=message):
        call()
