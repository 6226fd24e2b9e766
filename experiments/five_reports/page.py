"""The page of repeated rows: tables and pictures of what was reported, what the same protocol gives, what is honest."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.five_reports.replication import Losses, Outcome, Row, Side
from serjax import escape
from serjax.evaluate.comparison import Interval
from serjax.evaluate.metrics import per_class
from serjax.evaluate.statistics import prediction_interval
from serjax.figures import canvas as plots
from serjax.figures.classification import confusion_matrix
from serjax.figures.markdown import markdown_table
from serjax.figures.tables import Cell, print_table

Outcomes = Mapping[str, Mapping[Side, Outcome]]
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
BESIDE_HEADER = (
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
CLASSES = "Precision / recall / F1 of each class, same protocol, test clips of all seeds together:"
CLASSES_REPORTED = "F1 of each class as reported; our run was made before these were kept, and gives none to compare:"


def markdown(
    title: str,
    about: str,
    rows: Sequence[Row],
    outcomes: Outcomes,
    headings: Mapping[str, str],
    published: Mapping[str, str] | None = None,
) -> str:
    """Return the page: for each report a table, its picture, and how each row was made.

    `published` are the commands of rows at their published size, where they were run at a smaller one.
    """
    parts = [f"# {title}", about]
    for report, heading in headings.items():
        own = [row for row in rows if row.report == report]
        if not own:
            continue
        parts.append(f"## {report}: {heading}")
        compared = [row for row in own if not isinstance(row.reported, Losses)]
        losses = [row for row in own if isinstance(row.reported, Losses)]
        if compared:
            parts.append(markdown_table(HEADER, [cells(row, outcomes.get(row.id, {})) for row in compared]))
            parts.append(f"![Reported, repeated and honest accuracy of {report}]({picture_name(report)})")
        if losses:
            parts.append("Mean squared error an element, each coefficient divided by its range over training rows.")
            table = [line for row in losses for line in loss_lines(row, outcomes.get(row.id, {}))]
            parts.append(markdown_table(LOSS_HEADER, table))
        parts += _beside(own, outcomes)
        sizes = published or {}
        parts.append("\n".join(_detail(row, outcomes.get(row.id, {}), sizes.get(row.id)) for row in own))
    return "\n\n".join(parts) + "\n"


def _beside(rows: Sequence[Row], outcomes: Outcomes) -> list[str]:
    """Return what stands beside the accuracies of a report: training rows, cross-validation, ROC-AUC, classes."""
    same = {row.id: outcomes.get(row.id, {}).get("same") for row in rows}
    parts = []
    told = [row for row in rows if any((row.beside.train, row.beside.cv, row.beside.roc_auc))]
    if told:
        lines = [beside_cells(row, same[row.id]) for row in told]
        parts += ["What else was reported, and the same protocol's:", markdown_table(BESIDE_HEADER, lines)]
    if classes := [(row, one) for row in rows if row.beside.shows_classes and (one := same[row.id])]:
        ours = any(one.f1 for _, one in classes)
        parts.append(CLASSES if ours else CLASSES_REPORTED)
        parts.append(_class_table(classes))
    parts += [f"![Confusion matrix of {row.id}]({confusion_name(row)})" for row, *_ in _confusions(rows, outcomes)]
    drawn = [row for row in rows if row.beside.by_curve and same[row.id]]
    return parts + [f"![ROC curves of {row.id}]({roc_name(row)})" for row in drawn]


def _confusions(rows: Sequence[Row], outcomes: Outcomes) -> list[tuple[Row, Outcome, list[str], np.ndarray]]:
    """Return the rows whose confusion matrices stand on the page: outcome, classes and matrix of the same protocol."""
    found = [(row, outcomes.get(row.id, {}).get("same")) for row in rows if row.beside.shows_classes]
    return [(row, same, list(same.f1), np.array(same.confusion)) for row, same in found if same and same.f1]


def beside_cells(row: Row, same: Outcome | None) -> tuple[Cell, ...]:
    """Return a row of the table of what else was reported: each figure, then ours."""
    told = row.beside
    ours = (None,) * 3 if same is None else (same.train_war, same.cv_war, same.roc_auc)
    pairs = zip((told.train, told.cv, told.roc_auc), ours, strict=True)
    return (f"{row.id} {row.about}", *(cell for value, own in pairs for cell in (value, own)))


def _class_table(rows: Sequence[tuple[Row, Outcome]]) -> str:
    """Return a line a class, a column a row, and one of the F1 that was reported where it was."""
    columns: dict[str, Mapping[str, Cell]] = {}
    for row, same in rows:
        if row.beside.f1:
            columns[f"{row.id}, reported F1"] = row.beside.f1
        if same.f1:
            table = per_class(np.array(same.confusion))
            figures = zip(same.f1, table.precision_K, table.recall_K, table.f1_K, strict=True)
            columns[row.id] = {label: " / ".join(map(_share, three)) for label, *three in figures}
    classes = dict.fromkeys(label for values in columns.values() for label in values)
    return markdown_table(("class", *columns), [(c, *(values.get(c) for values in columns.values())) for c in classes])


def _share(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


def print_rows(rows: Sequence[Row], outcomes: Outcomes) -> None:
    """Print the tables."""
    compared = [row for row in rows if not isinstance(row.reported, Losses)]
    losses = [row for row in rows if isinstance(row.reported, Losses)]
    if compared:
        print_table("Accuracy (WAR)", HEADER, [cells(row, outcomes.get(row.id, {})) for row in compared])
    if losses:
        table = [line for row in losses for line in loss_lines(row, outcomes.get(row.id, {}))]
        print_table("Reconstruction loss of models trained on happy clips", LOSS_HEADER, table)


def picture_name(report: str) -> str:
    """Return the file name of a report's picture."""
    return f"five_reports_{report.lower()}.png"


