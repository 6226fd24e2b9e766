"""From a finished run folder back to the study that wrote it."""

import dataclasses
import importlib
import importlib.util
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from serjax.bundle.parts import BundleError
from serjax.folder.finished import FinishedRun, read_result, read_run
from serjax.folder.manifest import CONFIG, METRICS
from serjax.study.density.study import DensityStudy
from serjax.study.generative.study import GenerativeStudy
from serjax.study.supervised import SupervisedStudy

Exportable = GenerativeStudy | DensityStudy | SupervisedStudy


@dataclass(frozen=True, eq=False)
class ExportedRun:
    """A finished run: its study as its flags say, its predictions, `metrics.json` and `config.json`."""

    study: Exportable
    finished: FinishedRun
    metrics: dict[str, Any]
    config: dict[str, Any]


def read_exported(path: Path, root: Path | None) -> ExportedRun:
    """Read a run folder and build its study again; clips are read from `root` if it is given.

    Raises:
      ConfigError: the folder is no finished run, or was changed.
      BundleError: its kind of system cannot be exported, or its flags are of another version.
    """
    finished, metrics, config = read_run(path), read_result(path / METRICS), read_result(path / CONFIG)
    name = f"serjax.experiments.{finished.experiment}"
    if not finished.experiment.isidentifier() or importlib.util.find_spec(name) is None:
        raise BundleError(f"{path} is a run of '{finished.experiment}', which is no experiment of this version.")
    flags = importlib.import_module(name).Config
    if not hasattr(flags, "study"):
        raise BundleError(
            f"{path} is a run of {finished.experiment}: votes and classical models are not exported, for their files "
            "would be pickles. Export a network, a (variational) autoencoder or a classifier by densities."
        )
    sections = {name: value for name, value in config["config"].items() if name != "machine"}
    try:
        study = from_json(flags, sections).study()
    except (TypeError, ValueError) as error:
        raise BundleError(f"{path / CONFIG} has flags of another version ({error}). Run it again.") from error
    if not isinstance(study, Exportable):
        raise BundleError(f"{path}: runs of {finished.experiment} cannot be exported.")
    if study.flags.fingerprint != config["fingerprint"]:
        raise BundleError(
            f"{path / CONFIG} gives other flags than it was written with: it is of another version, the CSV of its "
            "corpus has changed, or --root was relative to another folder. Export from there, or run it again."
        )
    check_exportable(study)
    return ExportedRun(study if root is None else _with_root(study, root), finished, metrics, config)


def check_exportable(study: Exportable) -> None:
    """Raise BundleError where what a run fits is more than a bundle holds, before anything is computed."""
    if not isinstance(study, DensityStudy):
        return
    flags = study.config.density
    if flags.density in ("vae", "tied-vae"):
        raise BundleError(
            f"A classifier with --density {flags.density} is not exported: bundles hold densities in closed form, and "
            "autoencoders of pictures. Export a run with another --density, such as gaussian, or one of vae_mfcc."
        )
    if flags.enrolment is not None:
        raise BundleError("A classifier with --enrolment, which takes clips of each new speaker, is not exported.")


def from_json(kind: Any, value: Any) -> Any:
    """Return a flag, or a section of flags, from what `config.json` says of it; flags it lacks have their defaults."""
    if dataclasses.is_dataclass(kind) and isinstance(value, Mapping):
        hints = typing.get_type_hints(kind)
        known = [field.name for field in dataclasses.fields(kind) if field.name in value]
        return kind(**{name: from_json(hints[name], value[name]) for name in known})  # type: ignore[operator]
    options = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)
    if isinstance(value, str) and Path in options:
        return Path(value)
    return tuple(value) if isinstance(value, list) else value


def _with_root(study: Exportable, root: Path) -> Exportable:
    if isinstance(study, GenerativeStudy):
        return replace(study, data=replace(study.data, root=root))
    moved: Any = replace(study.config, data=replace(study.config.data, root=root))
    return replace(study, config=moved)
