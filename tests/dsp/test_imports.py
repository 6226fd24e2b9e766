"""`serjax` is lazy, and its signal path needs jax, numpy and jaxtyping only."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import serjax

ROOT = Path(__file__).parents[2]


def new_modules(statement: str, before: str) -> set[str]:
    """Top-level modules outside the standard library that a statement loads in a fresh interpreter."""
    code = f"import sys; {before}; seen = set(sys.modules); {statement}; print(*(set(sys.modules) - seen))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return {name.partition(".")[0] for name in result.stdout.split()} - sys.stdlib_module_names


def test_dsp_loads_jax_numpy_jaxtyping_only():
    assert new_modules("import serjax.dsp", before="import jax.numpy, numpy, jaxtyping") == {"serjax"}


def test_serjax_loads_nothing_until_asked():
    assert new_modules("import serjax", before="pass") == {"serjax"}
    loaded = new_modules("import serjax; serjax.dsp.stft", before="import jax.numpy, numpy, jaxtyping")
    assert loaded == {"serjax"}


def test_subpackages_and_version():
    assert serjax.dsp.stft.__module__ == "serjax.dsp.spectral"
    assert {"data", "dsp", "evaluate", "models", "train", "__version__"} <= set(dir(serjax))
    assert serjax.__version__ == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(AttributeError, match=r"'spd'.*'dsp'"):
        serjax.spd  # noqa: B018
