"""Rows of published results, each repeated twice: as it was published, and on speakers not heard in training.

A row is a command line of `serjax.experiments` under either protocol, so that whatever a page says can be given by
hand. Commands run as processes of their own, some at a time; what was done is not done again.
"""

import collections
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from serjax.data.splits import Protocol
from serjax.errors import ConfigError
from serjax.evaluate.comparison import estimate, measure, seed_counts
from serjax.evaluate.predictions import read_predictions
from serjax.folder.finished import read_result
from serjax.folder.manifest import METRICS, PREDICTIONS
from serjax.study.generative.study import RECONSTRUCTION
from serjax.train.loop import Interrupted, stop_requests

Side = Literal["same", "independent"]
SIDES: tuple[Side, ...] = ("same", "independent")
POLL_S = 0.1


@dataclass(frozen=True)
class Losses:
    """Mean reconstruction losses that a report gives of a model trained on happy clips."""

    happy: float
    sad: float


@dataclass(frozen=True)
class Beside:
    """What a report gives beside a row's accuracy.

    Accuracy on training rows, that of cross-validation on them, ROC-AUC, F1 of each class; `by_class`: a confusion
    matrix or a classification report, without its numbers; `by_curve`: a ROC curve of each class.
    """

    train: float | None = None
    cv: float | None = None
    roc_auc: float | None = None
    f1: Mapping[str, float] = field(default_factory=dict)
    by_class: bool = False
    by_curve: bool = False

    @property
    def shows_classes(self) -> bool:
        """Whether ours of each class stand on the page."""
        return self.by_class or bool(self.f1)


@dataclass(frozen=True)
class Split:
    """A protocol, its number of seeds, flags that only this side of a row has, and what leaks beside speakers."""

    protocol: Protocol
    seeds: int
    flags: str = ""
    leak: str | None = None


@dataclass(frozen=True)
class Row:
    """A published result and how it is repeated.

    `reported` is None where the report names what was done and gives no number. `members` are the rows that vote, where
    `experiment` is "vote", and `anew` those of them whose run that voted is another than the one on the page. `remark`
    says what the report leaves open, what is done otherwise, and what was tried. `published` are the flags of the
    published size, where `flags` are those of a smaller one.
    """

    id: str
    about: str
    reported: float | Losses | None
    corpus: str
    experiment: str
    flags: str = ""
    same: Split = Split("random-80-20", 10)
    independent: Split = Split("speaker-6fold", 1)
    members: tuple[str, ...] = ()
    anew: tuple[str, ...] = ()
    remark: str = ""
    beside: Beside = field(default_factory=Beside)
    published: str | None = None

    @property
    def report(self) -> str:
        """The report that the row is of."""
        return self.id.split(".")[0]

    def split(self, side: Side) -> Split:
        """Return how one side is split."""
        return self.same if side == "same" else self.independent


@dataclass(frozen=True)
class Places:
    """Where corpora and runs are: flags that name a corpus, by its name in the rows, and the folder of all runs."""

    corpora: Mapping[str, str]
    runs: str


@dataclass(frozen=True)
class Task:
    """One side of a row that is still to be run."""

    row: Row
    side: Side
    folder: Path
    members: tuple[Path, ...]
    words: tuple[str, ...]

    @property
    def name(self) -> str:
        """What it is called while it runs."""
        return f"{self.row.id} {self.side}"


