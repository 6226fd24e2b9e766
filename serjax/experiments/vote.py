"""Voting over finished runs: the weighted mean of what they think likely, clip by clip.

Question: do several models together know more than the best of them?

    python -m serjax.experiments.vote runs/tabular/mlp runs/tabular/lightgbm --weights 3 2
    python -m serjax.experiments.vote runs/generative runs/cnn_mel --fit

The runs must have the same corpus, protocol, folds, seeds and emotions; features and models may differ. A score of
`predictions.csv` is a log-odds, p = 1 / (1 + exp(−score)). Without arguments it lets the default models of
`serjax.experiments.tabular` vote on the synthetic corpus.

`--fit` takes a log-linear pool, log p = Σ_m w_m log p_m / T_m + constant. Each fold fits its weights and temperatures
to its own validation clips, and a penalty keeps the weights near equal ones. Two things to know: those clips also
chose each run's epoch or constants, and runs with `--refit` are scored on them by the models before the refit.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from serjax.command import run_command
from serjax.figures.tables import print_table, say
from serjax.folder.finished import read_result
from serjax.folder.manifest import METRICS
from serjax.results.show import print_calibration, print_comparison, print_notes, print_reports
from serjax.study.tabular.flags import Output, TabularConfig
from serjax.study.tabular.study import complete_tabular
from serjax.study.vote import write_vote

CELLS = ("weights", "temperatures")  # of each seed and fold


@dataclass(frozen=True)
class Config:
    """Every field is a flag."""

    runs: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Finished run folders that vote."""
    weights: tuple[float, ...] = ()
    """One weight per run, in their order; default: equal ones."""
    fit: bool = False
    """Fit weights and temperatures to each fold's validation clips."""
    average_seeds: bool = False
    """Average each run's probabilities over its seeds first: one vote of all, where runs differ in their seeds."""
    out: Path | None = None
    """Run folder; default: runs/vote-CORPUS-HASH."""
    quiet: bool = False
    """No progress, only the result."""


def run(config: Config) -> None:
    """Let the runs vote, write the run folder and print the tables."""
    runs = config.runs or default_runs(config.quiet)
    out = write_vote(runs, config.weights, config.out, config.fit, config.average_seeds)
    short = len({run.name for run in runs}) == len(runs)
    found = {run.name if short else str(run): read_result(run / METRICS) for run in runs}
    found["vote"] = read_result(out / METRICS)
    print_comparison(found)
    print_weights(found["vote"])
    print_reports({"vote": found["vote"]})
    print_calibration(found)
    print_notes(found["vote"])
    say(f"Written to {out}.")


def print_weights(metrics: Mapping[str, Any]) -> None:
    """Print what each run counts in a vote and, where it was fitted, how far that differs between folds."""
    fitted = metrics["model"] == "LogLinearPool"
    rows = [
        (m["run"], m["uar"], float(m["weight"]), *(_span(m[name].values()) for name in CELLS if fitted))
        for m in metrics["members"]
    ]
    header = ("run", "UAR alone", "mean weight", *CELLS) if fitted else ("run", "UAR alone", "weight")
    print_table(f"Weights: {metrics['title']}", header, rows)


def _span(values: Collection[float]) -> str:
    return f"{min(values):.3f} – {max(values):.3f}"


def default_runs(quiet: bool) -> tuple[Path, ...]:
    """Make the runs of the default models on the synthetic corpus, and return where they are."""
    return tuple(complete_tabular(TabularConfig(output=Output(quiet=quiet))).values())


if __name__ == "__main__":
    run_command(Config, run, __doc__)
