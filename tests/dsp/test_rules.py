"""What every signal function keeps to, whatever it computes: numbers of NumPy, NaN, precision, empty batches."""

import inspect
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serjax import dsp
from serjax.dsp import augment
from serjax.dsp.parameters import array_kinds
from tests.dsp.cases import CLIPS_BN, POWER_BFT
from tests.dsp.test_conformance import every_case
from tests.reference.dsp import relative_error

pytestmark = pytest.mark.slow

Y, S, D = CLIPS_BN[0], POWER_BFT[0], (POWER_BFT[0] * (1 + 0.5j)).astype(np.complex64)
KEY = "a new key"  # in its place; none is used twice
STFT = {"n_fft": 64, "hop_length": 16, "win_length": 48, "window": "hamming", "center": True, "pad_mode": "edge"}
SPECTRUM = {"sr": 8_000, **STFT}
MEL = {"n_mels": 6, "fmin": 100.0, "fmax": 3_000.0, "htk": True}
DB = {"ref": 2.0, "amin": 1e-3, "top_db": 20.0}
PEAKS = {"fmin": 150.0, "fmax": 3_000.0, "threshold": 0.25}
FRAMES = {"frame_length": 64, "hop_length": 16, "center": True}
EFFECT = {"n_fft": 64, "hop_length": 16, "win_length": 48, "window": "hann", "center": True}
CHROMA = {"n_chroma": 12, "tuning": 0.25, "ctroct": 5.0, "octwidth": 2, "base_c": True}
WAY_BACK = {"n_iter": 2, "length": 180, "pad_mode": "edge", **EFFECT}
MASK = np.ones(12, bool)
# Each function with all of its parameters that are no arrays, as Python has them.
YIN = {"fmin": 200, "fmax": 2_000.0, "sr": 8_000, "trough_threshold": 0.25, "pad_mode": "edge", **FRAMES}
CALLS = {
    "dct": ((S,), {"type": 2, "axis": -2, "norm": "ortho"}),
    "mfcc": (
        (Y,),
        {
            **SPECTRUM,
            **MEL,
            "n_mfcc": 5,
            "dct_type": 2,
            "norm": "ortho",
            "lifter": 22,
            "mel_norm": "slaney",
            "power": 2.0,
        },
    ),
    "delta": ((S,), {"width": 5, "order": 1, "axis": -1, "mode": "nearest"}),
    "chroma_filterbank": ((), {"sr": 8_000, "n_fft": 64, "norm": 2, **CHROMA}),
    "chroma_stft": ((Y,), {**SPECTRUM, **CHROMA, "norm": 1}),
    "tonnetz": ((S,), {}),
    "spectral_contrast": (
        (Y,),
        {**SPECTRUM, "fmin": 300.0, "n_bands": 2, "quantile": 0.25, "linear": True},
    ),
    "spectral_bandwidth": ((Y,), {**SPECTRUM, "norm": True, "p": 3}),
    "spectral_centroid": ((Y,), SPECTRUM),
    "spectral_flatness": ((Y,), {**STFT, "amin": 1e-3, "power": 1.5}),
    "spectral_rolloff": ((Y,), {**SPECTRUM, "roll_percent": 0.75}),
    "phase_vocoder": ((D,), {"rate": 1.25, "hop_length": 16, "n_fft": 64}),
    "pitch_shift": ((Y,), {"sr": 8_000, "n_steps": 2, "bins_per_octave": 12, "scale": True, **EFFECT}),
    "preemphasis": ((Y,), {"coef": 0.5}),
    "time_stretch": ((Y,), {"rate": 1.25, **EFFECT}),
    "frame": ((Y,), {"frame_length": 5, "hop_length": 2, "axis": 0}),
    "get_window": ((), {"window": "hann", "Nx": 5, "fftbins": False}),
    "extract": ((dsp.Mfcc(frames=4, n_fft=64, n_mels=8, n_mfcc=4), Y), {"n_valid": 200, "block": 2}),
    "frame_mask": ((dsp.Mfcc(frames=4, n_fft=64, n_mels=8, n_mfcc=4), 600), {}),
    **{f"masked_{name}": ((S, MASK), {}) for name in ("max", "mean", "min", "slope", "std")},
    "masked_percentile": ((S, MASK), {"q": 25}),
    "db_to_amplitude": ((S,), {"ref": 2.0}),
    "db_to_power": ((S,), {"ref": 2.0}),
    "istft": ((D,), {"hop_length": 16, "win_length": 48, "n_fft": 64, "window": "hann", "center": True, "length": 90}),
    "mel_to_power": (
        (S,),
        {"sr": 22_050, "n_fft": 2_048, "fmin": 100.0, "fmax": 8_000.0, "htk": False, "norm": "slaney"},
    ),
    "mfcc_to_mel": ((S,), {"n_mels": 40, "dct_type": 2, "norm": "ortho", "ref": 2.0, "lifter": 0}),
    "griffin_lim": ((KEY, S), {**WAY_BACK, "n_fft": 64, "momentum": 0.5, "init": "random"}),
    "mel_to_audio": (
        (KEY, S[:6]),
        {
            **WAY_BACK,
            **{k: MEL[k] for k in ("fmin", "fmax", "htk")},
            "n_fft": 64,
            "sr": 8_000,
            "power": 1.5,
            "norm": "slaney",
        },
    ),
    "hz_to_mel": ((S,), {"htk": True}),
    "mel_to_hz": ((S,), {"htk": True}),
    "mel_filterbank": ((), {"sr": 8_000, "n_fft": 128, "norm": "slaney", **MEL}),
    "mel_frequencies": ((), {"n_mels": 6, "fmin": 100.0, "fmax": 3_000, "htk": False}),
    "melspectrogram": ((Y,), {**SPECTRUM, **MEL, "power": 1.5, "norm": "slaney"}),
    "yin": ((Y,), YIN),
    "yin_voicing": ((Y,), YIN),
    "trim_mask": ((S[0], S[0] > 0), {"top_db": 45}),
    "resample": ((Y,), {"orig_sr": 8_000, "target_sr": 6_000.0, "scale": True}),
    "amplitude_to_db": ((S,), DB),
    "power_to_db": ((S,), DB),
    "spectrogram": ((Y,), {**STFT, "power": 1.5, "transform": "matmul"}),
    "stft": ((Y,), {**STFT, "transform": "fft"}),
    "estimate_tuning": ((Y,), {**SPECTRUM, **PEAKS, "resolution": 0.125, "bins_per_octave": 12}),
    "piptrack": ((Y,), {**SPECTRUM, **PEAKS}),
    "rms": ((Y,), {"pad_mode": "edge", **FRAMES}),
    "zero_crossing_rate": ((Y,), {"threshold": 0.25, "zero_pos": False, "pad": True, **FRAMES}),
    "augment.add_noise": ((KEY, Y), {"snr_db": (5, 30.0), "peak_share": None}),
    "augment.gain": ((KEY, Y), {"gain_db": 6}),
    "augment.roll": ((KEY, Y), {"most": 5, "fill": "zero", "axis": 0}),
    "augment.time_stretch": ((KEY, Y), {"rate": (0.75, 1.25), "n_fft": 64, "hop_length": 16}),
    "augment.pitch_shift": ((KEY, Y), {"n_steps": (-2, 2), "n_fft": 64, "hop_length": 16}),
    "augment.mel_warp": ((KEY, S), {"factor": (0.9, 1.1)}),
    "augment.frequency_shift": ((KEY, S), {"most": 0.25, "fill": "wrap"}),
    "augment.spec_augment": (
        (KEY, S),
        {"freq_masks": 1, "freq_width": 4, "time_masks": 1, "time_width": 3, "time_share": 0.5, "value": 0.0},
    ),
    "augment.mixup": ((KEY, S, np.eye(33, dtype=np.float32)), {"alpha": 0.5}),
    "augment.maybe": ((), {"chance": 0.5, "change": partial(augment.gain, gain_db=6)}),
}
every_call = pytest.mark.parametrize("name", CALLS)


