"""The tables of the page: what was reported, what the same protocol gives, what new speakers give."""

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.five_reports.outcome import Outcome, Outcomes, RowOutcomes
from experiments.five_reports.row import Losses, Row
from serjax.evaluate.metrics import per_class
from serjax.evaluate.statistics import Interval, prediction_interval
from serjax.figures.markdown import markdown_table
from serjax.figures.tables import Cell, print_table

HEADER = (
    "row",
    "reported",
    "same protocol, speakers shared: WAR",
    "one split, 95 %",
    "reported lies",
    "same protocol: UAR",
    "new speakers: WAR [95 %]",
    "new speakers: UAR",
    "same − new",
    "minutes",
)
ALSO_HEADER = (
    "row",
    "training rows: reported",
    "ours",
    "cross-validation on them: reported",
    "ours",
    "ROC-AUC: reported",
    "ours",
)
LOSS_HEADER = (
    "row",
    "protocol",
    "happy, train",
    "happy, test",
    "happy, all",
    "sad, all",
    "sad / happy",
    "ratio of one split, 95 %",
    "reported lies",
    "UAR",
    "minutes",
)


def accuracy_lines(rows: Sequence[Row], outcomes: Outcomes) -> list[tuple[Cell, ...]]:
    """Return the lines of the table of accuracies, under `HEADER`; none where no row reports one."""
    return [cells(row, outcomes.get(row.id, {})) for row in rows if not isinstance(row.reported, Losses)]


def all_loss_lines(rows: Sequence[Row], outcomes: Outcomes) -> list[tuple[Cell, ...]]:
    """Return the lines of the table of losses, under `LOSS_HEADER`; none where no row reports losses."""
    losses = [row for row in rows if isinstance(row.reported, Losses)]
    return [line for row in losses for line in loss_lines(row, outcomes.get(row.id, {}))]


def print_rows(rows: Sequence[Row], outcomes: Outcomes) -> None:
    """Print both tables."""
    if lines := accuracy_lines(rows, outcomes):
        print_table("Accuracy (WAR)", HEADER, lines)
    if lines := all_loss_lines(rows, outcomes):
        print_table("Reconstruction loss of models trained on happy clips", LOSS_HEADER, lines)


def cells(row: Row, outcomes: RowOutcomes) -> tuple[Cell, ...]:
    """Return a row of the table of accuracies."""
    same, new = outcomes.get("same"), outcomes.get("independent")
    price = same.war - new.war if same and new else None
    minutes = sum(outcome.minutes for outcome in outcomes.values())
    assert not isinstance(row.reported, Losses)
    return (
        f"{row.id} {row.about}",
        row.reported,
        _with_sd(same, row.same.leak),
        interval_cell(interval := one_split(same)),
        position(row.reported, interval),
        same.uar if same else None,
        _with_interval(new),
        new.uar if new else None,
        price,
        f"{minutes:.1f}" if outcomes else None,
    )


def one_split(same: Outcome | None) -> Interval | None:
    """Return the interval that holds the accuracy of one further split in 95 of 100 cases; None: of one seed.

    Its deviation is that over seeds, or that of so many test clips, √(p (1 − p) / n), where this is larger.
    """
    if same is None or same.sd is None:
        return None
    of_clips = (same.war * (1 - same.war) / same.n_tested) ** 0.5 if same.n_tested else 0.0
    return prediction_interval(same.war, max(same.sd, of_clips), same.seeds)


def position(reported: float | None, interval: Interval | None) -> str | None:
    """Say where a reported number lies: inside an interval, above or below it."""
    if reported is None or interval is None:
        return None
    low, high = interval
    return "above" if reported > high else "below" if reported < low else "inside"


def interval_cell(interval: Interval | None) -> str | None:
    """Return an interval as the tables show it."""
    return None if interval is None else f"[{interval[0]:.3f}, {interval[1]:.3f}]"


def loss_lines(row: Row, outcomes: RowOutcomes) -> list[tuple[Cell, ...]]:
    """Return the lines of a row that reports losses: its own, and one for each protocol."""
    assert isinstance(row.reported, Losses)
    name, reported = f"{row.id} {row.about}", row.reported
    figures = (f"{reported.happy:.4f}", f"{reported.sad:.4f}", f"{reported.ratio:.2f}")
    own: tuple[Cell, ...] = (name, "as reported", "–", "–", *figures, None, None, "–", "–")
    return [own, *((name, *_loss_cells(reported, outcome)) for outcome in outcomes.values())]


def _loss_cells(reported: Losses, outcome: Outcome) -> tuple[Cell, ...]:
    """Return what stands under `LOSS_HEADER` for one protocol, without the row's name."""
    assert outcome.losses is not None
    (train, _), (test, _), (happy, sad) = (outcome.losses[part] for part in ("train", "test", "all"))
    figures = [f"{train:.4f}", f"{test:.4f}", f"{happy:.4f}", f"{sad:.4f}", f"{sad / happy:.2f}"]
    interval = None
    if (spread := outcome.losses_sd) is not None:
        figures = _with_spread(figures, spread)
        interval = prediction_interval(sad / happy, spread["ratio"][0], outcome.seeds)
    judged = (interval_cell(interval), position(reported.ratio, interval))
    return (outcome.protocol, *figures, *judged, outcome.uar, f"{outcome.minutes:.1f}")


def _with_spread(figures: Sequence[str], spread: Mapping[str, list[float]]) -> list[str]:
    """Put the deviation over seeds behind each loss, and behind their ratio, which is the last figure."""
    deviations = [f"{value:.4f}" for value in (spread["train"][0], spread["test"][0], *spread["all"])]
    deviations.append(f"{spread['ratio'][0]:.2f}")
    return [f"{figure} ± {deviation}" for figure, deviation in zip(figures, deviations, strict=True)]


def also_cells(row: Row, same: Outcome | None) -> tuple[Cell, ...]:
    """Return a row of the table of what else was reported: each figure, then ours."""
    also = row.also
    ours = (None,) * 3 if same is None else (same.train_war, same.cv_war, same.roc_auc)
    pairs = zip((also.train, also.cv, also.roc_auc), ours, strict=True)
    return (f"{row.id} {row.about}", *(cell for value, own in pairs for cell in (value, own)))


def class_table(rows: Sequence[tuple[Row, Outcome]]) -> str:
    """Return a Markdown table with a line per class, a column per row, and one of the F1 that was reported."""
    columns: dict[str, Mapping[str, Cell]] = {}
    for row, same in rows:
        if row.also.f1:
            columns[f"{row.id}, reported F1"] = row.also.f1
        if same.f1:
            table = per_class(np.array(same.confusion))
            figures = zip(same.f1, table.precision_K, table.recall_K, table.f1_K, strict=True)
            columns[row.id] = {label: " / ".join(map(_share, three)) for label, *three in figures}
    classes = dict.fromkeys(label for values in columns.values() for label in values)
    return markdown_table(("class", *columns), [(c, *(values.get(c) for values in columns.values())) for c in classes])


def _share(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


def _with_sd(outcome: Outcome | None, leak: str | None) -> str | None:
    if outcome is None:
        return None
    seeds = f"{outcome.protocol}, {outcome.seeds} seed{'s' * (outcome.seeds > 1)}{f', LEAK: {leak}' if leak else ''}"
    return f"{outcome.war:.3f}{'' if outcome.sd is None else f' ± {outcome.sd:.3f}'} ({seeds})"


def _with_interval(outcome: Outcome | None) -> str | None:
    if outcome is None:
        return None
    return f"{outcome.war:.3f} {interval_cell(outcome.ci95) or ''}".rstrip()
