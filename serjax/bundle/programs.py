"""Compiled programs: kept in the user's cache between calls, and written as one file that needs JAX alone."""

from pathlib import Path

import jax
import jax.numpy as jnp
from jax import export as jax_export
from jaxtyping import Array, Float, Int

from serjax.bundle.bundle import Bundle
from serjax.data.feature_cache import default_cache_dir
from serjax.files import replacing

PLATFORMS = ("cpu", "cuda", "tpu")


def keep_programs() -> None:
    """Keep compiled programs in the user's cache, so that the next call is faster, unless they are kept already."""
    cache = default_cache_dir()
    if cache is not None and jax.config.values["jax_compilation_cache_dir"] is None:
        jax.config.update("jax_compilation_cache_dir", str(cache / "programs"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def write_program(bundle: Bundle, path: Path) -> None:
    """Write the bundle as a serialised StableHLO program of one clip, weights included, for CPU, CUDA and TPU.

    `jax.export.deserialize(bytearray(path.read_bytes())).call(wav_BN, n_valid_B)` gives calibrated probabilities
    `[1, K]` and the evidence `[1]` (NaN for networks). `wav_BN` `[1, N]` is float32 at the bundle's sampling rate, cut
    or padded with zeros to the N samples of its front end; `n_valid_B` `[1]` says how many are valid, int32.
    """
    system, divisor = bundle.system, bundle.about.calibration.divisor

    def probabilities(
        wav_BN: Float[Array, "B N"], n_valid_B: Int[Array, " B"]
    ) -> tuple[Float[Array, "B K"], Float[Array, " B"]]:
        found = system.scores(bundle.weights, wav_BN, n_valid_B)
        probability_BK = jax.nn.softmax(found.scores_SBK / divisor).mean(axis=0)
        evidence_SB = found.evidence_SB
        return probability_BK, jnp.full(len(wav_BN), jnp.nan) if evidence_SB is None else evidence_SB.mean(axis=0)

    clip = jax.ShapeDtypeStruct((1, system.frontend.n_samples), jnp.float32), jax.ShapeDtypeStruct((1,), jnp.int32)
    program = jax_export.export(jax.jit(probabilities), platforms=PLATFORMS)(*clip)
    with replacing(path) as file:
        file.write(program.serialize())
