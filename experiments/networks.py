"""The flags of networks that have no experiment of their own: a dense and a recurrent one."""

from dataclasses import dataclass

from serjax.models.mlp import MLP
from serjax.models.pooling import Pooling
from serjax.models.recurrent import CellKind, Recurrent, StatePooling


@dataclass(frozen=True)
class Mlp:
    """The dense network."""

    hidden: tuple[int, ...] = (256, 128)
    """Widths of the dense layers."""
    dropout: float = 0.3
    """Share of activations set to 0 in training."""
    pooling: Pooling = "statistics"
    """From frames to one vector: flatten, mean, statistics (mean and sd over valid frames) or attention."""

    def build(self, n_classes: int) -> MLP:
        """Return the classifier."""
        return MLP(n_classes, self.hidden, self.dropout, pooling=self.pooling)


@dataclass(frozen=True)
class Lstm:
    """The recurrent network."""

    kind: CellKind = "lstm"
    """Recurrent cell: rnn, lstm or gru."""
    hidden: tuple[int, ...] = (64,)
    """Widths of the recurrent layers."""
    pooling: StatePooling = "statistics"
    """From states to one vector: the last one, or as of frames (flatten, mean, statistics, attention)."""
    dense: tuple[int, ...] = (64,)
    """Widths of the dense layers."""
    dropout: float = 0.3
    """Share of activations set to 0 in training."""

    def build(self, n_classes: int) -> Recurrent:
        """Return the classifier."""
        return Recurrent(
            n_classes, self.kind, self.hidden, pooling=self.pooling, dense=self.dense, dropout=self.dropout
        )
