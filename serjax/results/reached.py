"""What a run reached in one metric, and its difference to the run that a table compares with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from serjax.evaluate.comparison import Difference
from serjax.evaluate.statistics import Interval, holm
from serjax.figures.tables import Cell, interval, p_text, signed, signed_interval


@dataclass(frozen=True, kw_only=True)
class Reached:
    """One row of a table of runs.

    Args:
      name: what the row is called.
      mean: the metric, mean over seeds.
      sd: its standard deviation over seeds; None for one seed.
      interval: 95 % interval over speakers; None where speakers are shared between train and test.
      difference: this row minus the reference; None for the reference, and where the two cannot be compared.
      difference_interval: 95 % interval of the difference; None where clips are not paired.
      p_value: of "no difference", paired by speaker; None where nothing is tested.
      p_holm: `p_value` adjusted for all p-values of the table.
    """

    name: str
    mean: float
    sd: float | None = None
    interval: Interval | None = None
    difference: float | None = None
    difference_interval: Interval | None = None
    p_value: float | None = None
    p_holm: float | None = None

    @property
    def reached_cells(self) -> tuple[Cell, ...]:
        """Mean, standard deviation and interval, as a table shows them."""
        return self.mean, self.sd, interval(self.interval)

    @property
    def test_cells(self) -> tuple[Cell, ...]:
        """Difference, its interval, p and adjusted p, as a table shows them."""
        return signed(self.difference), signed_interval(self.difference_interval), *self.p_cells

    @property
    def p_cells(self) -> tuple[Cell, ...]:
        """The p-value and the adjusted one, as a table shows them."""
        return p_text(self.p_value), p_text(self.p_holm)


AnyReached = TypeVar("AnyReached", bound=Reached)


def tested(row: AnyReached, test: Difference) -> AnyReached:
    """Return the row with its test against the reference; its p-value is not adjusted yet."""
    return replace(row, difference=test.difference, difference_interval=test.interval, p_value=test.p_value)


def adjusted(rows: Sequence[AnyReached]) -> tuple[AnyReached, ...]:
    """Return the rows with p-values adjusted for their number in the table (Holm)."""
    places = [n for n, row in enumerate(rows) if row.p_value is not None]
    p_holm = dict(zip(places, holm([row.p_value for row in rows if row.p_value is not None]), strict=True))
    return tuple(replace(row, p_holm=p_holm.get(n)) for n, row in enumerate(rows))
