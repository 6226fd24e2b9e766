"""What an experiment works on: the flags that choose labels, and what tells problems apart."""

import dataclasses

import numpy as np
import pytest

from serjax.data import Corpus
from serjax.data.features import Features
from serjax.experiments import feature_flags
from serjax.experiments import problem as problem_module
from serjax.experiments.classification import Setting
from serjax.experiments.config import Data, fingerprint
from serjax.experiments.problem import Problem, load_problem


def problem_of(data: Data, monkeypatch: pytest.MonkeyPatch) -> Problem:
    """Load a problem whose features nobody computed."""

    def blank(corpus: Corpus, *_: object, **__: object) -> Features:
        n = len(corpus.utterances)
        return Features(np.zeros((n, 2, 3), np.float32), np.ones((n, 2), bool))

    monkeypatch.setattr(problem_module, "load_features", blank)
    return load_problem(data, feature_flags.Features(), None, lambda done, total: None)


def test_experiments_take_emotions_then_merges_then_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    emotions = ("neutral", "calm", "sad")
    data = Data(synthetic_clips=192, emotions=emotions, merge=("calm=neutral",), labels="emotion-gender")
    problem = problem_of(data, monkeypatch)
    assert problem.labels == ("neutral_female", "neutral_male", "sad_female", "sad_male")
    assert set(problem.truth_N.tolist()) == {0, 1, 2, 3}
    plain = problem_of(Data(synthetic_clips=192, emotions=emotions), monkeypatch)
    assert plain.digest() != problem.digest()  # a checkpoint of one meets not the other
    assert fingerprint("x", (data,)) != fingerprint("x", (Data(synthetic_clips=192, emotions=emotions),))


@pytest.mark.parametrize(
    ("flags", "classes"),
    [
        ({}, ""),
        ({"emotions": ("happy", "sad")}, ""),
        ({"merge": ("calm=neutral",)}, ", merged emotion"),
        ({"labels": "emotion-gender"}, ", emotion × gender"),
        ({"merge": ("calm=neutral",), "labels": "emotion-gender"}, ", merged emotion × gender"),
        ({"merge": ("calm=neutral",), "labels": "gender"}, ", gender"),
    ],
)
def test_the_title_says_what_is_told_apart(flags: dict, classes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = problem_of(Data(synthetic_clips=192, seeds=2, protocol="random-80-20", **flags), monkeypatch)
    assert problem.title == f"synthetic{classes}, random-80-20, speakers shared, 2 seeds"
    setting = Setting.of(problem)
    assert (setting.told_apart, setting.title) == (problem.told_apart, problem.title)


@pytest.mark.parametrize(
    ("corpus", "name"), [("crema-d", "crema-d"), ("/data/my.speech.csv", "my.speech"), ("/data/folder/", "folder")]
)
def test_a_path_becomes_a_name(corpus: str, name: str) -> None:
    assert Data(corpus=corpus).corpus_name == name


def test_a_flag_that_is_not_given_does_not_count() -> None:
    before = dataclasses.make_dataclass("Data", [("seeds", int, 1)])
    after = dataclasses.make_dataclass("Data", [("seeds", int, 1), ("clips", int | None, None)])
    assert fingerprint("x", (before(),)) == fingerprint("x", (after(),))
    assert fingerprint("x", (after(),)) != fingerprint("x", (after(clips=3),))
