"""Weights from a file into a model's variables: archives in this library's own names, and torchvision's VGGs."""

import io
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import chex
import jax
import jax.numpy as jnp
import numpy as np
from numpy.lib import format as npy
from safetensors.numpy import load_file, save

from serjax.errors import SerjaxError
from serjax.files import replacing

Arrays = dict[str, np.ndarray]

T = TypeVar("T")

MOST_TIMES, SMALL_BYTES = 100, 2**24  # an archive may unpack to so many times its size, a small one to 16 MiB


class WeightsError(SerjaxError):
    """A file's weights cannot be read, or do not belong to the model."""


def load_weights(path: Path, variables: Mapping[str, chex.ArrayTree]) -> dict[str, chex.ArrayTree]:
    """Return `variables` with all weights of a file in place of the fresh ones; what the file lacks stays as it is.

    Args:
      path: `.npz` or `.safetensors`. Names are ours (`params/conv1_1/kernel`), or torchvision's `features.N.weight`
        of a plain VGG, whose own dense layers (`classifier.…`) are left out. Where the model has one input channel
        and the file three, the kernels are summed over them: what a grey picture in all three would give.
      variables: what `model.init` returned.

    Raises:
      WeightsError: another kind of file or a damaged one, names that the model lacks, other shapes, numbers that are
        not floating or not finite, or no weights at all.
    """
    arrays = _read(path)
    if any(name.startswith("features.") for name in arrays):
        arrays = _from_torchvision(path, arrays, variables["params"])
    fresh = dict(named_leaves(variables))
    unknown = sorted(set(arrays) - set(fresh))
    if unknown or not arrays:
        raise WeightsError(
            f"{path}: {unknown or 'no weights'}; expected names among {sorted(fresh)}. Rename or leave out."
        )
    placed = [_fit(path, name, arrays[name], leaf) if name in arrays else leaf for name, leaf in fresh.items()]
    return jax.tree.unflatten(jax.tree.structure(dict(variables)), placed)


def save_weights(path: Path, variables: Mapping[str, chex.ArrayTree]) -> None:
    """Write all weights to a `.safetensors` that `load_weights` and `read_weights` read."""
    arrays = {name: np.asarray(leaf, order="C") for name, leaf in named_leaves(variables)}
    with replacing(path) as file:
        file.write(save(arrays))


def read_weights(path: Path) -> dict[str, Any]:
    """Return all arrays of a file as nested dictionaries: what `save_weights` was given.

    Raises:
      WeightsError: the file is damaged, or holds numbers that are not floating.
    """
    tree: dict[str, Any] = {}
    for name, array in _read(path).items():
        *places, last = name.split("/")
        inner = tree
        for place in places:
            inner = inner.setdefault(place, {})
        inner[last] = array
    return tree


def named_leaves(variables: Mapping[str, chex.ArrayTree]) -> list[tuple[str, Any]]:
    """Return each array, or what stands for one, with its place as a path, in the tree's order.

    >>> named_leaves({"params": {"logits": {"bias": 0.0}}})
    [('params/logits/bias', 0.0)]
    """
    leaves = jax.tree_util.tree_leaves_with_path(dict(variables))
    return [(jax.tree_util.keystr(path, simple=True, separator="/"), leaf) for path, leaf in leaves]


def _read(path: Path) -> Arrays:
    read = {".npz": _read_npz, ".safetensors": _read_safetensors}.get(path.suffix)
    if read is None:
        raise WeightsError(f"{path}: weights are read from .npz or .safetensors; convert the file to one of them.")
    try:
        return read(path)
    except Exception as error:  # of damaged bytes zipfile, zlib, NumPy and safetensors raise a dozen kinds
        raise WeightsError(
            f"{path}: cannot be read as {path.suffix[1:]} ({type(error).__name__}: {error}). Give an intact file."
        ) from error


