"""Workaround for a bug of jaxlib: wrong sums on CPU (jax-ml/jax issue 39103).

jaxlib 0.10.2 and 0.11 hand sums on CPU to a new library, which may add up the wrong elements without an error. 0.12
adds up the right ones.
"""

import importlib.metadata
import os
import re

FLAG = "--xla_cpu_experimental_ynn_fusion_type"
WITHOUT_SUMS = f"{FLAG}=-reduce"
FIRST_WRONG, FIRST_RIGHT = (0, 10, 2), (0, 12)


def leave_out_wrong_sums() -> None:
    """Set `XLA_FLAGS` so that sums are computed by XLA itself where jaxlib's new ones are wrong.

    It is read once, when JAX first computes: `import serjax` comes before that. A choice of the user's stays, and so
    does the name of a file of flags.
    """
    os.environ["XLA_FLAGS"] = flags(importlib.metadata.version("jaxlib"), os.environ.get("XLA_FLAGS", ""))


def flags(jaxlib: str, given: str) -> str:
    """Return the flags given, and the one that a release of jaxlib needs.

    >>> flags("0.10.2", "--xla_cpu_enable_fast_math=false")
    '--xla_cpu_enable_fast_math=false --xla_cpu_experimental_ynn_fusion_type=-reduce'
    """
    release = tuple(int(number) for number in re.findall(r"\d+", jaxlib)[:3])
    in_file = given.strip() != "" and not given.strip().startswith("-")
    if FLAG in given or in_file or not FIRST_WRONG <= release < FIRST_RIGHT:
        return given
    return f"{given} {WITHOUT_SUMS}".lstrip()
