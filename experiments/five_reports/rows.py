"""The rows of the five reports: what each reported, and the command lines that repeat it.

What a report leaves unsaid was chosen from its text and the usual defaults of its time, and is said in the remark. Rows
whose recipe was changed after a first result (S4.12, S4.13, S4.15, S4.16) say there what was tried before. Those whose
published size does not fit 2 CPU cores say what was made smaller.
"""

from collections.abc import Sequence
from dataclasses import replace

from experiments.five_reports.row import AlsoReported, Row
from experiments.five_reports.rows_s1 import FIRST
from experiments.five_reports.rows_s2 import NINETEEN, SECOND
from experiments.five_reports.rows_s3 import THIRD
from experiments.five_reports.rows_s4 import FOURTH
from experiments.five_reports.rows_s5 import FIFTH
from serjax.errors import ConfigError

HEADINGS = {
    "S1": "happy against sad, linear models, CNN, autoencoder and VAE (RAVDESS speech, 384 clips)",
    "S2": "26 hand-made features, 8 emotions (RAVDESS speech, 1 440 clips)",
    "S3": "mel pictures against MFCC sequences (CREMA-D)",
    "S4": "16 classes, emotion × gender (RAVDESS speech and song, 2 452 clips)",
    "S5": "convolutions in time steps and LSTM, copies made before the split (RAVDESS speech, 8 emotions)",
}
F1 = {
    "angry": 0.82,
    "calm": 0.83,
    "disgust": 0.77,
    "fearful": 0.81,
    "happy": 0.81,
    "neutral": 0.70,
    "sad": 0.71,
    "surprised": 0.87,
}
ALSO = {
    "S1.1-split": AlsoReported(train=0.98),
    "S1.2-linear": AlsoReported(train=0.80),
    "S2.1": AlsoReported(roc_auc=0.934, by_class=True),
    "S2.2": AlsoReported(by_class=True, by_curve=True),
    "S2.3": AlsoReported(by_class=True, by_curve=True),
    "S2.4": AlsoReported(by_class=True),
    "S2.4-matched": AlsoReported(by_class=True),
    "S2.1-19": AlsoReported(roc_auc=0.934),
    "S4.1": AlsoReported(0.74, 0.431),
    "S4.2": AlsoReported(1.0, 0.639),
    "S4.3": AlsoReported(1.0, 0.658),
    "S4.4": AlsoReported(1.0, 0.656),
    "S4.4-eta": AlsoReported(1.0, 0.656),
    "S4.5": AlsoReported(1.0, 0.767),
    "S4.6": AlsoReported(1.0, 0.524),
    "S4.7": AlsoReported(0.82, 0.643),
    "S4.8": AlsoReported(1.0, 0.765),
    "S4.9": AlsoReported(1.0, 0.767),
    "S4.10": AlsoReported(1.0, 0.751),
    "S4.11": AlsoReported(1.0, 0.769, by_class=True),
    "S4.11-eta": AlsoReported(1.0, 0.769),
    "S4.12": AlsoReported(1.0),
    "S4.13": AlsoReported(1.0),
    "S4.14": AlsoReported(0.19),
    "S4.15": AlsoReported(0.99),
    "S4.16": AlsoReported(1.0),
    "S4.17": AlsoReported(1.0, by_class=True),
    "S5.2": AlsoReported(0.96, f1=F1),
}
ROWS = tuple(
    replace(row, also=ALSO.get(row.id, AlsoReported())) for row in (*FIRST, *SECOND, *NINETEEN, *THIRD, *FOURTH, *FIFTH)
)


def chosen(names: Sequence[str]) -> tuple[Row, ...]:
    """Return rows in the order of the reports.

    Args:
      names: numbers of rows (S4.5) or reports (S4); none: all rows.

    Raises:
      ConfigError: there is no such row.
    """
    known = {row.id for row in ROWS} | {row.report for row in ROWS}
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"--rows {' '.join(unknown)}: there is no such row. Choose from: {', '.join(sorted(known))}.")
    return tuple(row for row in ROWS if not names or row.id in names or row.report in names)


def with_members(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Add the rows that vote in one of `rows`."""
    voting = {member for row in rows for member in row.members}
    return tuple(row for row in ROWS if row in rows or row.id in voting)
