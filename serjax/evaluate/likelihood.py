"""How well one trained (variational) autoencoder explains each clip: squared error, ELBO and importance-weighted bound.

The device computes, for one run, the terms that need the network (`reconstruct`, `sample_posterior`). The host turns
them into scores in float64, once all terms are known: only then can the noise variance be learned from training rows.
"""

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt32

from serjax.models.autoencoder import Autoencoder
from serjax.models.vae import VAE, kl_to_standard_normal, squared_error_by_feature, standard_normal_logpdf
from serjax.train.state import Batch, Dataset, RunInputs, gather_all, in_blocks, pytree


@pytree
@dataclass(frozen=True)
class PosteriorSamples:
    """Terms of `K` samples `z_k ~ q(z|x)` of each of `M` clips under one VAE, on the device or on the host."""

    squared_error_MK: Float[Array | np.ndarray, "*r M K"]
    log_ratio_MK: Float[Array | np.ndarray, "*r M K"]
    kl_M: Float[Array | np.ndarray, "*r M"]


def reconstruct(
    model: VAE | Autoencoder, params: chex.ArrayTree, inputs: RunInputs, dataset: Dataset
) -> Float[Array, "N C"]:
    """Return the squared error of every clip, summed over its valid frames, for each coefficient (normalised units).

    The VAE decodes `z = μ(x)`. Per coefficient, so that the same pass serves any other scaling of the
    features.
    """

    def one_block(batch: Batch) -> Float[Array, "B C"]:
        return squared_error_by_feature(batch.x_BTC, decode_mean(model, params, batch.x_BTC), batch.mask_BT)

    n = dataset.x_NTC.shape[0]
    rows_N = jnp.arange(n)
    return in_blocks(lambda rows_B: one_block(gather_all(dataset, inputs, rows_B)), rows_N)


def decode_mean(
    model: VAE | Autoencoder, params: chex.ArrayTree, x_BTC: Float[Array, "B T C"]
) -> Float[Array, "B T C"]:
    """Return the deterministic reconstruction of each clip."""
    return model.apply(params, latent_mean(model, params, x_BTC), method="decode")


def latent_mean(model: VAE | Autoencoder, params: chex.ArrayTree, x_BTC: Float[Array, "B T C"]) -> Float[Array, "B Z"]:
    """Return `μ(x)` of a VAE, the code of an autoencoder."""
    code = model.apply(params, x_BTC, method="encode")
    return code[0] if isinstance(model, VAE) else code


def sample_posterior(
    model: VAE,
    params: chex.ArrayTree,
    inputs: RunInputs,
    dataset: Dataset,
    rows_M: Int[Array, " M"],
    id_N: UInt32[Array, " N"],
    n_samples: int,
) -> PosteriorSamples:
    """Draw `n_samples` of `q(z|x)` for each row, each clip by a key made from its `id_N` (`utterance_ids`).

    Returns `‖x − dec(z_k)‖²` over valid elements, `log p(z_k) − log q(z_k|x)` and `KL(q(z|x) ‖ p(z))`.
    """

    def draw(clip_id: UInt32[Array, ""]) -> Float[Array, "K Z"]:
        # A key of the clip alone: every VAE scores it with the same draws, in whatever block or order.
        return jax.random.normal(jax.random.fold_in(jax.random.key(0), clip_id), (n_samples, model.latent_dim))

    def one_block(rows_B: Int[Array, " B"]) -> PosteriorSamples:
        batch = gather_all(dataset, inputs, rows_B)
        mean_BZ, logvar_BZ = model.apply(params, batch.x_BTC, method="encode")
        noise_BKZ = jax.vmap(draw)(id_N[rows_B])
        z_BKZ = mean_BZ[:, None] + jnp.exp(0.5 * logvar_BZ)[:, None] * noise_BKZ
        output = model.apply(params, z_BKZ.reshape(-1, model.latent_dim), method="decode")
        output_BKTC = output.reshape(*z_BKZ.shape[:2], *batch.x_BTC.shape[1:])
        squared_BKC = squared_error_by_feature(batch.x_BTC[:, None], output_BKTC, batch.mask_BT[:, None])
        log_q_BK = standard_normal_logpdf(noise_BKZ) - 0.5 * jnp.sum(logvar_BZ, axis=-1)[:, None]
        return PosteriorSamples(
            squared_error_MK=jnp.sum(squared_BKC, axis=-1),
            log_ratio_MK=standard_normal_logpdf(z_BKZ) - log_q_BK,
            kl_M=kl_to_standard_normal(mean_BZ, logvar_BZ),
        )

    return in_blocks(one_block, rows_M)


