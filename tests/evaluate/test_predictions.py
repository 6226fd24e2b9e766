"""The table of predictions: what is written is read, bit for bit, and nonsense is refused."""

import dataclasses
import os
import re

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from serjax.evaluate import predictions as pred

LABELS = ("happy", 'sad, or "low"', "ärger")


def table(n_rows: int = 6, seed: int = 0) -> pred.Predictions:
    rng = np.random.default_rng(seed)
    return pred.Predictions(
        utterance=tuple(f"Actor_{n:02d}/a, b {n}.wav" for n in range(n_rows)),
        speaker=tuple(f"s{n % 3}" for n in range(n_rows)),
        fold=tuple(f"fold{n % 2}" for n in range(n_rows)),
        seed=np.full(n_rows, seed),
        truth=rng.integers(0, 3, n_rows),
        prediction=rng.integers(0, 3, n_rows),
        scores_NK=rng.normal(size=(n_rows, 3)) * 10.0 ** rng.integers(-300, 300, (n_rows, 3)),
        labels=LABELS,
    )


def assert_equal(first: pred.Predictions, second: pred.Predictions) -> None:
    for field in dataclasses.fields(pred.Predictions):
        values = getattr(first, field.name), getattr(second, field.name)
        assert type(values[0]) is type(values[1])
        np.testing.assert_array_equal(*values)


@pytest.mark.parametrize("has_log_px", [False, True])
@pytest.mark.parametrize("n_rows", [0, 1, 50])
def test_round_trip_is_exact(tmp_path, n_rows, has_log_px):
    written = dataclasses.replace(table(n_rows), log_px_N=np.arange(n_rows) / 3) if has_log_px else table(n_rows)
    pred.write_predictions(written, tmp_path / "predictions.csv")
    assert_equal(pred.read_predictions(tmp_path / "predictions.csv"), written)


def test_a_compressed_table_is_read_back_and_is_the_same_file_twice(tmp_path):
    for name in ("a.csv.gz", "b.csv.gz"):
        pred.write_predictions(table(), tmp_path / name)
    assert_equal(pred.read_predictions(tmp_path / "a.csv.gz"), table())
    whole = (tmp_path / "a.csv.gz").read_bytes()
    assert whole == (tmp_path / "b.csv.gz").read_bytes()
    for harmed in (whole[:-9], whole[:60], b"utterance", whole[:30] + bytes(9) + whole[39:]):
        (tmp_path / "a.csv.gz").write_bytes(harmed)
        with pytest.raises(pred.PredictionsError, match=r"a.csv.gz is no table of predictions .*Write it anew"):
            pred.read_predictions(tmp_path / "a.csv.gz")


def test_float32_scores_survive(tmp_path):
    scores = np.random.default_rng(0).random((6, 3)).astype(np.float32)
    pred.write_predictions(dataclasses.replace(table(), scores_NK=scores), tmp_path / "p.csv")
    np.testing.assert_array_equal(pred.read_predictions(tmp_path / "p.csv").scores_NK.astype(np.float32), scores)


def test_the_file_is_the_published_contract(tmp_path):
    one = pred.Predictions(
        *(("a.wav",), ("01",), ("fold1",), np.array([2]), np.array([0]), np.array([1])),
        *(np.array([[0.1, 1 / 3]]), ("happy", "sad")),
    )
    pred.write_predictions(one, tmp_path / "predictions.csv")
    assert (tmp_path / "predictions.csv").read_bytes() == (
        b"utterance,speaker,fold,seed,truth,prediction,score_happy,score_sad\n"
        b"a.wav,01,fold1,2,happy,sad,0.1,0.3333333333333333\n"
    )


def test_a_failed_write_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = tmp_path / "predictions.csv"
    pred.write_predictions(table(3), path)
    before = path.read_bytes()

    def full_disk(_: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="no space"):
        pred.write_predictions(table(50), path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["predictions.csv"]


def test_concatenate_and_rows_are_inverse():
    parts = [table(4, seed=0), table(6, seed=1)]
    whole = pred.concatenate(parts)
    for seed, part in enumerate(parts):
        assert_equal(whole.rows(whole.seed == seed), part)
    with pytest.raises(pred.PredictionsError, match="expected the same in each"):
        pred.concatenate([table(), dataclasses.replace(table(), labels=("x", "y", "z"))])
    with pytest.raises(pred.PredictionsError, match="expected the same in each"):
        pred.concatenate([])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"truth": np.array([0, 1, 2, 0, 1, -1])}, "truth -1 at row 5"),
        ({"prediction": np.array([0, 3, 2, 0, 1, 1])}, "prediction 3 at row 1"),
        ({"speaker": ("a",)}, "'speaker': 1"),
        ({"labels": ("happy", "sad")}, r"scores of shape \(6, 3\) for 2 labels"),
        ({"scores_NK": np.full((6, 3), np.nan)}, "not finite .*diverged"),
        ({"utterance": ("a", "b", "c", "d", "e", "b")}, "b is predicted twice under seed 0"),
    ],
)
def test_tables_that_contradict_themselves_are_refused(change, message):
    with pytest.raises(pred.PredictionsError, match=message):
        dataclasses.replace(table(), **change)


def test_a_clip_may_validate_in_two_folds_and_is_tested_in_one() -> None:
    both = dataclasses.replace(table(), utterance=("a", "a", "b", "c", "d", "e"))  # in fold0 and in fold1
    with pytest.raises(pred.PredictionsError, match="a is predicted twice under seed 0: a clip is a test clip once"):
        pred.check_tested_once(both)
    pred.check_tested_once(table())


def test_shapes_are_checked_where_the_tests_look():
    with pytest.raises(TypeCheckError):
        dataclasses.replace(table(), seed=np.array([0.5] * 6))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the header is ''"),
        ("path,emotion\na,b\n", "this is not a predictions.csv"),
        ("{header}\na.wav,01,f,0,happy,sad,1\n", "p.csv:2: 7 cells, expected 8"),
        ("{header}\na.wav,01,f,0,happy,angry,1,2\n", "p.csv:2: .*the file is damaged"),
        ("{header}\na.wav,01,f,0,happy,sad,1,2\nb.wav,01,f,0,happy,sad,1,x\n", "p.csv:3: .*'x'"),
        ("{header}\n" + "a.wav,01,f,0,happy,sad,1,2\n" * 2, "p.csv: a.wav is predicted twice"),
        ("{header}\n" + "a" * 200_000, "p.csv is no table of predictions .*field limit"),
        ("{header}\n\udcff", "p.csv is no table of predictions .*codec"),
    ],
)
def test_damaged_files_are_named_with_their_line(tmp_path, content, message):
    header = "utterance,speaker,fold,seed,truth,prediction,score_happy,score_sad"
    (tmp_path / "p.csv").write_text(content.replace("{header}", header), encoding="utf-8", errors="surrogateescape")
    with pytest.raises(pred.PredictionsError, match=message) as caught:
        pred.read_predictions(tmp_path / "p.csv")
    assert re.search(r"p\.csv", str(caught.value))
