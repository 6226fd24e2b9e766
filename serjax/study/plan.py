"""How the models of a study are stacked: as flags say, else as `config.json` says, else by constants."""

from dataclasses import asdict, dataclass
from typing import get_args

from serjax.errors import ConfigError
from serjax.folder.run_folder import RunFolder
from serjax.study.flags import Machine, RunsPerDevice
from serjax.train.parallel import Layout, Stacking
from serjax.train.processes import exchange

# More leave the caches: 240 dense networks on 2 cores took 46, 58 and 80 s by 8, 24 and 120 per device, 48 s by map.
BATCHED_ON_CPU = 8


@dataclass(frozen=True)
class Plan:
    """How the runs of one device are stacked, and how many are trained at a time on all devices."""

    stacking: Stacking
    stack_size: int


def make_plan(machine: Machine, layout: Layout, most: RunsPerDevice, folder: RunFolder) -> Plan:
    """Return the plan of a study and keep it in `config.json`.

    A study that goes on cuts its stacks as before: by vmap that may change last digits, and checkpoints belong to
    stacks.

    Args:
      machine: flags; those that are given are followed.
      layout: the devices.
      most: runs per device where neither flag nor folder says anything.
      folder: the study's, claimed already.

    Raises:
      ConfigError: the study was begun in stacks of another size than is asked for now.
    """
    kept = _kept(folder)
    if kept and machine.stack_size not in (None, kept.stack_size) and any(folder.path.glob("checkpoints/*")):
        raise ConfigError(
            f"--stack-size {machine.stack_size}: {folder.path} was begun in stacks of {kept.stack_size}, and its "
            "checkpoints are those of such stacks. Leave the flag out to go on, or begin anew by another --out."
        )
    platform = layout.devices[0].platform
    stacking = kept.stacking if kept else usual_stacking(platform)
    stacking = stacking if machine.stacking == "auto" else machine.stacking
    size = kept.stack_size if kept else layout.n_shares * runs_per_device(stacking, platform, most)
    plan = Plan(stacking, machine.stack_size or size)
    folder.keep_plan(asdict(plan))
    return plan


def usual_stacking(platform: str) -> Stacking:
    """Return how the runs of one device are stacked unless asked otherwise: one after another on CPU, else batched."""
    return "map" if platform == "cpu" else "vmap"


def runs_per_device(stacking: Stacking, platform: str, most: RunsPerDevice) -> int:
    """Return how many runs a device is given at a time."""
    if stacking == "map":
        return most.map
    return min(most.vmap, BATCHED_ON_CPU) if platform == "cpu" else most.vmap


def _kept(folder: RunFolder) -> Plan | None:
    """Return the plan that process 0 finds in `config.json`, None where there is none."""
    kept = folder.plan or {}
    stacking, size = kept.get("stacking"), kept.get("stack_size")
    is_plan = stacking in get_args(Stacking) and type(size) is int and size > 0
    stacking, size = exchange(*(stacking, size) if is_plan else ("", 0))[0]
    return Plan(stacking, int(size)) if size else None  # type: ignore[arg-type]
