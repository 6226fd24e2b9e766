"""Compare finished runs: one table, each run against the first over the same clips.

What differs: the mean over seeds, with an interval over speakers and a paired permutation test (all predictions of a
speaker swapped together, 10 000 permutations), p-values adjusted for their number (Holm).

    python -m serjax.experiments.compare runs/a runs/b runs/c --metric uar --out table.md --plot table.png
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from serjax.escape import terminal
from serjax.evaluate import plots
from serjax.evaluate.comparison import Metric, difference, estimate, unpaired_clips
from serjax.evaluate.statistics import holm
from serjax.experiments.command import run_command
from serjax.experiments.comparison_table import Row, Table, check_suffix, draw, print_comparison, write_table
from serjax.experiments.config import ConfigError
from serjax.experiments.display import say
from serjax.experiments.finished import FinishedRun, left_out, read_run
from serjax.experiments.run_folder import provenance

SHARED = "speakers shared"


@dataclass(frozen=True)
class Config:
    """Which runs, and where the table goes."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of finished runs; the others are compared with the first."""
    metric: Metric = "uar"
    """What is compared: unweighted average recall, accuracy (weighted average recall), or macro-F1."""
    out: Path | None = None
    """Write the table here: .md, .csv, .tex (booktabs) or .json."""
    plot: Path | None = None
    """Draw a forest plot here, .png: means and differences with their intervals."""
    anyway: bool = False
    """Also compare runs of different corpora, labels, protocols or clips; the table says so, unpaired rows lack p."""


def run(config: Config) -> None:
    """Read, compare, write, print."""
    check_flags(config)
    table = make_table([read_run(path) for path in runs_among(config.runs)], config.metric, config.anyway)
    written = []  # before anything is printed: `… | head` may end the command
    if config.out is not None:
        write_table(table, config.out)
        written.append(config.out)
    if config.plot is not None:
        config.plot.parent.mkdir(parents=True, exist_ok=True)
        plots.save(draw(table), config.plot)
        written.append(config.plot)
    print_comparison(table)
    for path in written:
        say(f"Written to {path}.")


def check_flags(config: Config) -> None:
    """Raise ConfigError for flags that make no sense, before anything is computed."""
    if not config.runs:
        raise ConfigError("No run is given: expected the folders of finished runs.")
    places = [path.resolve() for path in config.runs]
    twice = [path for n, path in enumerate(config.runs) if places[n] in places[:n]]
    if twice:
        raise ConfigError(f"{twice[0]} is given twice: give each run once.")
    if config.out is not None:
        check_suffix(config.out)
    if config.plot is not None and config.plot.suffix != ".png":
        raise ConfigError(f"--plot {config.plot}: expected a name that ends in .png.")


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
        difference=None,
        difference_interval=None,
        p_value=None,
        p_holm=None,
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
    delta = difference(first.predictions, run.predictions, metric, speakers_shared=shared)
    return replace(row, difference=delta.difference, difference_interval=delta.interval, p_value=delta.p_value)


def adjusted(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Fill in the p-values adjusted for their number in the table (Holm)."""
    tested = [n for n, row in enumerate(rows) if row.p_value is not None]
    p_holm = dict(zip(tested, holm([row.p_value for row in rows if row.p_value is not None]), strict=True))
    return tuple(replace(row, p_holm=p_holm.get(n)) for n, row in enumerate(rows))


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


if __name__ == "__main__":
    run_command(Config, run, __doc__)
