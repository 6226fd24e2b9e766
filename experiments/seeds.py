"""The spread over seeds: by how much does a figure change when nothing changes but chance?

    python -m experiments.seeds --corpus ravdess --root RAVDESS --models logreg cnn_mfcc --out runs/seeds \
        --results experiments/results/seeds.md

Each classifier is trained with 20 seeds (initialisation, order of batches, augmentation; under a `random-*` protocol
the split too) on the same clips and folds. `sd` is that of one seed's figure: a difference between two single runs
below 2.8 sd (√2 · 1.96) happens by seeds alone more often than once in twenty. The interval is over speakers, and stays
however many seeds there are. experiments/results/seeds.md has logreg alone. All seeds and folds of a classifier are
entries of one run axis. Without arguments it runs on synthetic speech; finished classifiers are kept.
"""

from dataclasses import dataclass, field

import numpy as np

from experiments.candidates import Candidate
from experiments.sweep import CandidateStudy, publish, train
from serjax.evaluate.metrics import measure
from serjax.evaluate.statistics import seed_counts
from serjax.folder.finished import FinishedRun
from serjax.main import train_command
from serjax.study.flags import Data


@dataclass(frozen=True)
class Config(CandidateStudy):
    """Every field of every section is a flag."""

    models: tuple[Candidate, ...] = ("logreg",)
    """The classifiers; the others are compared with the first."""
    data: Data = field(default_factory=lambda: Data(seeds=20))


def run(config: Config) -> None:
    """Train what is not finished, then print and write the page."""
    page = config.page("seeds")
    runs = train({name: config.configure(name) for name in config.models}, page.out)
    publish(runs, page, tuple(spread(name, found) for name, found in runs.items()))


def spread(name: str, run: FinishedRun) -> str:
    """Say between which figures single seeds lie, and how well their mean is known."""
    uar_R = measure("uar", seed_counts(run.predictions).sum(axis=1))
    low, high = np.percentile(uar_R, [25, 75])
    said = (
        f"{name}: the UAR of single seeds is {uar_R.min():.3f} to {uar_R.max():.3f}, half have {low:.3f} to {high:.3f}"
    )
    if len(uar_R) < 2:
        return f"{said}."
    sd = float(uar_R.std(ddof=1))
    return f"{said}; the mean of {len(uar_R)} has a standard error over seeds of {sd / len(uar_R) ** 0.5:.4f}."


if __name__ == "__main__":
    train_command(Config, run, __doc__)
