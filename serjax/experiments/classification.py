"""What every classification leaves: figures, `predictions.csv`, `metrics.json`, and its tables on the screen."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from typing import Any

from serjax.data.notes import Note
from serjax.evaluate.predictions import Predictions, write_predictions
from serjax.evaluate.summary import summarise
from serjax.experiments.display import interval, print_table, say
from serjax.experiments.figures import draw_confusion, draw_roc
from serjax.experiments.manifest import FIGURES, LEAKS, METRICS, PREDICTIONS, Pictures
from serjax.experiments.problem import Problem
from serjax.experiments.run_folder import RunFolder, provenance

EMOTIONS = ("emotion", "merged emotion")  # what is told apart when labels are emotions
LIBRARIES = ("scikit-learn", "xgboost-cpu", "xgboost", "lightgbm", "optuna")


@dataclass(frozen=True)
class Setting:
    """On what and how it was tested: what stands in every title."""

    corpus: str
    corpus_notes: tuple[Note, ...]
    protocol: str
    speakers_shared: bool
    labels: tuple[str, ...]
    told_apart: str
    title: str
    leak: str | None = None
    offset_s: float = 0.0
    texts_shared: bool = False
    leaks: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def of(cls, problem: Problem) -> "Setting":
        """Take it from a problem."""
        corpus, shared = problem.corpus, problem.speakers_shared
        named = problem.labels, problem.told_apart, problem.title
        leaks = tuple(found.as_json() for found in problem.leaks)
        about = problem.leak, problem.offset_s, problem.texts_shared
        return cls(corpus.name, corpus.notes, problem.protocol, shared, *named, *about, leaks)


def write_leaks(folder: RunFolder, setting: Setting) -> None:
    """Write to `leaks.json` which speakers, sentences and recordings the parts of folds share."""
    shared = {"speakers_shared": setting.speakers_shared, "texts_shared": setting.texts_shared}
    content = {"protocol": setting.protocol, **shared, "leak": setting.leak, "found": list(setting.leaks)}
    folder.write_json(LEAKS, content)


def write_classification(
    folder: RunFolder,
    setting: Setting,
    predictions: Predictions,
    more: Mapping[str, object],
    pictures: Pictures | None = None,
) -> None:
    """Write everything of a run folder but `config.json`: results, then pictures, then what makes it finished.

    `more` are the figures of `metrics.json` that predictions and setting do not determine, the device too unless CPU.
    """
    write_predictions(predictions, folder.path / PREDICTIONS)
    write_leaks(folder, setting)
    made = provenance()
    content = {
        "experiment": folder.experiment,
        "corpus": setting.corpus,
        "corpus_notes": [note.as_json() for note in setting.corpus_notes],
        "offset_s": setting.offset_s,
        "protocol": setting.protocol,
        "speakers_shared": setting.speakers_shared,
        "texts_shared": setting.texts_shared,
        "leak": setting.leak,
        "labels": list(setting.labels),
        "told_apart": setting.told_apart,
        "title": setting.title,
        **summarise(predictions, setting.speakers_shared),
        "device": "CPU",
        **more,
        "seconds": folder.seconds,
        **made,
        "versions": {**_dict(made["versions"]), **_libraries()},
    }
    folder.write_json(METRICS, content)
    title = f"{folder.experiment} · {setting.title}"
    folder.finish({**classification_pictures(folder, predictions, title), **(pictures or {})})


def classification_pictures(folder: RunFolder, predictions: Predictions, title: str) -> Pictures:
    """Return the pictures of test predictions."""
    drawn = folder.path / FIGURES
    return {
        "confusion.png": partial(draw_confusion, predictions, title, drawn),
        "roc.png": partial(draw_roc, predictions, title, drawn),
    }


def print_comparison(found: Mapping[str, dict]) -> None:
    """Print a row for each `metrics.json`, by the name it goes by."""
    first = next(iter(found.values()))
    leak = " — SPEAKERS SHARED between train and test" if first["speakers_shared"] else ""
    inside = [("train_war", "WAR on train"), ("cv_war", "WAR in CV")]
    inside = [(key, name) for key, name in inside if key == "train_war" or any(key in m for m in found.values())]
    header = ("model", "UAR", "sd", "95 % interval", "WAR", "macro-F1", "ROC-AUC", *dict(inside).values(), "minutes")
    rows = []
    for name, m in found.items():
        reached = (m["uar"], m["uar_sd"], interval(m["uar_ci95"]), m["war"], m["macro_f1"], m["roc_auc"]["macro"])
        rows.append((name, *reached, *(m.get(key) for key, _ in inside), f"{m['seconds'] / 60:.1f}"))
    print_table(f"{first['title']}{leak}", header, rows)


def print_reports(found: Mapping[str, dict]) -> None:
    """Print a classification report for each `metrics.json`: precision, recall, F1 and AUC of each class."""
    for name, m in found.items():
        rows = [
            (label, c["precision"], c["recall"], c["f1"], m["roc_auc"]["per_class"][label], c["support"])
            for label, c in m["per_class"].items()
        ]
        header = (class_column(m), "precision", "recall", "F1", "AUC", "clips × seeds")
        print_table(f"{name}: {m['title']}", header, rows)


def class_column(metrics: Mapping[str, object]) -> str:
    """Return what a table calls the classes of a `metrics.json`; one that does not say has emotions."""
    return "emotion" if metrics.get("told_apart", "emotion") in EMOTIONS else "class"


def print_notes(metrics: Mapping[str, Any]) -> None:
    """Print from where clips are read, what test clips share with training, and what was noted in the corpus."""
    say(f"Clips are read from {metrics['offset_s']:g} s on (--offset).")
    if metrics["texts_shared"]:
        say("Sentences of test clips occur in training.")
    for note in metrics["corpus_notes"]:
        say(f"Noted in the corpus: {Note.from_json(note).line}")


def _libraries() -> dict[str, str]:
    """Return the versions of the optional libraries that are installed."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _dict(value: object) -> dict:
    assert isinstance(value, dict)
    return value
