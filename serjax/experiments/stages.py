"""Studies that train side by side: stages of equal programs share stacks, each study writes its own run folder.

A study is a generator: it yields a `Request` for each stage, is sent what was trained, and ends with its folder
written. So it reads the same whether it trains alone or beside a hundred others.
"""

import contextlib
import time
from collections.abc import Callable, Generator, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

from serjax.experiments.config import ConfigError, Machine
from serjax.experiments.display import Progresses, progresses
from serjax.experiments.machine import lay_out
from serjax.experiments.plan import Plans, settle
from serjax.experiments.problem import Problem
from serjax.experiments.run_folder import RunFolder, open_run_folder
from serjax.experiments.trainer import Request, stacks, train_requests
from serjax.train.parallel import Layout
from serjax.train.processes import check_same, exchange, from_first
from serjax.train.shares import Trained

Result = TypeVar("Result")
Stages = Generator[Request, Trained, Result]


@runtime_checkable
class Trainable(Protocol):
    """A study as it is declared: everything that its flags say."""

    @property
    def experiment(self) -> str: ...  # noqa: D102
    @property
    def fingerprint(self) -> str: ...  # noqa: D102
    @property
    def machine(self) -> Machine: ...  # noqa: D102
    @property
    def out(self) -> Path: ...  # noqa: D102
    @property
    def problem_flags(self) -> Hashable:
        """The flags that decide clips, features and folds: studies with equal ones share them in memory."""

    def check(self) -> None:
        """Raise ConfigError for flags that make no sense."""

    def load(self, shown: Progresses) -> Problem:
        """Read clips, features and folds."""
        ...

    def compute(self, problem: Problem, folder: RunFolder, layout: Layout, shown: Progresses) -> Stages[None]:
        """Train stage after stage, then write the run folder."""
        ...


@dataclass(frozen=True, eq=False)
class Work:
    """An unfinished study under way."""

    folder: RunFolder
    stages: Stages[None]


def complete(studies: Sequence[Trainable]) -> list[RunFolder]:
    """Train and write each study, or what is missing of it; return their folders, finished.

    Studies that differ in nothing but numbers of a run (learning rate, weight decay, dropout, β, class weights, and
    how far pictures or waveforms are shifted or how much noise they get, where they are) are entries of the same
    stacks; those that differ in epochs too, if each has as many as one compiled call trains. Each folder ends with
    what it has when its study is trained alone, and a study that was stopped goes on alone or with others. The
    seconds of a folder are those spent on it alone and its share of those spent on stacks. Several processes take
    the same steps in the same order: the first decides what is left, and none goes on while it writes.

    Raises:
      ConfigError: flags of a study make no sense, or two studies would write the same folder.
      ProcessesError: other processes cannot be joined, or have other studies.
    """
    for study in studies:
        study.check()
    _check_folders(studies)
    machine = studies[0].machine
    layout = lay_out(machine)
    cut = f"{layout.shard} {layout.stacking} {len(layout.devices)} {machine.stacking} {machine.stack_size}"
    check_same("configuration", " ".join([cut, *(study.fingerprint for study in studies)]))
    check_same("--out", " ".join(str(study.out.absolute()) for study in studies))  # also of another working folder
    with contextlib.ExitStack() as opened:
        folders = []
        for study in studies:
            folders.append(opened.enter_context(open_run_folder(study.out, study.experiment, study.fingerprint)))
            folders[-1].clock.stop()
        left = [pair for pair in zip(studies, folders, strict=True) if not _is_finished(pair[1])]
        with progresses(machine.quiet) as shown:
            if len(left) < len(folders):
                there = f"{folders[0].path} is" if len(folders) == 1 else f"{len(folders) - len(left)} run folders are"
                shown.say(f"{there} finished: the corpus is not read again.")
            if left:
                advance(_begin(left, layout, shown), shown)
    return folders


def _is_finished(folder: RunFolder) -> bool:
    """Return whether the first process sees all files, as they were written."""
    return bool(from_first(int(folder.finished)))


def _check_folders(studies: Sequence[Trainable]) -> None:
    """Raise ConfigError where two studies have the same folder."""
    if not studies:
        raise ConfigError("There is nothing to train: expected one study at least.")
    places = [study.out.resolve() for study in studies]
    twice = next((place for n, place in enumerate(places) if place in places[:n]), None)
    if twice is not None:
        raise ConfigError(f"Two studies would write {twice}: give each another folder, or leave one out.")


def _begin(left: Sequence[tuple[Trainable, RunFolder]], layout: Layout, shown: Progresses) -> list[Work]:
    """Load what the studies work on, once for all that have it in common."""
    problems: dict[Hashable, Problem] = {}
    begun = []
    for study, folder in left:
        folder.clock.go()
        if study.problem_flags not in problems:
            problems[study.problem_flags] = study.load(shown)
        begun.append(Work(folder, study.compute(problems[study.problem_flags], folder, layout, shown)))
        folder.clock.stop()
    return begun


def advance(begun: Sequence[Work], shown: Progresses) -> None:
    """Bring all studies to their end, stage by stage, training together what has the same program and fits a stack.

    Those that were trained last go on first, so that folders are finished, and memory is free, as early as can be.
    """
    plans: Plans = {}
    waiting = [(work, request) for work in begun if (request := _go_on(work, None, plans, shown.say)) is not None]
    while waiting:
        first = waiting[0][1]
        program = first.program
        alike = [pair for pair in waiting if pair[1].program == program]
        fitting = stacks(len(alike), first.capacity)[0]
        waiting = alike[fitting.stop :] + [pair for pair in waiting if pair[1].program != program]
        alike = alike[: fitting.stop]
        trained = _train([work for work, _ in alike], [request for _, request in alike])
        asked = [
            (work, _go_on(work, outcome, plans, shown.say)) for (work, _), outcome in zip(alike, trained, strict=True)
        ]
        waiting = [(work, request) for work, request in asked if request is not None] + waiting
        if len(begun) > 1:
            shown.update("studies", len(begun) - len(waiting), len(begun))


def _go_on(work: Work, trained: Trained | None, plans: Plans, say: Callable[[str], None]) -> Request | None:
    """Let a study go on with what was trained for it; return what it asks for next, planned, None at its end.

    The first process writes the folder at that end: the others wait, or a collective of theirs might wait too long.
    """
    work.folder.clock.go()
    try:
        request = next(work.stages) if trained is None else work.stages.send(trained)
        return settle(request, work.folder, plans, say)
    except StopIteration:
        exchange()
        return None
    finally:
        work.folder.clock.stop()


def _train(studies: Sequence[Work], requests: Sequence[Request]) -> list[Trained]:
    """Train requests of one program, and count the time for all folders alike, also if it is interrupted."""
    started_s = time.monotonic()
    try:
        return train_requests(requests)
    finally:
        for work in studies:
            work.folder.clock.stop((time.monotonic() - started_s) / len(studies))
