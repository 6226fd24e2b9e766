"""What tests of several studies note of their training."""

import pytest

from serjax.experiments import trainer
from serjax.train.objectives import ClassifierObjective


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
