"""The one writer of run folders: predictions, leaks, metrics, pictures, and last the manifest."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial

from serjax.data.leaks import leak_line
from serjax.evaluate.predictions import write_predictions
from serjax.evaluate.summary import mean_fold_uar, summarise, summarise_calibration
from serjax.figures.classification import draw_confusion, draw_reliability, draw_roc
from serjax.folder.manifest import LEAKS, METRICS, PREDICTIONS, VALIDATION, Pictures
from serjax.folder.run_folder import RunFolder
from serjax.provenance import provenance
from serjax.study.outcome import Outcome, Setting
from serjax.study.problem import Problem


def write_outcome(folder: RunFolder, setting: Setting, outcome: Outcome) -> None:
    """Write everything of a run folder but `config.json`: results, then pictures, then what makes it finished."""
    if not folder.writes:
        return
    write_predictions(outcome.predictions, folder.path / PREDICTIONS)
    if outcome.validation is not None:
        write_predictions(outcome.validation, folder.path / VALIDATION)
    write_leaks(folder, setting)
    for name, table in outcome.tables.items():
        folder.write_json(name, table)
    folder.write_json(METRICS, metrics_content(folder, setting, outcome))
    title = f"{outcome.name or folder.experiment} · {setting.title}"
    folder.finish({**classification_pictures(outcome, title), **outcome.pictures})


def tell_leaks(problem: Problem, say: Callable[[str], None]) -> None:
    """Say in one line what is studied, and what the parts of its folds share."""
    say(f"{problem.title}. {leak_line(problem.leaks)}")


def write_leaks(folder: RunFolder, setting: Setting) -> None:
    """Write `leaks.json`: which speakers, sentences and recordings the parts of folds share."""
    shared = {"speakers_shared": setting.speakers_shared, "texts_shared": setting.texts_shared}
    about = {"protocol": setting.protocol, **shared, "leak": setting.leak}
    folder.write_json(LEAKS, {**about, "found": list(setting.leaks)})


def metrics_content(folder: RunFolder, setting: Setting, outcome: Outcome) -> dict[str, object]:
    """Return `metrics.json`: the same fields for all studies, null where one does not apply."""
    return {
        "experiment": folder.experiment,
        "corpus": setting.corpus,
        "corpus_notes": [note.as_json() for note in setting.corpus_notes],
        "offset_s": setting.offset_s,
        "windows": setting.windows,
        "protocol": setting.protocol,
        "speakers_shared": setting.speakers_shared,
        "texts_shared": setting.texts_shared,
        "leak": setting.leak,
        "labels": list(setting.labels),
        "told_apart": setting.label_kind,
        "title": setting.title,
        **summarise(outcome.predictions, setting.speakers_shared),
        "validation_uar": mean_fold_uar(outcome.validation),
        **summarise_calibration(outcome.predictions, outcome.validation),
        **asdict(outcome.facts),
        "seconds": folder.seconds,
        **provenance(),
    }


def classification_pictures(outcome: Outcome, title: str) -> Pictures:
    """Return the pictures of test predictions."""
    tested = outcome.predictions
    return {
        "confusion.png": partial(draw_confusion, tested, title),
        "roc.png": partial(draw_roc, tested, title),
        "reliability.png": partial(draw_reliability, tested, outcome.validation, title),
    }
