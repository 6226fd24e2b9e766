"""The conditional variational autoencoder (Sohn, Lee & Yan 2015): one VAE of all emotions, told which one it sees."""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from serjax.models.layers import Architecture
from serjax.models.vae import VAE, reparameterise


class ConditionalVAE(nn.Module):
    """`q(z|x, y)`, `p(x|z, y)`, `p(z) = N(0, I)`: a `VAE` beside whose frames and codes the class stands, one-hot.

    Methods are those of `VAE` with `class_BK` as a last argument. As a classifier: the class under which the clip's
    score is best.
    """

    frames: int
    n_features: int
    latent_dim: int = 128
    hidden: Sequence[int] = (256,)
    architecture: Architecture = "dense"

    def setup(self) -> None:
        """Make the VAE; its decoder's first layer is as wide as what it is given."""
        self.vae = VAE(self.frames, self.n_features, self.latent_dim, self.hidden, self.architecture)

    def encode(
        self, x_BTC: Float[Array, "B T C"], class_BK: Float[Array, "B K"]
    ) -> tuple[Float[Array, "B Z"], Float[Array, "B Z"]]:
        """Return `μ(x, y)` and `log σ²(x, y)`; the class is K more coefficients of every frame."""
        class_BTK = jnp.broadcast_to(class_BK[:, None], (*x_BTC.shape[:2], class_BK.shape[1]))
        return self.vae.encode(jnp.concatenate([x_BTC, class_BTK], axis=-1))

    def decode(self, z_BZ: Float[Array, "B Z"], class_BK: Float[Array, "B K"]) -> Float[Array, "B T C"]:
        """Return `dec(z, y)`, the mean of `p(x|z, y)`."""
        return self.vae.decode(jnp.concatenate([z_BZ, class_BK], axis=-1))

    def __call__(
        self, x_BTC: Float[Array, "B T C"], noise_BZ: Float[Array, "B Z"], class_BK: Float[Array, "B K"]
    ) -> tuple[Float[Array, "B T C"], Float[Array, "B Z"], Float[Array, "B Z"]]:
        """Return `dec(μ + σ·noise, y)`, `μ` and `log σ²`."""
        mean_BZ, logvar_BZ = self.encode(x_BTC, class_BK)
        return self.decode(reparameterise(mean_BZ, logvar_BZ, noise_BZ), class_BK), mean_BZ, logvar_BZ
