"""The tables of a finished run, printed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serjax.data.notes import Note
from serjax.figures.tables import Cell, cell_text, interval, print_table, say
from serjax.folder.finished import read_result
from serjax.folder.manifest import METRICS, RECONSTRUCTION
from serjax.results.reconstruction import loss_columns, losses_of

REACHED = ("UAR", "sd", "95 % interval", "WAR", "macro-F1", "ROC-AUC")
CONDITIONAL = "ConditionalVAE"
EMOTIONS = ("emotion", "merged emotion")  # what is told apart when labels are emotions


def print_comparison(found: Mapping[str, dict]) -> None:
    """Print a row for each `metrics.json`, by the name it goes by."""
    first = next(iter(found.values()))
    leak = " — SPEAKERS SHARED between train and test" if first["speakers_shared"] else ""
    inside = {"train_war": "WAR on train"}
    if any(m["cv_war"] is not None for m in found.values()):
        inside["cv_war"] = "WAR in CV"
    header = ("model", *REACHED, *inside.values(), "minutes")
    rows = []
    for name, m in found.items():
        rows.append((name, *reached_cells(m), *(m[key] for key in inside), f"{m['seconds'] / 60:.1f}"))
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


def print_calibration(found: Mapping[str, dict]) -> None:
    """Print how far the probabilities of each `metrics.json` can be relied on; of runs that say nothing of it, nothing.

    Values in brackets are those without a temperature.
    """
    rows = [
        (name, _beside(m["ece"], m["ece_uncalibrated"]), _beside(m["nll"], m["nll_uncalibrated"]), _fitted(m))
        for name, m in found.items()
        if "ece_uncalibrated" in m
    ]
    if rows:
        header = ("model", "ECE (not calibrated)", "NLL / nats per clip (not calibrated)", "temperatures")
        print_table(f"Probabilities: {next(iter(found.values()))['title']}", header, rows)


def _beside(fitted: float | None, raw: float) -> str:
    return f"{cell_text(fitted)} ({cell_text(raw)})"


def _fitted(metrics: Mapping[str, Any]) -> str | None:
    temperatures = [value for value in metrics["temperature"].values() if value is not None]
    return f"{min(temperatures):.3g} – {max(temperatures):.3g}" if temperatures else None


def class_column(metrics: Mapping[str, object]) -> str:
    """Return what a table calls the classes of a `metrics.json`."""
    return "emotion" if metrics["told_apart"] in EMOTIONS else "class"


def print_notes(metrics: Mapping[str, Any]) -> None:
    """Print from where clips are read, what test clips share with training, and what was noted in the corpus."""
    for name, window in metrics.get("windows", {}).items():
        say(f"{name}: clips are read from {window['offset_s']:g} s on, {window['seconds']:g} s of each at most.")
    if metrics["texts_shared"]:
        say("Sentences of test clips occur in training.")
    for note in metrics["corpus_notes"]:
        say(f"Noted in the corpus: {Note.from_json(note).line}")


def show(run: Path) -> None:
    """Print the tables of a finished run folder.

    Raises:
      ConfigError: it is not finished, or was changed.
    """
    metrics = read_result(run / METRICS)
    if metrics["scores"] is None:
        show_several({metrics["experiment"]: metrics})
    else:
        show_scores(metrics, read_result(run / RECONSTRUCTION))
    print_calibration({metrics["experiment"]: metrics})
    print_notes(metrics)
    say(f"Written to {run} in {metrics['seconds']:.0f} s.")


def show_models(runs: Mapping[str, Path], out: Path) -> None:
    """Print the tables of several finished run folders, by name, below one folder."""
    found = {name: read_result(run / METRICS) for name, run in runs.items()}
    show_several(found)
    print_calibration(found)
    print_notes(next(iter(found.values())))
    say(f"Written to {out}.")


def show_several(found: Mapping[str, dict]) -> None:
    """Print a row and a classification report for each `metrics.json`, by the name it goes by."""
    print_comparison(found)
    print_reports(found)


def show_scores(metrics: dict, reconstruction: dict) -> None:
    """Print what a generative classifier reached by each score, and its reconstruction losses."""
    where, model = metrics["title"], metrics["model"]
    name = metrics["experiment"] + ", conditional" * (model == CONDITIONAL)
    leak = " — SPEAKERS SHARED between train and test" if metrics["speakers_shared"] else ""
    fit = "trained again on train + validation" if metrics["refit"] else "trained on train"
    rows = []
    for score, reached in metrics["scores"].items():
        marked = f"{score} *" if score == metrics["score"] else score
        rows.append((marked, *reached_cells(reached)))
    header = ("score (* classifies)", *REACHED)
    print_table(f"{name}: {where}; {fit}{leak}", header, rows)
    per_class = [(n, c["precision"], c["recall"], c["f1"], c["support"]) for n, c in metrics["per_class"].items()]
    kind = class_column(metrics)
    print_table(f"By {kind}: {where}", (kind, "precision", "recall", "F1", "clips × seeds"), per_class)
    labels = reconstruction["labels"]
    matrix = [(f"model of {label}", *row) for label, row in zip(labels, reconstruction["test"], strict=True)]
    print_table(f"Mean reconstruction loss of test clips: {where}", ("", *labels), matrix)
    if len(labels) == 2:
        print_published(model, where, reconstruction)


def print_published(model: str, where: str, reconstruction: dict) -> None:
    """Print the two-emotion table as it was published: one model, loss on its own clips and on the other's."""
    labels = reconstruction["labels"]
    losses = {own: losses_of(reconstruction, own).over_seeds for own in labels}
    rows = [(f"{model} of {own}", *(f"{figure:.4f}" for figure in found.figures)) for own, found in losses.items()]
    header = ("trained on", *loss_columns("own", "other"))
    print_table(f"Reconstruction loss, features scaled to [0, 1] on training rows: {where}", header, rows)


def reached_cells(figures: Mapping[str, Any]) -> tuple[Cell, ...]:
    """Return the cells of what a run, or one of its scores, reached; `REACHED` names them."""
    uar = (figures["uar"], figures["uar_sd"], interval(figures["uar_ci95"]))
    return (*uar, figures["war"], figures["macro_f1"], figures["roc_auc"]["macro"])
