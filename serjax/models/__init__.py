"""Flax Linen models."""

from serjax.models.autoencoder import Autoencoder
from serjax.models.vae import VAE

__all__ = ["VAE", "Autoencoder"]
