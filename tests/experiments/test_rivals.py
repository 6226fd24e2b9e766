"""The rivals study: what a fold may look at, and what the run folder and the results page say."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments import vae_rivals
from experiments.vae_rivals import Config, Output, Rival, choose, classify_by, scores
from serjax.data import Corpus, Utterance
from serjax.data.splits import Fold
from serjax.errors import ConfigError
from serjax.evaluate.comparison import difference
from serjax.evaluate.metrics import confusion, uar
from serjax.evaluate.predictions import read_predictions
from serjax.evaluate.statistics import holm
from serjax.evaluate.summary import summarise
from serjax.models.classical.packages import one_thread
from serjax.models.classical.pictures import Logistic, MixturePerClass, PcaPerClass
from serjax.results.classifiers import Page, Row, markdown, page_of
from serjax.results.page import read_content
from serjax.results.reached import adjusted
from serjax.study.flags import Data
from serjax.study.problem import Cell, Problem
from serjax.study.progress import progresses

pytestmark = pytest.mark.slow

LABELS = ("happy", "sad", "angry")
FEW = (
    Rival("pca", "PCA an emotion", (PcaPerClass(1), PcaPerClass(3))),
    Rival("pca-5", "PCA, fixed", (PcaPerClass(5),)),
    Rival("mixture", "mixture an emotion", (MixturePerClass(1), MixturePerClass(2, "full"))),
    Rival("logistic", "logistic regression", (Logistic(0.1, "moments"), Logistic(1e-3, "picture"))),
)


@pytest.fixture(autouse=True, scope="module")
def on_one_thread() -> Iterator[None]:
    """As the study does."""
    with one_thread():
        yield


class NoSound:
    """The problem has its pictures already."""

    def read(self, paths: object, window: object) -> None:
        raise AssertionError

    def digest(self, path: str) -> str:
        raise AssertionError


def problem(emotions: np.ndarray | None = None, key: int = 0) -> Problem:
    """Six speakers, twelve clips each, one fold: four train, one validates, one tests; weak, noisy classes."""
    rng = np.random.default_rng(key)
    emotion_N = np.tile(np.arange(3), 24)
    x_NTC = rng.normal(size=(72, 6, 4)) + 0.4 * np.eye(4)[emotion_N][:, None, :]
    named_N = emotion_N if emotions is None else emotions
    utterances = tuple(
        Utterance(f"{n:02d}.wav", LABELS[k], f"s{n // 12}", None, None, None, None, "test")
        for n, k in enumerate(named_N)
    )
    parts = np.arange(48), np.arange(48, 60), np.arange(60, 72)
    fold = Fold("fold-1", *(rows.astype(np.int32) for rows in parts))
    corpus = Corpus("test", utterances, NoSound(), LABELS)  # type: ignore[arg-type]
    mask_NT = np.ones((72, 6), np.float32)
    return Problem(corpus, "speaker-5fold", False, x_NTC.astype(np.float32), mask_NT, (Cell(0, fold),))


def relabelled(rows: np.ndarray, key: int) -> Problem:
    """The same pictures, the labels of `rows` shuffled."""
    emotion_N = np.tile(np.arange(3), 24)
    emotion_N[rows] = np.random.default_rng(key).permutation(emotion_N[rows])
    return problem(emotion_N)


@pytest.mark.parametrize("rival", FEW, ids=lambda rival: rival.name)
def test_what_is_chosen_does_not_depend_on_test_labels(rival: Rival) -> None:
    truth = problem()
    chosen, scores_NK = choose(truth, truth.cells[0], rival.recipes)
    for key in range(5):
        other = relabelled(np.arange(60, 72), key)
        assert (other.truth_N != truth.truth_N).any()
        again, again_NK = choose(other, other.cells[0], rival.recipes)
        assert again == chosen
        np.testing.assert_array_equal(again_NK, scores_NK)


def test_what_is_chosen_depends_on_validation_labels() -> None:
    recipes = (PcaPerClass(1), PcaPerClass(3), PcaPerClass(8), Logistic(0.1, "moments"))
    several = [relabelled(np.arange(48, 60), key) for key in range(8)]
    assert len({choose(one, one.cells[0], recipes)[0] for one in several}) > 1


def test_the_highest_validation_uar_is_chosen_and_of_equals_the_first() -> None:
    there = problem()
    fold = there.cells[0].fold
    recipes = (PcaPerClass(8), Logistic(0.1, "moments"), PcaPerClass(1), PcaPerClass(3))

    def reached(recipe: PcaPerClass | Logistic) -> float:
        predicted = scores(there, recipe, fold.train, fold.validation, 0).argmax(1)
        return uar(confusion(there.truth_N[fold.validation], predicted, 3))

    uars = [reached(recipe) for recipe in recipes]
    assert len(set(uars)) > 1
    best, scores_NK = choose(there, there.cells[0], recipes)
    assert best == recipes[uars.index(max(uars))]
    np.testing.assert_array_equal(scores_NK, scores(there, best, fold.train, fold.validation, 0))
    twins = (PcaPerClass(500), PcaPerClass(400))  # both are cut to what the clips span: the same model
    assert choose(there, there.cells[0], twins)[0] == twins[0]


@pytest.mark.parametrize("rival", FEW, ids=lambda rival: rival.name)
def test_model_and_normaliser_know_training_rows_only(rival: Rival) -> None:
    there = problem()
    train, test = there.cells[0].fold.train, there.cells[0].fold.test
    changed_NTC = there.x_NTC.copy()
    changed_NTC[48:60] = 100.0
    changed_NTC[61:] = -100.0
    other = replace(there, x_NTC=changed_NTC)
    for recipe in rival.recipes:
        before, after = (scores(p, recipe, train, test[:1], 0) for p in (there, other))
        np.testing.assert_array_equal(before, after)


def test_refitting_fits_train_and_validation() -> None:
    there = problem()
    fold = there.cells[0].fold
    rival = Rival("pca", "PCA", (PcaPerClass(2),))
    with progresses(True) as shown:
        both = {refit: classify_by(there, rival, refit, shown).predictions for refit in (False, True)}
    for refit, train in ((False, fold.train), (True, np.arange(60, dtype=np.int32))):
        expected_NK = scores(there, rival.recipes[0], train, fold.test, 0)
        np.testing.assert_array_equal(both[refit].prediction, expected_NK.argmax(1))
    assert (both[False].scores_NK != both[True].scores_NK).all()


def config(out: Path, **output: object) -> Config:
    data = Data(synthetic_clips=120, emotions=("calm", "happy", "sad"), protocol="speaker-5fold")
    return Config(data=data, output=Output(out=out, quiet=True, **output))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run on a small synthetic corpus."""
    out = tmp_path_factory.mktemp("rivals") / "o"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vae_rivals, "RIVALS", FEW)
        vae_rivals.run(config(out))
    return out


