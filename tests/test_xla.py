"""Programs are right where a release of jaxlib would compute sums wrongly, and a process that cannot be is refused."""

import subprocess
import sys

import pytest

from serjax import xla
from serjax.train import parallel
from serjax.train.parallel import DeviceError, check_sums

USER_HAS = "--xla_cpu_experimental_ynn_fusion_type=-dot"
TRAIN = "from serjax.train import parallel; parallel.check_sums()"
COMPUTE = "import jax; jax.numpy.zeros(1).block_until_ready()"


@pytest.mark.parametrize(
    ("jaxlib", "given", "expected"),
    [
        ("0.10.1", "", ""),
        ("0.10.2", "", xla.WITHOUT_SUMS),
        ("0.11.1", "--a=1", f"--a=1 {xla.WITHOUT_SUMS}"),
        ("0.10.2", USER_HAS, USER_HAS),
        ("0.12.0.1", "--a=1", "--a=1"),
        ("0.10.2+local", "", xla.WITHOUT_SUMS),
        ("0.10.2", "/etc/xla_flags", "/etc/xla_flags"),
        ("0.12.0rc1", "", ""),
    ],
)
def test_the_releases_that_are_wrong_get_a_flag(jaxlib, given, expected):
    assert xla.flags(jaxlib, given) == expected


def run(code: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "", "JAX_PLATFORMS": "cpu"}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)


def test_a_process_that_imports_serjax_first_computes_right():
    assert run(f"import serjax; {COMPUTE}; {TRAIN}").returncode == 0


def test_a_process_that_computed_before_is_right_on_this_processor_or_says_what_to_do():
    late = run(f"{COMPUTE}; {TRAIN}")
    assert late.returncode == 0 or f"Add {xla.WITHOUT_SUMS} to XLA_FLAGS" in late.stderr


def test_wrong_sums_are_refused(monkeypatch):
    monkeypatch.setattr(parallel.jnp, "sum", lambda x: 2 * x[0])
    with pytest.raises(DeviceError, match="computes sums wrongly"):
        check_sums()
