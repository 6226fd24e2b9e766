"""The script of folds that are not shuffled."""

import numpy as np
import pytest

from scripts import unshuffled_folds
from serjax.study.tabular.flags import Choice, Output, TabularConfig
from tests.study.tiny_table import tiny_table


def test_folds_are_the_clips_in_their_order(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """The feature tells the label of clips but of the last fifth, where it tells another: that fold is all wrong."""
    table = tiny_table()
    table.x_ND[:] = 3.0 * np.eye(5)[table.alphabetical_N]
    table.x_ND[60:] = 3.0 * np.eye(5)[(table.alphabetical_N[60:] + 1) % 3]
    monkeypatch.setattr(unshuffled_folds, "load_table", lambda *args: table)
    unshuffled_folds.run(TabularConfig(choice=Choice(models=("logistic",)), output=Output(quiet=True)))
    shown = capsys.readouterr().out.split()
    assert shown[-5:-1] == ["1.000"] * 4
    assert float(shown[-1]) < 0.3
