"""Speech emotion recognition in JAX: signal path, corpora, models, stacks of runs, honest evaluation.

The sub-packages load on first use (PEP 562), so that `import serjax.dsp` costs no more than jax itself.
"""

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from serjax import xla

if TYPE_CHECKING:
    from pathlib import Path

    from serjax import data, dsp, evaluate, models, train
    from serjax.bundle.bundle import Bundle

__version__ = "0.1.0"
__all__ = ["__version__", "data", "dsp", "evaluate", "load_bundle", "models", "train"]
load_bundle: "Callable[[str | Path], Bundle]"  # of serjax.bundle.bundle


xla.leave_out_wrong_sums()


def __getattr__(name: str) -> Any:
    if name == "load_bundle":
        return importlib.import_module("serjax.bundle.bundle").load_bundle
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {__all__[1:]}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