@dataclass(frozen=True)
class Residual:
    """What VAEs leave unexplained of their training clips; those of a fold merge by `+`."""

    squared_error: float
    n_elements: float

    def __add__(self, other: "Residual") -> "Residual":
        return Residual(self.squared_error + other.squared_error, self.n_elements + other.n_elements)

    @property
    def variance(self) -> float:
        """Return `s² = Σ E_q‖x − dec(z)‖² / Σ n`, which maximises the clips' ELBO in s² (Rybkin et al. 2021, σ-VAE)."""
        return self.squared_error / self.n_elements


def residual(
    samples: PosteriorSamples, n_elements_M: Float[np.ndarray, " M"], is_training_M: Bool[np.ndarray, " M"]
) -> Residual:
    """Return the residual of the training clips under their own VAE, the expectation over the K samples."""
    squared_M = np.asarray(samples.squared_error_MK, np.float64).mean(axis=1)
    n_elements_M = np.asarray(n_elements_M, np.float64)
    return Residual(float(squared_M[is_training_M].sum()), float(n_elements_M[is_training_M].sum()))


@dataclass(frozen=True)
class Bounds:
    """Log-likelihood bounds of `M` clips in nats under one VAE."""

    elbo_M: Float[np.ndarray, " M"]
    iwae_M: Float[np.ndarray, " M"]


def bounds(samples: PosteriorSamples, n_elements_M: Float[np.ndarray, " M"], variance: float) -> Bounds:
    """Return ELBO and importance-weighted bound of each clip at noise variance s² = `variance`.

    `ELBO = E_q log N(x; dec(z), s²I) − KL`, the expectation over the K samples;
    `IWAE = log (1/K) Σ_k p(x|z_k) p(z_k) / q(z_k|x)` (Burda et al. 2016, arXiv 1509.00519); KL weight 1 in
    both.
    """
    squared_MK, n_elements_M = (np.asarray(a, np.float64) for a in (samples.squared_error_MK, n_elements_M))
    loglik_MK = -0.5 * (squared_MK / variance + (n_elements_M * math.log(2 * math.pi * variance))[:, None])
    log_weight_MK = loglik_MK + np.asarray(samples.log_ratio_MK, np.float64)
    return Bounds(
        elbo_M=loglik_MK.mean(axis=1) - np.asarray(samples.kl_M, np.float64), iwae_M=log_mean_exp(log_weight_MK)
    )


def log_mean_exp(x_MK: Float[np.ndarray, "M K"]) -> Float[np.ndarray, " M"]:
    """Return `log (1/K) Σ_k exp x_k` without overflow; −inf where every `x_k` is.

    >>> log_mean_exp(np.log([[1.0, 3.0]])).round(6).tolist()
    [0.693147]
    """
    # The largest is taken out of the sum: exponentials then neither overflow nor all vanish.
    top_M1 = x_MK.max(axis=1, keepdims=True)
    # Where all are −inf, −inf − (−inf) would be NaN.
    top_M1 = np.where(np.isfinite(top_M1), top_M1, 0.0)
    with np.errstate(divide="ignore"):
        return (top_M1 + np.log(np.exp(x_MK - top_M1).mean(axis=1, keepdims=True)))[:, 0]


def utterance_ids(names: Sequence[str]) -> UInt32[np.ndarray, " N"]:
    """Return a number for each utterance that depends on its name alone, not on its place in the corpus.

    >>> utterance_ids(["a.wav", "b.wav"])[1] == utterance_ids(["b.wav"])[0]
    np.True_
    """
    # Not `hash`, which Python salts anew in every process.
    return np.array([zlib.crc32(name.encode()) for name in names], np.uint32)
