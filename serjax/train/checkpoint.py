"""Checkpoints by orbax with a sha256 manifest: whole or absent, verified on load, an older one taken when damaged.

Of several processes the first writes and chooses; all read, from a file system that they share.
"""

import itertools
import json
import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import chex
import jax
import numpy as np
import orbax.checkpoint as ocp

from serjax.errors import SerjaxError
from serjax.files import UNFINISHED, digest
from serjax.train.processes import exchange, from_first, is_first

ARRAYS, PROGRESS, MANIFEST = "arrays", "progress.json", "manifest.json"
NUMBER = "number"  # a checkpoint knows its own: under the name of another, training would go on at another epoch
KEEP = 2

Json = dict[str, object]


class CheckpointError(SerjaxError):
    """A checkpoint does not belong to this run, or could not be written."""


class UnwrittenCheckpointError(CheckpointError):
    """The disk is full or takes no file: nothing that was given is wrong."""

    exit_code = 1


class DamagedCheckpointError(CheckpointError):
    """A checkpoint's files are not those that were written."""


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of one stack of runs under `folder`, one sub-folder a number.

    `fingerprint` names what the stack was made from (configuration, index stream); a checkpoint of another one is
    refused. Saving writes beside the final name, hashes every file, syncs, then renames: a kill at any moment leaves
    the older checkpoint whole.
    """

    folder: Path
    fingerprint: str

    def save(self, number: int, tree: chex.ArrayTree, progress: Json) -> None:
        """Write `tree` and `progress` as checkpoint `number`, then drop all but the newest two.

        Of several processes the first writes, and the others wait for it.

        Raises:
          UnwrittenCheckpointError: the folder cannot be written or the disk is full; older checkpoints stay whole.
        """
        if is_first():
            self._write(number, tree, progress)
        exchange()

    def _write(self, number: int, tree: chex.ArrayTree, progress: Json) -> None:
        target = self.folder / f"{number:06d}"
        unfinished = self.folder / f"{number:06d}{UNFINISHED}"
        try:
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            _check_room(unfinished, sum(leaf.nbytes for leaf in jax.tree.leaves(tree)))
            _save_arrays(unfinished / ARRAYS, tree)
            content = {"fingerprint": self.fingerprint, "shapes": _describe(tree), NUMBER: number, **progress}
            (unfinished / PROGRESS).write_text(json.dumps(content))
            (unfinished / MANIFEST).write_text(json.dumps(_hash_files(unfinished), indent=0))
            _sync(unfinished / MANIFEST)
            shutil.rmtree(target, ignore_errors=True)
            os.replace(unfinished, target)
            _sync(self.folder)
        except (OSError, ValueError, RuntimeError) as error:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise UnwrittenCheckpointError(
                f"The checkpoint {target} could not be written ({type(error).__name__}: {error}). Older checkpoints "
                f"are whole: make room or allow writing there, then give the same command again."
            ) from error
        for old in self._numbers()[:-KEEP]:
            shutil.rmtree(self.folder / f"{old:06d}", ignore_errors=True)

    def load(self, like: chex.ArrayTree) -> tuple[int, chex.ArrayTree, Json] | None:
        """Return number, tree and progress of the newest undamaged checkpoint, or None where there is none.

        `like` is a tree of the same structure and shapes. Damaged checkpoints are renamed, not deleted.

        Raises:
          CheckpointError: the newest whole checkpoint was written by a run of another fingerprint or holds arrays of
            other names, shapes or types (orbax would return or cast them without a word); or a damaged one cannot
            be renamed; or another process does not see the checkpoint that the first has read.
        """
        found = self._load_newest(like) if is_first() else None
        number = from_first(found[0] if found else -1)
        return found if is_first() or number < 0 else self._load_chosen(number, like)

    def _load_chosen(self, number: int, like: chex.ArrayTree) -> tuple[int, chex.ArrayTree, Json]:
        """Return the checkpoint that process 0 has found whole."""
        path = self.folder / f"{number:06d}"
        try:
            progress = _verify(path)
        except DamagedCheckpointError as error:
            raise CheckpointError(
                f"Process 0 has read {path}, here it is not whole ({error}): --out must name a folder that all "
                f"processes share."
            ) from error
        return number, _load_arrays(path / ARRAYS, like), progress

    def _load_newest(self, like: chex.ArrayTree) -> tuple[int, chex.ArrayTree, Json] | None:
        for number in reversed(self._numbers()):
            path = self.folder / f"{number:06d}"
            try:
                progress = _verify(path)
                self._check_origin(path, progress, like)
                return number, _load_arrays(path / ARRAYS, like), progress
            except DamagedCheckpointError as error:
                logging.getLogger(__name__).warning("%s Going back to an older one.", error)
                self._set_aside(path)
        return None

    def _check_origin(self, path: Path, progress: Json, like: chex.ArrayTree) -> None:
        """Raise CheckpointError unless it was written of such arrays under this fingerprint; drop what says so."""
        if progress.pop("fingerprint", None) != self.fingerprint:
            raise CheckpointError(
                f"{path} belongs to another configuration, corpus or index stream: choose another --out, "
                f"or remove {self.folder} to train anew."
            )
        if (difference := _difference(progress.pop("shapes", None), _describe(like))) is not None:
            raise CheckpointError(
                f"{path} holds another model: {difference}. It may come from another version of serjax: "
                f"choose another --out, or remove {self.folder} to train anew."
            )

    def _numbers(self) -> list[int]:
        names = {path.name for path in self.folder.glob("[0-9]*") if path.name.isdecimal() and path.name.isascii()}
        return sorted(int(name) for name in names if name == f"{int(name):06d}")

    def _set_aside(self, path: Path) -> None:
        names = (path.with_name(f"{path.name}.damaged-{i}") for i in itertools.count())
        try:
            os.replace(path, next(name for name in names if not name.exists()))
        except OSError as error:
            raise CheckpointError(f"{path} is damaged and cannot be renamed ({error}): allow writing there.") from error


def _check_room(folder: Path, n_bytes: int) -> None:
    """Raise OSError where the disk, a quota or a limit leaves no room: orbax's threads would print a traceback each."""
    probe = folder / "room"
    with probe.open("wb") as file:
        if n_bytes and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, n_bytes)
    probe.unlink()


