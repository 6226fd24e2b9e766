"""What the flags of all networks have in common, and those of recurrent ones."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from serjax.errors import ConfigError
from serjax.models.classifiers import Classifier
from serjax.models.recurrent import CellKind
from serjax.study.checks import check_positive, check_share


@dataclass(frozen=True)
class NetworkFlags:
    """The flags of a network, each named as the field of `network` that it sets."""

    network: ClassVar[Callable[..., Classifier]]

    def build(self, n_classes: int) -> Classifier:
        """Return the classifier."""
        return type(self).network(n_classes, **vars(self))

    def check(self) -> None:
        """Raise ConfigError unless sizes are above 0, and shares that dropout takes leave something."""
        for name, value in vars(self).items():
            flag = f"--{name.replace('_', '-')}"
            if name.endswith("dropout"):
                check_share(flag, value)
            elif isinstance(value, int | float | tuple) and not isinstance(value, bool):
                for size in value if isinstance(value, tuple) else (value,):
                    check_positive(flag, size)


@dataclass(frozen=True)
class RecurrentFlags(NetworkFlags):
    """The flags of a recurrent network."""

    kind: CellKind = "lstm"
    """Recurrent cell: rnn, lstm or gru."""
    hidden: tuple[int, ...] = (64,)
    """Widths of the recurrent layers."""
    dense: tuple[int, ...] = (64,)
    """Widths of the dense layers before the last one."""
    dropout: float = 0.3
    """Share of activations set to 0 in training."""

    def check(self) -> None:
        """Raise ConfigError for sizes that make no network; a recurrent one has a layer at least."""
        super().check()
        if not self.hidden:
            raise ConfigError("--hidden is empty: a recurrent network has one layer at least, such as --hidden 64.")
