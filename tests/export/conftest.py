"""The runs and bundles that the tests share."""

from tests.export.made import network, vae

__all__ = ["network", "vae"]