def confusion_name(row: Row) -> str:
    """Return the file name of a row's confusion matrix."""
    return f"five_reports_{row.id.lower()}_confusion.png"


def roc_name(row: Row) -> str:
    """Return the file name of a row's ROC curves."""
    return f"five_reports_{row.id.lower()}_roc.png"


def cells(row: Row, outcomes: Mapping[Side, Outcome]) -> tuple[Cell, ...]:
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
        lies(row.reported, interval),
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


def lies(reported: float | None, interval: Interval | None) -> str | None:
    """Say where a reported number lies: inside an interval, above or below it."""
    if reported is None or interval is None:
        return None
    low, high = interval
    return "above" if reported > high else "below" if reported < low else "inside"


def interval_cell(interval: Interval | None) -> str | None:
    """Return an interval as the tables show it."""
    return None if interval is None else f"[{interval[0]:.3f}, {interval[1]:.3f}]"


def loss_lines(row: Row, outcomes: Mapping[Side, Outcome]) -> list[tuple[Cell, ...]]:
    """Return the lines of a row that reports losses: its own, and one for each protocol."""
    assert isinstance(row.reported, Losses)
    name = f"{row.id} {row.about}"
    ratio = row.reported.sad / row.reported.happy
    own = (f"{row.reported.happy:.4f}", f"{row.reported.sad:.4f}", f"{ratio:.2f}")
    lines: list[tuple[Cell, ...]] = [(name, "as reported", "–", "–", *own, None, None, "–", "–")]
    for outcome in outcomes.values():
        assert outcome.losses is not None
        (train, _), (test, _), (happy, sad) = (outcome.losses[part] for part in ("train", "test", "all"))
        figures = (f"{train:.4f}", f"{test:.4f}", f"{happy:.4f}", f"{sad:.4f}", f"{sad / happy:.2f}")
        shown = figures if outcome.losses_sd is None else _with_spread(figures, outcome.losses_sd)
        spread = outcome.losses_sd
        interval = None if spread is None else prediction_interval(sad / happy, spread["ratio"][0], outcome.seeds)
        judged = (interval_cell(interval), lies(ratio, interval))
        lines.append((name, outcome.protocol, *shown, *judged, outcome.uar, f"{outcome.minutes:.1f}"))
    return lines


def _with_spread(figures: Sequence[str], spread: Mapping[str, list[float]]) -> list[str]:
    """Put the deviation over seeds behind each loss of `loss_lines`, and behind their ratio."""
    deviations = (spread["train"][0], spread["test"][0], *spread["all"])
    return [
        *(f"{figure} ± {deviation:.4f}" for figure, deviation in zip(figures, deviations, strict=False)),
        f"{figures[-1]} ± {spread['ratio'][0]:.2f}",
    ]


