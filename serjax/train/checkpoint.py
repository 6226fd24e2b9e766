"""Checkpoints by orbax's manager with a sha256 manifest: verified on load, an older one taken when damaged.

Of several processes the first writes and chooses; all read, from a file system that they share.
"""

import itertools
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import chex
import jax
import numpy as np
import orbax.checkpoint as ocp

from serjax.errors import SerjaxError
from serjax.files import digest, replacing
from serjax.train.processes import exchange, from_first, is_first

MANIFEST = "manifest.json"
NUMBER = "number"  # a checkpoint knows its own: under the name of another, training would go on at another epoch

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
    """The checkpoints of one stack of runs under `folder`, one sub-folder per number.

    `fingerprint` names what the stack was made from (configuration, index stream); a checkpoint of another one is
    refused. The manifest is written last: a kill at any moment leaves the older checkpoint whole, and one without a
    manifest counts as damaged.
    """

    folder: Path
    fingerprint: str

    def save(self, number: int, tree: chex.ArrayTree, progress: Json) -> None:
        """Write `tree` and `progress` as checkpoint `number`; all but the newest two are dropped.

        Of several processes the first writes, and the others wait for it.

        Raises:
          UnwrittenCheckpointError: the folder cannot be written or the disk is full; older checkpoints stay whole.
        """
        if is_first():
            self._write(number, tree, progress)
        exchange()

    def _write(self, number: int, tree: chex.ArrayTree, progress: Json) -> None:
        path = self.path_of(number)
        content = {"fingerprint": self.fingerprint, "shapes": _describe(tree), NUMBER: number, **progress}
        items = ocp.args.Composite(arrays=ocp.args.StandardSave(tree), progress=ocp.args.JsonSave(content))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _check_room(self.folder, sum(leaf.nbytes for leaf in jax.tree.leaves(tree)))
            with self._manager() as manager:
                if number in manager.all_steps():
                    manager.delete(number)
                manager.save(number, args=items, force=True)
            _write_manifest(path)
        except (OSError, ValueError, RuntimeError) as error:
            raise UnwrittenCheckpointError(
                f"The checkpoint {path} could not be written ({type(error).__name__}: {error}). Older checkpoints "
                f"are whole: make room or allow writing there, then give the same command again."
            ) from error

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
        try:
            return number, *self._restore(number, like)
        except DamagedCheckpointError as error:
            raise CheckpointError(
                f"Process 0 has read {self.path_of(number)}, here it is not whole ({error}): --out must name a folder "
                "that all processes share."
            ) from error

    def _load_newest(self, like: chex.ArrayTree) -> tuple[int, chex.ArrayTree, Json] | None:
        for number in self._numbers():
            try:
                return number, *self._restore(number, like)
            except DamagedCheckpointError as error:
                logging.getLogger(__name__).warning("%s Going back to an older one.", error)
                self._set_aside(self.path_of(number))
        return None

    def _numbers(self) -> list[int]:
        """Return the numbers of what is there, the newest first."""
        if not self.folder.is_dir():
            return []
        with self._manager() as manager:
            return sorted(manager.all_steps(), reverse=True)

    def _restore(self, number: int, like: chex.ArrayTree) -> tuple[chex.ArrayTree, Json]:
        """Return arrays and progress of a checkpoint whose files are those that were written.

        Raises:
          CheckpointError: it is of another training, or of another model.
          DamagedCheckpointError: it is not what was written, or not of this number.
        """
        path = self.path_of(number)
        _verify(path)
        progress = self._read(number, progress=ocp.args.JsonRestore()).progress
        if not isinstance(progress, dict) or progress.pop(NUMBER, None) != number:
            raise DamagedCheckpointError(f"{path} is damaged: it was written under another number.")
        self._check_origin(path, progress, like)
        template = jax.tree.map(lambda a: np.empty(a.shape, a.dtype), like)
        tree = self._read(number, arrays=ocp.args.StandardRestore(template)).arrays
        if (difference := _difference(_describe(tree), _describe(like))) is not None:
            raise DamagedCheckpointError(f"{path} is damaged: {difference}.")
        return tree, progress

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

    def _read(self, number: int, **items: ocp.args.CheckpointArgs) -> Any:
        try:
            with self._manager() as manager:
                return manager.restore(number, args=ocp.args.Composite(**items))
        except Exception as error:  # whatever orbax meets in files that another program wrote
            raise DamagedCheckpointError(f"{self.path_of(number)} cannot be read ({type(error).__name__}).") from error

    def _manager(self) -> ocp.CheckpointManager:
        """Return orbax's manager for this process alone: it would wait for the others to save and load with it."""
        logging.getLogger("absl").setLevel(logging.ERROR)  # orbax warns of a merge that one process does not need
        rank = jax.process_index()
        options = ocp.CheckpointManagerOptions(
            max_to_keep=2,
            enable_async_checkpointing=False,
            step_format_fixed_length=6,
            create=False,
            cleanup_tmp_directories=True,
            multiprocessing_options=ocp.options.MultiprocessingOptions(
                primary_host=rank, active_processes={rank}, barrier_sync_key_prefix=f"process-{rank}"
            ),
        )
        return ocp.CheckpointManager(self.folder.absolute(), options=options)

    def path_of(self, number: int) -> Path:
        """Return where the checkpoint of a number lies."""
        return self.folder / f"{number:06d}"

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


def _write_manifest(folder: Path) -> None:
    """Sync all files of a checkpoint and write their hashes beside them."""
    files = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    for path in files.values():
        _sync(path)
    with replacing(folder / MANIFEST) as file:
        file.write(json.dumps({name: digest(path) for name, path in files.items()}, indent=0).encode())
    _sync(folder)


def _verify(folder: Path) -> None:
    """Raise DamagedCheckpointError unless all files of a checkpoint are as the manifest says."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        found = {path.relative_to(folder).as_posix(): path for path in _files(folder) if path.name != MANIFEST}
        if {name: digest(path) for name, path in found.items()} != manifest:
            raise DamagedCheckpointError(f"{folder} is damaged: its files are not those that were written.")
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedCheckpointError(f"{folder} is damaged: {error}.") from error


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
