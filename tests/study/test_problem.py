"""What an experiment works on: the flags that choose labels, and what tells problems apart."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from serjax.data import Corpus
from serjax.data.audio import AudioError, UnreadableClips
from serjax.data.feature_cache import Features
from serjax.data.notes import Note
from serjax.data.splits import ProtocolError
from serjax.errors import ConfigError
from serjax.study import frontends as feature_flags
from serjax.study import problem as problem_module
from serjax.study.fingerprint import fingerprint
from serjax.study.flags import Data, SupervisedTraining
from serjax.study.outcome import Setting
from serjax.study.problem import Problem, check_differ, load_parts, load_problem
from tests.study.stand_ins import noise


def problem_of(data: Data, monkeypatch: pytest.MonkeyPatch) -> Problem:
    """Load a problem whose features nobody computed."""

    def blank(corpus: Corpus, *_: object, **__: object) -> Features:
        n = len(corpus.utterances)
        return Features(np.arange(6.0 * n, dtype=np.float32).reshape(n, 2, 3), np.ones((n, 2), bool))

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
    assert fingerprint("x", {"data": data}) != fingerprint("x", {"data": Data(synthetic_clips=192, emotions=emotions)})


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
    assert problem.title == f"synthetic{classes}, random-80-20, LEAK: speakers shared, 2 seeds"
    setting = Setting.of(problem)
    assert (setting.label_kind, setting.title) == (problem.label_kind, problem.title)


@pytest.mark.parametrize(
    ("corpus", "name"),
    [
        ("crema-d", "crema-d"),
        ("/data/my.speech.csv", "my.speech"),
        ("/data/folder/", "folder"),
        (("ravdess", "/data/mine.csv"), "ravdess+mine"),
    ],
)
def test_a_path_becomes_a_name(corpus: str | tuple[str, ...], name: str) -> None:
    assert Data(corpus=corpus).corpus_name == name


def test_a_long_path_becomes_a_name_that_file_systems_take() -> None:
    assert len(Data(corpus=f"/data/{'é' * 120}.csv").corpus_name.encode()) < 120


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
        return fingerprint("x", {"data": Data(corpus=str(table)), "training": training})

    @dataclasses.dataclass(frozen=True)
    class Rows:
        data: Data

    whole = found()
    inside = fingerprint("x", {"data": Rows(Data(corpus=str(table)))})
    monkeypatch.chdir(tmp_path / "here")
    assert fingerprint("x", {"data": Rows(Data(corpus="u.csv"))}) == inside
    assert fingerprint("x", {"data": Data(corpus="u.csv"), "training": training}) == whole
    table.write_text("path,emotion,speaker\na.wav,happy,1\n")
    assert found() != whole
    table.write_text("path,emotion,speaker\na.wav,sad,1\n")
    assert found() == whole
    weights.write_bytes(b"two")
    assert found() != whole


def test_a_folder_counts_by_its_place_and_a_corpus_by_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ravdess").mkdir()
    away = (
        fingerprint("x", {"data": Data(corpus=str(tmp_path / "mine"))}),
        fingerprint("x", {"data": Data(corpus="ravdess")}),
    )
    monkeypatch.chdir(tmp_path)
    assert away == (fingerprint("x", {"data": Data(corpus="mine")}), fingerprint("x", {"data": Data(corpus="ravdess")}))


def test_a_flag_that_is_not_given_does_not_count() -> None:
    before = dataclasses.make_dataclass("Data", [("seeds", int, 1)])
    after = dataclasses.make_dataclass("Data", [("seeds", int, 1), ("clips", int | None, None)])
    assert fingerprint("x", {"data": before()}) == fingerprint("x", {"data": after()})
    assert fingerprint("x", {"data": after()}) != fingerprint("x", {"data": after(clips=3)})


def odd(
    monkeypatch: pytest.MonkeyPatch, bad: tuple[int, ...] = (), twins: tuple[int, int] = (0, 0), silent: bool = False
) -> None:
    """Let features be noise, those of rows `bad` unreadable, and those of two rows the same, silent or not."""

    def load(corpus: Corpus, frontend: object, **_: object) -> Features:
        values_NTD = np.random.default_rng(0).normal(size=(len(corpus.utterances), 2, 3)).astype(np.float32)
        paths = [utterance.path for utterance in corpus.utterances]
        values_NTD[twins[1]] = values_NTD[twins[0]]
        errors = {paths[row]: AudioError("damaged", Path(paths[row]), "is damaged", "Copy it again.") for row in bad}
        notes = (Note("silent", "Every sample is zero", tuple((paths[row], "") for row in twins)),) if silent else ()
        return Features(values_NTD, np.ones(values_NTD.shape[:2], bool), notes, errors)

    monkeypatch.setattr(problem_module, "load_features", load)


def load(**flags: object) -> Problem:
    data = Data(synthetic_clips=96, **flags)  # type: ignore[arg-type]
    return load_problem(data, feature_flags.Features(), None, lambda done, total: None)


def test_clips_that_cannot_be_read_are_left_out_before_the_split(monkeypatch: pytest.MonkeyPatch) -> None:
    odd(monkeypatch)
    whole = load()
    odd(monkeypatch, bad=(1, 50))
    problem = load(max_bad=2.0)
    left = [n for n in range(96) if n not in (1, 50)]
    assert problem.corpus.utterances == tuple(whole.corpus.utterances[n] for n in left)
    np.testing.assert_array_equal(problem.x_NTC, whole.x_NTC[left])
    assert sorted(np.concatenate([cell.fold.test for cell in problem.cells])) == list(range(94))
    assert problem.corpus.notes[-1].line.startswith("Cannot be read and left out (--max-bad): 2 clips (")
    assert "is damaged [damaged]" in problem.corpus.notes[-1].line


def test_sets_of_features_count_their_unreadable_clips_together(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = iter([(1,), (2,)])

    def load(*arguments: object, **more: object) -> Features:
        odd(monkeypatch, bad=next(rows))
        read, problem_module.load_features = problem_module.load_features, load
        return read(*arguments, **more)

    monkeypatch.setattr(problem_module, "load_features", load)
    data, flags = Data(synthetic_clips=96, max_bad=1.0), feature_flags.Features()
    with pytest.raises(UnreadableClips) as told:
        load_parts(data, (flags, flags), None, (print, print), selecting=True)
    assert len(told.value.errors) == 2


@pytest.mark.parametrize("max_bad", [-1.0, 1.5, float("inf"), float("nan")])
def test_what_is_neither_a_number_of_clips_nor_a_share_is_refused(max_bad: float) -> None:
    with pytest.raises(ConfigError, match="--max-bad"):
        load(max_bad=max_bad)


def test_one_recording_under_two_speakers_is_refused_or_marks_the_title(monkeypatch: pytest.MonkeyPatch) -> None:
    odd(monkeypatch)
    speakers = [utterance.speaker for utterance in load().corpus.utterances]
    other = next(row for row, speaker in enumerate(speakers) if speaker != speakers[0])
    odd(monkeypatch, twins=(0, other))
    with pytest.raises(ProtocolError, match="speaker-6fold keeps training and test apart"):
        load()
    problem = load(protocol="random-5fold")
    assert "LEAK: 1 recording both in training and test; speakers shared" in problem.title
    odd(monkeypatch, twins=(0, other), silent=True)
    assert load().leak is None


def test_clips_begin_where_the_corpus_says_or_the_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []

    def blank(corpus: Corpus, frontend: object, offset_s: float, **_: object) -> Features:
        told.append(offset_s)
        return noise(corpus, feature_flags.Features().frontend())

    monkeypatch.setattr(problem_module, "load_features", blank)
    assert [load(**flags).windows["synthetic"]["offset_s"] for flags in ({}, {"offset": 0.0})] == [0.5, 0.0]
    assert told == [0.5, 0.0]


def test_clips_that_have_all_the_same_features_are_refused() -> None:
    """As silence does, padding aside; one frame of one clip that differs is enough."""
    values_NTD, mask_NT = np.full((4, 3, 2), -80.0, np.float32), np.arange(3) < np.array([[3], [2], [3], [0]])
    values_NTD[~mask_NT] = 0.0
    with pytest.raises(ConfigError, match="All clips have the same features in all frames, as silence has"):
        check_differ([Features(values_NTD, mask_NT)])
    values_NTD[2, 1, 1] = -79.0
    check_differ([Features(values_NTD, mask_NT)])