@dataclass(frozen=True)
class Outcome:
    """What one side of a row reached; `sd` over seeds and the interval over speakers (`ci95`) are those of the WAR.

    `minutes` are those of its own command: of a vote not those of its members.
    `losses`: for training clips, test clips and all clips the losses of the happy model, `[happy, sad]`; `losses_sd`:
    their deviations over seeds, and under `ratio` that of sad / happy over all clips.
    `n_clips` of `n_speakers` were tested, each once or more; `n_tested` under each seed. Where classes are shown, `f1`
    of each and `confusion` (rows: truth, in the order of the classes) are those of all seeds' test clips together. Of a
    vote, `members` has the UAR of each row that voted. What an older version did not write down is None.
    `dealt_by_path`: clips were split, drawn or copied by their paths, as is done no more.
    """

    war: float
    uar: float
    sd: float | None
    uar_sd: float | None
    ci95: tuple[float, float] | None
    uar_ci95: tuple[float, float] | None
    roc_auc: float | None
    train_war: float | None
    cv_war: float | None
    losses: dict[str, list[float]] | None
    protocol: str
    seeds: int
    minutes: float
    command: str
    git: str | None
    n_clips: int | None = None
    n_speakers: int | None = None
    losses_sd: dict[str, list[float]] | None = None
    f1: dict[str, float] | None = None
    confusion: list[list[int]] | None = None
    war_by_seed: list[float] | None = None
    members: dict[str, float] | None = None
    dealt_by_path: bool = False
    n_tested: int | None = None


def command(row: Row, side: Side, places: Places) -> tuple[str, ...]:
    """Return the words of a side's command, without its run folder."""
    split = row.split(side)
    if row.members:
        runs = [f"{places.runs}/{folder_name(member, side)}" for member in row.members]
        return ("python", "-m", "serjax.experiments.vote", *runs, *shlex.split(row.flags))
    flags = f"{places.corpora[row.corpus]} {row.flags} --protocol {split.protocol} --seeds {split.seeds} {split.flags}"
    return ("python", "-m", f"serjax.experiments.{row.experiment}", *shlex.split(flags))


def published_command(row: Row, places: Places) -> str | None:
    """Return the command of a row's published size under the report's protocol; None: its own has it."""
    if row.published is None:
        return None
    return " ".join(command(replace(row, flags=row.published), "same", places))


def folder_name(row_id: str, side: Side) -> str:
    """Return the name of a side's run folder."""
    return f"{row_id}-{side}"


def make_task(row: Row, side: Side, places: Places) -> Task:
    """Return the task of one side."""
    folder = Path(places.runs) / folder_name(row.id, side)
    members = tuple(Path(places.runs) / folder_name(member, side) for member in row.members)
    return Task(row, side, folder, members, command(row, side, places))


def run_tasks(tasks: Sequence[Task], jobs: int, report: Callable[[Task, bool], None]) -> tuple[Task, ...]:
    """Run tasks, `jobs` at a time, votes after their members; return those that failed.

    `report(task, well)` follows each. What a task prints goes to a file beside its run folder.

    Raises:
      Interrupted: SIGINT or SIGTERM came; it was passed on to the tasks, which have saved what they did.
    """
    waiting, failed = collections.deque(tasks), []
    with stop_requests() as requests, _stopped_at_the_end() as running:
        while waiting or running:
            busy = {task.folder for task in (*waiting, *running.values())}
            while waiting and len(running) < jobs and busy.isdisjoint(waiting[0].members):
                task = waiting.popleft()
                running[_start(task)] = task
            for process in [process for process in running if process.poll() is not None]:
                task = running.pop(process)
                well = process.returncode == 0
                failed += [] if well else [task]
                report(task, well)
            if requests:
                raise Interrupted(requests[0], f"{len(running)} command(s) saved what they did, {len(waiting)} left")
            time.sleep(POLL_S)
    return tuple(failed)


def said(task: Task, n_lines: int = 6) -> str:
    """Return the last lines that a task printed."""
    return "\n".join(_log(task).read_text(encoding="utf-8", errors="replace").strip().splitlines()[-n_lines:])


