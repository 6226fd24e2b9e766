"""Wrong arguments: a `ParameterError` that says what came and what was expected."""

import re

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


def test_empty_bands_are_told():
    with pytest.warns(UserWarning, match="Some of the 100 mel bands up to 4000 Hz lie between two bins of n_fft=100"):
        weights = dsp.mel_filterbank(sr=8_000, n_fft=100, n_mels=100)
    assert (np.asarray(weights).max(axis=1) == 0.0).any()
