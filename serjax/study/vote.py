"""Soft voting over finished runs: the one study that reads other runs."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from serjax.data.notes import Note
from serjax.errors import ConfigError
from serjax.evaluate.generative import classify, log_odds
from serjax.evaluate.predictions import Predictions
from serjax.files import digest
from serjax.folder.finished import FinishedRun, read_result, read_run
from serjax.folder.manifest import LEAKS, METRICS, PREDICTIONS
from serjax.folder.run_folder import open_run_folder
from serjax.models.classical.voting import log_probabilities, member_weights, soft_vote
from serjax.study.fingerprint import default_out, fingerprint
from serjax.study.outcome import Facts, Outcome, Setting
from serjax.study.problem import make_title
from serjax.study.writer import write_outcome

SAME = ("corpus", "protocol", "speakers_shared", "labels")


def write_vote(runs: Sequence[Path], weights: Sequence[float], out: Path | None) -> Path:
    """Write the run folder of a vote, unless it is there; return it.

    Raises:
      ConfigError: a run is not finished, or its setting, folds, seeds or clips are not those of the first.
      PredictionsError: the predictions of a run cannot be read.
      ClassicalError: weights that are not one per run and above 0.
    """
    if len(runs) < 2:
        raise ConfigError(f"{len(runs)} run votes: expected two at least. Give their folders.")
    filled = member_weights(len(runs), weights)
    members = [read_run(run) for run in runs]
    _check_settings(members)
    ballot = {"predictions": tuple(digest(run / PREDICTIONS) for run in runs), "weights": filled}
    mark = fingerprint("vote", ballot)
    out = out or default_out("vote", members[0].corpus, mark)
    with open_run_folder(out, "vote", mark) as folder:
        if not folder.finished:
            names = [str(run) for run in runs]
            voted = combine([member.predictions for member in members], filled, names)
            folder.claim(ballot)
            setting = _setting(read_result(runs[0] / METRICS), read_result(runs[0] / LEAKS))
            validation = _combined_validation(members, filled, names)
            write_outcome(folder, setting, Outcome(voted, _facts(members, filled), validation))
    return out


def combine(members: Sequence[Predictions], weights: Sequence[float], names: Sequence[str]) -> Predictions:
    """Return the vote's predictions, in the order of the first member's rows.

    Raises:
      ConfigError: a member has other labels, folds, seeds, clips or truths than the first; it is named.
    """
    first = members[0]
    aligned = [_order(first, member, (names[0], name)) for member, name in zip(members, names, strict=True)]
    probability_MNK = np.stack([probabilities(m.scores_NK[rows]) for m, rows in zip(members, aligned, strict=True)])
    scores_NK = log_probabilities(soft_vote(probability_MNK, weights))
    return replace(first, prediction=classify(scores_NK), scores_NK=log_odds(scores_NK))


def _combined_validation(
    members: Sequence[FinishedRun], weights: Sequence[float], names: Sequence[str]
) -> Predictions | None:
    """Return the vote's predictions of validation rows, None unless all members have scores of the same ones."""
    held_out = [member.validation for member in members if member.validation is not None]
    if len(held_out) < len(members) or len({frozenset(_keys(one)) for one in held_out}) > 1:
        return None
    return combine(held_out, weights, names)


def probabilities(scores_NK: Float[np.ndarray, "N K"]) -> Float[np.ndarray, "N K"]:
    """Turn log-odds into probabilities, p_k ∝ 1 / (1 + exp(−s_k)); rows sum to 1.

    >>> probabilities(np.array([[0.0, 0.0], [np.log(3), -np.log(3)]]))
    array([[0.5 , 0.5 ],
           [0.75, 0.25]])
    """
    log_NK = -np.logaddexp(0.0, -scores_NK)
    share_NK = np.exp(log_NK - log_NK.max(axis=1, keepdims=True))
    return share_NK / share_NK.sum(axis=1, keepdims=True)


