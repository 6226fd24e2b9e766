"""Densities against logistic regression as speakers become few, and emotions' covariances from tied to their own.

    python -m experiments.generative_curves --corpus ravdess --root RAVDESS --seeds 3 \
        --out runs/generative_curves --results experiments/results/generative_curves.md

Both classifiers get the same vectors, those of one background model, and train on the same speakers: a generative and a
discriminative one that differ in nothing else (Ng and Jordan 2001). Each is compared with the other on the same test
clips, paired by speaker. The second curve moves Gaussians from one covariance for all emotions to one each. What a fold
leaves open is chosen on its validation speakers, and nothing is trained on these. Without arguments it runs on
synthetic speech; finished rows are kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from experiments.sweep import Page, train
from serjax.evaluate.comparison import difference
from serjax.evaluate.statistics import Interval, estimate
from serjax.evaluate.summary import mean_fold_uar
from serjax.experiments import generative
from serjax.figures.comparison import Curve, curves
from serjax.figures.markdown import markdown_image, markdown_list, markdown_page, markdown_table
from serjax.figures.tables import Cell, interval, p_text, print_table, say, signed, signed_interval
from serjax.folder.finished import FinishedRun
from serjax.main import train_command
from serjax.provenance import provenance
from serjax.results.page import write_files
from serjax.study.density.flags import Density, Supervectors, VoiceFeatures
from serjax.study.flags import Data, Machine
from serjax.study.overrides import Override, apply_one

HEADER = ("run", "validation", "test", "95 % interval", "− logistic", "95 % interval", "p")
KINDS = ("logistic", "gaussian")


@dataclass(frozen=True)
class Config:
    """Every field of every section is a flag."""

    speakers: tuple[int, ...] = (2, 4, 8, 12, 16)
    """Numbers of training speakers, drawn by seed; RAVDESS has 16 in each of six folds."""
    owns: tuple[float, ...] = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
    """Shares of an emotion's own covariance."""
    results: Path | None = None
    """Write the page here too: NAME.md, with NAME.json and NAME.png beside it."""
    data: Data = field(default_factory=lambda: Data(offset=0.0))
    machine: Machine = field(default_factory=Machine)

    @property
    def base(self) -> generative.Config:
        """What both curves start from."""
        return generative.Config(
            data=self.data,
            features=VoiceFeatures(vectors=("supervector",)),
            background=Supervectors(backgrounds=1),
            density=Density(refit=False),
            machine=self.machine,
        )


def run(config: Config) -> None:
    """Fit what is not finished, then print and write the page."""
    rows = replace(config, results=None, machine=Machine())
    page = Page.of("generative_curves", config.data, config.machine, config.results, rows)
    changes = {
        name(kind, n): Override((("density.density", kind), ("train_speakers", n)))
        for kind in KINDS
        for n in config.speakers
    }
    changes |= {f"own={own}": Override((("own", own),)) for own in config.owns}
    runs = train({row: apply_one(config.base, change) for row, change in changes.items()}, page.out)
    table = [cells(row, run, _rival(row, runs)) for row, run in runs.items()]
    title = f"Training speakers, and tied covariances · {config.data.corpus_name}"
    print_table(title, HEADER, table)
    content = {"title": title, "header": HEADER, "rows": table, "made": provenance()}
    figure = curves(panels(config, runs), "UAR", 1 / len(next(iter(runs.values())).labels), title)
    for path in page.files:
        write_files(path, content, lambda picture: markdown(content, picture), figure)
    say(f"Written to {page.out}.")


def cells(row: str, run: FinishedRun, rival: FinishedRun | None) -> tuple[Cell, ...]:
    """Return what one run reaches, and by how much more than its rival on the same test clips."""
    shared = run.speakers_shared
    reached = row, mean_fold_uar(run.validation), run.uar, interval(_interval(run))
    if rival is None:
        return *reached, None, None, None
    test = difference(rival.predictions, run.predictions, "uar", speakers_shared=shared)
    return *reached, signed(test.difference), signed_interval(test.interval), p_text(test.p_value)


def panels(config: Config, runs: Mapping[str, FinishedRun]) -> tuple[tuple[str, tuple[Curve, ...]], ...]:
    """Return the curves over speakers, and over the share of an emotion's own covariance."""
    speakers = [curve(kind, config.speakers, [runs[name(kind, n)] for n in config.speakers]) for kind in KINDS]
    own = curve("gaussian", config.owns, [runs[f"own={own}"] for own in config.owns])
    return ("training speakers", tuple(speakers)), ("share of an emotion's own covariance", (own,))


def curve(label: str, places: Sequence[float | int], runs: Sequence[FinishedRun]) -> Curve:
    """Return the UAR of runs at their places, with intervals over speakers."""
    return Curve(label, tuple(places), tuple(run.uar for run in runs), tuple(_interval(run) for run in runs))


def name(kind: str, n_speakers: int) -> str:
    """Return what a row is called.

    >>> name("gaussian", 4)
    'gaussian, 4 speakers'
    """
    return f"{kind}, {n_speakers} speakers"


def markdown(content: Mapping[str, Any], picture: str) -> str:
    """Return the page."""
    made = content["made"]
    notes = (
        "Gaussians of one covariance and logistic regression get the same vectors and train on the same speakers.",
        "*− logistic*: Gaussians minus logistic regression, paired by speaker, 10 000 permutations; not adjusted.",
        "own: share of an emotion's own covariance; 0: one covariance for all emotions.",
        f"Command: `{made['command']}`; {made['machine']}; git {made['git']}.",
    )
    table = markdown_table(tuple(content["header"]), content["rows"])
    return markdown_page(content["title"], table, markdown_image(content["title"], picture), markdown_list(notes))


def _interval(run: FinishedRun) -> Interval | None:
    return estimate(run.predictions, "uar", speakers_shared=run.speakers_shared).interval


def _rival(row: str, runs: Mapping[str, FinishedRun]) -> FinishedRun | None:
    kind, _, of = row.partition(", ")
    return runs.get(f"logistic, {of}") if kind == "gaussian" else None


if __name__ == "__main__":
    train_command(Config, run, __doc__)