def _read_npz(path: Path) -> Arrays:
    """Read NumPy's archive; what is unpacked is what the members hold, whatever size their headers ask for."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > MOST_TIMES * path.stat().st_size + SMALL_BYTES:
            raise ValueError(f"it unpacks to more than {MOST_TIMES} times its size")
        return _named((member.filename.removesuffix(".npy"), _read_npy(archive.read(member))) for member in members)


def _read_npy(content: bytes) -> np.ndarray:
    file = io.BytesIO(content)
    version = npy.read_magic(file)
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, is_fortran, dtype = read_header(file)
    return _array(content[file.tell() :], dtype, shape, "F" if is_fortran else "C")


def _read_safetensors(path: Path) -> Arrays:
    arrays = load_file(path)
    for array in arrays.values():
        _check_floating(array.dtype)
    return arrays


def _array(content: bytes, dtype: np.dtype, shape: tuple[int, ...], order: Literal["C", "F"]) -> np.ndarray:
    """Return the numbers as an array of exactly that shape."""
    _check_floating(dtype)
    if any(type(size) is not int or size < 0 for size in shape):
        raise ValueError(f"the shape {shape}")
    return np.frombuffer(content, dtype).reshape(shape, order=order)


def _check_floating(dtype: np.dtype) -> None:
    if dtype.kind != "f":
        raise ValueError(f"numbers of type {dtype}; expected floating ones")


def _named(pairs: Iterable[tuple[str, T]]) -> dict[str, T]:
    """Return pairs as a dictionary, or raise ValueError where a name comes twice."""
    named: dict[str, T] = {}
    for name, value in pairs:
        if name in named:
            raise ValueError(f"the name {name!r} comes twice")
        named[name] = value
    return named


def _from_torchvision(path: Path, arrays: Arrays, params: chex.ArrayTree) -> Arrays:
    """Give the k-th convolution of `features` the name of the model's k-th, and its kernel the axes H W in out."""
    ours = sorted(name for name in params if re.fullmatch(r"conv\d_\d", name))
    numbers = (re.match(r"features\.(\d+)\.", name, re.ASCII) for name in arrays)
    theirs = sorted({int(found[1]) for found in numbers if found})
    kernels = [arrays.get(f"features.{n}.weight", np.zeros(0)) for n in theirs]
    unbiased = [n for n in theirs if f"features.{n}.bias" not in arrays]
    if len(theirs) != len(ours) or unbiased or any(kernel.ndim != 4 for kernel in kernels):
        raise WeightsError(
            f"{path}: {len(theirs)} layers named features.N, {len(unbiased)} without bias; expected the {len(ours)} "
            "convolutions of this model, each with one. "
            "Give the weights of torchvision's vgg16 or vgg19, not of a variant with batch norm, "
            "to a model of their --depth, of --width 1 and --no-batch-norm."
        )
    named = {f"params/{name}/kernel": kernel.transpose(2, 3, 1, 0) for name, kernel in zip(ours, kernels, strict=True)}
    biases = {f"params/{name}/bias": arrays[f"features.{n}.bias"] for name, n in zip(ours, theirs, strict=True)}
    return named | biases


def _fit(path: Path, name: str, array: np.ndarray, leaf: jax.Array | np.ndarray) -> jax.Array:
    if array.ndim == 4 and leaf.ndim == 4 and array.shape[2] == 3 and leaf.shape[2] == 1:
        array = array.sum(axis=2, keepdims=True)
    if array.shape != leaf.shape:
        raise WeightsError(
            f"{path}: {name} is {array.shape}, the model's {leaf.shape}. Give the file's own width and picture size."
        )
    with np.errstate(over="ignore"):
        array = array.astype(leaf.dtype)
    if not np.isfinite(array).all() or (name.endswith("/var") and (array < 0).any()):
        raise WeightsError(
            f"{path}: {name} holds numbers that are no weights (not finite as {leaf.dtype}, or a variance below 0). "
            "Give weights of a training that went well."
        )
    return jnp.asarray(array)