@pytest.fixture
def unchecked(monkeypatch):
    """Meet the values as a user does, without the run-time type checks that tests switch on."""
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)


def function_of(name):
    return getattr(augment, name.removeprefix("augment.")) if "." in name else getattr(dsp, name)


def test_every_function_and_every_parameter_is_asked():
    names = {name for name in dsp.__all__ if name.islower()}
    names |= {f"augment.{name}" for name in augment.__all__} - {"augment.compose", "augment.one_of"}  # have no numbers
    assert names == set(CALLS)
    for name, (args, kwargs) in CALLS.items():
        parameters = list(inspect.signature(function_of(name)).parameters.values())[len(args) :]
        arrays = {one.name for one in parameters if array_kinds(one.annotation)} | {"n_valid"}
        assert {one.name for one in parameters} - arrays <= set(kwargs), name


def scalar(value):
    kinds = {bool: np.bool_, int: np.int64, float: np.float32, str: np.str_}
    if isinstance(value, tuple):
        return tuple(map(scalar, value))
    return kinds[type(value)](value) if type(value) in kinds else value


def zero_dimensional(value):
    if isinstance(value, tuple):
        return tuple(map(zero_dimensional, value))
    return np.array(value) if type(value) in (bool, int, float) else value


@every_call
def test_numbers_of_numpy_are_numbers(name):
    args, kwargs = CALLS[name]
    if name == "augment.maybe":  # makes a change

        def function(**given):
            return augment.maybe(**given)(jax.random.key(0), jnp.asarray(Y))
    else:

        def function(**given):
            return function_of(name)(*(jax.random.key(0) if one is KEY else one for one in args), **given)

    exact = {key: np.float32(value).item() if type(value) is float else value for key, value in kwargs.items()}
    expected = jax.tree.leaves(function(**exact))
    for make in (scalar, zero_dimensional):
        given = {key: make(value) for key, value in exact.items()}
        for found, value in zip(jax.tree.leaves(function(**given)), expected, strict=True):
            np.testing.assert_array_equal(found, value)


