"""What tests of several studies note of their training, and what they leave out."""

import pytest

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


@pytest.fixture(autouse=True)
def usually_no_figures(request: pytest.FixtureRequest) -> None:
    """Draw no figure but where a test asks for them, or in a fixture that several tests share."""
    if "with_figures" not in request.fixturenames:
        request.getfixturevalue("no_figures")
