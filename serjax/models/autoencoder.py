"""The plain autoencoder: the VAE's twin without a distribution over codes."""

from collections.abc import Sequence

from flax import linen as nn
from jaxtyping import Array, Float

from serjax.models.layers import Architecture, make_decoder, make_encoder


class Autoencoder(nn.Module):
    """`x̂ = dec(enc(x))` with a code of `latent_dim` numbers (Hinton & Salakhutdinov 2006, Science 313).

    `encode` and `decode` have the signatures of `serjax.models.vae.VAE`, except that a code has no variance.
    """

    frames: int
    n_features: int
    latent_dim: int = 128
    hidden: Sequence[int] = (256,)
    architecture: Architecture = "dense"

    def setup(self) -> None:
        """Make the two trunks and the linear map to the code."""
        self.encoder = make_encoder(self.architecture, self.hidden)
        self.to_code = nn.Dense(self.latent_dim)
        self.decoder = make_decoder(self.architecture, self.hidden, self.frames, self.n_features)

    def encode(self, x_BTC: Float[Array, "B T C"]) -> Float[Array, "B Z"]:
        """Return the code of each picture."""
        return self.to_code(self.encoder(x_BTC))

    def decode(self, z_BZ: Float[Array, "B Z"]) -> Float[Array, "B T C"]:
        """Return the picture that each code stands for."""
        return self.decoder(z_BZ)

    def __call__(self, x_BTC: Float[Array, "B T C"]) -> Float[Array, "B T C"]:
        """Return the reconstruction of each picture."""
        return self.decode(self.encode(x_BTC))
