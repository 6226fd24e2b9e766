"""The page of repeated rows as Markdown: for each report its tables and pictures, and how each row was made."""

from collections.abc import Mapping, Sequence

from experiments.five_reports.about import about
from experiments.five_reports.commands import ON_PAGE, published_command
from experiments.five_reports.outcome import Outcomes, RowOutcomes
from experiments.five_reports.pictures import confusion_name, picture_name, roc_name, with_confusion
from experiments.five_reports.row import Row
from experiments.five_reports.rows import HEADINGS, ROWS
from experiments.five_reports.tables import (
    ALSO_HEADER,
    HEADER,
    LOSS_HEADER,
    accuracy_lines,
    all_loss_lines,
    also_cells,
    class_table,
)
from serjax import escape
from serjax.figures.markdown import markdown_table

LOSS_UNIT = "Mean squared error per element, each coefficient divided by its range over training rows."
ALSO = "What else was reported, and the same protocol's:"
CLASSES = "Precision / recall / F1 of each class, same protocol, test clips of all seeds together:"
CLASSES_REPORTED = "F1 of each class as reported; our run was made before these were kept, and gives none to compare:"


def page_text(outcomes: Outcomes, made_up: bool) -> str:
    """Return the whole page of the rows that were run.

    Args:
      outcomes: what was run, as the file of results holds it.
      made_up: the clips are synthetic.
    """
    done = [row for row in ROWS if row.id in outcomes]
    return markdown(*about(outcomes, made_up), done, outcomes, HEADINGS, made_up)


def markdown(
    title: str,
    introduction: str,
    rows: Sequence[Row],
    outcomes: Outcomes,
    headings: Mapping[str, str],
    made_up: bool = False,
) -> str:
    """Return a page of rows.

    Args:
      title: the page's.
      introduction: what stands above the first report.
      rows: what to show.
      outcomes: what was run.
      headings: what each report is about.
      made_up: the clips are synthetic: commands of the published size are left out.
    """
    parts = [f"# {title}", introduction]
    for report, heading in headings.items():
        if own := [row for row in rows if row.report == report]:
            parts.append(f"## {report}: {heading}")
            parts += _tables(report, own, outcomes)
            parts += _also(own, outcomes)
            parts.append("\n".join(_detail(row, outcomes.get(row.id, {}), made_up) for row in own))
    return "\n\n".join(parts) + "\n"


def _tables(report: str, rows: Sequence[Row], outcomes: Outcomes) -> list[str]:
    """Return the tables of a report: accuracies with their picture, and losses."""
    parts = []
    if lines := accuracy_lines(rows, outcomes):
        parts.append(markdown_table(HEADER, lines))
        parts.append(f"![Reported, repeated and honest accuracy of {report}]({picture_name(report)})")
    if lines := all_loss_lines(rows, outcomes):
        parts += [LOSS_UNIT, markdown_table(LOSS_HEADER, lines)]
    return parts


def _also(rows: Sequence[Row], outcomes: Outcomes) -> list[str]:
    """Return what else is known of a report: training rows, cross-validation, ROC-AUC, classes."""
    same = {row.id: outcomes.get(row.id, {}).get("same") for row in rows}
    parts = []
    if more := [row for row in rows if any((row.also.train, row.also.cv, row.also.roc_auc))]:
        parts += [ALSO, markdown_table(ALSO_HEADER, [also_cells(row, same[row.id]) for row in more])]
    if classes := [(row, one) for row in rows if row.also.shows_classes and (one := same[row.id])]:
        ours = any(one.f1 for _, one in classes)
        parts += [CLASSES if ours else CLASSES_REPORTED, class_table(classes)]
    parts += [f"![Confusion matrix of {row.id}]({confusion_name(row)})" for row, _ in with_confusion(rows, outcomes)]
    drawn = [row for row in rows if row.also.by_curve and same[row.id]]
    return parts + [f"![ROC curves of {row.id}]({roc_name(row)})" for row in drawn]


def _detail(row: Row, outcomes: RowOutcomes, made_up: bool) -> str:
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
    if not made_up and (published := published_command(row, ON_PAGE)) is not None:
        lines.append(f"  - at the published size: {escape.markdown_code(published)}")
    return "\n".join(lines)
