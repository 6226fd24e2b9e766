"""`serjax.dsp` gives what librosa gives: frozen values, and live over arguments that hypothesis draws."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serjax import dsp
from tests.reference import dsp as reference
from tests.reference.dsp import relative_error, vowel

GOLDEN = dict(np.load(Path(__file__).parents[1] / "golden" / "dsp.npz"))
SIGNAL, SHORT = GOLDEN["signal"], GOLDEN["signal"][3_000:4_000]
COMPLEX, COEFFICIENTS = GOLDEN["stft_hann"].astype(np.complex64), GOLDEN["mfcc"].astype(np.float32)
SMALL = {"n_fft": 256, "hop_length": 64}
HTK = {"n_mfcc": 13, "lifter": 22, "n_mels": 40, "fmin": 50, "fmax": 8_000, "htk": True}

FROZEN = {
    "stft_hann": lambda: dsp.stft(SHORT, **SMALL),
    "stft_hamming_reflect": lambda: dsp.stft(SHORT, **SMALL, win_length=200, window="hamming", pad_mode="reflect"),
    "melspectrogram": lambda: dsp.melspectrogram(SIGNAL),
    "power_to_db": lambda: dsp.power_to_db(dsp.melspectrogram(SIGNAL), ref=jnp.max),
    "amplitude_to_db": lambda: dsp.amplitude_to_db(jnp.sqrt(dsp.melspectrogram(SIGNAL)), ref=0.5, top_db=40.0),
    "mfcc": lambda: dsp.mfcc(SIGNAL),
    "mfcc_liftered_htk": lambda: dsp.mfcc(SIGNAL, **HTK),
    "delta": lambda: dsp.delta(dsp.mfcc(SIGNAL)),
    "delta_order2_nearest": lambda: dsp.delta(dsp.mfcc(SIGNAL), width=7, order=2, mode="nearest"),
    "mel_filterbank_sums": lambda: dsp.mel_filterbank(sr=22_050, n_fft=2048).sum(axis=1),
    "mel_frequencies": lambda: dsp.mel_frequencies(40, fmin=20.0, fmax=8_000.0),
    "istft": lambda: dsp.istft(COMPLEX, hop_length=64),
    "phase_vocoder": lambda: dsp.phase_vocoder(COMPLEX, rate=1.3, hop_length=64),
    "time_stretch": lambda: dsp.time_stretch(SHORT, rate=0.85, n_fft=256),
    "preemphasis": lambda: dsp.preemphasis(SHORT),
    "db_to_amplitude": lambda: dsp.db_to_amplitude(COEFFICIENTS, ref=0.5),
    "mfcc_to_mel": lambda: dsp.mfcc_to_mel(COEFFICIENTS, n_mels=40),
    "chroma_filterbank_sums": lambda: dsp.chroma_filterbank(sr=22_050, n_fft=2048, tuning=0.2).sum(axis=1),
    "chroma_stft": lambda: dsp.chroma_stft(SIGNAL),
    "tonnetz": lambda: dsp.tonnetz(dsp.chroma_stft(SIGNAL)),
    "estimate_tuning": lambda: dsp.estimate_tuning(SIGNAL),
    "piptrack_hz": lambda: dsp.piptrack(SHORT, n_fft=256)[0],
    "piptrack_height": lambda: dsp.piptrack(SHORT, n_fft=256)[1],
    "spectral_centroid": lambda: dsp.spectral_centroid(SIGNAL),
    "spectral_bandwidth_p2": lambda: dsp.spectral_bandwidth(SIGNAL),
    "spectral_bandwidth_p3": lambda: dsp.spectral_bandwidth(SIGNAL, p=3),
    "spectral_rolloff": lambda: dsp.spectral_rolloff(SIGNAL),
    "spectral_contrast": lambda: dsp.spectral_contrast(SIGNAL),
    "spectral_flatness": lambda: dsp.spectral_flatness(SIGNAL),
    "zero_crossing_rate": lambda: dsp.zero_crossing_rate(SIGNAL),
    "rms": lambda: dsp.rms(SIGNAL),
    "yin": lambda: dsp.yin(SIGNAL, fmin=65, fmax=500),
    **{
        f"dct{kind}{'_' + norm if norm else ''}": lambda kind=kind, norm=norm: dsp.dct(
            GOLDEN["mfcc"], type=kind, axis=0, norm=norm
        )
        for kind in (1, 2, 3)
        for norm in (None, "ortho")
    },
}


# Where small differences of large numbers, powers of ten or quantiles of decibels let the error grow; else 1e-6.
LOOSE = {"delta_order2_nearest": 3e-6, "mfcc_to_mel": 3e-6, "spectral_contrast": 2e-5, "tonnetz": 3e-6}


@pytest.mark.parametrize("name", FROZEN)
def test_frozen_value(name):
    # Measured: at most 6.5e-7, decibels below the maximum; of the loose ones 8e-7, 1e-6, 7e-6, 1.1e-6 (JAX 0.12).
    assert relative_error(FROZEN[name](), GOLDEN[name]) <= LOOSE.get(name, 1e-6)


def test_every_frozen_value_is_compared():
    assert set(GOLDEN) == {"signal", *FROZEN}


def test_librosa_and_the_definitions_agree():
    """The two truths of these tests are one."""
    weights = reference.window("hann", 256)
    assert relative_error(reference.stft(SHORT, 256, 64, weights), GOLDEN["stft_hann"]) <= 1e-12
    assert relative_error(reference.mfcc(SIGNAL, 22_050, 20, 2048, 512, 128), GOLDEN["mfcc"]) <= 1e-12
    slopes = np.stack([reference.delta(row, 9, 1, "interp") for row in GOLDEN["mfcc"]])
    assert relative_error(slopes, GOLDEN["delta"]) <= 1e-9
    for kind in (1, 2, 3):
        for suffix, norm in (("", None), ("_ortho", "ortho")):
            expected = GOLDEN[f"dct{kind}{suffix}"]
            assert relative_error(reference.dct(GOLDEN["mfcc"], kind, norm), expected) <= 1e-12


# librosa imports lazily and warns of its own dependencies; that is no business of this test.
live = pytest.mark.filterwarnings("ignore")


@st.composite
def stft_arguments(draw):
    n_fft = draw(st.sampled_from([64, 100, 256, 511]))
    return {
        "n_fft": n_fft,
        "hop_length": draw(st.none() | st.integers(8, 300)),
        "win_length": draw(st.none() | st.integers(4, n_fft)),
        "window": draw(
            st.sampled_from(["hann", "hamming", "blackman", "blackmanharris", "bartlett", "boxcar", "ones"])
        ),
        "center": draw(st.booleans()),
        "pad_mode": draw(st.sampled_from(["constant", "edge", "reflect", "symmetric"])),
    }


@live
@given(arguments=stft_arguments(), n_samples=st.integers(511, 2_000), seed=st.integers(0, 99))
def test_stft_equals_librosa(arguments, n_samples, seed):
    librosa = pytest.importorskip("librosa")
    y = vowel(n_samples, 16_000, seed)
    error = relative_error(
        jax.jit(lambda y: dsp.stft(y, **arguments))(y), librosa.stft(y.astype(np.float64), **arguments)
    )
    assert error <= 1e-6  # measured: 1.2e-7


@st.composite
def mfcc_arguments(draw):
    n_mels, sr = draw(st.integers(5, 60)), draw(st.sampled_from([16_000, 22_050]))
    fmin = draw(st.floats(0.0, 500.0))
    return {
        "sr": sr,
        "n_mels": n_mels,
        "n_mfcc": draw(st.integers(1, n_mels)),
        "fmin": fmin,
        "fmax": draw(st.none() | st.floats(fmin + 1_000.0, sr / 2)),
        "htk": draw(st.booleans()),
        "mel_norm": draw(st.sampled_from(["slaney", None])),
        "dct_type": draw(st.sampled_from([1, 2, 3])),
        "norm": draw(st.sampled_from(["ortho", None])),
        "lifter": draw(st.sampled_from([0, 10, 22.5])),
        "n_fft": draw(st.sampled_from([512, 1_024])),
        "hop_length": draw(st.integers(100, 600)),
        "power": draw(st.sampled_from([1.0, 2.0])),
    }


@live
@given(arguments=mfcc_arguments(), n_samples=st.integers(1, 5_000), seed=st.integers(0, 99))
def test_mfcc_equals_librosa(arguments, n_samples, seed):
    librosa = pytest.importorskip("librosa")
    y = vowel(n_samples, arguments["sr"], seed)
    expected = librosa.feature.mfcc(y=y.astype(np.float64), dtype=np.float64, **arguments)
    assert relative_error(jax.jit(lambda y: dsp.mfcc(y, **arguments))(y), expected) <= 2e-6  # measured: 5e-7


@live
@given(
    width=st.sampled_from([3, 5, 9, 13]),
    order=st.integers(1, 2),
    mode=st.sampled_from(["interp", "nearest", "mirror", "constant", "wrap"]),
    frames=st.integers(13, 40),
)
def test_delta_equals_librosa(width, order, mode, frames):
    librosa = pytest.importorskip("librosa")
    data = np.random.default_rng(frames).standard_normal((3, frames))
    expected = librosa.feature.delta(data, width=width, order=order, mode=mode)
    actual = jax.jit(lambda data: dsp.delta(data, width=width, order=order, mode=mode))(data.astype(np.float32))
    assert relative_error(actual, expected) <= 1e-6  # measured: 1e-7


@live
def test_a_batch_is_independent_where_old_librosa_couples_it():
    librosa = pytest.importorskip("librosa")
    clips = np.stack([vowel(4_000, 22_050), 100.0 * vowel(4_000, 22_050, seed=1)])
    alone = np.stack([librosa.feature.mfcc(y=clip.astype(np.float64)) for clip in clips])
    together = librosa.feature.mfcc(y=clips.astype(np.float64))
    assert (relative_error(together, alone) > 1e-2) == (int(librosa.__version__.split(".")[0]) < 1)
    assert relative_error(dsp.mfcc(clips), alone) <= 2e-6