def parse(text: str, known: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """Read a vote, NAME+NAME or WEIGHT*NAME+…, as (name, weight) pairs.

    Raises:
      ConfigError: a weight that is no number above 0, a name that is not among the known, fewer than two names.

    >>> parse("3*mlp+knn", ("knn", "mlp"))
    (('mlp', 3.0), ('knn', 1.0))
    """
    members = []
    for term in text.split("+"):
        weight, _, name = term.rpartition("*")
        try:
            members.append((name, float(weight or 1)))
        except ValueError:
            members.append((name, 0.0))
    names = [name for name, _ in members]
    if len(set(names)) < 2 or len(set(names)) < len(names) or not set(names) <= set(known) or _bad(members):
        raise ConfigError(
            f"--votes {text}: expected NAME+NAME or WEIGHT*NAME+WEIGHT*NAME with weights above 0 and two or more of "
            f"the models that are fitted, each once: {', '.join(known)}."
        )
    return tuple(members)


def _bad(members: Sequence[tuple[str, float]]) -> bool:
    return not all(0 < weight < float("inf") for _, weight in members)


def _check_settings(runs: Sequence[FinishedRun]) -> None:
    first = runs[0]
    for run in runs:
        for name in SAME:
            if (there := getattr(run, name)) != getattr(first, name):
                raise ConfigError(
                    f"{run.path} has {name} {there}, {first.path} has {getattr(first, name)}: only runs of the same "
                    "corpus, emotions and protocol can vote."
                )


def _order(first: Predictions, member: Predictions, names: tuple[str, str]) -> Int[np.ndarray, " N"]:
    """Return the member's rows in the order of the first's."""
    wanted, there = _keys(first), _keys(member)
    if first.labels != member.labels:
        raise ConfigError(f"{names[1]} has labels {member.labels}, {names[0]} {first.labels}: expected the same.")
    if missing := sorted(set(wanted) ^ set(there)):
        fold, seed, utterance, _ = missing[0]
        whose = names[0] if missing[0] in set(wanted) else names[1]
        raise ConfigError(
            f"{names[0]} and {names[1]} differ in {len(missing)} test rows; {utterance} in fold {fold} under seed "
            f"{seed} is in {whose} only (or its emotion differs): only runs of the same folds and seeds can vote."
        )
    place = {key: row for row, key in enumerate(there)}
    return np.array([place[key] for key in wanted])


def _keys(predictions: Predictions) -> list[tuple[str, int, str, int]]:
    columns = predictions.fold, predictions.seed.tolist(), predictions.utterance, predictions.truth.tolist()
    return list(zip(*columns, strict=True))


def _setting(metrics: dict, leaks: dict) -> Setting:
    corpus, protocol, shared, leak = *(metrics[name] for name in SAME[:3]), metrics.get("leak")
    label_kind = metrics.get("told_apart", "emotion")
    title = make_title(corpus, label_kind, protocol, shared, leak, n_seeds=len(metrics["per_fold"]))
    notes, labels = tuple(map(Note.from_json, metrics["corpus_notes"])), tuple(metrics["labels"])
    about = (
        leak,
        metrics.get("windows", {corpus: {"offset_s": metrics["offset_s"]}}),
        metrics["texts_shared"],
        tuple(leaks["found"]),
    )
    return Setting(corpus, notes, protocol, shared, labels, label_kind, title, *about)


def _facts(runs: Sequence[FinishedRun], weights: Sequence[float]) -> Facts:
    members: list[dict[str, object]] = [
        {"run": run.path.name, "experiment": run.experiment, "weight": weight, "uar": run.uar}
        for run, weight in zip(runs, weights, strict=True)
    ]
    numbers = [run.n_parameters for run in runs]
    return Facts(
        model="SoftVote",
        refit=all(run.refit for run in runs),
        n_parameters=None if None in numbers else sum(filter(None, numbers)),
        n_models=None,  # n_parameters counts those of all that vote on a clip
        members=members,
    )
