"""A study of one classifier whose flags are changed: trained together, compared with the first, written as a page."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from experiments.candidates import Candidate, CandidateConfig, configure
from serjax.evaluate.metrics import Metric
from serjax.experiments import cnn_logmel, generative
from serjax.figures.tables import TitledTable, say
from serjax.folder.finished import FinishedRun, read_run
from serjax.results.comparison import make_table
from serjax.results.comparison_table import print_comparison, write_page
from serjax.results.page import check_page
from serjax.study.fingerprint import default_out, fingerprint
from serjax.study.flags import Data, Machine
from serjax.study.frontends import Features
from serjax.study.overrides import Overrides, apply
from serjax.study.stages import complete
from serjax.train.processes import is_first

StudiedConfig = CandidateConfig | generative.Config | cnn_logmel.Config


@dataclass(frozen=True)
class Page:
    """Where a study goes: below `out`, one run folder per row, and its page to `results` too."""

    out: Path
    results: Path | None = None

    @property
    def files(self) -> list[Path]:
        """The pages that this process writes: all, or none where it is not the first of several."""
        places = [self.out / "results.md"] + ([] if self.results is None else [self.results])
        return places if is_first() else []

    @classmethod
    def of(cls, script: str, data: Data, machine: Machine, results: Path | None, rows: object) -> "Page":
        """Return the place that `--out` names, or one of the script, the corpus and all flags that `rows` depend on."""
        check_page(results)
        mark = fingerprint(script, {"rows": rows})
        return cls(machine.out or default_out(script, data.corpus_name, mark), results)


@dataclass(frozen=True)
class CandidateStudy:
    """The flags of a study of classifiers; each study adds which, and what it changes."""

    epochs: int | None = None
    """Passes over the training clips; default: as the experiment has them."""
    results: Path | None = None
    """Write the page here too: NAME.md, with NAME.json and NAME.png beside it."""
    data: Data = field(default_factory=Data)
    features: Features = field(default_factory=Features)
    machine: Machine = field(default_factory=Machine)

    def configure(self, name: Candidate) -> CandidateConfig:
        """Return the flags of a classifier on the study's clips and pictures."""
        return configure(name, self.data, self.features, self.machine, self.epochs)

    def page(self, script: str) -> Page:
        """Return where the study of this name goes."""
        rows = replace(self, results=None, machine=Machine())
        return Page.of(script, self.data, self.machine, self.results, rows)


def ablate(base: StudiedConfig, overrides: Overrides, out: Path) -> dict[str, FinishedRun]:
    """Train the base with each override, each in its folder below `out`, and read them back by name."""
    return train(apply(base, overrides), out)


def train(configs: Mapping[str, StudiedConfig], out: Path) -> dict[str, FinishedRun]:
    """Train configurations side by side, each in the folder of its name below `out`, and read them back."""
    placed = {n: replace(c, machine=replace(c.machine, out=out / n)) for n, c in configs.items()}
    folders = complete([config.study() for config in placed.values()])
    return {name: read_run(folder.path) for name, folder in zip(placed, folders, strict=True)}


def publish(
    runs: Mapping[str, FinishedRun],
    page: Page,
    notes: tuple[str, ...],
    more: tuple[TitledTable, ...] = (),
    metric: Metric = "uar",
    anyway: bool = False,
) -> None:
    """Compare all runs with the first, print the table and write it as Markdown, JSON and a forest plot.

    Args:
      runs: finished runs, the first is the reference.
      page: where the page goes.
      notes: said before the notes of the comparison.
      more: tables that stand below it.
      metric: what is compared.
      anyway: compare runs of different protocols too; the table says so.
    """
    table = make_table(list(runs.values()), metric, anyway)
    table = replace(table, notes=(*notes, *table.notes), more=more)
    for path in page.files:
        write_page(table, path)
    print_comparison(table)
    say(f"Written to {page.out}.")
