"""Tuning, chroma and tonnetz: librosa's values in float64, and what music asks of them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serjax import dsp
from tests.dsp.cases import CLIPS_BN, POWER_BFT, Case
from tests.reference.dsp import relative_error, vowel

SMALL = {"sr": 8_000, "n_fft": 256, "hop_length": 64}

CASES = [
    Case("piptrack", lambda y: dsp.piptrack(y, **SMALL)[0], CLIPS_BN),
    Case("piptrack heights", lambda y: dsp.piptrack(y, **SMALL)[1], CLIPS_BN),
    Case("estimate_tuning", partial(dsp.estimate_tuning, **SMALL), CLIPS_BN),
    Case("estimate_tuning of S", lambda S: dsp.estimate_tuning(S=S, bins_per_octave=24), POWER_BFT),
    Case("chroma_stft", partial(dsp.chroma_stft, **SMALL), CLIPS_BN),
    Case("chroma_stft tuned", partial(dsp.chroma_stft, tuning=0.1, norm=2, octwidth=None, **SMALL), CLIPS_BN),
    Case("chroma_stft of S", lambda S: dsp.chroma_stft(S=S, n_chroma=24, norm=1), POWER_BFT),
    Case("chroma_stft raw", partial(dsp.chroma_stft, norm=None, **SMALL), CLIPS_BN),
    Case("tonnetz", dsp.tonnetz, POWER_BFT[:, :12]),
]

# librosa imports lazily and warns of its own dependencies; that is no business of this test.
live = pytest.mark.filterwarnings("ignore")
sounds = st.builds(
    lambda kind, n_samples, seed: _sound(kind, n_samples, seed),
    st.sampled_from(["vowel", "chord", "noise"]),
    st.integers(600, 12_000),
    st.integers(0, 99),
)


def _sound(kind, n_samples, seed):
    rng = np.random.default_rng(seed)
    if kind == "vowel":
        return vowel(n_samples, 22_050, seed)
    if kind == "noise":
        return rng.standard_normal(n_samples).astype(np.float32)
    time_s = np.arange(n_samples) / 22_050
    return sum(np.sin(2 * np.pi * hz * time_s) for hz in rng.uniform(150, 2_000, 4)).astype(np.float32)


@live
@given(
    n_chroma=st.sampled_from([12, 24, 36, 7, 5, 1]),
    n_fft=st.sampled_from([2, 255, 512, 2_048]),
    tuning=st.floats(-0.5, 0.5),
    ctroct=st.floats(2.0, 6.0),
    octwidth=st.none() | st.floats(0.5, 4.0),
    norm=st.sampled_from([2, 1, np.inf, None]),
    base_c=st.booleans(),
)
def test_filterbank_equals_librosa(tuning, **arguments):
    librosa = pytest.importorskip("librosa")
    expected = librosa.filters.chroma(sr=22_050, tuning=tuning, dtype=np.float64, **arguments)

    @jax.jit  # both at once: to compile takes longer than all else
    def filterbanks(tuning):
        tunings = (tuning, jnp.stack([jnp.zeros(()), tuning])[None])
        return [dsp.chroma_filterbank(sr=22_050, tuning=each, **arguments) for each in tunings]

    actual, batch = filterbanks(tuning)
    assert relative_error(actual, expected) <= 1e-6  # measured: 7.8e-7
    assert relative_error(batch[0, 1], expected) <= 1e-6


@live
@given(y=sounds, bins_per_octave=st.sampled_from([12, 24, 7]), resolution=st.sampled_from([0.01, 0.03]))
def test_tuning_equals_librosa(y, **arguments):
    librosa = pytest.importorskip("librosa")
    actual = jax.jit(lambda y: dsp.estimate_tuning(y, **arguments))(y)
    assert actual == np.float32(librosa.estimate_tuning(y=y.astype(np.float64), **arguments))


@live
@given(y=sounds, n_fft=st.sampled_from([512, 1_001, 2_048]), fmin=st.integers(0, 300), fmax=st.integers(2_000, 12_000))
def test_piptrack_equals_librosa(y, **arguments):
    librosa = pytest.importorskip("librosa")
    expected = librosa.piptrack(y=y.astype(np.float64), **arguments)
    for ours, theirs in zip(jax.jit(lambda y: dsp.piptrack(y, **arguments))(y), expected, strict=True):
        assert relative_error(ours, theirs) <= 1e-6  # measured: 1.3e-7


@live
@given(
    y=sounds,
    n_chroma=st.sampled_from([12, 24, 7]),
    n_fft=st.sampled_from([512, 1_001, 2_048]),
    hop_length=st.integers(100, 700),
    norm=st.sampled_from([np.inf, 2, 1, None]),
    tuning=st.none() | st.floats(-0.5, 0.5),
    octwidth=st.none() | st.just(2),
    base_c=st.booleans(),
)
def test_chroma_equals_librosa(y, **arguments):
    librosa = pytest.importorskip("librosa")
    expected = librosa.feature.chroma_stft(y=y.astype(np.float64), dtype=np.float64, **arguments)
    assert relative_error(jax.jit(lambda y: dsp.chroma_stft(y, **arguments))(y), expected) <= 5e-6  # measured: 6.8e-7


@live
@pytest.mark.parametrize("n_chroma", [12, 24, 7])
def test_tonnetz_equals_librosa(n_chroma):
    librosa = pytest.importorskip("librosa")
    chroma = np.random.default_rng(0).standard_normal((n_chroma, 20)).astype(np.float32)
    chroma[:, 3] = 0.0
    expected = librosa.feature.tonnetz(chroma=chroma.astype(np.float64))
    assert relative_error(jax.jit(dsp.tonnetz)(chroma), expected) <= 1e-6  # measured: 2.1e-7


@live
@pytest.mark.parametrize("n_samples", [0, 1, 700])
def test_silence_has_no_tuning_and_no_chroma(n_samples):
    y = np.zeros(n_samples, np.float32)
    assert dsp.estimate_tuning(y) == 0.0
    assert not np.asarray(dsp.chroma_stft(y)).any()
    assert not np.asarray(dsp.tonnetz(dsp.chroma_stft(y))).any()


@live
def test_each_clip_has_its_own_tuning():
    librosa = pytest.importorskip("librosa")
    clips = np.stack([_sound("chord", 6_000, seed) for seed in range(4)])
    alone = np.stack([librosa.feature.chroma_stft(y=clip.astype(np.float64)) for clip in clips])
    assert relative_error(dsp.chroma_stft(clips), alone) <= 5e-6
    tunings = dsp.estimate_tuning(S=dsp.spectrogram(clips, power=2))
    assert len(set(tunings.tolist())) > 1
    np.testing.assert_array_equal(dsp.chroma_stft(clips, tuning=tunings), dsp.chroma_stft(clips))


@pytest.mark.parametrize("cents", [-40, -13, 0, 20, 45])
def test_a_detuned_scale_is_found(cents):
    time_s = np.arange(22_050) / 22_050
    y = sum(np.sin(2 * np.pi * 440 * 2 ** ((semitone + cents / 100) / 12) * time_s) for semitone in (0, 4, 7, 14))
    assert abs(dsp.estimate_tuning(y.astype(np.float32)) - cents / 100) <= 0.021


def test_octaves_have_one_chroma_and_a_semitone_turns_it():
    time_s = np.arange(22_050) / 22_050
    for semitone in range(12):
        hz = 261.626 * 2 ** (semitone / 12)
        for octave in (1, 2, 4):
            chroma = dsp.chroma_stft(np.sin(2 * np.pi * octave * hz * time_s).astype(np.float32), tuning=0.0)
            assert (np.asarray(chroma)[:, 5:-5].argmax(axis=0) == semitone).all()


def test_chroma_does_not_depend_on_level():
    y = _sound("chord", 6_000, 1)
    assert relative_error(dsp.chroma_stft(1e12 * y), dsp.chroma_stft(y)) <= 2e-6
    assert dsp.estimate_tuning(1e12 * y) == dsp.estimate_tuning(y)


def test_gradient_is_the_slope():
    y, direction = _sound("vowel", 3_000, 1).astype(np.float64), vowel(3_000, 22_050, seed=2)
    weights = np.random.default_rng(0).standard_normal((12, 6))

    def total(step):
        return jnp.sum(weights * dsp.chroma_stft(y + step * direction))

    with jax.enable_x64(True):
        total = jax.jit(total)
        slope, step = jax.grad(total)(0.0), 1e-7
        assert relative_error(slope, (total(step) - total(-step)) / (2 * step)) <= 1e-5


def test_gradient_with_respect_to_the_tuning():
    def total(tuning):
        return jnp.sum(jnp.square(dsp.chroma_filterbank(sr=22_050, n_fft=512, tuning=tuning, norm=1)))

    with jax.enable_x64(True):
        slope = jax.grad(total)(0.123)
        assert relative_error(slope, (total(0.123 + 1e-6) - total(0.123 - 1e-6)) / 2e-6) <= 1e-6


Y, S = np.ones(4_000, np.float32), np.ones((33, 12), np.float32)
FILTERS = partial(dsp.chroma_filterbank, sr=22_050, n_fft=2_048)
WRONG = {
    "none": (lambda: dsp.chroma_stft(), "chroma_stft takes either a signal y or a spectrogram S"),
    "both": (lambda: dsp.chroma_stft(Y, S=S), "exactly one"),
    "norm": (lambda: dsp.chroma_stft(Y, norm=0), "norm=0"),
    "tunings": (lambda: dsp.chroma_stft(Y, tuning=np.zeros(2, np.float32)), r"tuning has shape \(2,\), expected \(\)"),
    "n_chroma": (lambda: dsp.chroma_stft(Y, n_chroma=0), "=0 .* integer of at least 1"),
    "filters n_chroma": (lambda: FILTERS(n_chroma=1.5), "n_chroma=1.5"),
    "filters n_fft": (lambda: FILTERS(n_fft=1), "n_fft=1 .* at least 2"),
    "filters sr": (lambda: FILTERS(sr=0), "sr=0"),
    "filters octwidth": (lambda: FILTERS(octwidth=0), "octwidth=0"),
    "filters ctroct": (lambda: FILTERS(ctroct=float("nan")), "ctroct"),
    "filters norm": (lambda: FILTERS(norm=-1), "norm=-1"),
    "filters tuning": (lambda: FILTERS(tuning=np.array([1j])), "tuning has dtype complex128"),
    "tuning none": (lambda: dsp.estimate_tuning(), "estimate_tuning takes either"),
    "tuning resolution": (lambda: dsp.estimate_tuning(Y, resolution=1.0), "resolution=1.0"),
    "tuning bins": (lambda: dsp.estimate_tuning(Y, bins_per_octave=0), "bins_per_octave=0"),
    "piptrack none": (lambda: dsp.piptrack(), "piptrack takes either"),
    "piptrack threshold": (lambda: dsp.piptrack(Y, threshold=-1), "threshold=-1"),
    "piptrack fmin": (lambda: dsp.piptrack(Y, fmin=-1), "fmin=-1"),
    "piptrack bins": (lambda: dsp.piptrack(S=S[:1]), "1 bins has no peaks"),
    "chroma bins": (lambda: dsp.chroma_stft(S=S[:1]), "1 bins has no peaks"),
    "tonnetz": (lambda: dsp.tonnetz(S[0]), r"chroma has shape \(12,\)"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_argument(case, monkeypatch):
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)
    call, message = WRONG[case]
    with pytest.raises(dsp.ParameterError, match=message):
        call()
