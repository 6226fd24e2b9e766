"""How a stage is stacked: found at its first start, kept in the run folder's `config.json`, reread when it goes on."""

from collections.abc import Callable, Hashable
from dataclasses import asdict, astuple, replace
from typing import get_args

from serjax.errors import ConfigError
from serjax.folder.run_folder import RunFolder
from serjax.study.trainer import Request
from serjax.train.parallel import Stacking
from serjax.train.plan import BATCHED, Plan, call_epochs, faster_stacking, fitting_runs
from serjax.train.processes import exchange

MEASURED_FROM = 500_000  # steps of all runs of a stage: fewer are done before it would pay
Plans = dict[Hashable, Plan]


def settle(request: Request, folder: RunFolder, plans: Plans, say: Callable[[str], None]) -> Request:
    """Return the request with stacking, stack size and length of calls of its plan; flags that were given stay.

    The plan is that of the folder, else the one that `plans` holds for the same program, else found now and kept in
    both: a command that goes on cuts its stacks as before, however much memory is free by then. `say` tells the user
    of what takes long.

    Raises:
      ConfigError: the stage was begun in stacks of another size than is asked for now.
    """
    own, program = request.trainer, request.program
    kept = _agreed(_kept(request, folder, say))
    if kept is not None and own.stack_size not in (None, kept.stack_size):
        raise ConfigError(
            f"--stack-size {own.stack_size}: the stage {request.name} of {folder.path} was begun in stacks of "
            f"{kept.stack_size}, and its checkpoints are those of such stacks. Leave the flag out to go on, or begin "
            "anew by another --out."
        )
    plan = kept or plans.get(program) or _found(request, say)
    stacking = plan.stacking if own.stacking == "auto" else own.layout.stacking
    plan = plans[program] = replace(plan, stacking=stacking, stack_size=own.stack_size or plan.stack_size)
    folder.keep_plan(request.name, asdict(plan))
    return replace(request, trainer=own.planned(plan))


def _kept(request: Request, folder: RunFolder, say: Callable[[str], None]) -> Plan | None:
    """Return what the folder says of the stage, None for what cannot be a plan."""
    kept = folder.kept_plan(request.name)
    plan = None if kept is None else plan_of(kept, request.schedule.epochs_per_call)
    if kept is not None and plan is None:
        say(f"{folder.path}: {kept} is no plan of the stage {request.name}, which is planned anew.")
    return plan


def plan_of(kept: dict, epochs_per_call: int) -> Plan | None:
    """Return the plan that a run folder keeps, None for what is none; older ones do not say the epochs of a call."""
    stacking, epochs = kept.get("stacking"), kept.get("epochs_per_call", epochs_per_call)
    if stacking not in get_args(Stacking) or not _counts(kept.get("stack_size")) or not _counts(epochs):
        return None
    return Plan(stacking, kept["stack_size"], epochs)  # type: ignore[arg-type]


def _counts(value: object) -> bool:
    return type(value) is int and value > 0


def _agreed(plan: Plan | None) -> Plan | None:
    """Return the plan that the first process has."""
    stacking, stack_size, epochs = exchange(*("", 0, 0) if plan is None else astuple(plan))[0]
    return Plan(stacking, int(stack_size), int(epochs)) if stack_size else None  # type: ignore[arg-type]


def _found(request: Request, say: Callable[[str], None]) -> Plan:
    """Return the plan of a stage that has none: measured where that pays, cut where memory ends."""
    own, n_shares = request.trainer, request.trainer.layout.n_shares
    stacking = own.layout.stacking
    n_steps = len(request.runs) * request.epochs * request.schedule.steps
    if own.stacking == "auto" and n_steps >= MEASURED_FROM:
        say(f"{request.name}: {n_steps} steps to train. Whether runs in turn or batched are faster is measured first.")
        stacking = faster_stacking(request.sample(own.stack_size or BATCHED * n_shares), n_steps)
    one = request.sample(1).stacked(stacking)
    epochs = call_epochs(one)
    if own.stack_size is not None:
        return Plan(stacking, own.stack_size, epochs)
    found = _agreed(Plan(stacking, fitting_runs(one, epochs), epochs))
    assert found is not None
    return found
