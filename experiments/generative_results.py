"""What generative classifiers reach on new speakers, beside published figures, and on whom they fail.

    python -m experiments.generative_results --runs runs/headline runs/song runs/crema-d \
        --corpus ravdess --root RAVDESS --results experiments/results/generative.md

Reads finished runs and trains nothing. The first run is of the corpus that `--corpus` names: its errors are shown for
each emotion, gender, intensity and speaker. The commands that made the runs stand on the page.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from experiments.sweep import Page
from serjax.data.corpora import Corpus
from serjax.errors import ConfigError
from serjax.escape import markdown_code
from serjax.evaluate.statistics import Estimate, estimate
from serjax.evaluate.summary import mean_fold_uar
from serjax.figures.comparison import Line, forest_plot
from serjax.figures.markdown import markdown_image, markdown_list, markdown_page, markdown_section, markdown_table
from serjax.figures.tables import Cell, interval, print_table, say
from serjax.folder.finished import FinishedRun, read_result, read_run
from serjax.folder.manifest import CONFIG, METRICS
from serjax.main import train_command
from serjax.results.page import write_files
from serjax.study.flags import Data, Machine
from serjax.study.problem import labelled_corpus

RUNS = ("run", "corpus", "protocol", "seeds", "validation", "UAR", "sd", "95 % interval", "ECE", "minutes")
GROUPS = ("kind", "clips of", "clips", "UAR", "95 % interval")
PUBLISHED = (
    ("frozen wav2vec2-base, small network", "speaker-6fold", 0.543, "EmoBox, Ma et al. 2024"),
    ("frozen HuBERT-large, small network", "speaker-6fold", 0.700, "EmoBox"),
    ("frozen WavLM-large, small network", "speaker-6fold", 0.720, "EmoBox"),
    ("frozen Whisper-large-v3, small network", "speaker-6fold", 0.753, "EmoBox"),
    (
        "ResLSTM with attention, no pretraining",
        "speaker-5fold-luna",
        0.623,
        "arXiv 2606.03359; chosen on its test folds",
    ),
)


@dataclass(frozen=True)
class Config:
    """Every field of every section is a flag."""

    runs: tuple[Path, ...] = ()
    """Folders of finished runs; the first is the one whose errors are looked into."""
    results: Path | None = None
    """Write the page here too: NAME.md, with NAME.json and NAME.png beside it."""
    data: Data = field(default_factory=Data)
    machine: Machine = field(default_factory=Machine)


def run(config: Config) -> None:
    """Read the runs, then print and write the page.

    Raises:
      ConfigError: there are no runs, or the first is of another corpus.
    """
    if not config.runs:
        raise ConfigError("--runs: expected folders of finished runs of python -m serjax.experiments.generative.")
    page = Page.of("generative_results", config.data, config.machine, config.results, config)
    runs, corpus = [read_run(path) for path in config.runs], labelled_corpus(config.data)
    if runs[0].corpus != corpus.name:
        raise ConfigError(f"--corpus {corpus.name}: the first run, {runs[0].path}, is of {runs[0].corpus}.")
    title, rows = "Generative classifiers on new speakers", [row_of(one) for one in runs]
    groups = list(groups_of(runs[0], corpus))
    content = {
        "title": title,
        "runs": rows,
        "published": PUBLISHED,
        "groups": [group.cells for group in groups],
        "commands": [command_line(one) for one in runs],
    }
    print_table(title, RUNS, rows)
    print_table(f"{runs[0].path.name}, {corpus.name}", GROUPS, [group.cells for group in groups])
    figure = draw(groups, runs[0])
    for path in page.files:
        write_files(path, content, lambda picture: markdown(content, picture), figure)
    say(f"Written to {page.out}.")


def row_of(run: FinishedRun) -> tuple[Cell, ...]:
    """Return what a run reaches."""
    reached = estimate(run.predictions, "uar", speakers_shared=run.speakers_shared)
    protocol = f"{run.protocol}{' (refit)' * run.refit}"
    seeds, ece = len(np.unique(run.predictions.seed)), read_result(run.path / METRICS).get("ece")
    said = run.path.name, run.corpus, protocol, seeds, mean_fold_uar(run.validation)
    return *said, reached.mean, reached.sd, interval(reached.interval), ece, f"{run.seconds / 60:.1f}"


def command_of(run: FinishedRun) -> tuple[str, str, str]:
    """Return the name of a run, its command, and the commit of the code that ran it."""
    git = read_result(run.path / METRICS).get("git")
    return run.path.name, str(read_result(run.path / CONFIG)["command"]), str(git or "not recorded")


def command_line(run: FinishedRun) -> str:
    """Return `command_of` as Markdown."""
    name, command, git = command_of(run)
    return f"{name}: {markdown_code(command)}, git {git}"


class Group(NamedTuple):
    """Some clips of a run, and the UAR over the emotions that they have; of one emotion it is its recall."""

    kind: str
    value: str
    n_clips: int
    reached: Estimate

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The group as a row of the table."""
        return self.kind, self.value, self.n_clips, self.reached.mean, interval(self.reached.interval)


def groups_of(run: FinishedRun, corpus: Corpus) -> Iterator[Group]:
    """Return what the run reaches on the clips of each emotion, gender, intensity and speaker."""
    clips, found = {clip.path: clip for clip in corpus.utterances}, run.predictions
    for kind in ("emotion", "gender", "intensity", "speaker"):
        of_clip = np.array([getattr(clips[path], kind) or "not said" for path in found.utterance])
        for value in np.unique(of_clip):
            part = found.rows(of_clip == value)
            reached = estimate(part, "uar", speakers_shared=False)
            yield Group(kind, str(value), len(set(part.utterance)), reached)


def draw(groups: Sequence[Group], run: FinishedRun) -> Figure:
    """Draw what is reached on each group but speakers."""
    shown = [group for group in groups if group.kind != "speaker"]
    lines = [Line(one.reached.mean, one.reached.interval, f"{one.reached.mean:.2f}") for one in shown]
    names = [f"{one.kind}: {one.value}" for one in shown]
    title = f"{run.path.name} · {run.corpus} · {run.protocol}"
    return forest_plot(names, lines, None, "UAR", 1 / len(run.labels), title)


def markdown(content: Mapping[str, Any], picture: str) -> str:
    """Return the page."""
    return markdown_page(
        content["title"],
        markdown_table(RUNS, content["runs"]),
        "Intervals: bootstrap over speakers, 2 000 resamples. *(refit)*: fitted again to train and validation speakers "
        "with what validation chose. The headline recipe was named by its mean validation UAR on RAVDESS speech; on "
        "other corpora and protocols it is unchanged.",
        markdown_section(
            "Published, on the same test speakers of RAVDESS speech",
            markdown_table(("system", "protocol", "UAR", "source"), content["published"]),
        ),
        markdown_section(
            "On whom it errs",
            markdown_image(content["title"], picture),
            markdown_table(GROUPS, content["groups"]),
            "UAR over the emotions that a group has; of one emotion its recall. One speaker has no interval.",
        ),
        markdown_section("Commands", markdown_list(content["commands"])),
    )


if __name__ == "__main__":
    train_command(Config, run, __doc__)
