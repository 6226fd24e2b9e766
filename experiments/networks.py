"""The flags of networks that have no experiment of their own: a dense and a recurrent one."""

from dataclasses import dataclass

from serjax.models.mlp import MLP
from serjax.models.pooling import Pooling
from serjax.models.recurrent import Recurrent, StatePooling
from serjax.study.networks import NetworkFlags, RecurrentFlags


@dataclass(frozen=True)
class Mlp(NetworkFlags):
    """The dense network."""

    network = MLP
    hidden: tuple[int, ...] = (256, 128)
    """Widths of the dense layers."""
    dropout: float = 0.3
    """Share of activations set to 0 in training."""
    pooling: Pooling = "statistics"
    """From frames to one vector: flatten, mean, statistics (mean and sd over valid frames) or attention."""


@dataclass(frozen=True)
class Lstm(RecurrentFlags):
    """The recurrent network."""

    network = Recurrent
    pooling: StatePooling = "statistics"
    """From states to one vector: the last one, or as of frames (flatten, mean, statistics, attention)."""
