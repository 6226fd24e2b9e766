"""Hyper-parameters by cross-validation on the training rows of one fold; test rows are not even handed over.

Every trial is a function of the finished trials before it and its number: a study that was killed and goes on tries
what it would have tried. Optuna: Akiba et al., KDD 2019.
"""

import hashlib
import logging
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from serjax.errors import ConfigError
from serjax.evaluate.metrics import confusion, uar
from serjax.files import digest, replacing, write_json
from serjax.folder.ownership import read_json
from serjax.models.classical.fitting import fit
from serjax.models.classical.packages import require
from serjax.models.classical.specs import Model, OnComponents, Single
from serjax.study.tabular import search_space

Fold = tuple[Int[np.ndarray, " n"], Int[np.ndarray, " m"]]


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """The training rows of one fold. `by_speaker`: inner folds share no speaker; else they are stratified by label.

    `class_weights`: models are fitted to them with class weights.
    """

    x_ND: Float[np.ndarray, "N D"]
    label_N: Int[np.ndarray, " N"]
    speaker_N: np.ndarray
    n_classes: int
    by_speaker: bool
    class_weights: bool = False


@dataclass(frozen=True)
class Search:
    """How it is searched: trials, inner folds, and the journal that a study goes on from.

    `report(done)` is told of finished trials.
    """

    n_trials: int
    n_folds: int
    journal: Path
    name: str
    seed: int
    report: Callable[[int], None] = lambda done: None


@dataclass(frozen=True)
class Tuned:
    """The best model, and the mean UAR of its inner folds."""

    model: Single | OnComponents
    uar: float


def tune(model: Single | OnComponents, rows: TrainingRows, search: Search) -> Tuned:
    """Return the model with the highest mean UAR over the inner folds; the first trial is the model as it is given.

    Args:
      model: what is tuned, and where the search starts.
      rows: all that may be looked at.
      search: how; the journal is made where it is missing. Finished trials of it are not tried again.

    Raises:
      ClassicalError: optuna or the model's library is not installed.
      ConfigError: there are not as many speakers as inner folds.
    """
    optuna = require("optuna", "tune")
    single = model.model if isinstance(model, OnComponents) else model
    folds = tuple(inner_folds(rows, search.n_folds, search.seed))
    bounds = search_space.ranges(single)

    def inner_uar(trial: Any) -> float | None:
        """Return the mean UAR over the inner folds; None as soon as it falls behind that of other trials."""
        candidate = _with(model, search_space.with_values(single, trial.params))
        reached: list[float] = []
        for step, fold in enumerate(folds):
            reached.append(fold_uar(candidate, rows, fold, search.seed))
            trial.report(float(np.mean(reached)), step)
            if step + 1 < len(folds) and trial.should_prune():
                return None
        return float(np.mean(reached))

    study = _open(search)
    while (n_done := _n_done(study)) < search.n_trials:
        if n_done == 0 and not study.get_trials(states=(optuna.trial.TrialState.WAITING,)):
            study.enqueue_trial(search_space.start(single))
        entropy = (search.seed, zlib.crc32(search.name.encode()), n_done)
        study.sampler = optuna.samplers.TPESampler(seed=int(np.random.SeedSequence(entropy).generate_state(1)[0]))
        trial = study.ask(bounds)
        reached = inner_uar(trial)
        study.tell(trial, reached, optuna.trial.TrialState.PRUNED if reached is None else None)
        _seal(search.journal)
        search.report(n_done + 1)
    return Tuned(_with(model, search_space.with_values(single, study.best_params)), float(study.best_value))


def inner_folds(rows: TrainingRows, n_folds: int, seed: int, flag: str = "--inner-folds") -> Iterator[Fold]:
    """Give (fitted, scored) positions in `rows`: speakers apart where the protocol keeps them so, labels in proportion.

    `flag` is what asks for so many folds.

    Raises:
      ConfigError: there are not as many speakers, or clips of each class, as folds.
    """
    selection = require("sklearn.model_selection")
    n_speakers, n_rarest = len(np.unique(rows.speaker_N)), int(np.unique(rows.label_N, return_counts=True)[1].min())
    there = n_speakers if rows.by_speaker else n_rarest
    if not 2 <= n_folds <= min(there, n_rarest):
        there_are = f"there are {n_speakers} training speakers, and" if rows.by_speaker else "training has"
        raise ConfigError(
            f"{flag} {n_folds}: {there_are} {n_rarest} clips of its rarest class; expected "
            f"2 to {min(there, n_rarest)} folds, or more clips."
        )
    kind = selection.StratifiedGroupKFold if rows.by_speaker else selection.StratifiedKFold
    dealt = kind(n_folds, shuffle=True, random_state=seed)
    yield from dealt.split(rows.x_ND, rows.label_N, rows.speaker_N if rows.by_speaker else None)


def fold_uar(model: Model, rows: TrainingRows, fold: Fold, seed: int) -> float:
    """Return the UAR on the scored rows of a model fitted to the others."""
    fitted, scored = fold
    model_of_fold = fit(model, rows.x_ND[fitted], rows.label_N[fitted], seed, rows.n_classes, rows.class_weights)
    predicted_M = model_of_fold.predict_proba(rows.x_ND[scored]).argmax(axis=1)
    return uar(confusion(rows.label_N[scored], predicted_M, rows.n_classes))


def _with(model: Single | OnComponents, single: Single) -> Single | OnComponents:
    return OnComponents(single, model.variance) if isinstance(model, OnComponents) else single


def _n_done(study: Any) -> int:
    state = require("optuna").trial.TrialState
    return len(study.get_trials(states=(state.COMPLETE, state.PRUNED)))


def _open(search: Search) -> Any:
    """Open the study, or make it; what is not sealed, such as a trial that a kill cut short, is tried again."""
    optuna = require("optuna", "tune")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    _drop_unsealed(search.journal)
    backend = optuna.storages.journal.JournalFileBackend(str(search.journal), lock_obj=_RunFolderLock())
    return optuna.create_study(
        storage=optuna.storages.JournalStorage(backend),
        study_name=search.name,
        direction="maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4),
        load_if_exists=True,
    )


def _seal(journal: Path) -> None:
    """Note length and sha256 of a journal whose trials are all ended."""
    write_json(_seal_of(journal), {"bytes": journal.stat().st_size, "sha256": digest(journal)})


def _drop_unsealed(journal: Path) -> None:
    """Cut a journal back to its last ended trial; one that is not what was written is begun anew."""
    if not journal.exists():
        return
    sealed = read_json(_seal_of(journal)) or {}
    n_bytes, content = sealed.get("bytes"), journal.read_bytes()
    content = content[:n_bytes] if type(n_bytes) is int else b""
    if sealed and hashlib.sha256(content).hexdigest() != sealed.get("sha256"):
        logging.getLogger(__name__).warning(f"{journal} changed since it was written: the search begins anew.")
        content = b""
    with replacing(journal) as file:
        file.write(content)


def _seal_of(journal: Path) -> Path:
    return journal.with_name(f"{journal.name}.sha256")


class _RunFolderLock:
    """No lock: the run folder's own keeps other processes away, and this one cannot be left behind by a kill."""

    def acquire(self) -> bool:
        """Take it."""
        return True

    def release(self) -> None:
        """Give it back."""
