"""The world every test runs in: eight virtual CPU devices, strict shapes, no silent broadcasting, no user's cache."""

import os
import tempfile

import jax
import matplotlib as mpl
import pytest
from hypothesis import settings

os.environ["SERJAX_CACHE"] = tempfile.mkdtemp(prefix="serjax-tests-")
mpl.use("Agg")
jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_compilation_cache_dir", tempfile.mkdtemp(prefix="serjax-tests-"))
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)
assert len(jax.devices()) == 8  # starts the backend, so that no test changes how many there are

# A few examples of each drawn test, the same in every run; `--hypothesis-profile=thorough` draws new ones, many.
settings.register_profile("quick", max_examples=5, deadline=None, derandomize=True)
settings.register_profile("thorough", max_examples=120, deadline=None)
settings.load_profile("quick")


def pytest_configure(config: pytest.Config) -> None:
    """Compile without the dearer passes, of which most of the time would be spent; thorough tests have them."""
    jax.config.update("jax_disable_most_optimizations", config.getoption("--hypothesis-profile") != "thorough")