def test_frontends_take_numbers_of_numpy_and_stay_equal(unchecked):
    plain = dsp.Mfcc(n_mfcc=13, frames=50, top_db=20.0)
    given = dsp.Mfcc(n_mfcc=np.array(13), frames=np.int32(50), top_db=np.float32(20.0))
    assert given == plain
    assert hash(given) == hash(plain)
    assert type(given.n_mfcc) is int


def has_loop(case):
    """Tell whether a function loops: what `jax.disable_jit` turns into loops of Python, whose counters are Python's."""
    if case.name == "augment pitch_shift":
        return False  # takes a minute; its loop has no counter
    program = str(jax.make_jaxpr(case.function)(case.batch[:1, ..., :100]))
    return any(word in program for word in ("scan[", "while[", "cond["))


@every_case
def test_nan_comes_out_or_nothing_changes(case):
    batch = np.array(case.batch)
    batch[0, ..., batch.shape[-1] // 4] = np.nan
    function = jax.jit(case.function)
    clean, touched = np.asarray(function(case.batch)), np.asarray(function(batch))
    assert np.isnan(touched[0]).any()
    known = ~np.isnan(touched)
    np.testing.assert_array_equal(touched[known], clean[known])
    assert known[1:].all()


@every_case
def test_precision_is_that_of_the_input(case):
    changes = case.name.startswith("augment")
    with jax.enable_x64(True):
        for given, expected in ((jnp.float32, 4), (jnp.float64, 8), (jnp.bfloat16, 2 if changes else 4)):
            output = jax.eval_shape(case.function, jax.ShapeDtypeStruct(case.batch.shape, given))
            found = output.dtype.itemsize // (2 if jnp.issubdtype(output.dtype, jnp.complexfloating) else 1)
            assert found == expected or case.name == "frame", given


@every_case
def test_an_empty_batch_gives_an_empty_array(case):
    one = jax.eval_shape(case.function, case.batch[:1])
    assert jax.eval_shape(case.function, case.batch[:0]).shape == (0, *one.shape[1:])


@every_case
def test_loops_give_the_same_values_without_jit(case):
    if not has_loop(case):
        return  # the same operations one by one: of them jit = eager is asked
    clip = jnp.asarray(case.batch[:1, ..., :100])
    with jax.disable_jit():
        eager = case.function(clip)
    assert relative_error(eager, jax.jit(case.function)(clip)) <= 1e-6


@every_case
def test_whole_numbers_are_refused_as_audio_only(case, unchecked):
    is_audio = case.batch is CLIPS_BN
    whole = np.round(100 * case.batch).astype(np.int32) if is_audio else np.ceil(3 * case.batch).astype(np.int32)
    if not is_audio or case.name in ("frame", "augment roll", "augment shift"):
        found = jax.eval_shape(case.function, whole)
        assert jnp.issubdtype(found.dtype, jnp.inexact) or case.name == "frame"
        return
    with pytest.raises(dsp.ParameterError, match="scale integer PCM"):
        case.function(whole)
