"""Soft voting over finished runs: the weighted mean of what they think likely, clip by clip.

Question: do several models together know more than the best of them?

    python -m serjax.experiments.vote runs/tabular/mlp runs/tabular/lightgbm --weights 3 2

The runs must have the same corpus, protocol, folds, seeds and emotions; features and models may differ. A score of
`predictions.csv` is a log-odds, p = 1 / (1 + exp(−score)). Without arguments it lets the default models of
`serjax.experiments.tabular` vote on the synthetic corpus.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tyro
from jaxtyping import Float, Int

from serjax.data.notes import Note
from serjax.evaluate.generative import classify, log_odds
from serjax.evaluate.predictions import Predictions
from serjax.experiments.classification import (
    Setting,
    print_comparison,
    print_notes,
    print_reports,
    write_classification,
)
from serjax.experiments.command import run_command
from serjax.experiments.config import ConfigError, fingerprint
from serjax.experiments.display import say
from serjax.experiments.finished import FinishedRun, read_run
from serjax.experiments.manifest import LEAKS, METRICS, PREDICTIONS
from serjax.experiments.problem import make_title
from serjax.experiments.results_page import read_result
from serjax.experiments.run_folder import open_run_folder
from serjax.models.classical.voting import log_probabilities, member_weights, soft_vote

SAME = ("corpus", "protocol", "speakers_shared", "labels")


@dataclass(frozen=True)
class Config:
    """Every field is a flag."""

    runs: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Finished run folders that vote."""
    weights: tuple[float, ...] = ()
    """One weight a run, in their order; default: equal ones."""
    out: Path | None = None
    """Run folder; default: runs/vote-CORPUS-HASH."""
    quiet: bool = False
    """No progress, only the result."""


@dataclass(frozen=True)
class Ballot:
    """What the fingerprint of a vote is made of: the members' predictions by content, and their weights."""

    predictions: tuple[str, ...]
    weights: tuple[float, ...]


def run(config: Config) -> None:
    """Let the runs vote, write the run folder and print the tables."""
    runs = config.runs or default_runs(config.quiet)
    out = write_vote(runs, config.weights, config.out)
    short = len({run.name for run in runs}) == len(runs)
    found = {run.name if short else str(run): read_result(run / METRICS) for run in runs}
    found["vote"] = read_result(out / METRICS)
    print_comparison(found)
    print_reports({"vote": found["vote"]})
    print_notes(found["vote"])
    say(f"Written to {out}.")


def default_runs(quiet: bool) -> tuple[Path, ...]:
    """Make the runs of the default models on the synthetic corpus, and return where they are."""
    from serjax.experiments import tabular  # which itself lets models vote

    default = tabular.Config(output=tabular.Output(quiet=quiet))
    tabular.run(default)
    return tuple(tabular.folder_of(default) / name for name in default.choice.models)


def write_vote(runs: Sequence[Path], weights: Sequence[float], out: Path | None) -> Path:
    """Write the run folder of a vote, unless it is there; return it.

    Raises:
      ConfigError: a run is not finished, or its setting, folds, seeds or clips are not those of the first.
      PredictionsError: the predictions of a run cannot be read.
      ClassicalError: weights that are not one a run and above 0.
    """
    if len(runs) < 2:
        raise ConfigError(f"{len(runs)} run votes: expected two at least. Give their folders.")
    filled = member_weights(len(runs), weights)
    members = [read_run(run) for run in runs]
    _check_settings(members)
    digests = tuple(hashlib.sha256((run / PREDICTIONS).read_bytes()).hexdigest() for run in runs)
    ballot = Ballot(digests, filled)
    mark = fingerprint("vote", (ballot,))
    out = out or Path("runs") / f"vote-{members[0].corpus}-{mark[:8]}"
    with open_run_folder(out, "vote", mark) as folder:
        if not folder.finished:
            voted = combine([member.predictions for member in members], filled, [str(run) for run in runs])
            folder.claim((ballot,))
            setting = _setting(read_result(runs[0] / METRICS), read_result(runs[0] / LEAKS))
            write_classification(folder, setting, voted, _facts(members, filled))
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
    told_apart = metrics.get("told_apart", "emotion")
    title = make_title(corpus, told_apart, protocol, shared, leak, n_seeds=len(metrics["per_fold"]))
    notes, labels = tuple(map(Note.from_json, metrics["corpus_notes"])), tuple(metrics["labels"])
    about = leak, metrics["offset_s"], metrics["texts_shared"], tuple(leaks["found"])
    return Setting(corpus, notes, protocol, shared, labels, told_apart, title, *about)


def _facts(runs: Sequence[FinishedRun], weights: Sequence[float]) -> dict[str, object]:
    members = [
        {"run": run.path.name, "experiment": run.experiment, "weight": weight, "uar": run.uar}
        for run, weight in zip(runs, weights, strict=True)
    ]
    numbers = [run.n_parameters for run in runs]
    return {
        "members": members,
        "n_parameters": None if None in numbers else sum(filter(None, numbers)),
        "refit": all(run.refit for run in runs),
    }


if __name__ == "__main__":
    run_command(Config, run, __doc__)
