"""What every experiment does: flags → study → run folder → tables."""

from collections.abc import Callable
from typing import NoReturn, Protocol, TypeVar, runtime_checkable

from serjax.command import run_command
from serjax.results.show import show
from serjax.study.flags import Machine
from serjax.study.stages import Study, complete
from serjax.train.processes import leave

Config = TypeVar("Config")


@runtime_checkable
class StudyConfig(Protocol):
    """The flags of an experiment that trains one study, with `machine`, the section of flags of where it runs."""

    def study(self) -> Study:
        """Return the study that the flags say."""
        ...


def main(config_type: type[StudyConfig], description: str) -> NoReturn:
    """Run the experiment whose flags are `config_type`, as `python -m serjax.experiments.NAME`; then exit."""
    train_command(config_type, run, description)


def run(config: StudyConfig) -> None:
    """Train, classify, write the run folder and print its tables; go on where an earlier call was stopped."""
    machine: Machine = config.machine  # type: ignore[attr-defined] # a protocol of classes has methods alone
    machine.join()  # first: where one process ends by an error, the others learn of it
    study = config.study()
    complete([study])
    show(study.flags.out)


def train_command(
    config_type: type[Config], work: Callable[[Config], None], description: str, prefixes: bool = False
) -> NoReturn:
    """Run a command as `run_command` does, whose training several processes may share."""
    run_command(config_type, work, description, prefixes, leave)
