"""The variational autoencoder (Kingma & Welling 2014, arXiv 1312.6114) and its terms in nats."""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from serjax.models.layers import Architecture, make_decoder, make_encoder

LOGVAR_BOUND = 8.0


class VAE(nn.Module):
    """`q(z|x) = N(μ(x), diag σ²(x))`, `p(x|z) = N(dec(z), s²I)`, `p(z) = N(0, I)`; 128 latent dimensions by default.

    Noise comes in as an argument, so that the caller decides which key belongs to which example, and a batch split
    over devices draws what the whole batch would have drawn.
    """

    frames: int
    n_features: int
    latent_dim: int = 128
    hidden: Sequence[int] = (256,)
    architecture: Architecture = "dense"

    def setup(self) -> None:
        """Make the two trunks and the linear maps to mean and log-variance."""
        self.encoder = make_encoder(self.architecture, self.hidden)
        self.to_mean = nn.Dense(self.latent_dim)
        self.to_logvar = nn.Dense(self.latent_dim)
        self.decoder = make_decoder(self.architecture, self.hidden, self.frames, self.n_features)

    def encode(self, x_BTC: Float[Array, "B T C"]) -> tuple[Float[Array, "B Z"], Float[Array, "B Z"]]:
        """Return `μ(x)` and `log σ²(x)`, the latter softly bounded to ±8."""
        h = self.encoder(x_BTC)
        return self.to_mean(h), soft_bound(self.to_logvar(h), LOGVAR_BOUND)

    def decode(self, z_BZ: Float[Array, "B Z"]) -> Float[Array, "B T C"]:
        """Return `dec(z)`, the mean of `p(x|z)`."""
        return self.decoder(z_BZ)

    def __call__(
        self, x_BTC: Float[Array, "B T C"], noise_BZ: Float[Array, "B Z"]
    ) -> tuple[Float[Array, "B T C"], Float[Array, "B Z"], Float[Array, "B Z"]]:
        """Return `dec(μ + σ·noise)`, `μ` and `log σ²`."""
        mean_BZ, logvar_BZ = self.encode(x_BTC)
        return self.decode(reparameterise(mean_BZ, logvar_BZ, noise_BZ)), mean_BZ, logvar_BZ


def reparameterise(
    mean: Float[Array, "*b Z"], logvar: Float[Array, "*b Z"], noise: Float[Array, "*b Z"]
) -> Float[Array, "*b Z"]:
    """Return `z = μ + σ·noise`, a draw from `N(μ, diag σ²)` where the noise is standard normal."""
    return mean + jnp.exp(0.5 * logvar) * noise


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def soft_bound(x: Float[Array, "*s"], bound: float) -> Float[Array, "*s"]:
    """Squash `x` into (−bound, bound): `bound·x / (bound + |x|)`, slope `(bound / (bound + |x|))²`: 1 at zero.

    A hard clip stops learning where it clips, and tanh underflows to the same; this one keeps a gradient until |x| is
    about 1e20. The slope is given in closed form, because the quotient rule subtracts two nearly equal numbers: at
    1e7 it is 18 % off, at 1e8 exactly 0.

    >>> soft_bound(jnp.array([0.0, 8.0, -1e3]), 8.0).tolist()
    [0.0, 4.0, -7.93...]
    """
    return bound * (x / (bound + jnp.abs(x)))


@soft_bound.defjvp
def _soft_bound_jvp(
    bound: float, primals: tuple[Float[Array, "*s"]], tangents: tuple[Float[Array, "*s"]]
) -> tuple[Float[Array, "*s"], Float[Array, "*s"]]:
    (x,), (tangent,) = primals, tangents
    return soft_bound(x, bound), (bound / (bound + jnp.abs(x))) ** 2 * tangent


def kl_to_standard_normal(mean: Float[Array, "*b Z"], logvar: Float[Array, "*b Z"]) -> Float[Array, "*b"]:
    """Return `KL(N(μ, diag σ²) ‖ N(0, I)) = ½ Σ (σ² + μ² − 1 − log σ²)` in nats.

    >>> kl_to_standard_normal(jnp.array([1.0, 0.0]), jnp.zeros(2)).item()
    0.5
    """
    return 0.5 * jnp.sum(jnp.exp(logvar) + mean**2 - 1.0 - logvar, axis=-1)


def standard_normal_logpdf(z: Float[Array, "*b Z"]) -> Float[Array, "*b"]:
    """Return `log N(z; 0, I)` in nats, summed over the last axis."""
    return -0.5 * jnp.sum(z**2 + math.log(2 * math.pi), axis=-1)


def squared_error_by_feature(
    x_BTC: Float[Array, "*#b T C"], reconstruction_BTC: Float[Array, "*b T C"], mask_BT: Float[Array, "*#b T"]
) -> Float[Array, "*b C"]:
    """Return `Σ_t mask_t (x_tc − x̂_tc)²`: what is summed, averaged or weighted by every loss and score here."""
    return jnp.sum((x_BTC - reconstruction_BTC) ** 2 * mask_BT[..., None], axis=-2)
