"""The classifier by densities, one ingredient changed at a time: which of them does its result rest on?

    python -m experiments.generative_search --corpus ravdess --root RAVDESS \
        --out runs/generative_search --results experiments/results/generative_search.md

The first row has one background model and no functionals; others change vectors, copies, sizes, the density, or how
much of an emotion's covariance is its own. The last rows start from three background models and functionals. Logistic
regression is no density: it is the rival, on the same vectors. What a fold leaves open is chosen on its own validation
clips. The page shows for every row the mean validation UAR, by which a recipe may be chosen, beside the UAR on test
speakers, and how far the two rank alike. Without arguments it runs on synthetic speech; finished rows are kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from scipy.stats import spearmanr

from experiments.sweep import Page, ablate, publish
from serjax.evaluate.summary import mean_fold_uar
from serjax.experiments import generative
from serjax.figures.tables import TitledTable
from serjax.folder.finished import FinishedRun
from serjax.main import train_command
from serjax.study.density.flags import Supervectors, VoiceFeatures
from serjax.study.flags import Data, Machine
from serjax.study.overrides import BASE, Overrides, chain, product, vary, zipped


@dataclass(frozen=True)
class Config:
    """Every field of every section is a flag."""

    results: Path | None = None
    """Write the page here too: NAME.md, with NAME.json and NAME.png beside it."""
    data: Data = field(default_factory=lambda: Data(offset=0.0))
    machine: Machine = field(default_factory=Machine)


def run(config: Config) -> None:
    """Fit what is not finished, then print and write the page."""
    rows = replace(config, results=None, machine=Machine())
    page = Page.of("generative_search", config.data, config.machine, config.results, rows)
    base = generative.Config(
        data=config.data,
        features=VoiceFeatures(vectors=("supervector",)),
        background=Supervectors(backgrounds=1),
        machine=config.machine,
    )
    runs = ablate(base, changes(), page.out)
    publish(runs, page, (ranks_alike(runs),), (selection_table(runs),))


BOTH = ("supervector", "functionals")


def changes() -> Overrides:
    """Return the base, then one change at a time; then the system of both vectors, and one change at a time of it."""
    whole = zipped(vary("vectors", BOTH), vary("backgrounds", 3))
    return chain(
        BASE,
        vary("vectors", ("functionals",), ("mfcc",), BOTH),
        vary("warps", ()),
        vary("components", 32, 128),
        vary("axes", 200, 400),
        vary("own", 0.1),
        vary("density.density", "pca", "mixture", "logistic"),
        vary("backgrounds", 3),
        whole,
        product(whole, vary("own", 0.1)),
        product(whole, vary("functionals_weight", 0.5)),
    )


def selection_table(runs: Mapping[str, FinishedRun]) -> TitledTable:
    """Return what each row reached on validation speakers, by which recipes are chosen, and on test speakers."""
    rows = tuple((name, mean_fold_uar(run.validation), run.uar) for name, run in runs.items())
    return TitledTable("Mean validation UAR of folds, and test UAR", ("run", "validation", "test"), rows)


def ranks_alike(runs: Mapping[str, FinishedRun]) -> str:
    """Say how far validation and test speakers rank the rows alike."""
    reached = [(mean_fold_uar(run.validation), run.uar) for run in runs.values()]
    rho = spearmanr(*zip(*reached, strict=True)).statistic
    return f"Validation and test UAR of the {len(reached)} rows: Spearman's rank correlation {rho:.2f}."


if __name__ == "__main__":
    train_command(Config, run, __doc__)
