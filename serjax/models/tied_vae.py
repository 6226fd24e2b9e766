"""One VAE of all emotions whose code has a part that tells them apart: `z = (u, v)`, `p(u|c) = N(m_c, Σ)`."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, PRNGKeyArray

from serjax.models.vae import VAE, reparameterise


class TiedVAE(VAE):
    """`p(x, z|c) = N(x; dec(u, v), s²I) N(u; m_c, Σ) N(v; 0, I)`; the encoder does not see the class.

    Σ is one diagonal matrix of all classes: the networks turn the axes of `u` as they need. All else, speaker and
    sentence, is left to `v`, which has no class. Encoder and decoder have a linear path of the class part beside their
    networks, so that Gaussians with one covariance, projected onto the axes of their means, are one such model.

    Where a class is told, the class part is in its units, `(u - m_c) / √Σ`: there each class's prior is N(0, I), and
    the KL to it is that to `p(u|c)`.
    """

    class_dim: int = 7
    n_classes: int = 8

    def setup(self) -> None:
        """Make the networks of the VAE, the linear paths, and the prior of each class."""
        super().setup()
        self.class_axes = nn.Dense(self.class_dim, use_bias=False)
        self.class_effect = nn.Dense(self.frames * self.n_features, use_bias=False)
        self.class_means = self.param("class_means", nn.initializers.normal(1.0), (self.n_classes, self.class_dim))
        self.log_scale = self.param("log_scale", nn.initializers.zeros, (self.class_dim,))

    def encode(
        self, x_BTC: Float[Array, "B T C"], class_BK: Float[Array, "B K"] | None = None
    ) -> tuple[Float[Array, "B Z"], Float[Array, "B Z"]]:
        """Return `μ(x)` and `log σ²(x)` of the code, class part first; in the units of a class if one is told."""
        mean_BZ, logvar_BZ = super().encode(x_BTC)
        mean_BZ = mean_BZ + self._beside_free(self.class_axes(x_BTC.reshape(x_BTC.shape[0], -1)))
        if class_BK is None:
            return mean_BZ, logvar_BZ
        scale_Z = jnp.pad(self.log_scale, (0, self.latent_dim - self.class_dim))[None]
        return (mean_BZ - self._beside_free(class_BK @ self.class_means)) / jnp.exp(scale_Z), logvar_BZ - 2 * scale_Z

    def decode(self, z_BZ: Float[Array, "B Z"], class_BK: Float[Array, "B K"] | None = None) -> Float[Array, "B T C"]:
        """Return `dec(u, v)`; the code is in the units of a class if one is told."""
        if class_BK is not None:
            scale_Z = jnp.exp(jnp.pad(self.log_scale, (0, self.latent_dim - self.class_dim)))
            z_BZ = z_BZ * scale_Z[None] + self._beside_free(class_BK @ self.class_means)
        linear_BD = self.class_effect(z_BZ[:, : self.class_dim])
        return super().decode(z_BZ) + linear_BD.reshape(-1, self.frames, self.n_features)

    def __call__(
        self, x_BTC: Float[Array, "B T C"], noise_BZ: Float[Array, "B Z"], class_BK: Float[Array, "B K"] | None = None
    ) -> tuple[Float[Array, "B T C"], Float[Array, "B Z"], Float[Array, "B Z"]]:
        """Return `dec(μ + σ·noise)`, `μ` and `log σ²`, the latter two in the units of a class if one is told."""
        mean_BZ, logvar_BZ = self.encode(x_BTC, class_BK)
        return self.decode(reparameterise(mean_BZ, logvar_BZ, noise_BZ), class_BK), mean_BZ, logvar_BZ

    def class_log_ratio(self, x_BTC: Float[Array, "B T C"]) -> Float[Array, "B K"]:
        """Return the bound of `log p(x|c)` less that of the background, all classes alike likely, in nats.

        `L_c = E log p(x|z) - KL(q(v|x) || N(0, I)) - KL(q(u|x) || N(m_c, Σ))`; of the result, `L_c - log mean_k exp
        L_k`, nothing is left but the distance of `μ_u(x)` to the means.
        """
        u_BU = self.encode(x_BTC)[0][:, : self.class_dim]
        scaled_BKU = (u_BU[:, None] - self.class_means[None]) / jnp.exp(self.log_scale)[None, None]
        bound_BK = -0.5 * jnp.sum(jnp.square(scaled_BKU), axis=-1)
        return bound_BK - (jax.nn.logsumexp(bound_BK, axis=1) - jnp.log(self.n_classes))[:, None]

    def sample_prior(self, key: PRNGKeyArray, class_BK: Float[Array, "B K"]) -> Float[Array, "B T C"]:
        """Return one picture of each class told, `dec(u, v)` of `u ~ N(m_c, Σ)` and `v ~ N(0, I)`."""
        return self.decode(jax.random.normal(key, (class_BK.shape[0], self.latent_dim)), class_BK)

    def change_class(
        self, x_BTC: Float[Array, "B T C"], class_BK: Float[Array, "B K"], other_BK: Float[Array, "B K"]
    ) -> Float[Array, "B T C"]:
        """Return pictures as they were in another class: `dec(μ_u(x) + m_other - m_class, μ_v(x))`, the rest fixed."""
        return self.decode(self.encode(x_BTC, class_BK)[0], other_BK)

    def _beside_free(self, class_part_BU: Float[Array, "B U"]) -> Float[Array, "B Z"]:
        return jnp.pad(class_part_BU, ((0, 0), (0, self.latent_dim - self.class_dim)))
