"""Finished runs against the first of them, over the same clips."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from serjax.errors import ConfigError
from serjax.escape import terminal
from serjax.evaluate.comparison import difference, unpaired_clips
from serjax.evaluate.metrics import Metric
from serjax.evaluate.statistics import estimate
from serjax.folder.finished import FinishedRun, left_out
from serjax.provenance import provenance
from serjax.results.comparison_table import Row, Table
from serjax.results.reached import adjusted, tested

SHARED = "LEAK: speakers shared"


def runs_among(paths: Sequence[Path]) -> list[Path]:
    """Return which of `runs/*` are runs, and say of the others what they are.

    Raises:
      ConfigError: none is a run.
    """
    others = {path: why for path in paths if (why := left_out(path))}
    if len(others) == len(paths):
        told = "; ".join(f"{path}: {why}" for path, why in others.items())
        raise ConfigError(f"None of these is the folder of a run: {told}. Give the folders of finished runs.")
    for path, why in others.items():
        print(terminal(f"{path} is left out: {why}."), file=sys.stderr)
    return [path for path in paths if path not in others]


def make_table(runs: Sequence[FinishedRun], metric: Metric, anyway: bool) -> Table:
    """Compare every run with the first.

    Raises:
      ConfigError: they are of different corpora, labels, protocols or clips, and `anyway` is not given.
    """
    first = runs[0]
    differing = [unlike(first, run) for run in runs]
    for run, reasons in zip(runs, differing, strict=True):
        if reasons and not anyway:
            raise ConfigError(_refusal(first, run, reasons))
    names = short_names([run.path for run in runs])
    rows = [
        make_row(name, first, run, reasons, metric) for name, run, reasons in zip(names, runs, differing, strict=True)
    ]
    return Table(metric, adjusted(rows), differing_settings(names, runs), notes(runs, differing), provenance())


def unlike(first: FinishedRun, run: FinishedRun) -> tuple[str, ...]:
    """Return in what two runs differ that must be the same for a comparison: the problem, never the model."""
    reasons = [name for name in ("corpus", "protocol") if getattr(first, name) != getattr(run, name)]
    if first.refit != run.refit:
        reasons.append("refit")
    if sorted(first.labels) != sorted(run.labels):
        return (*reasons, "labels")
    return (*reasons, "clips") if unpaired_clips(first.predictions, run.predictions) else tuple(reasons)


def make_row(name: str, first: FinishedRun, run: FinishedRun, reasons: tuple[str, ...], metric: Metric) -> Row:
    """Return the row of one run; what cannot be paired with the first has a difference, but no interval and no p."""
    reached = estimate(run.predictions, metric, speakers_shared=run.speakers_shared)
    row = Row(
        name=name,
        experiment=run.experiment,
        corpus=run.corpus,
        protocol=_protocol(run),
        n_labels=len(run.labels),
        n_seeds=len(set(run.predictions.seed.tolist())),
        mean=reached.mean,
        sd=reached.sd,
        interval=reached.interval,
        n_parameters=run.n_parameters,
        seconds=run.seconds,
        unlike=reasons,
    )
    if run is first or "labels" in reasons:
        return row
    if {"corpus", "clips"} & set(reasons):
        base = estimate(first.predictions, metric, speakers_shared=first.speakers_shared)
        return replace(row, difference=reached.mean - base.mean)
    shared = first.speakers_shared or run.speakers_shared
    return tested(row, difference(first.predictions, run.predictions, metric, speakers_shared=shared))


def differing_settings(names: Sequence[str], runs: Sequence[FinishedRun]) -> dict[str, dict[str, str]]:
    """Return the flags that are not the same in all runs, and their values by run; an en dash where there is none."""
    flags = list(dict.fromkeys(flag for run in runs for flag in run.settings))
    table = {flag: {n: r.settings.get(flag, "–") for n, r in zip(names, runs, strict=True)} for flag in flags}
    return {flag: values for flag, values in table.items() if len(set(values.values())) > 1}


def notes(runs: Sequence[FinishedRun], differing: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the sentences that belong under the table."""
    said = []
    if len(runs) > 1:
        said.append(
            "Differences are to the first row; p: all predictions of a speaker swapped together, 10 000 permutations, "
            "two-sided; Holm over the table. Intervals: bootstrap over speakers, 2 000 resamples."
        )
    if any(differing):
        said.append("NOT THE SAME PROBLEM in all rows (see the column): their difference is not that of the models.")
    if any(run.speakers_shared for run in runs):
        said.append("Where speakers are shared between train and test there is no interval over speakers.")
    n_speakers = len(set(runs[0].predictions.speaker))
    if len(runs) > 1 and n_speakers < 6:
        said.append(
            f"With {n_speakers} speakers p is at least {2.0 ** (1 - n_speakers):g}: nothing can be shown at .05."
        )
    return tuple(said)


def short_names(paths: Sequence[Path]) -> list[str]:
    """Return the last parts of each path, as few as tell them all apart.

    >>> short_names([Path("runs/a/pca"), Path("runs/b/pca")])
    ['a/pca', 'b/pca']
    """
    parts = [path.resolve().parts for path in paths]
    for n in range(1, max(map(len, parts))):
        names = ["/".join(p[-n:]) for p in parts]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


def _protocol(run: FinishedRun) -> str:
    marks = [SHARED] * run.speakers_shared + ([f"LEAK: {run.leak}"] if run.leak else []) + ["refit"] * run.refit
    return run.protocol + (f" ({', '.join(marks)})" if marks else "")


def _refusal(first: FinishedRun, run: FinishedRun, reasons: tuple[str, ...]) -> str:
    told = []
    for reason in reasons:
        if reason == "refit":
            told.append(
                f"{(run if first.refit else first).path} was not trained again on train + validation rows as "
                "the other was: where its command has --refit, give that too"
            )
            continue
        if reason == "clips":
            clips = unpaired_clips(first.predictions, run.predictions)
            told.append(f"{len(clips)} clips are not tested alike in both, among them {clips[0]}")
        else:
            ours, theirs = (_shown(getattr(r, reason)) for r in (first, run))
            told.append(f"{reason} {ours} against {theirs}")
    return f"{first.path} and {run.path} are not comparable: {'; '.join(told)}. Give --anyway to see them in one table."


def _shown(value: object) -> str:
    return " ".join(value) if isinstance(value, tuple) else str(value)