@pytest.fixture
def generative(finished: Path, tmp_path: Path) -> Path:
    """Return a run folder like that of a generative study; its predictions are those of the PCA."""
    run = tmp_path / "vae"
    run.mkdir()
    metrics = json.loads((finished / "pca" / "metrics.json").read_text())
    keys = ("uar", "uar_sd", "uar_ci95", "war", "macro_f1")
    score = {name: metrics[name] for name in keys}
    metrics |= {"experiment": "vae_mfcc", "score": "auto", "chosen_scores": {"0/fold-1": "iwae"}}
    metrics |= {"scores": {"elbo": {**score, "uar": 0.25}, "auto": score}}
    (run / "metrics.json").write_text(json.dumps(metrics))
    (run / "config.json").write_text((finished / "config.json").read_text())
    (run / "predictions.csv").write_text((finished / "pca" / "predictions.csv").read_text())
    return run


def test_every_rival_writes_what_its_predictions_say(finished: Path) -> None:
    for rival in FEW:
        metrics = json.loads((finished / rival.name / "metrics.json").read_text())
        predictions = read_predictions(finished / rival.name / "predictions.csv")
        figures = summarise(predictions, speakers_shared=False)
        assert {name: metrics[name] for name in figures} == figures
        assert len(predictions.utterance) == len(set(predictions.utterance)) >= 30
        assert metrics["corpus"] == "synthetic"
        assert len(metrics["chosen"]) == (5 if len(rival.recipes) > 1 else 0)
        assert set(metrics["chosen"].values()) <= {str(recipe) for recipe in rival.recipes}


