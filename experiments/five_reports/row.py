"""A published result: what a report says of it, and the flags and splits that repeat it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from serjax.data.splits import Protocol

Side = Literal["same", "independent"]
SIDES: tuple[Side, ...] = ("same", "independent")


@dataclass(frozen=True)
class Losses:
    """Mean reconstruction losses that a report gives of a model trained on happy clips."""

    happy: float
    sad: float

    @property
    def ratio(self) -> float:
        """By how much sad clips are reconstructed worse."""
        return self.sad / self.happy


@dataclass(frozen=True)
class AlsoReported:
    """What a report gives beside a row's accuracy.

    Args:
      train: accuracy on training rows.
      cv: accuracy in a cross-validation on training rows.
      roc_auc: area under the ROC curve.
      f1: F1 of each class.
      by_class: there is a confusion matrix or a classification report, without its numbers.
      by_curve: there is a ROC curve of each class.
    """

    train: float | None = None
    cv: float | None = None
    roc_auc: float | None = None
    f1: Mapping[str, float] = field(default_factory=dict)
    by_class: bool = False
    by_curve: bool = False

    @property
    def shows_classes(self) -> bool:
        """Whether ours of each class stand on the page."""
        return self.by_class or bool(self.f1)


@dataclass(frozen=True)
class Split:
    """How one side of a row is split.

    Args:
      protocol: the protocol.
      seeds: how many seeds.
      flags: flags that only this side of the row has.
      leak: what test clips share with training clips beside the speakers.
    """

    protocol: Protocol
    seeds: int
    flags: str = ""
    leak: str | None = None


@dataclass(frozen=True)
class Row:
    """A published result and how it is repeated.

    Args:
      id: report and number, such as S4.5.
      about: what was trained, in a few words.
      reported: accuracy or losses; None where the report names what was done and gives no number.
      corpus: the corpus, by its name in `commands.SHOWN`.
      experiment: the module of `serjax.experiments`.
      flags: flags of both sides.
      same: the report's own protocol.
      independent: speakers that training has not heard.
      members: the rows that vote, where `experiment` is "vote".
      anew: those of them whose run that voted is another than the one on the page.
      remark: what the report leaves open, what is done otherwise, and what was tried.
      also: what else was reported.
      published: flags of the published size, where `flags` are those of a smaller one.
    """

    id: str
    about: str
    reported: float | Losses | None
    corpus: str
    experiment: str
    flags: str = ""
    same: Split = Split("random-80-20", 10)
    independent: Split = Split("speaker-6fold", 1)
    members: tuple[str, ...] = ()
    anew: tuple[str, ...] = ()
    remark: str = ""
    also: AlsoReported = field(default_factory=AlsoReported)
    published: str | None = None

    @property
    def report(self) -> str:
        """The report that the row is of."""
        return self.id.split(".")[0]

    def split(self, side: Side) -> Split:
        """Return how one side is split."""
        return self.same if side == "same" else self.independent
