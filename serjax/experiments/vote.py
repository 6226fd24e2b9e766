"""Soft voting over finished runs: the weighted mean of what they think likely, clip by clip.

Question: do several models together know more than the best of them?

    python -m serjax.experiments.vote runs/tabular/mlp runs/tabular/lightgbm --weights 3 2

The runs must have the same corpus, protocol, folds, seeds and emotions; features and models may differ. A score of
`predictions.csv` is a log-odds, p = 1 / (1 + exp(−score)). Without arguments it lets the default models of
`serjax.experiments.tabular` vote on the synthetic corpus.
"""

from dataclasses import dataclass
from pathlib import Path

import tyro

from serjax.command import run_command
from serjax.figures.tables import say
from serjax.folder.finished import read_result
from serjax.folder.manifest import METRICS
from serjax.results.show import print_calibration, print_comparison, print_notes, print_reports
from serjax.study.tabular.flags import Output, TabularConfig
from serjax.study.tabular.study import complete_tabular
from serjax.study.vote import write_vote


@dataclass(frozen=True)
class Config:
    """Every field is a flag."""

    runs: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Finished run folders that vote."""
    weights: tuple[float, ...] = ()
    """One weight per run, in their order; default: equal ones."""
    out: Path | None = None
    """Run folder; default: runs/vote-CORPUS-HASH."""
    quiet: bool = False
    """No progress, only the result."""


def run(config: Config) -> None:
    """Let the runs vote, write the run folder and print the tables."""
    runs = config.runs or default_runs(config.quiet)
    out = write_vote(runs, config.weights, config.out)
    short = len({run.name for run in runs}) == len(runs)
    found = {run.name if short else str(run): read_result(run / METRICS) for run in runs}
    found["vote"] = read_result(out / METRICS)
    print_comparison(found)
    print_reports({"vote": found["vote"]})
    print_calibration(found)
    print_notes(found["vote"])
    say(f"Written to {out}.")


def default_runs(quiet: bool) -> tuple[Path, ...]:
    """Make the runs of the default models on the synthetic corpus, and return where they are."""
    return tuple(complete_tabular(TabularConfig(output=Output(quiet=quiet))).values())


if __name__ == "__main__":
    run_command(Config, run, __doc__)
