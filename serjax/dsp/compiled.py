"""Public functions compile themselves: one decorator for all of them, and a batch's way through the cache.

A call with arrays runs one compiled program: the arrays are its input, all else is fixed in it. Each new setting and
each new shape is compiled once. Inside a user's `jit`, `vmap`, `grad` or `export` the function is traced as it stands.
Errors come from the function itself, which looks at its arguments while it is traced.
"""

import inspect
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from serjax.dsp.parameters import Arguments, ParameterError, Result, array_kinds, plain, plain_arguments

# Clips that stay in the processor's cache.
BLOCK = 8
# Clips of a block that are computed together; XLA's CPU threads take such groups side by side.
GROUP = 2
# What a program takes as it is. Whole numbers of 64 bits would be cut to 32 before the function sees them.
_TAKEN = {
    *map(np.dtype, (bool, np.int8, np.int16, np.int32, np.uint8, np.uint16, np.uint32)),
    *map(np.dtype, (np.float16, np.float32, np.float64, np.complex64, np.complex128)),
}


@dataclass(frozen=True)
class _Call:
    """The arguments of one call, apart."""

    arrays: dict[str, Any]
    fixed: tuple[tuple[str, Any, str], ...]
    """Name, value and text of all else. 1, 1.0 and True are equal, but a function may take one and refuse another."""


def compiled(function: Callable[Arguments, Result], known: tuple[str, ...] = ()) -> Callable[Arguments, Result]:
    """Decorate a public function: it compiles itself, and takes a batch of clips block by block on a CPU.

    Numbers and strings of NumPy become Python's. The annotations tell which parameters hold arrays, and which of these
    a batch: `"*batch N"` has one axis behind those of the batch. Lists of numbers, whole numbers of 64 bits, and calls
    without any array are not compiled.

    Args:
      function: its result is an array, or several, each with the axes of the batch in front.
      known: parameters that hold arrays whose values must be known; calls with them are not compiled.
    """
    signature = inspect.signature(function)
    kinds = {name: array_kinds(one.annotation) for name, one in signature.parameters.items()}
    axes = {name: _clip_axes(of_name[0].dim_str) for name, of_name in kinds.items() if of_name and name not in known}

    def program(arrays: dict[str, Any], fixed: tuple[tuple[str, Any, str], ...], lead: tuple[int, ...]) -> Any:
        whole: Callable[..., Any] = partial(function, **{name: value for name, value, _ in fixed})
        if math.prod(lead) < 2:
            return whole(**arrays)
        clips = {name: array for name, array in arrays.items() if lead == _lead_of(array, axes[name])}
        return _over_batch(lambda block: whole(**{**arrays, **block}), clips, lead)

    program.__name__ = function.__name__  # as profiles show it
    run = jax.jit(program, static_argnames=("fixed", "lead"))

    @plain_arguments
    @wraps(function)
    def called(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        call = _apart(signature, axes, args, kwargs)
        if call is not None:
            with suppress(ParameterError):  # raised once more below: of what came, without what JAX adds to it
                return run(call.arrays, fixed=call.fixed, lead=_lead(call.arrays, axes))
        return function(*args, **kwargs)

    return called


def _clip_axes(dimensions: str) -> int | None:
    """Count the axes of one clip in an annotation; `None` where it names no batch."""
    batch, *clip = dimensions.split() or [""]
    return len(clip) if batch == "*batch" else None


def _apart(
    signature: inspect.Signature, axes: dict[str, int | None], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> _Call | None:
    """Tell arrays from what is fixed; `None` where the function has to be called as it is."""
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:
        return None  # the function names itself in the error
    bound.apply_defaults()
    given = bound.arguments
    taken = {name: value for name, value in given.items() if name in axes and _is_taken(value)}
    # A number beside arrays is fixed; alone, as in hz_to_mel(440.0), it stands for one.
    arrays = {name: value for name, value in taken.items() if isinstance(value, jax.Array) or np.ndim(value)} or taken
    others = {name: plain(value) for name, value in given.items() if name not in arrays}
    if not arrays or any(isinstance(value, jax.core.Tracer) for value in given.values()):
        return None
    try:
        hash(tuple(others.values()))
    except TypeError:
        return None
    return _Call(arrays, tuple((name, value, repr(value)) for name, value in others.items()))


def _is_taken(value: object) -> bool:
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype in _TAKEN
    return isinstance(value, jax.Array | float)


def _lead(arrays: dict[str, Any], axes: dict[str, int | None]) -> tuple[int, ...]:
    """Give the leading axes of a batch that goes block by block; `()` for one clip, and for a batch taken at once."""
    devices = {one for array in arrays.values() if isinstance(array, jax.Array) for one in array.devices()}
    # Blocks serve the caches of a CPU; accelerators take the whole batch, and so do several devices.
    if {one.platform for one in devices or jax.devices()[:1]} != {"cpu"} or len(devices) > 1:
        return ()
    if any(axes[name] is None and np.ndim(array) > 1 for name, array in arrays.items()):
        return ()  # it may vary from clip to clip
    leads = {_lead_of(array, axes[name]) for name, array in arrays.items()} - {()}
    return leads.pop() if len(leads) == 1 else ()  # of several the function may complain


def _lead_of(array: Any, n_axes: int | None) -> tuple[int, ...]:
    return () if n_axes is None else np.shape(array)[: max(0, np.ndim(array) - n_axes)]


def _over_batch(function: Callable[[dict[str, Any]], Any], clips: dict[str, Any], lead: tuple[int, ...]) -> Any:
    n_clips = math.prod(lead)
    rows = {name: jnp.reshape(array, (n_clips, *np.shape(array)[len(lead) :])) for name, array in clips.items()}
    n_blocks = -(-n_clips // BLOCK)
    made = map_blocks(function, rows, -(-n_clips // n_blocks))  # of equal size: little is computed in vain
    return jax.tree.map(lambda array: array.reshape(*lead, *array.shape[1:]), made)


def map_blocks(function: Callable[[Any], Any], clips: Any, block: int) -> Any:
    """Apply a function to `block` clips at a time, in groups; zeros fill the last block: one program serves all."""
    n_clips = jax.tree.leaves(clips)[0].shape[0]  # or a symbol, where a program is exported for any batch
    n_blocks = -(-n_clips // block)
    short = n_blocks * block - n_clips

    def cut(array: jax.Array) -> jax.Array:
        filled = jnp.pad(array, ((0, short), *((0, 0),) * (array.ndim - 1)))
        return filled.reshape(n_blocks, block, *array.shape[1:])

    def side_by_side(clips_of_block: Any) -> Any:
        groups = [slice(first, first + GROUP) for first in range(0, block, GROUP)]
        made = [function(jax.tree.map(lambda array, at=group: array[at], clips_of_block)) for group in groups]
        return jax.tree.map(lambda *parts: jnp.concatenate(parts), *made)

    blocks = jax.lax.map(side_by_side, jax.tree.map(cut, clips))
    return jax.tree.map(lambda one: one.reshape(n_blocks * block, *one.shape[2:])[:n_clips], blocks)
