"""Studies that train side by side: stages of equal programs share stacks, each study writes its own run folder.

A study trains as a generator: it yields a `Request` for each stage, is sent what was trained, and returns an `Outcome`,
which is then written. So it reads the same whether it trains alone or beside a hundred others.
"""

import contextlib
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from serjax.errors import ConfigError
from serjax.folder.ownership import TENSORBOARD
from serjax.folder.run_folder import RunFolder, open_run_folder
from serjax.folder.tensorboard import EventFiles, check_installed
from serjax.study.fingerprint import StudyFlags
from serjax.study.flags import Machine
from serjax.study.outcome import Outcome, Setting
from serjax.study.plan import make_plan, usual_stacking
from serjax.study.problem import Problem
from serjax.study.progress import Progresses, progresses
from serjax.study.trainer import Request, Stages, Trainer, stacks, train_requests
from serjax.study.writer import tell_leaks, write_leaks, write_outcome
from serjax.train.parallel import Layout, request_devices
from serjax.train.processes import check_same, exchange, from_first, start_together
from serjax.train.shares import Trained


@runtime_checkable
class Study(Protocol):
    """A study: what its flags say, what it works on, and how it comes from there to an outcome."""

    @property
    def flags(self) -> StudyFlags:
        """All that the flags say."""

    def check(self) -> None:
        """Raise ConfigError for flags that make no sense."""

    def load(self, shown: Progresses) -> Problem:
        """Read clips, features and folds."""
        ...

    def train(self, problem: Problem, trainer: Trainer) -> Stages[Outcome]:
        """Train stage after stage, and return what comes of it."""
        ...


@dataclass(frozen=True, eq=False)
class Work:
    """An unfinished study under way."""

    folder: RunFolder
    problem: Problem
    stages: Stages[Outcome]


def complete(studies: Sequence[Study]) -> list[RunFolder]:
    """Train and write each study, or what is missing of it; return their folders, finished.

    Studies that differ only in numbers of a run are entries of the same stacks. Such numbers are learning rate, weight
    decay, dropout, β, class weights, epochs, and the strength of the augmentation (shift and noise) where there is any.
    Each folder ends with what it has when its study is trained alone. A study that was stopped goes on alone or with
    others. The seconds of a folder are those spent on it alone and its share of those spent on stacks. Several
    processes take the same steps in the same order: the first decides what is left, and none goes on while it writes.

    Raises:
      ConfigError: flags of a study make no sense, or two studies would write the same folder.
      ProcessesError: other processes cannot be joined, or have other studies.
    """
    flags = [study.flags for study in studies]
    if not flags:
        raise ConfigError("There is nothing to train: expected one study at least.")
    machine = flags[0].machine
    machine.join()  # first: where one process ends by an error, the others learn of it
    if machine.tensorboard:
        check_installed()
    for study in studies:
        study.check()
    _check_folders(flags)
    layout = lay_out(machine)
    cut = f"{layout.shard} {layout.stacking} {len(layout.devices)} {machine.stacking} {machine.stack_size}"
    cut += " streamed" * machine.stream
    check_same("configuration", " ".join([cut, *(own.fingerprint for own in flags)]))
    check_same("--out", " ".join(str(own.out.absolute()) for own in flags))  # also of another working folder
    with contextlib.ExitStack() as opened:
        folders = []
        for own in flags:
            folders.append(opened.enter_context(open_run_folder(own.out, own.experiment, own.fingerprint)))
            folders[-1].clock.stop()
        left = [pair for pair in zip(studies, folders, strict=True) if not _is_finished(pair[1])]
        with progresses(machine.quiet, machine.log_json) as shown:
            if len(left) < len(folders):
                there = f"{folders[0].path} is" if len(folders) == 1 else f"{len(folders) - len(left)} run folders are"
                shown.say(f"{there} finished: the corpus is not read again.")
            if left:
                advance(_begin(left, layout, shown), shown)
    return folders


def _is_finished(folder: RunFolder) -> bool:
    """Return whether the first process sees all files, as they were written."""
    return bool(from_first(int(folder.finished)))