def _save_arrays(path: Path, tree: chex.ArrayTree) -> None:
    logging.getLogger("absl").setLevel(logging.ERROR)  # orbax warns of a merge that one process does not need
    with _checkpointer() as checkpointer:
        checkpointer.save(path.absolute(), tree)


def _load_arrays(path: Path, like: chex.ArrayTree) -> chex.ArrayTree:
    template = jax.tree.map(lambda a: np.empty(a.shape, a.dtype), like)
    try:
        with _checkpointer() as checkpointer:
            tree = checkpointer.restore(path.absolute(), template)
    except Exception as error:  # whatever orbax meets in files that another program wrote
        raise DamagedCheckpointError(f"{path} cannot be read ({type(error).__name__}).") from error
    if (difference := _difference(_describe(tree), _describe(like))) is not None:
        raise DamagedCheckpointError(f"{path} is damaged: {difference}.")
    return tree


def _checkpointer() -> ocp.StandardCheckpointer:
    """Return orbax's checkpointer for this process alone: it would wait for the others to save and load with it."""
    if jax.process_count() == 1:
        return ocp.StandardCheckpointer()
    rank = jax.process_index()
    return ocp.StandardCheckpointer(
        multiprocessing_options=ocp.options.MultiprocessingOptions(
            primary_host=rank, active_processes={rank}, barrier_sync_key_prefix=f"process-{rank}"
        )
    )


def _describe(tree: chex.ArrayTree) -> dict[str, str]:
    """Return type and shape of each array by its place in the tree."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path): f"{leaf.dtype}{list(leaf.shape)}" for path, leaf in leaves}


def _difference(found: object, expected: dict[str, str]) -> str | None:
    """Return in words the first array in which a checkpoint differs from what is expected."""
    there = found if isinstance(found, dict) else {}
    for name in sorted({*there, *expected}):
        if there.get(name) != expected.get(name):
            return f"{name} is {there.get(name, 'missing')}, expected {expected.get(name, 'none')}"
    return None


def _hash_files(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): _hash_and_sync(path) for path in _files(folder)}


def _verify(folder: Path) -> Json:
    """Return the progress of a checkpoint whose files are all as the manifest says."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        found = {path.relative_to(folder).as_posix() for path in _files(folder)} - {MANIFEST}
        if found != set(manifest):
            raise DamagedCheckpointError(f"{folder} is damaged: files are missing or new.")
        for name, expected in manifest.items():
            if digest(folder / name) != expected:
                raise DamagedCheckpointError(f"{folder} is damaged: {name} is not what was written.")
        progress = dict(json.loads((folder / PROGRESS).read_text()))
        if progress.pop(NUMBER, int(folder.name)) != int(folder.name):  # older versions did not write it
            raise DamagedCheckpointError(f"{folder} is damaged: it was written under another number.")
        return progress
    except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
        if isinstance(error, DamagedCheckpointError):
            raise
        raise DamagedCheckpointError(f"{folder} is damaged: {error}.") from error


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _hash_and_sync(path: Path) -> str:
    _sync(path)
    return digest(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