def test_the_page_tests_every_rival_against_the_run(
    finished: Path, generative: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vae_rivals, "RIVALS", FEW)
    monkeypatch.setattr(vae_rivals, "fit_rivals", lambda *_: pytest.fail("fitted again"))
    vae_rivals.run(config(finished, run=generative, results=tmp_path / "deep" / "page.md"))
    page = json.loads((tmp_path / "deep" / "page.json").read_text())
    rows = {row["name"]: row for row in page["rows"]}
    assert list(rows) == ["VAE-auto", "VAE-elbo", *(rival.name for rival in FEW)]
    assert (rows["VAE-auto"]["p_value"], rows["VAE-elbo"]["mean"]) == (None, 0.25)
    assert (rows["pca"]["difference"], rows["pca"]["p_value"]) == (0.0, 1.0)
    tables = [read_predictions(p / "predictions.csv") for p in (generative, finished / "logistic")]
    expected = difference(*tables, "uar", speakers_shared=False)
    assert rows["logistic"]["difference"] == expected.difference != 0
    assert rows["logistic"]["difference"] == pytest.approx(rows["logistic"]["mean"] - rows["pca"]["mean"], abs=1e-14)
    assert rows["logistic"]["p_value"] == expected.p_value
    assert rows["logistic"]["difference_interval"] == list(expected.interval)
    assert [rows[rival.name]["p_holm"] for rival in FEW] == holm([rows[rival.name]["p_value"] for rival in FEW])
    text = (tmp_path / "deep" / "page.md").read_text()
    assert "synthetic, speaker-5fold" in text
    assert f"| {rows['logistic']['mean']:.3f} |" in text
    assert "| it − VAE-auto |" in text
    assert (tmp_path / "deep" / "page.png").stat().st_size > 5_000


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("metrics.json", {"protocol": "loso"}, "protocol loso, the rivals have speaker-5fold"),
        ("metrics.json", {"refit": True}, "refit True, the rivals have False"),
        ("config.json", {"config": {"features": {"n_mfcc": 13}}}, "--n-mfcc 13, the rivals have 20"),
        ("metrics.json", {"offset_s": 0.0}, "offset_s 0.0, the rivals have 0.5"),
    ],
)
def test_a_run_on_another_problem_is_refused(
    finished: Path, generative: Path, monkeypatch: pytest.MonkeyPatch, name: str, change: dict, message: str
) -> None:
    monkeypatch.setattr(vae_rivals, "RIVALS", FEW)
    content = json.loads((generative / name).read_text())
    for section, values in change.get("config", {}).items():
        content["config"][section] |= values
    (generative / name).write_text(json.dumps(content if "config" in change else content | change))
    with pytest.raises(ConfigError, match=message):
        vae_rivals.run(config(finished, run=generative))


def test_wrong_flags_are_refused_before_anything_is_fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vae_rivals, "fit_rivals", lambda *_: pytest.fail("fitted"))
    with pytest.raises(ConfigError, match=r"nowhere.*no finished run"):
        vae_rivals.run(config(tmp_path / "o", run=tmp_path / "nowhere"))
    (tmp_path / "knn").mkdir()
    (tmp_path / "knn" / "metrics.json").write_text('{"experiment": "tabular/knn", "scores": null}')
    with pytest.raises(ConfigError, match=r"a run of tabular/knn: expected one of vae_mfcc or ae_mfcc"):
        vae_rivals.run(config(tmp_path / "o", run=tmp_path / "knn"))
    with pytest.raises(ConfigError, match=r"page\.html: expected the name of a Markdown file"):
        vae_rivals.run(config(tmp_path / "o", results=tmp_path / "page.html"))
    assert not (tmp_path / "o").exists()


def classifier(name: str = "a", chosen: dict[str, str] | None = None, **reached: float | None) -> Row:
    """Return a row of the page."""
    return Row(name=name, about=f"an {name}", mean=0.5, war=0.25, macro_f1=0.125, chosen=chosen or {}, **reached)  # type: ignore[arg-type]


def test_p_values_are_adjusted_for_the_rows_that_are_tested() -> None:
    tested = [classifier(difference=0.1, p_value=0.01), classifier(difference=0.2, p_value=0.04)]
    assert [row.p_holm for row in adjusted([classifier(), *tested])] == [None, 0.02, 0.04]


def test_the_page_says_what_is_not_there() -> None:
    row = classifier(chosen={"0/fold-1": "8 diag"})
    text = markdown(Page("A title", "About.", (row,), 2, None, {"command": "`run me`"}), "a.png")
    assert "| a: an a | 0.500 | – | – | 0.250 | 0.125 |" in text
    assert "| a | 8 diag |" in text
    assert "- command: `run me`" in text
    assert "p (Holm)" not in text


def test_the_page_shows_differences_with_their_sign() -> None:
    rows = (classifier(), classifier("b", difference=-0.125, p_value=0.25, p_holm=0.5), classifier("c", difference=0.0))
    text = markdown(Page("A title", "About.", rows, 2, "a", {}), "a.png")
    assert "| b: an b | 0.500 | – | – | 0.250 | 0.125 | −0.125 | 0.2500 | 0.5000 |" in text
    assert "| c: an c | 0.500 | – | – | 0.250 | 0.125 | +0.000 | – | – |" in text
    assert "## Chosen" not in text


@pytest.mark.parametrize("name", ["vae_rivals", "vae_song", "vae_recipe"])
def test_a_committed_page_shows_row_minus_reference(name: str) -> None:
    page = page_of(read_content(Path(vae_rivals.__file__).parent / "results" / f"{name}.json"))
    reference, *others = page.rows
    tested = [row for row in others if row.difference is not None]
    assert [row.difference for row in tested] == pytest.approx([row.mean - reference.mean for row in tested], abs=1e-12)
    assert tested
