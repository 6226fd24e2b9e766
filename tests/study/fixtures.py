"""What tests of several studies note of their training, and what they leave out."""

import pytest

from serjax.figures import canvas as plots
from serjax.study import problem, trainer
from serjax.train.objectives import ClassifierObjective
from tests.study.stand_ins import noise


@pytest.fixture
def no_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train on noise, which needs no clip to be made."""
    monkeypatch.setattr(problem, "load_features", noise)


@pytest.fixture
def stacks(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Note how many runs each share of each stack has."""
    noted: list[list[int]] = []
    train_shares = trainer.train_shares

    def spy(shares: list, *rest: object) -> list:
        noted.append([len(share.runs) for share in shares])
        return train_shares(shares, *rest)

    monkeypatch.setattr(trainer, "train_shares", spy)
    return noted


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Note every time that a classifier's loss is traced."""
    noted: list[object] = []
    loss = ClassifierObjective.loss

    def counting(self: ClassifierObjective, *args: object) -> object:
        noted.append(self)
        return loss(self, *args)

    monkeypatch.setattr(ClassifierObjective, "loss", counting)
    return noted


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save no figure: for tests of many studies that look at none, where they take a third of the time."""
    monkeypatch.setattr(plots, "save", lambda figure, path, dpi=150: None)
