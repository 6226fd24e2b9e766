"""From clock readings to runs per hour: the arithmetic and the table of `scripts/bench_scaling.py`."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from scripts.bench_train import ratio
from serjax.figures.tables import Cell

STUDY_RUNS = 240
Way = Literal["alone", "split", "map", "vmap", "PyTorch", "fused"]
WAYS: dict[Way, str] = {
    "alone": "one by one",
    "split": "one by one, batch split",
    "map": "map",
    "vmap": "vmap",
    "PyTorch": "PyTorch",
    "fused": "PyTorch, fused Adam",
}
HEADER = (
    "trained",
    "devices",
    "stacks",
    "compiling, s",
    "ms per step",
    "runs per hour",
    f"{STUDY_RUNS} runs, min",
    "× one by one",
    "× PyTorch",
)


@dataclass(frozen=True)
class Spent:
    """Seconds of one stack in one turn: of a call, and of all that came around the calls."""

    call_s: float
    around_s: float

    @classmethod
    def of(cls, started_s: float, ticks_s: Sequence[float], ended_s: float) -> "Spent":
        """Take it from a clock that was read at both ends and after each call.

        The first call may have compiled, so that a call is the time from its end to that of the last.
        """
        call_s = (ticks_s[-1] - ticks_s[0]) / (len(ticks_s) - 1)
        return cls(call_s, ended_s - started_s - len(ticks_s) * call_s)


@dataclass(frozen=True)
class Measured:
    """What one stack of `size` runs took, turn by turn, with `steps` steps per call; the first turn compiled."""

    size: int
    steps: int
    spent: tuple[Spent, ...]

    @property
    def around_s(self) -> float:
        """What comes around the calls, once compiled."""
        return statistics.median(spent.around_s for spent in self.spent[1:])

    @property
    def compiling_s(self) -> float:
        """What came around them the first time, beyond that."""
        return max(0.0, self.spent[0].around_s - self.around_s)

    def seconds(self, n_steps: int) -> list[float]:
        """Return, by each turn, how long the stack trains for so many steps: `around + n_steps / steps · call`."""
        return [self.around_s + n_steps / self.steps * spent.call_s for spent in self.spent]


@dataclass(frozen=True)
class Row:
    """A number of runs trained in one way: in how many stacks, and the seconds per run by each turn."""

    way: Way
    n_runs: int
    n_stacks: int
    compiling_s: float
    run_s: tuple[float, ...]

    @classmethod
    def of(cls, way: Way, parts: Mapping[Measured, int], n_steps: int) -> "Row":
        """Put it together of stacks and how many there are of each, trained for so many steps."""
        n_runs = sum(count * part.size for part, count in parts.items())
        turns = zip(*([count * s for s in part.seconds(n_steps)] for part, count in parts.items()), strict=True)
        compiling_s = sum(part.compiling_s for part in parts)
        return cls(way, n_runs, sum(parts.values()), compiling_s, tuple(sum(turn) / n_runs for turn in turns))

    @property
    def median_s(self) -> float:
        """Seconds per run."""
        return statistics.median(self.run_s)

    @property
    def name(self) -> str:
        """How many runs are trained, and how."""
        return f"{self.n_runs} runs, {WAYS[self.way]}" if self.way in ("map", "vmap") else WAYS[self.way]

    def devices(self, n_devices: int) -> str | None:
        """How many of JAX's devices are used; None by PyTorch."""
        if self.way in ("PyTorch", "fused"):
            return None
        return f"{1 if self.way == 'alone' else n_devices} of {n_devices}"


@dataclass(frozen=True)
class Measurement:
    """What was measured with one number of devices, by way and size of the stack, and on what."""

    n_devices: int
    machine: str
    measured: Mapping[tuple[Way, int], Measured]

    def rows(self, sizes: Sequence[Mapping[int, int]], n_steps: int) -> list[Row]:
        """Return a row for all that train one after another, and for each number of runs cut into stacks by `sizes`.

        `sizes`: for each number of runs, how many stacks of which size.
        """
        one: Mapping[int, int] = {1: 1}
        asked: list[tuple[Way, Mapping[int, int]]] = [("alone", one), ("split", one)]
        for counts in sizes:
            asked += [("map", counts), ("vmap", counts)]
        found = []
        for way, counts in (*asked, ("PyTorch", one), ("fused", one)):
            parts = {self.measured[way, size]: n for size, n in counts.items() if (way, size) in self.measured}
            if parts:
                found.append(Row.of(way, parts, n_steps))
        return found

    def lines(self, rows: Sequence[Row], n_steps: int) -> list[tuple[Cell, ...]]:
        """Return these rows as those of the table, with ratios to the fastest that train one after another."""
        ours, peers = (times_as_fast(rows, ways) for ways in (("alone", "split"), ("PyTorch", "fused")))
        found: list[tuple[Cell, ...]] = []
        for row, by_ours, by_peers in zip(rows, ours, peers, strict=True):
            made_of = (row.name, row.devices(self.n_devices), row.n_stacks, f"{row.compiling_s:.1f}")
            per_step, per_hour = f"{1e3 * row.median_s / n_steps:.2f}", f"{3600 / row.median_s:.0f}"
            found.append((*made_of, per_step, per_hour, f"{STUDY_RUNS * row.median_s / 60:.1f}", by_ours, by_peers))
        return found


def times_as_fast(rows: Sequence[Row], ways: Sequence[Way]) -> list[str | None]:
    """Return the median of the turns' ratios of the fastest row of some ways to each row; None where there is none."""
    fastest = min((row for row in rows if row.way in ways), key=lambda row: row.median_s, default=None)
    if fastest is None:
        return [None for _ in rows]
    return [ratio(fastest.run_s, row.run_s) for row in rows]
