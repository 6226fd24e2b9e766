"""How accurate systems are on new speakers, and what each ingredient of the network on log-mel pictures is worth.

    python -m experiments.accuracy --corpus ravdess --root RAVDESS --runs runs/cnn runs/generative runs/vote \
        --out runs/accuracy --results experiments/results/accuracy.md

Trains `serjax.experiments.cnn_logmel` as it is, then with one ingredient taken out or put in at a time. All of it is
compared on the same test speakers, paired by speaker. What is given by `--runs` is finished, and stands below with its
folds, minutes and commands. With `--no-ingredients` nothing is trained: the page compares the finished runs with the
first of them. Without arguments it runs on synthetic speech; finished rows are kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from experiments.generative_results import RUNS, command_of, row_of
from experiments.sweep import Page, ablate, publish
from serjax.errors import ConfigError
from serjax.experiments import cnn_logmel
from serjax.figures.tables import Cell, TitledTable
from serjax.folder.finished import FinishedRun, read_result, read_run
from serjax.folder.manifest import METRICS
from serjax.main import train_command
from serjax.study.flags import Data, Machine
from serjax.study.overrides import BASE, chain, product, vary

TAKEN_OUT = chain(
    product(vary("freq_mask", 0), vary("time_mask", 0)),
    vary("mixup", 0.0),
    vary("mel_shift", 0.0),
    vary("roll_frames", 0),
    vary("ema", None),
    vary("pooling", "statistics"),
    vary("balanced_sampling", True),
)
PUT_IN = chain(
    vary("mel_warp", 0.1),
    vary("time_rate", 0.1),
    vary("gain_db", 3.0),
    vary("label_smoothing", 0.1),
    vary("deltas", True),
    vary("rolled_copies", 5),
)
NOTES = (
    "The first row is the network with the flags of its experiment and of this command; each other row differs in what "
    "its name says. The recipe is that of a prototype whose figures on test speakers had been seen. The rows chose "
    "nothing.",
)
OF_RUNS = (
    "The vote is fitted to the validation clips that its validation figure is of. The recipe of the network is that of "
    "a prototype whose figures on test speakers had been seen.",
)


@dataclass(frozen=True)
class Config:
    """Every field of every section is a flag."""

    runs: tuple[Path, ...] = ()
    """Folders of finished runs that stand on the page too: their recipe, UAR, folds, minutes and command."""
    ingredients: bool = True
    """Train the network with each ingredient taken out or put in."""
    channels: tuple[int, ...] | None = None
    """Channels of the network in all rows, e.g. narrower ones to save time; default: as the experiment has them."""
    epochs: int | None = None
    """Passes over the training clips in all rows; default: as the experiment has them."""
    results: Path | None = None
    """Write the page here too: NAME.md, with NAME.json and NAME.png beside it."""
    data: Data = field(default_factory=Data)
    machine: Machine = field(default_factory=Machine)


def run(config: Config) -> None:
    """Train what is not finished, then print and write the page.

    Raises:
      ConfigError: there is nothing to show.
    """
    if not (config.ingredients or config.runs):
        raise ConfigError("--no-ingredients trains nothing: give the folders of finished runs by --runs.")
    rows = replace(config, runs=(), results=None, machine=Machine())
    page = Page.of("accuracy", config.data, config.machine, config.results, rows)
    finished = [read_run(path) for path in config.runs]  # says at once what is missing
    more = tables_of(finished) if finished else ()
    if config.ingredients:
        publish(ablate(network(config), chain(BASE, TAKEN_OUT, PUT_IN), page.out), page, NOTES, more)
    else:
        publish({run.path.name: run for run in finished}, page, OF_RUNS, more)


def network(config: Config) -> cnn_logmel.Config:
    """Return the network as it is by default, with the study's clips, channels and epochs."""
    base = replace(cnn_logmel.Config(), data=config.data, machine=config.machine)
    if config.channels is not None:
        base = replace(base, model=replace(base.model, channels=config.channels))
    return base if config.epochs is None else replace(base, training=replace(base.training, epochs=config.epochs))


def tables_of(runs: Sequence[FinishedRun]) -> tuple[TitledTable, ...]:
    """Return what finished runs reach: over all speakers, in each fold, and by which command."""
    folds = tuple(dict.fromkeys(runs[0].predictions.fold))
    return (
        TitledTable("Systems", RUNS, tuple(row_of(run) for run in runs)),
        TitledTable("UAR of each fold, mean over seeds", ("run", *folds), tuple(of_folds(run, folds) for run in runs)),
        TitledTable("Commands", ("run", "command", "git"), tuple(command_of(run) for run in runs)),
    )


def of_folds(run: FinishedRun, folds: Sequence[str]) -> tuple[Cell, ...]:
    """Return the UAR in each fold; nothing where the run has no such fold."""
    per_fold = read_result(run.path / METRICS)["per_fold"]
    found = ([of_seed[fold]["uar"] for of_seed in per_fold.values() if fold in of_seed] for fold in folds)
    return run.path.name, *(float(np.mean(uars)) if uars else None for uars in found)


if __name__ == "__main__":
    train_command(Config, run, __doc__)
