"""What an experiment works on: the flags that choose labels, and what tells problems apart."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from serjax.data import Corpus
from serjax.data.features import Features
from serjax.experiments import feature_flags
from serjax.experiments import problem as problem_module
from serjax.experiments.classification import Setting
from serjax.experiments.config import ConfigError, Data, SupervisedTraining, fingerprint
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


def test_one_label_leaves_nothing_to_tell_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    for flags in ({"emotions": ("happy",)}, {"emotions": ("calm", "neutral"), "merge": ("calm=neutral",)}):
        with pytest.raises(ConfigError, match=r"All clips are (happy|neutral).*--emotions, --merge and --labels"):
            problem_of(Data(synthetic_clips=192, **flags), monkeypatch)


def test_files_count_by_what_is_in_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same table from another folder, or copied, is the same; another label is another corpus."""
    (tmp_path / "here").mkdir()
    table, weights = tmp_path / "here" / "u.csv", tmp_path / "w.npz"
    table.write_text("path,emotion,speaker\na.wav,sad,1\n")
    weights.write_bytes(b"one")
    training = SupervisedTraining(weights=weights)

    def found() -> str:
        return fingerprint("x", (Data(corpus=str(table)), training))

    @dataclasses.dataclass(frozen=True)
    class Rows:
        data: Data

    whole = found()
    inside = fingerprint("x", (Rows(Data(corpus=str(table))),))
    monkeypatch.chdir(tmp_path / "here")
    assert fingerprint("x", (Rows(Data(corpus="u.csv")),)) == inside
    assert fingerprint("x", (Data(corpus="u.csv"), training)) == whole
    table.write_text("path,emotion,speaker\na.wav,happy,1\n")
    assert found() != whole
    table.write_text("path,emotion,speaker\na.wav,sad,1\n")
    assert found() == whole
    weights.write_bytes(b"two")
    assert found() != whole


def test_a_folder_counts_by_its_place_and_a_corpus_by_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ravdess").mkdir()
    away = fingerprint("x", (Data(corpus=str(tmp_path / "mine")),)), fingerprint("x", (Data(corpus="ravdess"),))
    monkeypatch.chdir(tmp_path)
    assert away == (fingerprint("x", (Data(corpus="mine"),)), fingerprint("x", (Data(corpus="ravdess"),)))


def test_a_flag_that_is_not_given_does_not_count() -> None:
    before = dataclasses.make_dataclass("Data", [("seeds", int, 1)])
    after = dataclasses.make_dataclass("Data", [("seeds", int, 1), ("clips", int | None, None)])
    assert fingerprint("x", (before(),)) == fingerprint("x", (after(),))
    assert fingerprint("x", (after(),)) != fingerprint("x", (after(clips=3),))
