"""Every function of the signal path against its definition in float64."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serjax import dsp
from tests.reference import dsp as reference
from tests.reference.dsp import relative_error, vowel

SAMPLE_RATE_HZ = 8_000
SIGNAL = vowel(900, SAMPLE_RATE_HZ)
RANDOM = np.random.default_rng(1).standard_normal((11, 16)).astype(np.float32)


@pytest.mark.parametrize(("length", "hop"), [(4, 1), (4, 3), (3, 7), (16, 5), (1, 1)])
def test_frame(length, hop):
    np.testing.assert_array_equal(
        dsp.frame(RANDOM[0], frame_length=length, hop_length=hop), reference.frame(RANDOM[0], length, hop)
    )


@pytest.mark.parametrize("axis", [-1, -2, 0, 1])
def test_frame_along_each_axis(axis):
    framed = dsp.frame(RANDOM, frame_length=4, hop_length=3, axis=axis)
    series = np.moveaxis(RANDOM, axis, -1)
    expected_LTR = np.stack([reference.frame(row, 4, 3) for row in series], axis=-1)
    # Two axes stand where one was: frames first if counted from the front, samples first if from the back.
    order = {-1: (2, 0, 1), -2: (0, 1, 2), 0: (1, 0, 2), 1: (2, 1, 0)}[axis]
    np.testing.assert_array_equal(framed, np.transpose(expected_LTR, order))


@pytest.mark.parametrize("name", ["hann", "hamming", "blackman", "blackmanharris", "bartlett", "boxcar", "ones"])
@pytest.mark.parametrize(("length", "periodic"), [(1, True), (2, True), (9, True), (16, True), (9, False), (16, False)])
def test_get_window(name, length, periodic):
    window = dsp.get_window(name, length, fftbins=periodic)
    np.testing.assert_allclose(window, reference.window(name, length, periodic), atol=6e-8)  # half a float32 step at 1


@pytest.mark.parametrize("transform", ["fft", "matmul"])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize(
    ("n_fft", "win_length", "hop"), [(128, None, None), (128, 100, None), (75, 50, 13), (64, 63, 90), (64, None, 2)]
)
def test_stft(n_fft, win_length, hop, center, transform):
    stft = partial(dsp.stft, n_fft=n_fft, win_length=win_length, hop_length=hop, center=center, transform=transform)
    win_length = win_length or n_fft
    weights = reference.window("hann", win_length)
    expected = reference.stft(SIGNAL, n_fft, hop or win_length // 4, weights, center)
    assert relative_error(jax.jit(stft)(SIGNAL), expected) <= 1e-6  # measured: 1.1e-7; by matrix 3.5e-7


@pytest.mark.parametrize("pad_mode", ["constant", "edge", "reflect", "symmetric"])
@pytest.mark.parametrize("n_samples", [2, 50, 300])
def test_stft_at_the_edges(pad_mode, n_samples):
    signal = SIGNAL[400 : 400 + n_samples]
    actual = dsp.stft(signal, n_fft=128, hop_length=32, pad_mode=pad_mode)
    expected = reference.stft(signal, 128, 32, reference.window("hann", 128), pad_mode=pad_mode)
    assert relative_error(actual, expected) <= 1e-6


def test_stft_with_an_array_for_a_window():
    weights = np.linspace(0.1, 2.0, 100).astype(np.float32)
    actual = dsp.stft(SIGNAL, n_fft=128, hop_length=32, win_length=100, window=weights)
    assert relative_error(actual, reference.stft(SIGNAL, 128, 32, weights)) <= 1e-6


@pytest.mark.parametrize("power", [0.5, 1, 1.7, 2, 3])
def test_spectrogram(power):
    expected = np.abs(reference.stft(SIGNAL, 128, 32, reference.window("hann", 128))) ** power
    assert (
        relative_error(dsp.spectrogram(SIGNAL, n_fft=128, hop_length=32, power=power), expected) <= 1e-6
    )  # measured: 4.7e-7


@pytest.mark.parametrize("top_db", [None, 0.0, 30.0, 80.0])
@pytest.mark.parametrize("ref", [1.0, -2.5, 1e-15])
def test_power_to_db_and_amplitude_to_db(top_db, ref):
    amplitude = np.abs(RANDOM) ** 5
    actual = dsp.power_to_db(amplitude**2, ref=ref, amin=1e-8, top_db=top_db)
    expected = reference.power_to_db(amplitude.astype(np.float64) ** 2, ref, 1e-8, top_db)
    assert relative_error(actual, expected) <= 1e-6
    actual = dsp.amplitude_to_db(amplitude, ref=ref, amin=1e-4, top_db=top_db)
    assert (
        relative_error(actual, reference.power_to_db(amplitude.astype(np.float64) ** 2, ref**2, 1e-8, top_db)) <= 1e-6
    )


def test_a_callable_ref_sees_one_clip():
    clips = np.stack([RANDOM**2, 100 * RANDOM**2])
    each = np.stack([reference.power_to_db(clip, np.median(clip)) for clip in clips.astype(np.float64)])
    assert relative_error(dsp.power_to_db(clips, ref=jnp.median), each) <= 1e-6
    each = np.stack([reference.power_to_db(clip**2, clip.max() ** 2) for clip in clips.astype(np.float64)])
    assert relative_error(dsp.amplitude_to_db(clips, ref=np.max), each) <= 1e-6


@pytest.mark.parametrize("htk", [False, True])
def test_mel_scale(htk):
    hz = np.array([0.0, 20.0, 999.0, 1000.0, 1001.0, 7_900.0], np.float32)
    mels = np.array([reference.hz_to_mel(float(value), htk) for value in hz])
    assert relative_error(dsp.hz_to_mel(hz, htk=htk), mels) <= 2e-7
    assert relative_error(dsp.mel_to_hz(mels.astype(np.float32), htk=htk), hz) <= 1e-6
    points = dsp.mel_frequencies(12, fmin=40, fmax=3_000, htk=htk)
    assert relative_error(points, reference.mel_frequencies(12, 40, 3_000, htk)) <= 1e-7


@pytest.mark.parametrize("htk", [False, True])
@pytest.mark.parametrize("norm", ["slaney", None])
@pytest.mark.parametrize(("fmin", "fmax", "n_mels"), [(0.0, None, 30), (80, 3_800, 25), (300.0, 400.0, 1)])
def test_mel_filterbank(htk, norm, fmin, fmax, n_mels):
    actual = dsp.mel_filterbank(sr=SAMPLE_RATE_HZ, n_fft=512, n_mels=n_mels, fmin=fmin, fmax=fmax, htk=htk, norm=norm)
    expected = reference.mel_filterbank(SAMPLE_RATE_HZ, 512, n_mels, fmin, fmax, htk, norm)
    assert relative_error(actual, expected) <= 1e-7


@pytest.mark.parametrize("kind", [1, 2, 3])
@pytest.mark.parametrize("norm", [None, "ortho"])
@pytest.mark.parametrize("axis", [0, -1])
def test_dct(kind, norm, axis):
    shifted = RANDOM + 30.0  # decibels have a large mean: it must not cost precision
    expected = np.moveaxis(reference.dct(np.moveaxis(shifted, axis, 0), kind, norm), 0, axis)
    assert relative_error(dsp.dct(shifted, type=kind, norm=norm, axis=axis), expected) <= 3e-7  # measured: 1e-7


@pytest.mark.parametrize("lifter", [0, 22])
def test_mfcc(lifter):
    actual = dsp.mfcc(SIGNAL, sr=SAMPLE_RATE_HZ, n_mfcc=13, n_fft=256, hop_length=64, n_mels=30, lifter=lifter)
    expected = reference.mfcc(SIGNAL, SAMPLE_RATE_HZ, 13, 256, 64, 30, lifter)
    assert relative_error(actual, expected) <= 1e-6  # measured: 1.1e-7


@pytest.mark.parametrize("mode", ["interp", "nearest", "mirror", "constant", "wrap"])
@pytest.mark.parametrize(("width", "order"), [(3, 1), (9, 1), (9, 2), (15, 3), (5, 4)])
def test_delta(mode, width, order):
    actual = jax.jit(partial(dsp.delta, width=width, order=order, mode=mode))(RANDOM)
    expected = np.stack([reference.delta(row, width, order, mode) for row in RANDOM])
    assert relative_error(actual, expected) <= 1e-6  # measured: 1.2e-7
    along_first = jax.jit(partial(dsp.delta, width=width, order=order, mode=mode, axis=0))
    assert relative_error(along_first(RANDOM.T), expected.T) <= 1e-6


def test_precision_follows_the_input():
    with jax.enable_x64(True):
        actual = dsp.mfcc(SIGNAL.astype(np.float64), sr=SAMPLE_RATE_HZ, n_mfcc=13, n_fft=256, hop_length=64, n_mels=30)
    assert relative_error(actual, reference.mfcc(SIGNAL, SAMPLE_RATE_HZ, 13, 256, 64, 30)) <= 1e-12  # measured: 4e-15
