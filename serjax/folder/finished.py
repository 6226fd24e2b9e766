"""A finished run, read back from its folder and checked against itself."""

import functools
import json
import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from serjax.errors import ConfigError
from serjax.evaluate.metrics import Metric, measure
from serjax.evaluate.predictions import Predictions, read_predictions
from serjax.evaluate.statistics import seed_counts
from serjax.folder import manifest
from serjax.folder.manifest import CONFIG, MANIFEST, METRICS, PREDICTIONS, VALIDATION
from serjax.folder.manifest import check as check_manifest
from serjax.folder.ownership import files_of, is_claim
from serjax.folder.run_folder import MACHINE


def read_result(path: Path) -> dict:
    """Read a JSON file of a finished run; what lies beside it is then what the run wrote, as its manifest says.

    Raises:
      ConfigError: it is not there, or is no JSON object, or a result beside it was changed or damaged.
    """
    check_manifest(path.parent)
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is no file")
        content = json.loads(path.read_bytes())
        if not isinstance(content, dict):
            raise ValueError("it holds no JSON object")
    except FileNotFoundError:
        raise ConfigError(f"{path} is not there: {path.parent} is no finished run. Let it finish first.") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is damaged ({error}). Give the run's command again, which makes it anew.") from None
    return content


NEEDED: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("experiment", "corpus", "protocol"), (str,)),
    **dict.fromkeys(("speakers_shared", "refit"), (bool,)),
    "leak": (str, type(None)),
    "labels": (list,),
    "per_fold": (dict,),
    **dict.fromkeys(("uar", "war", "macro_f1", "seconds"), (numbers.Real,)),
    **dict.fromkeys(("n_parameters", "n_models"), (int, type(None))),
}
TOLERANCE = 1e-9


@dataclass(frozen=True)
class FinishedRun:
    """What a comparison, and a vote, need to know of a run.

    `n_parameters` counts all models that classify a clip together, None where the run does not say; `refit` says
    that folds were trained again on train + validation; `leak` says what test rows share with training rows beside
    the speakers.
    """

    path: Path
    experiment: str
    corpus: str
    protocol: str
    speakers_shared: bool
    refit: bool
    labels: tuple[str, ...]
    n_parameters: int | None
    uar: float
    seconds: float
    predictions: Predictions
    validation: Predictions | None = None
    leak: str | None = None

    @functools.cached_property
    def settings(self) -> dict[str, str]:
        """The run's flags by name, `section.flag`, as text: from its `config.json`, or that of the folder above.

        Raises:
          ConfigError: there is none, or it is of something else.
        """
        return _settings(self.path)


def read_run(path: Path) -> FinishedRun:
    """Read a run folder: `metrics.json` and `predictions.csv`, both as `manifest.json` says.

    Raises:
      ConfigError: the folder is no run, the run is not finished, a file was changed or damaged, or `metrics.json` and
        `predictions.csv` are not of the same run.
      PredictionsError: `predictions.csv` cannot be read.
    """
    if not {METRICS, PREDICTIONS} <= (manifest.read(path) or {}).keys():
        raise ConfigError(_unfinished(path))
    metrics = read_result(path / METRICS)
    lacking = [name for name, kinds in NEEDED.items() if name not in metrics or not isinstance(metrics[name], kinds)]
    if lacking:
        raise ConfigError(f"{path / METRICS} lacks {', '.join(lacking)}: it is no result of an experiment of serjax.")
    predictions = read_predictions(path / PREDICTIONS)
    _check_agreement(path, metrics, predictions)
    return FinishedRun(
        path=path,
        experiment=metrics["experiment"],
        corpus=metrics["corpus"],
        protocol=metrics["protocol"],
        speakers_shared=metrics["speakers_shared"],
        refit=metrics["refit"],
        labels=predictions.labels,
        n_parameters=parameters_of(metrics),
        uar=metrics["uar"],
        seconds=float(metrics["seconds"]),
        predictions=predictions,
        validation=read_predictions(path / VALIDATION) if (path / VALIDATION).exists() else None,
        leak=metrics["leak"],
    )


def left_out(path: Path) -> str | None:
    """Say why a path that is there can be left out where runs are read; None for what is a run, or may become one."""
    if not path.exists():
        return None
    if not path.is_dir():
        return "it is a file, no run folder"
    if not (path / CONFIG).exists():
        return None if (path / METRICS).exists() else f"it is no run folder: it has no {CONFIG}"
    if (path / "summary.json").exists():
        return "it is an exploration of a corpus, no run"
    return "its command failed before it computed anything" if all(map(is_claim, files_of(path))) else None


def _unfinished(path: Path) -> str:
    """Say what is wrong with a folder without a manifest."""
    if not path.is_dir():
        return f"{path} is not there: give the folder of a finished run."
    if not (path / CONFIG).exists():
        return f"{path} is no run folder (it has no {CONFIG}): give the folder of a finished run."
    begun = read_result(path / CONFIG)
    how = f": {begun['command']}" if "command" in begun else ""
    return f"{path} is not finished (it has no whole {MANIFEST}). Give its command again to finish it{how}"


def _check_agreement(path: Path, metrics: dict, predictions: Predictions) -> None:
    """Raise ConfigError unless the figures follow from the predictions."""
    if sorted(predictions.labels) != sorted(metrics["labels"]) or not predictions.utterance:
        raise ConfigError(
            f"{path / PREDICTIONS} has {len(predictions.utterance)} rows and labels {predictions.labels}, {METRICS} "
            f"has labels {metrics['labels']}: the files are not of one run. Remove the run folder, run again."
        )
    counts_RKK = seed_counts(predictions).sum(axis=1)
    names: tuple[Metric, ...] = ("uar", "war", "macro_f1")
    for name in names:
        reached = float(measure(name, counts_RKK).mean())
        if not math.isclose(reached, metrics[name], abs_tol=TOLERANCE):
            raise ConfigError(
                f"{path}: {name} is {metrics[name]:.6f} in {METRICS} and {reached:.6f} by {PREDICTIONS}: the files are "
                "not of one run. Remove the run folder, run again."
            )


def parameters_of(metrics: dict) -> int | None:
    """Return the parameters of all models that classify a clip: one, or one per emotion (`n_models` over all cells)."""
    if metrics["n_parameters"] is None or metrics["n_models"] is None:
        return metrics["n_parameters"]
    n_cells = sum(len(folds) for folds in metrics["per_fold"].values())
    return metrics["n_parameters"] * max(1, metrics["n_models"] // n_cells)


def _settings(path: Path) -> dict[str, str]:
    """Return the flags of a run; parts of one command share the configuration of the folder above."""
    config = path / CONFIG if (path / CONFIG).exists() else path.parent / CONFIG
    if not config.exists():
        raise ConfigError(f"{path / CONFIG} is not there: the run folder is broken. Remove it, run again.")
    content = read_result(config)
    if not isinstance(content.get("config"), dict):
        raise ConfigError(f"{config} is not a configuration of serjax: give the folder of a finished run.")
    return {name: value for name, value in _flat(content["config"]).items() if name.split(".")[0] != MACHINE}


def _flat(content: dict, prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in content.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: json.dumps(value)}
    return flat
