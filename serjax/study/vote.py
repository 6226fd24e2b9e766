"""Soft voting over finished runs: the one study that reads other runs."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from serjax.data.notes import Note
from serjax.errors import ConfigError
from serjax.evaluate.cell_pools import average_seeds, fit_pools, pool_members
from serjax.evaluate.generative import classify, log_odds
from serjax.evaluate.metrics import uar
from serjax.evaluate.pool import PENALTY
from serjax.evaluate.predictions import Predictions
from serjax.files import digest
from serjax.folder.finished import FinishedRun, read_result, read_run
from serjax.folder.manifest import LEAKS, METRICS, PREDICTIONS, VALIDATION
from serjax.folder.run_folder import open_run_folder
from serjax.models.classical.voting import log_probabilities, member_weights, soft_vote
from serjax.study.fingerprint import default_out, fingerprint
from serjax.study.outcome import Facts, Outcome, Setting
from serjax.study.problem import make_title
from serjax.study.writer import write_outcome

SAME = ("corpus", "protocol", "speakers_shared", "labels")
NO_VALIDATION = (
    "{} has no validation scores, to which weights could be fitted: `--keep last` and the like leave none. Make the "
    "run with --refit instead, which keeps the scores of the models that were chosen, or vote without --fit."
)


def write_vote(
    runs: Sequence[Path],
    weights: Sequence[float],
    out: Path | None,
    fit: bool = False,
    averaged: bool = False,
) -> Path:
    """Write the run folder of a vote, unless it is there; return it.

    Args:
      runs: folders of finished runs, two at least.
      weights: of the mean of probabilities, one a run; none: equal ones.
      out: the run folder; None: named by what votes.
      fit: take a log-linear pool instead, its weights and temperatures fitted to validation rows.
      averaged: average the probabilities of each run over its seeds first.

    Raises:
      ConfigError: a run is not finished, or its setting, folds, seeds or clips are not those of the first; with `fit`
        weights are given too, or a run has no validation scores or those of other clips.
      PredictionsError: the predictions of a run cannot be read.
      ClassicalError: weights that are not one per run and above 0.
    """
    if len(runs) < 2:
        raise ConfigError(f"{len(runs)} run votes: expected two at least. Give their folders.")
    if fit and weights:
        raise ConfigError("--fit fits the weights and --weights gives them: choose one of the two.")
    filled = member_weights(len(runs), weights)
    members = [read_run(run) for run in runs]
    _check_settings(members)
    ballot: dict[str, object] = {"predictions": tuple(digest(run / PREDICTIONS) for run in runs), "weights": filled}
    ballot |= {"fit": _digests_of_validation(members), "penalty": PENALTY} if fit else {}
    ballot |= {"average_seeds": True} if averaged else {}
    mark = fingerprint("vote", ballot)
    out = out or default_out("vote", members[0].corpus, mark)
    with open_run_folder(out, "vote", mark) as folder:
        if not folder.finished:
            members = [_averaged(member) for member in members] if averaged else members
            outcome = _fitted(members) if fit else _weighted(members, filled)
            folder.claim(ballot)
            write_outcome(folder, _setting(members, outcome.predictions), outcome)
    return out


def combine(members: Sequence[Predictions], weights: Sequence[float], names: Sequence[str]) -> Predictions:
    """Return the vote's predictions, in the order of the first member's rows.

    Raises:
      ConfigError: a member has other labels, folds, seeds, clips or truths than the first; it is named.
    """
    aligned = _align(members, names)
    probability_MNK = np.stack([probabilities(member.scores_NK) for member in aligned])
    scores_NK = log_probabilities(soft_vote(probability_MNK, weights))
    return replace(members[0], prediction=classify(scores_NK), scores_NK=log_odds(scores_NK), log_px_N=None)


def _weighted(members: Sequence[FinishedRun], weights: Sequence[float]) -> Outcome:
    """Let probabilities vote; validation rows too, where all members have scores of the same ones."""
    names = [str(member.path) for member in members]
    voted = combine([member.predictions for member in members], weights, names)
    held_out = [member.validation for member in members if member.validation is not None]
    same = len(held_out) == len(members) and len({frozenset(_keys(one)) for one in held_out}) == 1
    more: list[dict[str, object]] = [{"weight": weight} for weight in weights]
    return Outcome(voted, _facts("SoftVote", members, more), combine(held_out, weights, names) if same else None)


def _fitted(members: Sequence[FinishedRun]) -> Outcome:
    """Fit the pool of each cell to its validation rows, and pool its test rows by it."""
    names = [str(member.path) for member in members]
    held_out = _align([found for member in members if (found := member.validation)], names, "validation")
    pools = fit_pools(held_out)
    voted = pool_members(_align([member.predictions for member in members], names), pools)
    more: list[dict[str, object]] = [
        {
            "weight": float(np.mean([pool.weight_M[m] for pool in pools.values()])),
            "weights": {cell: float(pool.weight_M[m]) for cell, pool in pools.items()},
            "temperatures": {cell: float(pool.temperature_M[m]) for cell, pool in pools.items()},
        }
        for m in range(len(members))
    ]
    return Outcome(voted, _facts("LogLinearPool", members, more), pool_members(held_out, pools))


def _digests_of_validation(members: Sequence[FinishedRun]) -> tuple[str, ...]:
    if lacking := [str(member.path) for member in members if member.validation is None]:
        raise ConfigError(NO_VALIDATION.format(lacking[0]))
    return tuple(digest(member.path / VALIDATION) for member in members)


def _averaged(run: FinishedRun) -> FinishedRun:
    """Return the run as one whose probabilities are averaged over seeds; its UAR is that of the average."""
    name, validation = str(run.path), run.validation
    tested = average_seeds(run.predictions, name)
    validation = None if validation is None else average_seeds(validation, name)
    return replace(run, predictions=tested, validation=validation, uar=uar(tested.confusion()))


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


def _align(
    members: Sequence[Predictions], names: Sequence[str], part: Literal["test", "validation"] = "test"
) -> list[Predictions]:
    """Return the members with their rows in the order of the first's."""
    first = members[0]
    orders = [_order(first, member, (names[0], name), part) for member, name in zip(members, names, strict=True)]
    return [member.taken(order_N) for member, order_N in zip(members, orders, strict=True)]


