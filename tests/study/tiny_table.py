"""A small table without sound: weak classes, six speakers of two genders, one fold or several."""

import numpy as np

from serjax.data import Corpus, Utterance
from serjax.data.splits import Fold
from serjax.folder.run_folder import RunFolder
from serjax.study.outcome import Setting
from serjax.study.problem import Cell, Problem
from serjax.study.progress import Progresses
from serjax.study.tabular.cells import Row, Tuning, run_row
from serjax.study.tabular.table import Table
from serjax.study.writer import write_outcome

LABELS = ("sad", "happy", "angry")  # not in the order of the alphabet
TEST = np.arange(60, 72)


class NoSound:
    """The table has its features already."""

    def read(self, paths: object, window: object) -> None:
        raise AssertionError

    def digest(self, path: str) -> str:
        raise AssertionError


def tiny_table(shift: float = 0.8, shared: bool = False, key: int = 0, emotion_N: np.ndarray | None = None) -> Table:
    """Six speakers, twelve clips each; the last is tested, and the fifth is a validation speaker."""
    rng = np.random.default_rng(key)
    drawn_N = np.tile(np.arange(3), 24)
    x_ND = rng.normal(size=(72, 5)) + shift * np.eye(5)[drawn_N]
    named_N = drawn_N if emotion_N is None else emotion_N
    utterances = tuple(
        Utterance(f"{n:02d}.wav", LABELS[k], f"s{n // 12}", "fm"[n // 12 % 2], None, None, None, "test")
        for n, k in enumerate(named_N)
    )
    fold = Fold("fold-1", *(rows.astype(np.int32) for rows in (np.arange(48), np.arange(48, 60), TEST)))
    corpus = Corpus("test", utterances, NoSound(), LABELS)  # type: ignore[arg-type]
    pictures_NTC = np.zeros((72, 1, 5), np.float32)
    cells = (Cell(0, fold), Cell(1, fold))
    problem = Problem(corpus, "speaker-5fold", shared, pictures_NTC, np.ones((72, 1), np.float32), cells)
    return Table(problem, x_ND, held_out_cells=cells)


def write_row(row: Row, table: Table, folder: RunFolder, tuning: Tuning, shown: Progresses) -> None:
    """Fit and test a model in all cells, and write its run folder."""
    write_outcome(folder, Setting.of(table.problem), run_row(row, table, folder, tuning, shown))