def read_outcome(task: Task, shown: str) -> Outcome:
    """Read what a finished task left, under the command that is to be shown for it.

    Raises:
      ConfigError: the run folder is not finished or broken.
    """
    metrics = read_result(task.folder / METRICS)
    predictions = read_predictions(task.folder / PREDICTIONS)
    shared = metrics["speakers_shared"]
    war, uar = (estimate(predictions, name, speakers_shared=shared) for name in ("war", "uar"))
    counts_RKK = seed_counts(predictions).sum(axis=1)
    shows_classes = task.row.beside.shows_classes
    losses, losses_sd = _losses(task.folder / RECONSTRUCTION) if isinstance(task.row.reported, Losses) else (None, None)
    return Outcome(
        war=war.mean,
        uar=uar.mean,
        sd=war.sd,
        uar_sd=uar.sd,
        ci95=war.interval,
        uar_ci95=uar.interval,
        roc_auc=metrics["roc_auc"]["macro"],
        train_war=metrics.get("train_war"),
        cv_war=metrics.get("cv_war"),
        losses=losses,
        protocol=metrics["protocol"],
        seeds=len(counts_RKK),
        minutes=round(metrics["seconds"] / 60, 1),
        command=shown,
        git=metrics["git"],
        n_clips=len(set(predictions.utterance)),
        n_speakers=len(set(predictions.speaker)),
        n_tested=len(predictions.utterance) // len(counts_RKK),
        losses_sd=losses_sd,
        f1={label: metrics["per_class"][label]["f1"] for label in metrics["labels"]} if shows_classes else None,
        confusion=metrics["confusion"] if shows_classes else None,
        war_by_seed=measure("war", counts_RKK).tolist(),
        members=_voted(task, metrics),
    )


def outcome_of(content: Mapping[str, object]) -> Outcome:
    """Return an outcome from what `asdict` made of it, read back from JSON.

    Raises:
      ConfigError: a field is missing or unknown.
    """
    bounds = {name: tuple(pair) for name in ("ci95", "uar_ci95") if isinstance(pair := content.get(name), list)}
    try:
        outcome = Outcome(**{**content, **bounds})  # type: ignore[arg-type]
    except TypeError as error:
        raise ConfigError(f"this is no outcome of a row: {error}") from None
    return outcome


def as_json(row: Row, outcomes: Mapping[Side, Outcome], published: str | None = None) -> dict[str, object]:
    """Return what the file of results says of a row; `published`: the command of its published size."""
    reported = asdict(row.reported) if isinstance(row.reported, Losses) else row.reported
    return {
        "about": row.about,
        "reported": reported,
        "beside": asdict(row.beside),
        **{side: asdict(outcomes[side]) if side in outcomes else None for side in SIDES},
        "leak": row.same.leak,
        "minutes": round(sum(outcome.minutes for outcome in outcomes.values()), 1),
        "command": {side: outcome.command for side, outcome in outcomes.items()},
        "deviations": row.remark,
        "published_size": published,
    }


def _start(task: Task) -> subprocess.Popen:
    task.folder.parent.mkdir(parents=True, exist_ok=True)
    words = (sys.executable, *task.words[1:], "--out", str(task.folder))
    with _log(task).open("wb") as log:
        # a session of its own: an interrupt of the terminal reaches it once, through us
        return subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)


@contextmanager
def _stopped_at_the_end() -> Iterator[dict[subprocess.Popen, Task]]:
    """Give a place for what is running; whatever ends the caller, nothing of it is left behind."""
    running: dict[subprocess.Popen, Task] = {}
    try:
        yield running
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


def _log(task: Task) -> Path:
    return task.folder.with_name(f"{task.folder.name}.log")


def _voted(task: Task, metrics: dict) -> dict[str, float] | None:
    """Return the UAR that each member of a vote had when it voted."""
    if not task.row.members:
        return None
    return {row: member["uar"] for row, member in zip(task.row.members, metrics["members"], strict=True)}


def _losses(path: Path) -> tuple[dict[str, list[float]], dict[str, list[float]] | None]:
    """Return the mean losses of the model of happy clips, in units of each coefficient's range, and deviations."""
    content = read_result(path)
    order = [content["labels"].index(emotion) for emotion in ("happy", "sad")]

    def of_happy(matrices: Mapping[str, list[list[float]]]) -> dict[str, list[float]]:
        return {part: [matrices[part][order[0]][n] for n in order] for part in ("train", "test", "all")}

    by_seed = [of_happy(matrices) for matrices in content["minmax"]["by_seed"].values()]
    if len(by_seed) == 1:
        return by_seed[0], None
    values = [seed | {"ratio": [seed["all"][1] / seed["all"][0]]} for seed in by_seed]
    return of_happy(content["minmax"]), {
        part: np.std([value[part] for value in values], axis=0, ddof=1).tolist() for part in values[0]
    }