def _order(first: Predictions, member: Predictions, names: tuple[str, str], part: str) -> Int[np.ndarray, " N"]:
    """Return the member's rows in the order of the first's."""
    wanted, there = _keys(first), _keys(member)
    if first.labels != member.labels:
        raise ConfigError(f"{names[1]} has labels {member.labels}, {names[0]} {first.labels}: expected the same.")
    if (seeds := [sorted(set(one.seed.tolist())) for one in (first, member)])[0] != seeds[1]:
        raise ConfigError(
            f"{names[0]} has seeds {seeds[0]}, {names[1]} {seeds[1]}: expected the same. Give --average-seeds, which "
            "makes one vote of all seeds of a run, or make the runs with equal --seeds."
        )
    if missing := sorted(set(wanted) ^ set(there)):
        fold, seed, utterance, _ = missing[0]
        whose = names[0] if missing[0] in set(wanted) else names[1]
        raise ConfigError(
            f"{names[0]} and {names[1]} differ in {len(missing)} {part} rows; {utterance} in fold {fold} under seed "
            f"{seed} is in {whose} only (or its emotion differs): only runs of the same folds and seeds can vote."
        )
    place = {key: row for row, key in enumerate(there)}
    return np.array([place[key] for key in wanted])


def _keys(predictions: Predictions) -> list[tuple[str, int, str, int]]:
    columns = predictions.fold, predictions.seed.tolist(), predictions.utterance, predictions.truth.tolist()
    return list(zip(*columns, strict=True))


def _setting(runs: Sequence[FinishedRun], voted: Predictions) -> Setting:
    """Return the setting of the first run; what any run's test rows share with training rows, those of the vote do."""
    metrics, found = read_result(runs[0].path / METRICS), read_result(runs[0].path / LEAKS)["found"]
    corpus, protocol, shared = (metrics[name] for name in SAME[:3])
    label_kind = metrics.get("told_apart", "emotion")
    leak = "; ".join(dict.fromkeys(run.leak for run in runs if run.leak)) or None
    title = make_title(corpus, label_kind, protocol, shared, leak, n_seeds=len(set(voted.seed.tolist())))
    notes, labels = tuple(map(Note.from_json, metrics["corpus_notes"])), tuple(metrics["labels"])
    windows = metrics.get("windows", {corpus: {"offset_s": metrics["offset_s"]}})
    about = leak, windows, metrics["texts_shared"], tuple(found)
    return Setting(corpus, notes, protocol, shared, labels, label_kind, title, *about)


def _facts(model: str, runs: Sequence[FinishedRun], more: Sequence[dict[str, object]]) -> Facts:
    members: list[dict[str, object]] = [
        {"run": run.path.name, "experiment": run.experiment, "uar": run.uar, **counted}
        for run, counted in zip(runs, more, strict=True)
    ]
    numbers = [run.n_parameters for run in runs]
    return Facts(
        model=model,
        refit=all(run.refit for run in runs),
        n_parameters=None if None in numbers else sum(filter(None, numbers)),
        n_models=None,  # n_parameters counts those of all that vote on a clip
        members=members,
    )
