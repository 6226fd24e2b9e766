"""Wrong arguments: a `ParameterError` that says what came and what was expected."""

import re
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serjax import dsp
from serjax.errors import SerjaxError

Y = np.ones(4_000, np.float32)
S = np.ones((9, 12), np.float32)


@pytest.fixture(autouse=True)
def without_type_checks(monkeypatch):
    """Meet the values as a user does, without the run-time type checks that tests switch on."""
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)


WRONG = {
    "frame length": (lambda: dsp.frame(Y, frame_length=0, hop_length=1), "frame_length=0"),
    "frame hop": (lambda: dsp.frame(Y, frame_length=4, hop_length=1.5), "hop_length=1.5"),
    "frame axis": (lambda: dsp.frame(Y, frame_length=4, hop_length=1, axis=1), r"axis=1 .* shape \(4000,\)"),
    "frame too long": (lambda: dsp.frame(Y[:3], frame_length=4, hop_length=1), "3 samples .* frame of 4"),
    "window name": (lambda: dsp.get_window("hanning", 8), "window='hanning' .*'hann', 'hamming'"),
    "window length": (lambda: dsp.get_window("hann", 0), "Nx=0"),
    "window shape": (lambda: dsp.get_window(np.ones(7), 8), r"shape \(7,\), expected \(8,\)"),
    "stft n_fft": (lambda: dsp.stft(Y, n_fft=-2), "n_fft=-2 .* integer of at least 1"),
    "stft bool": (lambda: dsp.stft(Y, n_fft=True), "n_fft=True"),
    "stft hop": (lambda: dsp.stft(Y, hop_length=0), "hop_length=0"),
    "stft win_length": (lambda: dsp.stft(Y, n_fft=64, win_length=65), "win_length=65 exceeds n_fft=64"),
    "stft window": (lambda: dsp.stft(Y, window="kaiser"), "window='kaiser'"),
    "stft pad_mode": (lambda: dsp.stft(Y, pad_mode="wrap"), "pad_mode='wrap' .*'constant', 'edge'"),
    "stft empty": (lambda: dsp.stft(Y[:0], pad_mode="reflect"), "pad_mode='reflect' .* empty signal"),
    "stft short": (lambda: dsp.stft(Y, n_fft=8_192, center=False), "4000 samples .* frame of 8192"),
    "stft PCM": (lambda: dsp.stft(Y.astype(np.int16)), "y has dtype int16"),
    "spectrogram power": (lambda: dsp.spectrogram(Y, power=0), "power=0 .* above 0"),
    "dB complex": (lambda: dsp.power_to_db(S + 1j), "S has dtype complex64"),
    "dB amin": (lambda: dsp.power_to_db(S, amin=0.0), "amin=0.0"),
    "dB top_db": (lambda: dsp.power_to_db(S, top_db=-1.0), "top_db=-1.0"),
    "dB nan": (lambda: dsp.power_to_db(S, top_db=float("nan")), "top_db=nan"),
    "dB ref": (lambda: dsp.power_to_db(S, ref=lambda clip: clip[0]), r"shape \(12,\) .* scalar"),
    "amplitude amin": (lambda: dsp.amplitude_to_db(S, amin=-1.0), "amin=-1.0"),
    "power ref": (lambda: dsp.db_to_power(S, ref=-1.0), "ref=-1.0"),
    "mel n_mels": (lambda: dsp.mel_filterbank(sr=8_000, n_fft=512, n_mels=0), "n_mels=0"),
    "mel sr": (lambda: dsp.mel_filterbank(sr=0, n_fft=512), "sr=0"),
    "mel fmin": (lambda: dsp.mel_filterbank(sr=8_000, n_fft=512, fmin=-1.0), "fmin=-1.0"),
    "mel fmax": (lambda: dsp.mel_filterbank(sr=8_000, n_fft=512, fmax=4_001), "fmax=4001 Hz .* fmax <= 4000"),
    "mel band": (lambda: dsp.mel_filterbank(sr=8_000, n_fft=512, fmin=300, fmax=200), "fmin=300 to fmax=200"),
    "mel norm": (lambda: dsp.mel_filterbank(sr=8_000, n_fft=512, norm="area"), "norm='area' .*'slaney', None"),
    "mel frequencies": (lambda: dsp.mel_frequencies(0), "n_mels=0"),
    "melspectrogram none": (lambda: dsp.melspectrogram(), "either a signal y or a spectrogram S"),
    "melspectrogram both": (lambda: dsp.melspectrogram(Y, S=S), "exactly one"),
    "mfcc none": (lambda: dsp.mfcc(), "exactly one"),
    "mfcc n_mfcc": (lambda: dsp.mfcc(S=S, n_mfcc=10), "n_mfcc=10 exceeds the 9 mel bands"),
    "mfcc lifter": (lambda: dsp.mfcc(S=S, n_mfcc=3, lifter=-1), "lifter=-1"),
    "mfcc dct_type": (lambda: dsp.mfcc(S=S, n_mfcc=3, dct_type=4), "type=4 .* 1, 2, 3"),
    "dct type": (lambda: dsp.dct(S, type="2"), "type='2'"),
    "dct norm": (lambda: dsp.dct(S, norm="backward"), "norm='backward' .*'ortho', None"),
    "dct axis": (lambda: dsp.dct(S, axis=2), "axis=2"),
    "dct short": (lambda: dsp.dct(S[:, :1], type=1), "at least 2"),
    "delta even": (lambda: dsp.delta(S, width=4), "width=4 is even"),
    "delta narrow": (lambda: dsp.delta(S, width=1), "width=1"),
    "delta long": (lambda: dsp.delta(S, width=13), "width=13 exceeds the 12 frames"),
    "delta order": (lambda: dsp.delta(S, width=5, order=5), "order=5"),
    "delta mode": (lambda: dsp.delta(S, mode="reflect"), "mode='reflect' .*'interp', 'nearest'"),
    "delta axis": (lambda: dsp.delta(S, axis=-3), "axis=-3"),
    "Mfcc size": (lambda: dsp.Mfcc(hop_length=0), "hop_length=0"),
    "Mfcc frames": (lambda: dsp.Mfcc(frames=1), "frames=1 .* at least 2"),
    "Mfcc odd": (lambda: dsp.Mfcc(n_fft=511), "n_fft=511 is odd"),
    "Mfcc n_mfcc": (lambda: dsp.Mfcc(n_mfcc=129), "n_mfcc=129 exceeds n_mels=128"),
    "Mfcc band": (lambda: dsp.Mfcc(fmax_hz=12_000.0), "fmax=12000 Hz"),
    "Mfcc top_db": (lambda: dsp.Mfcc(top_db=-80.0), "top_db=-80.0"),
    "extract block": (lambda: dsp.extract(dsp.Mfcc(), Y, block=0), "block=0"),
    "y of no axis": (lambda: dsp.stft(np.float32(1.0)), r"y is a single number, expected a signal"),
    "rms of no axis": (lambda: dsp.rms(np.float32(1.0)), "y is a single number"),
    "zero crossings of no axis": (lambda: dsp.zero_crossing_rate(1.0), "y is a single number"),
    "yin of no axis": (lambda: dsp.yin(np.float32(1.0), fmin=60, fmax=500), "y is a single number"),
    "resample of no axis": (lambda: dsp.resample(1.0, orig_sr=2, target_sr=1), "y is a single number"),
    "preemphasis of no axis": (lambda: dsp.preemphasis(np.float32(1.0)), "y is a single number"),
    "stretch of no axis": (lambda: dsp.time_stretch(np.float32(1.0), rate=2), "y is a single number"),
    "shift of no axis": (lambda: dsp.pitch_shift(np.float32(1.0), sr=1, n_steps=2), "y is a single number"),
    "extract of no axis": (lambda: dsp.extract(dsp.Mfcc(), 1.0), "wav is a single number"),
    "delta of no axis": (lambda: dsp.delta(1.0), r"axis=-1 .* shape \(\)"),
    "dct of no axis": (lambda: dsp.dct(1.0), r"axis=-1 .* shape \(\)"),
    "frame of no axis": (lambda: dsp.frame(1.0, frame_length=1, hop_length=1), r"axis=-1 .* shape \(\)"),
    "rms of one axis": (lambda: dsp.rms(S=Y), r"S has shape \(4000,\), expected \(..., bins, frames\)"),
    "mfcc of one axis": (lambda: dsp.mfcc(S=Y), r"S has shape \(4000,\), expected \(..., n_mels, frames\)"),
    "bands of one axis": (lambda: dsp.mel_to_power(Y), r"M has shape \(4000,\)"),
    "cepstra of one axis": (lambda: dsp.mfcc_to_mel(Y), r"mfcc has shape \(4000,\)"),
    "phases of one axis": (lambda: dsp.phase_vocoder(Y + 0j, rate=2), r"D has shape \(4000,\)"),
    "spectrum of one axis": (lambda: dsp.istft(Y + 0j), r"stft_matrix has shape \(4000,\)"),
    "flatness of a number": (lambda: dsp.spectral_flatness(S=1), r"S has shape \(\)"),
    "features of no axis": (lambda: dsp.masked_mean(1.0, True), "x of shape"),
    "nothing": (lambda: dsp.stft(None), "y is a NoneType"),
    "words": (lambda: dsp.hz_to_mel("440"), "frequencies is a str"),
    "truth": (lambda: dsp.hz_to_mel(True), "frequencies has dtype bool"),
    "ref of numpy": (lambda: dsp.power_to_db(S, ref=np.median), "ref=median .* give jnp.median"),
    "amplitude ref of numpy": (lambda: dsp.amplitude_to_db(S, ref=np.ptp), "ref=ptp .* give jnp.ptp"),
    "ref of Python": (
        lambda: dsp.power_to_db(S, ref=lambda one: float(one.max())),
        "<lambda> .* such as jnp.median",
    ),
    "extract PCM": (lambda: dsp.extract(dsp.Mfcc(), Y.astype(np.int16)), "wav has dtype int16"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_argument(case):
    call, message = WRONG[case]
    with pytest.raises(dsp.ParameterError, match=message):
        call()


def test_a_size_must_be_known_when_traced():
    with pytest.raises(dsp.ParameterError, match=re.compile("n_fft=.*Python integer", re.DOTALL)):
        jax.jit(lambda n_fft: dsp.stft(jnp.ones(100), n_fft=n_fft))(64)


def test_is_one_of_the_errors_that_a_user_can_mend():
    assert issubclass(dsp.ParameterError, SerjaxError)


def test_empty_bands_are_told_of_each_bank():
    banks = [{}, {"fmin": 50.0}, {"htk": True}, {"norm": None}, {"n_fft": 101}]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")  # as users have it: the same words of the same line once
        for bank in banks:
            weights = dsp.mel_filterbank(**{"sr": 8_000, "n_fft": 100, "n_mels": 100, "fmax": 4_000.0, **bank})
            assert (np.asarray(weights).max(axis=1) == 0.0).any()
    words = "Some of the 100 mel bands up to 4000 Hz lie between two bins of n_fft=10"
    assert [words in str(one.message) for one in told] == [True] * len(banks)


@pytest.mark.parametrize("ref", [np.max, np.min, np.mean, np.amax, np.std, jnp.median, lambda one: one.max()])
def test_functions_of_numpy_that_can_be_traced_are_references(ref):
    expected = 10 * np.log10(np.maximum(S, 1e-10)) - 10 * np.log10(np.maximum(np.asarray(ref(S)), 1e-10))
    np.testing.assert_allclose(dsp.power_to_db(S, ref=ref, top_db=None), expected, atol=1e-4)


def test_whole_numbers_are_frequencies():
    assert dsp.hz_to_mel(60) == dsp.hz_to_mel(60.0)
    assert dsp.mel_to_hz(np.int64(3)) == dsp.mel_to_hz(3.0)
    assert dsp.power_to_db(10**12, top_db=None) == dsp.power_to_db(np.int64(10**12), top_db=None) == 120.0
    np.testing.assert_allclose(dsp.delta(np.arange(10)), 1.0, rtol=1e-5)
    centroid = dsp.spectral_centroid(S=np.array([[1], [0], [3]]), sr=8_000, freq=np.array([0, 2_000, 4_000]))
    assert centroid == 3_000.0