def _check_folders(flags: Sequence[StudyFlags]) -> None:
    """Raise ConfigError where two studies have the same folder."""
    places = [own.out.resolve() for own in flags]
    twice = next((place for n, place in enumerate(places) if place in places[:n]), None)
    if twice is not None:
        raise ConfigError(f"Two studies would write {twice}: give each another folder, or leave one out.")


def _begin(left: Sequence[tuple[Study, RunFolder]], layout: Layout, shown: Progresses) -> list[Work]:
    """Load what the studies work on, once for all that have it in common."""
    problems: dict[Hashable, Problem] = {}
    begun = []
    for study, folder in left:
        folder.clock.go()
        own = study.flags
        if own.problem not in problems:
            problems[own.problem] = study.load(shown)
            tell_leaks(problems[own.problem], shown.say)
        problem = problems[own.problem]
        begun.append(Work(folder, problem, _claimed(study, folder, problem, layout, shown)))
        folder.clock.stop()
    return begun


def _claimed(study: Study, folder: RunFolder, problem: Problem, layout: Layout, shown: Progresses) -> Stages[Outcome]:
    """Claim the folder for a study and its clips when its turn comes, then let it train."""
    flags = study.flags
    folder.claim({**flags.sections, "machine": flags.machine})
    folder.check_clips(problem.digest())
    write_leaks(folder, Setting.of(problem))
    return (yield from study.train(problem, make_trainer(flags, folder, layout, shown)))


def make_trainer(flags: StudyFlags, folder: RunFolder, layout: Layout, shown: Progresses) -> Trainer:
    """Return what trains the stages of a study, and keeps their state in its folder, which is claimed."""
    plan = make_plan(flags.machine, layout, flags.runs_per_device, folder)
    if flags.machine.tensorboard:
        folder.history.heard = EventFiles(folder.path / TENSORBOARD).append
    return Trainer(
        layout=replace(layout, stacking=plan.stacking),
        stack_size=plan.stack_size,
        save_every_s=flags.machine.save_every,
        checkpoints=folder.path / "checkpoints",
        history=folder.history,
        fingerprint=flags.fingerprint,
        report=shown.training,
    )


def advance(begun: Sequence[Work], shown: Progresses) -> None:
    """Bring all studies to their end, stage by stage, training together what has the same program and fits a stack.

    Those that were trained last go on first, so that folders are finished, and memory is free, as early as can be.
    """
    waiting = [(work, request) for work in begun if (request := _go_on(work, None)) is not None]
    while waiting:
        first = waiting[0][1]
        program = first.program
        alike = [pair for pair in waiting if pair[1].program == program]
        fitting = stacks(len(alike), first.capacity)[0]
        waiting = alike[fitting.stop :] + [pair for pair in waiting if pair[1].program != program]
        alike = alike[: fitting.stop]
        trained = _train([work for work, _ in alike], [request for _, request in alike])
        asked = [(work, _go_on(work, outcome)) for (work, _), outcome in zip(alike, trained, strict=True)]
        waiting = [(work, request) for work, request in asked if request is not None] + waiting
        if len(begun) > 1:
            shown.update("studies", len(begun) - len(waiting), len(begun))


def _go_on(work: Work, trained: Trained | None) -> Request | None:
    """Let a study go on with what was trained for it; return what it asks for next, None at its end.

    The first process writes the folder at that end: the others wait, or a collective of theirs might wait too long.
    """
    work.folder.clock.go()
    try:
        return next(work.stages) if trained is None else work.stages.send(trained)
    except StopIteration as end:
        write_outcome(work.folder, Setting.of(work.problem), end.value)
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


def lay_out(machine: Machine) -> Layout:
    """Return the layout that the flags ask for; must come before anything else that JAX computes.

    Raises:
      DeviceError: fewer devices than asked for.
    """
    devices = tuple(request_devices(machine.devices))
    start_together()
    usual = usual_stacking(devices[0].platform)
    return Layout(devices, machine.shard, usual if machine.stacking == "auto" else machine.stacking)
