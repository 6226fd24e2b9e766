"""One line a function, the same questions to each: jit = eager = vmap, clips independent, gradients finite."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serjax import dsp
from tests.dsp import (
    test_augment,
    test_chroma,
    test_descriptors,
    test_effects,
    test_functionals,
    test_inverse,
    test_phase,
    test_pitch,
)
from tests.dsp.cases import BANDS, CLIPS_BN, HZ_BFT, POWER_BFT, SMALL, Case
from tests.reference.dsp import relative_error

CASES = [
    Case("frame", partial(dsp.frame, frame_length=5, hop_length=2), CLIPS_BN, shortest=5),
    Case("stft", partial(dsp.stft, **SMALL), CLIPS_BN),
    Case("stft reflect", partial(dsp.stft, pad_mode="reflect", win_length=48, window="blackman", **SMALL), CLIPS_BN),
    Case("stft left", partial(dsp.stft, center=False, **SMALL), CLIPS_BN, shortest=64),
    Case("stft by matrix", partial(dsp.stft, transform="matmul", **SMALL), CLIPS_BN),
    Case("stft of rests", partial(dsp.stft, n_fft=64, hop_length=20), CLIPS_BN),
    Case("power by matrix", partial(dsp.spectrogram, power=2, transform="matmul", **SMALL), CLIPS_BN),
    Case("magnitude", partial(dsp.spectrogram, **SMALL), CLIPS_BN),
    Case("power", partial(dsp.spectrogram, power=2, **SMALL), CLIPS_BN),
    Case("power 1.3", partial(dsp.spectrogram, power=1.3, **SMALL), CLIPS_BN),
    Case("power_to_db", dsp.power_to_db, POWER_BFT),
    Case("power_to_db ref=max", partial(dsp.power_to_db, ref=jnp.max, top_db=20.0), POWER_BFT),
    Case("amplitude_to_db", partial(dsp.amplitude_to_db, top_db=10.0), POWER_BFT),
    Case("amplitude_to_db ref=max", partial(dsp.amplitude_to_db, ref=np.max), POWER_BFT),
    Case("db_to_power", dsp.db_to_power, POWER_BFT),
    Case("hz_to_mel", dsp.hz_to_mel, HZ_BFT),
    Case("hz_to_mel htk", partial(dsp.hz_to_mel, htk=True), HZ_BFT),
    Case("mel_to_hz", dsp.mel_to_hz, POWER_BFT),
    Case("mel_to_hz htk", partial(dsp.mel_to_hz, htk=True), POWER_BFT),
    Case("melspectrogram", partial(dsp.melspectrogram, **BANDS), CLIPS_BN),
    Case("melspectrogram of magnitude", partial(dsp.melspectrogram, power=1.0, norm=None, **BANDS), CLIPS_BN),
    Case("melspectrogram of S", lambda S: dsp.melspectrogram(S=S, sr=8_000, n_mels=8), POWER_BFT),
    Case("mfcc", partial(dsp.mfcc, n_mfcc=5, **BANDS), CLIPS_BN),
    Case("mfcc liftered", partial(dsp.mfcc, n_mfcc=5, lifter=22, dct_type=3, norm=None, **BANDS), CLIPS_BN),
    Case("mfcc of S", lambda S: dsp.mfcc(S=S, n_mfcc=5), POWER_BFT),
    Case("dct", partial(dsp.dct, axis=-2, norm="ortho"), POWER_BFT),
    Case("delta", partial(dsp.delta, width=5), POWER_BFT, shortest=5),
    Case("delta nearest", partial(dsp.delta, width=5, order=2, mode="nearest"), POWER_BFT),
    Case(
        "extract",
        partial(dsp.extract, dsp.Mfcc(sample_rate_hz=8_000, n_mfcc=5, frames=9, n_mels=8, **SMALL), block=2),
        CLIPS_BN,
    ),
    *test_descriptors.CASES,
    *test_functionals.CASES,
    *test_chroma.CASES,
    *test_pitch.CASES,
    *test_inverse.CASES,
    *test_phase.CASES,
    *test_effects.CASES,
    *test_augment.CASES,
]
FAINT = (1e-12, 1e-16, 1e-18, 1e-19, 1e-20, 1e-24, 1e-36)
# All questions to a function one after the other: what is compiled for one serves the next.
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name, scope="module")


@pytest.mark.slow
@every_case
def test_jit_equals_eager(case):
    batch = jnp.asarray(case.batch)
    # Measured: 1.9e-7, from multiplications that are contracted differently.
    assert relative_error(jax.jit(case.function)(batch), case.function(batch)) <= 1e-6


@every_case
def test_vmap_equals_batch_equals_one_by_one(case):
    batch = jnp.asarray(case.batch)
    alone, together = jax.jit(case.function), jax.jit(case.function)(batch)
    assert relative_error(jax.jit(jax.vmap(case.function))(batch), together) <= 1e-6
    assert relative_error(jnp.stack([alone(clip) for clip in batch]), together) <= 1e-6


@every_case
def test_a_clip_ignores_its_neighbours(case):
    loud, function = case.batch.copy(), jax.jit(case.function)
    loud[1:] = loud[1:] * 100.0 + 5.0
    np.testing.assert_array_equal(function(case.batch)[0], function(loud)[0])


@every_case
@pytest.mark.parametrize("length", ["clip", "shortest"])
def test_values_and_gradients_are_finite(case, length):
    batch = case.batch if length == "clip" else case.batch[..., : case.shortest]
    value_and_slope = jax.jit(jax.value_and_grad(lambda x: jnp.sum(jnp.abs(_real(case.function(x))))))
    loudest = 1.0 if "db_to" in case.name or "mel_to" in case.name else 1e12  # exponentials have an end
    for kind, values in {
        "silence": np.zeros_like(batch),
        "constant": np.ones_like(batch),
        **{f"faint {level:g}": batch * np.float32(level) for level in FAINT},
        "loud": batch * np.float32(loudest),
    }.items():
        total, slope = value_and_slope(jnp.asarray(values))
        assert np.isfinite(total), kind
        assert np.isfinite(slope).all(), kind


def _real(values):
    return values.real + values.imag if jnp.iscomplexobj(values) else values


@every_case
def test_lowers_without_host_callbacks(case):
    assert "callback" not in jax.jit(case.function).lower(case.batch).as_text()


def test_a_host_callback_would_be_seen():
    def calls_back(x):
        return jax.pure_callback(np.sin, jax.ShapeDtypeStruct(x.shape, x.dtype), x)

    assert "callback" in jax.jit(calls_back).lower(CLIPS_BN).as_text()


@every_case
def test_stays_in_float32(case):
    output = jax.eval_shape(lambda: case.function(case.batch.astype(np.float64)))
    assert output.dtype in (jnp.float32, jnp.complex64)
