"""A call with arrays is one compiled program; a batch goes through it in blocks and gives what single clips give."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from jaxtyping import Array, Float

from serjax import dsp
from serjax.dsp.compiled import BLOCK, compiled
from tests.dsp.cases import BANDS, SMALL
from tests.reference.dsp import relative_error, vowel

CLIPS_BN = np.stack([vowel(400, 8_000, seed) for seed in range(2 * BLOCK + 1)])


def primitives(function, *args):
    return [equation.primitive.name for equation in jax.make_jaxpr(function)(*args).eqns]


def counted():
    """Make a function that compiles itself, and the list of the sizes that it was traced with."""
    seen = []

    def scaled(y: Float[Array, "*batch N"], *, factor: object = 1) -> Float[Array, "*batch N"]:
        seen.append((y.shape, factor))
        return y * factor

    return compiled(scaled), seen


@pytest.mark.parametrize("count", [0, 1, 2, BLOCK, BLOCK + 1, 2 * BLOCK + 1])
def test_batches_of_any_size_are_clips_one_by_one(count):
    together = dsp.mfcc(CLIPS_BN[:count], n_mfcc=5, **BANDS)
    assert together.shape == (count, 5, 26)
    for clip, found in zip(CLIPS_BN, together, strict=False):
        assert relative_error(found, dsp.mfcc(clip, n_mfcc=5, **BANDS)) <= 1e-6


def test_every_result_has_the_axes_of_the_batch():
    hz, height = dsp.piptrack(CLIPS_BN[:6].reshape(2, 3, -1), sr=8_000, **SMALL)
    assert hz.shape == height.shape == (2, 3, 33, 26)
    np.testing.assert_allclose(hz[1, 2], dsp.piptrack(CLIPS_BN[5], sr=8_000, **SMALL)[0], rtol=1e-5)


def test_what_stands_beside_a_batch_goes_with_its_clip_or_serves_all():
    batch, frames = CLIPS_BN[:3], {"sr": 8_000, "n_fft": 256, "hop_length": 64}
    tuning, window = np.array([-0.3, 0.0, 0.3], np.float32), np.hanning(256).astype(np.float32)
    together = dsp.chroma_stft(batch, tuning=tuning, window=window, **frames)
    for clip, own, found in zip(batch, tuning, together, strict=True):
        assert relative_error(found, dsp.chroma_stft(clip, tuning=own, window=window, **frames)) <= 3e-6
    magnitude = dsp.spectrogram(batch, **SMALL)
    hz = np.linspace(0.0, 4_000.0, 33, dtype=np.float32)[:, None] * np.ones((3, 1, 26), np.float32)
    hz[1] *= 0.5
    centroid = dsp.spectral_centroid(S=magnitude, sr=8_000, freq=hz)
    for one, of_clip, found in zip(magnitude, hz, centroid, strict=True):
        assert relative_error(found, dsp.spectral_centroid(S=one, sr=8_000, freq=of_clip)) <= 1e-6


def test_a_program_is_made_once_for_each_shape_and_setting():
    function, seen = counted()
    for _ in range(3):
        function(jnp.ones(5), factor=2.0)
        function(np.ones(5, np.float32), factor=np.float32(2.0))
    assert seen == [((5,), 2.0)]
    function(jnp.ones(6), factor=2.0)
    function(jnp.ones(6), factor=3.0)
    assert seen[1:] == [((6,), 2.0), ((6,), 3.0)]


def test_equal_numbers_of_other_types_are_other_settings():
    """A size of 64 is taken, one of 64.0 is not, and a truth value is none."""
    function, seen = counted()
    for factor in (1, 1.0, True):
        function(jnp.ones(5), factor=factor)
    assert [type(factor) for _, factor in seen] == [int, float, bool]


@pytest.mark.parametrize("wrong", [64.0, True])
def test_a_wrong_size_is_refused_after_the_right_one(wrong, monkeypatch):
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)
    dsp.stft(CLIPS_BN[0], n_fft=int(wrong))
    with pytest.raises(dsp.ParameterError, match=f"n_fft={wrong} .* Python integer"):
        dsp.stft(CLIPS_BN[0], n_fft=wrong)


def test_a_batch_goes_in_blocks_in_a_call_and_whole_in_a_trace():
    function, seen = counted()
    function(jnp.ones((2 * BLOCK + 1, 5)))
    assert {shape for shape, _ in seen} == {(2, 5)}  # groups of three blocks of six
    assert primitives(function, jnp.ones((2 * BLOCK + 1, 5))) == ["mul"]
    assert seen[-1][0] == (2 * BLOCK + 1, 5)


def test_inside_a_trace_there_are_no_programs_of_its_own():
    for transform in (lambda f: f, jax.vmap):
        program = str(jax.make_jaxpr(transform(lambda y: dsp.melspectrogram(y, **BANDS)))(CLIPS_BN))
        assert "name=melspectrogram" not in program
        assert "name=stft" not in program
        assert "scan" not in program
    slope = jax.grad(lambda y: dsp.mfcc(y, n_mfcc=5, **BANDS).sum())(jnp.asarray(CLIPS_BN[0]))
    compiled_slope = jax.jit(jax.grad(lambda y: dsp.mfcc(y, n_mfcc=5, **BANDS).sum()))(CLIPS_BN[0])
    assert relative_error(slope, compiled_slope) <= 1e-5


def test_one_exported_program_takes_batches_of_any_size():
    (batch,) = export.symbolic_shape("batch")
    shape = jax.ShapeDtypeStruct((batch, CLIPS_BN.shape[1]), np.float32)
    program = export.export(jax.jit(lambda y: dsp.mfcc(y, n_mfcc=5, **BANDS)))(shape)
    assert relative_error(program.call(CLIPS_BN), dsp.mfcc(CLIPS_BN, n_mfcc=5, **BANDS)) <= 1e-6


def test_a_batch_on_several_devices_is_taken_at_once():
    function, seen = counted()
    mesh = jax.make_mesh((2,), ("data",), devices=jax.devices()[:2])
    spread = jax.device_put(jnp.ones((4, 5)), jax.NamedSharding(mesh, jax.P("data")))
    assert function(spread).sharding.device_set == spread.sharding.device_set
    assert {shape for shape, _ in seen} == {(4, 5)}


def test_what_a_program_would_cut_is_called_as_it_is(monkeypatch):
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)
    large = np.array([2**40, 2**50])
    np.testing.assert_allclose(dsp.hz_to_mel(large), dsp.hz_to_mel(large.astype(np.float32)), rtol=1e-6)
    np.testing.assert_allclose(dsp.hz_to_mel([200.0, 1_000.0]), [3.0, 15.0], rtol=1e-6)
    with pytest.raises(TypeError, match=r"mel_filterbank\(\) missing 2 required"):
        dsp.mel_filterbank()
