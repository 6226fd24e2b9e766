"""The conditional variational autoencoder (Sohn, Lee & Yan 2015): one VAE of all emotions, told which one it sees."""

from collections.abc import Sequence

import chex
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

from serjax.models.layers import Architecture
from serjax.models.vae import VAE, reparameterise

CONDITION = "condition"  # the collection that holds the class of a `BoundVAE`


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
        return self.vae.encode(beside_frames(x_BTC, class_BK))

    def decode(self, z_BZ: Float[Array, "B Z"], class_BK: Float[Array, "B K"]) -> Float[Array, "B T C"]:
        """Return `dec(z, y)`, the mean of `p(x|z, y)`."""
        return self.vae.decode(jnp.concatenate([z_BZ, class_BK], axis=-1))

    def __call__(
        self, x_BTC: Float[Array, "B T C"], noise_BZ: Float[Array, "B Z"], class_BK: Float[Array, "B K"]
    ) -> tuple[Float[Array, "B T C"], Float[Array, "B Z"], Float[Array, "B Z"]]:
        """Return `dec(μ + σ·noise, y)`, `μ` and `log σ²`."""
        mean_BZ, logvar_BZ = self.encode(x_BTC, class_BK)
        return self.decode(reparameterise(mean_BZ, logvar_BZ, noise_BZ), class_BK), mean_BZ, logvar_BZ


class BoundVAE(VAE):
    """A trained `ConditionalVAE` told one class for good: `q(z|x) = q(z|x, y)`, `p(x|z) = p(x|z, y)`, so a `VAE`.

    Its variables are those of `bind_class`: it has none of its own to begin with.
    """

    def encode(self, x_BTC: Float[Array, "B T C"]) -> tuple[Float[Array, "B Z"], Float[Array, "B Z"]]:
        """Return `μ(x, y)` and `log σ²(x, y)`."""
        return super().encode(beside_frames(x_BTC, self._class_BK(x_BTC.shape[0])))

    def decode(self, z_BZ: Float[Array, "B Z"]) -> Float[Array, "B T C"]:
        """Return `dec(z, y)`."""
        return super().decode(jnp.concatenate([z_BZ, self._class_BK(z_BZ.shape[0])], axis=-1))

    def _class_BK(self, n_clips: int) -> Float[Array, "B K"]:
        class_K = jnp.asarray(self.get_variable(CONDITION, "class_K"))
        return jnp.broadcast_to(class_K, (n_clips, *class_K.shape))


def bound(model: ConditionalVAE) -> BoundVAE:
    """Return the model of one class, of the same sizes."""
    return BoundVAE(model.frames, model.n_features, model.latent_dim, model.hidden, model.architecture)


def bind_class(
    params: dict[str, chex.ArrayTree], class_K: Float[Array | np.ndarray, "*r K"]
) -> dict[str, chex.ArrayTree]:
    """Return the variables of a `BoundVAE`: those of a `ConditionalVAE` and a class, one-hot; or stacks of both."""
    return {"params": params["params"]["vae"], CONDITION: {"class_K": class_K}}  # type: ignore[index, call-overload]


def beside_frames(x_BTC: Float[Array, "B T C"], class_BK: Float[Array, "B K"]) -> Float[Array, "B T D"]:
    """Return the pictures with the class as more coefficients of every frame."""
    class_BTK = jnp.broadcast_to(class_BK[:, None], (*x_BTC.shape[:2], class_BK.shape[1]))
    return jnp.concatenate([x_BTC, class_BTK], axis=-1)
