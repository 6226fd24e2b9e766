"""From flags to devices: joins the processes, makes the devices and says how runs lie on them."""

from serjax.experiments.config import Machine
from serjax.experiments.trainer import stacking
from serjax.train.parallel import Layout, request_devices
from serjax.train.processes import join_processes, watch_processes


def lay_out(machine: Machine) -> Layout:
    """Return the layout that the flags ask for; must come before anything else that JAX computes.

    Raises:
      ProcessesError: other processes cannot be joined as the flags say.
      DeviceError: fewer devices than asked for.
    """
    join_processes(machine.coordinator, machine.num_processes, machine.process_id)
    devices = tuple(request_devices(machine.devices))
    watch_processes()
    return Layout(devices, machine.shard, stacking(machine))