def draw(report: str, heading: str, rows: Sequence[Row], outcomes: Outcomes) -> Figure:
    """Draw of each row that was run what was reported (ring), the same protocol (`one_split`), and new speakers."""
    rows = _drawn(report, rows, outcomes)
    name_in, title = 0.08 * max(len(row.id + row.about) for row in rows), f"{report}{plots.SEPARATOR}{heading}"
    width_in = max(name_in + 4.6, 0.6 * plots.TITLE_PT / 72 * len(title) + 0.1)
    figure = plots.canvas(width_in, 0.42 * len(rows) + 1.6, title)
    axes = figure.add_subplot()
    for n, row in enumerate(rows):
        found = outcomes[row.id]
        assert not isinstance(row.reported, Losses)
        if (same := found.get("same")) is not None:
            bounds = one_split(same) or (same.war, same.war)
            _point(axes, n - 0.14, same.war, bounds, 0, "same protocol, 95 % of single splits")
        if (new := found.get("independent")) is not None:
            _point(axes, n + 0.14, new.war, new.ci95 or (new.war, new.war), 1, "new speakers, 95 % interval")
        if row.reported is not None:
            axes.plot([row.reported], [n], "o", mfc="none", color="black", ms=7, label="reported")
    axes.set_yticks(range(len(rows)), [f"{row.id} {row.about}" for row in rows], fontsize=plots.TICK_PT)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    plots.label_axis(axes, "accuracy (WAR)", "")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="0.92", lw=0.6)
    axes.set_axisbelow(True)
    handles, names = axes.get_legend_handles_labels()
    once = dict(zip(names, handles, strict=True))
    figure.legend(once.values(), once.keys(), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def write_pictures(folder: Path, rows: Sequence[Row], outcomes: Outcomes, headings: Mapping[str, str]) -> None:
    """Write the picture of each report that has a result."""
    for report, heading in headings.items():
        if _drawn(report, rows, outcomes):
            plots.save(draw(report, heading, rows, outcomes), folder / picture_name(report))
    for row, same, labels, confusion_KK in _confusions(rows, outcomes):
        title = f"{row.id} {row.about}{plots.SEPARATOR}{same.protocol}{plots.SEPARATOR}{same.seeds} seeds"
        plots.save(confusion_matrix(confusion_KK, labels, title), folder / confusion_name(row))


def _drawn(report: str, rows: Sequence[Row], outcomes: Outcomes) -> list[Row]:
    """Return the rows of a report's picture: those whose accuracy is known."""
    own = [row for row in rows if row.report == report and not isinstance(row.reported, Losses)]
    return [row for row in own if row.id in outcomes]


def _point(axes: Axes, y: float, value: float, bounds: tuple[float, float], shade: int, name: str) -> None:
    axes.plot(bounds, [y, y], color=plots.COLOURS[shade], lw=2, solid_capstyle="butt")
    axes.plot([value], [y], "o", color=plots.COLOURS[shade], ms=5, label=name)


def _with_sd(outcome: Outcome | None, leak: str | None) -> str | None:
    if outcome is None:
        return None
    seeds = f"{outcome.protocol}, {outcome.seeds} seed{'s' * (outcome.seeds > 1)}{f', LEAK: {leak}' if leak else ''}"
    return f"{outcome.war:.3f}{'' if outcome.sd is None else f' ± {outcome.sd:.3f}'} ({seeds})"


def _with_interval(outcome: Outcome | None) -> str | None:
    if outcome is None:
        return None
    return f"{outcome.war:.3f} {interval_cell(outcome.ci95) or ''}".rstrip()


def _detail(row: Row, outcomes: Mapping[Side, Outcome], published: str | None) -> str:
    """Return how a row was made: its commands, what else was measured, and what is to be said."""
    lines = [f"- **{row.id} {row.about}.** {row.remark}".rstrip()]
    for side, outcome in outcomes.items():
        more = [f"{outcome.minutes:.1f} min"]
        more += [f"accuracy on training rows {outcome.train_war:.3f}"] if outcome.train_war is not None else []
        more += [f"in cross-validation there {outcome.cv_war:.3f}"] if outcome.cv_war is not None else []
        more += [f"ROC-AUC {outcome.roc_auc:.3f}"] if outcome.roc_auc is not None else []
        more += [f"{outcome.n_clips} clips of {outcome.n_speakers} speakers tested"] if outcome.n_clips else []
        more += ["which runs voted was not yet written down"] if row.members and outcome.members is None else []
        lines.append(f"  - {side}: {escape.markdown_code(outcome.command)} ({', '.join(more)}; git {outcome.git})")
    lines += [f"  - at the published size: {escape.markdown_code(published)}"] if published else []
    return "\n".join(lines)
