"""What a result must name to be run again: command, versions, machine, git commit."""

import contextlib
import os
import platform
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import serjax

PACKAGE = Path(serjax.__file__).parent
PACKAGES = ("serjax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy", "soundfile", "soxr")
OPTIONAL = ("scikit-learn", "xgboost-cpu", "xgboost", "lightgbm", "optuna")


def provenance() -> dict[str, object]:
    """Return what a result must name to be run again: command, versions, machine, git commit."""
    command = shlex.join([*program(), *sys.argv[1:]])
    return {
        "command": command,
        "versions": versions(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "git": _git_commit(),
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that are installed."""
    found = {"python": platform.python_version()} | {name: metadata.version(name) for name in PACKAGES}
    for name in OPTIONAL:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def program() -> list[str]:
    """Return how the program was called: a module by name, a script by its place in the working folder."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None:
        return ["python", "-m", spec.name.removesuffix(".__main__")]
    script = Path(sys.argv[0]).resolve()
    return ["python", script.relative_to(Path.cwd()).as_posix() if script.is_relative_to(Path.cwd()) else script.name]


def _git_commit() -> str | None:
    """Return the commit of the source tree that runs, '-dirty' where it was changed; None outside a checkout.

    Results that a study has written into the checkout are no change of the source.
    """
    if _git("rev-parse", "--show-prefix") != f"{PACKAGE.name}/":  # installed below somebody else's repository
        return None
    commit = _git("rev-parse", "--short=12", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)experiments/results")
    return f"{commit}-dirty" if commit and changed else commit


def _git(*arguments: str) -> str | None:
    """Return what git prints about the source tree, None where it fails."""
    command = ("git", "-C", str(PACKAGE), *arguments)
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
