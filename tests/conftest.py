"""The world every test runs in: eight virtual CPU devices, strict shapes, no silent broadcasting, no user's cache.

Programs are compiled without XLA's dearer passes and by its older emitters, for compiling is most of a test's time, and
kept for all tests and the processes that they start; thorough tests have what users have. All that is kept goes with
the process that started first.
"""

import atexit
import ctypes
import gc
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

if "SERJAX_TESTS" not in os.environ:  # else this is a worker of the one that made it
    os.environ["SERJAX_TESTS"] = tempfile.mkdtemp(prefix="serjax-tests-")
    atexit.register(shutil.rmtree, os.environ["SERJAX_TESTS"], ignore_errors=True)
KEPT = Path(os.environ["SERJAX_TESTS"])
KEPT.mkdir(parents=True, exist_ok=True)
COMPILED = KEPT / "compiled"
os.environ["SERJAX_CACHE"] = tempfile.mkdtemp(prefix="features-", dir=KEPT)
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(COMPILED)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.3"
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"

import jax  # noqa: E402 (reads the environment)
import matplotlib as mpl  # noqa: E402
import psutil  # noqa: E402
import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

import serjax  # noqa: E402, F401 (says what XLA is to leave out)

mpl.use("Agg")
jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)
assert jax.config.jax_compilation_cache_dir == str(COMPILED)  # nothing has imported jax before

# A few examples of each drawn test, the same in every run; `--hypothesis-profile=thorough` draws new ones, many.
settings.register_profile("quick", max_examples=4, deadline=None, derandomize=True)
settings.register_profile("thorough", max_examples=120, deadline=None)
settings.load_profile("quick")

OLDER_EMITTERS = " --xla_cpu_use_fusion_emitters=false"  # compile in half the time
MOST_BYTES = 1_200_000_000  # of a process between two tests; a test may need half as much again
STEP_BYTES = 200_000_000


def pytest_configure(config: pytest.Config) -> None:
    """Compile as this run's profile wants it; start the backend, so that no test changes how many devices there are."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a script's background: tests send it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    thorough = config.getoption("--hypothesis-profile") == "thorough"
    jax.config.update("jax_disable_most_optimizations", not thorough)
    flags = os.environ.get("XLA_FLAGS", "").replace(OLDER_EMITTERS, "")
    has_older = jax.__version_info__ < (0, 11)  # later releases die of the flag
    os.environ["XLA_FLAGS"] = flags if thorough or not has_older else flags + OLDER_EMITTERS
    assert len(jax.devices()) == 8


class Room:
    """Lets compiled programs go where a process has become large: it holds those of all its tests else."""

    def __init__(self) -> None:
        self.process, self.most_bytes = psutil.Process(), MOST_BYTES

    def make(self) -> None:
        """Forget what was compiled and give memory back; where little comes back, wait until there is more."""
        if self.process.memory_info().rss <= self.most_bytes:
            return
        jax.clear_caches()
        gc.collect()
        if sys.platform == "linux":
            ctypes.CDLL(None).malloc_trim(0)
        self.most_bytes = max(MOST_BYTES, self.process.memory_info().rss + STEP_BYTES)


ROOM = Room()


def pytest_runtest_logfinish() -> None:
    """Make room after each test."""
    ROOM.make()


def leave_blank(folder: Path, pictures: Mapping[str, Callable[[Path], None]]) -> dict[str, str]:
    """Leave an empty file for each picture that a finished run would draw: where none is looked at."""
    folder.mkdir(exist_ok=True)
    for name in pictures:
        (folder / name).touch()
    return {}


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no figure of a run, which takes a third of the time of a small study."""
    monkeypatch.setattr("serjax.folder.manifest.draw", leave_blank)


@pytest.fixture
def with_figures() -> None:
    """Draw figures also in a folder of tests that mostly go without."""
