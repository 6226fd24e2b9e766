"""Flax Linen models."""

from serjax.models.autoencoder import Autoencoder
from serjax.models.classifiers import (
    CNN,
    CNN1D,
    CNNLSTM,
    MLP,
    VGG,
    Classifier,
    LogisticRegression,
    MobileNet,
    Recurrent,
    ResidualLSTM,
    TimeDistributed,
    VectorRecurrent,
)
from serjax.models.conditional_vae import BoundVAE, ConditionalVAE
from serjax.models.tied_vae import TiedVAE
from serjax.models.vae import VAE

__all__ = [
    "CNN",
    "CNN1D",
    "CNNLSTM",
    "MLP",
    "VAE",
    "VGG",
    "Autoencoder",
    "BoundVAE",
    "Classifier",
    "ConditionalVAE",
    "LogisticRegression",
    "MobileNet",
    "Recurrent",
    "ResidualLSTM",
    "TiedVAE",
    "TimeDistributed",
    "VectorRecurrent",
]
