"""The figures of `metrics.json`, recomputed row by row from their definitions."""

import json
from dataclasses import replace

import numpy as np
import pytest

from serjax.evaluate.calibration import calibration_error, fit_temperature, negative_log_likelihood, tempered
from serjax.evaluate.generative import log_odds
from serjax.evaluate.predictions import Predictions, PredictionsError
from serjax.evaluate.summary import summarise, summarise_calibration
from tests.reference import metrics as reference

LABELS = ("angry", "happy", "sad")


def study(n_seeds: int = 3, quality: float = 0.5, key: int = 0) -> Predictions:
    """Six speakers, twelve clips each, three folds of two speakers."""
    rng = np.random.default_rng(key)
    n_rows = n_seeds * 72
    clip, speaker = np.tile(np.arange(72), n_seeds), np.tile(np.repeat(np.arange(6), 12), n_seeds)
    truth = np.tile(np.arange(72) % 3, n_seeds)
    scores = rng.random((n_rows, 3)) + quality * np.eye(3)[truth]
    return Predictions(
        utterance=tuple(f"{c:02d}.wav" for c in clip),
        speaker=tuple(f"s{s}" for s in speaker),
        fold=tuple(f"fold{s // 2 + 1}" for s in speaker),
        seed=np.repeat(np.arange(n_seeds), 72),
        truth=truth,
        prediction=scores.argmax(1),
        scores_NK=scores,
        labels=LABELS,
    )


def lists(table: Predictions, keep_N: np.ndarray) -> tuple[list[int], list[int]]:
    return table.truth[keep_N].tolist(), table.prediction[keep_N].tolist()


def test_figures_are_means_over_seeds_of_pooled_folds():
    table = study()
    figures = summarise(table, speakers_shared=False)
    seeds = [lists(table, table.seed == seed) for seed in range(3)]
    uars = [reference.uar(*rows) for rows in seeds]
    assert figures["uar"] == pytest.approx(np.mean(uars), abs=1e-14)
    assert figures["uar_sd"] == pytest.approx(np.sqrt(sum((u - np.mean(uars)) ** 2 for u in uars) / 2), abs=1e-14)
    assert figures["war"] == pytest.approx(np.mean([reference.accuracy(*rows) for rows in seeds]), abs=1e-14)
    assert figures["macro_f1"] == pytest.approx(np.mean([reference.macro_f1(*rows) for rows in seeds]), abs=1e-14)


def test_per_fold_has_every_seed_and_fold():
    table = study()
    per_fold = summarise(table, speakers_shared=False)["per_fold"]
    assert [list(folds) for folds in per_fold.values()] == [["fold1", "fold2", "fold3"]] * 3
    for seed in range(3):
        for fold in ("fold1", "fold2", "fold3"):
            rows = lists(table, (table.seed == seed) & (np.array(table.fold) == fold))
            reached = per_fold[str(seed)][fold]
            assert reached["uar"] == pytest.approx(reference.uar(*rows), abs=1e-14)
            assert reached["war"] == pytest.approx(reference.accuracy(*rows), abs=1e-14)


def test_confusion_and_classes_are_summed_over_seeds():
    table = study()
    figures = summarise(table, speakers_shared=False)
    truth, prediction = lists(table, np.ones(216, bool))
    for i in range(3):
        for j in range(3):
            assert figures["confusion"][i][j] == sum(t == i and p == j for t, p in zip(truth, prediction, strict=True))
        reached = figures["per_class"][LABELS[i]]
        assert reached["recall"] == pytest.approx(reference.recall(truth, prediction, i), abs=1e-14)
        assert reached["precision"] == pytest.approx(reference.precision(truth, prediction, i), abs=1e-14)
        assert reached["f1"] == pytest.approx(reference.f1(truth, prediction, i), abs=1e-14)
        assert reached["support"] == 72


def test_areas_are_means_over_seeds():
    table = study()
    roc_auc = summarise(table, speakers_shared=False)["roc_auc"]
    for c, label in enumerate(LABELS):
        areas = []
        for seed in range(3):
            keep = table.seed == seed
            areas.append(reference.roc_auc(table.truth[keep].tolist(), table.scores_NK[keep, c].tolist(), c))
        assert roc_auc["per_class"][label] == pytest.approx(np.mean(areas), abs=1e-14)
    assert roc_auc["macro"] == pytest.approx(np.mean(list(roc_auc["per_class"].values())), abs=1e-14)


def test_interval_holds_the_estimate_and_goes_where_speakers_are_shared():
    figures = summarise(study(), speakers_shared=False)
    low, high = figures["uar_ci95"]
    assert low < figures["uar"] < high
    assert high - low < 0.3
    assert summarise(study(), speakers_shared=True)["uar_ci95"] is None


def test_one_seed_has_no_spread():
    figures = summarise(study(n_seeds=1), speakers_shared=False)
    assert figures["uar_sd"] is None
    assert list(figures["per_fold"]) == ["0"]


def test_keys_are_the_published_contract():
    keys = "uar uar_sd uar_ci95 war macro_f1 per_fold per_class confusion roc_auc"
    assert list(summarise(study(), speakers_shared=False)) == keys.split()


def test_json_has_null_and_never_nan():
    """`sad` is never true, `angry` never predicted."""
    table = study().rows(study().truth != 2)
    scores = table.scores_NK - np.array([[9, 0, 0]])
    table = Predictions(
        *(table.utterance, table.speaker, table.fold, table.seed, table.truth, scores.argmax(1), scores, LABELS)
    )
    figures = json.loads(json.dumps(summarise(table, speakers_shared=False), allow_nan=False))
    assert figures["per_class"]["sad"]["recall"] is None
    assert figures["per_class"]["angry"]["precision"] is None
    assert figures["roc_auc"]["per_class"]["sad"] is None
    assert figures["roc_auc"]["macro"] is not None
    assert figures == summarise(table, speakers_shared=False)


def test_the_order_of_the_rows_does_not_matter():
    table = study()
    figures = summarise(table, speakers_shared=False)
    order = np.random.default_rng(0).permutation(216)
    shuffled = Predictions(
        *(tuple(np.array(column)[order].tolist()) for column in (table.utterance, table.speaker, table.fold)),
        *(table.seed[order], table.truth[order], table.prediction[order], table.scores_NK[order], LABELS),
    )
    assert summarise(shuffled, speakers_shared=False) == figures


def test_nothing_cannot_be_summarised():
    with pytest.raises(PredictionsError, match="at least one fold"):
        summarise(study().rows(np.zeros(216, bool)), speakers_shared=False)


def held_out(table: Predictions) -> Predictions:
    """Return validation rows of the same cells: the clips of the fold before."""
    other = study(key=1)
    before = {"fold1": "fold2", "fold2": "fold3", "fold3": "fold1"}
    assert other.fold == table.fold
    return replace(other, fold=tuple(before[fold] for fold in other.fold), scores_NK=log_odds(40 * other.scores_NK))


def odds() -> Predictions:
    return replace(study(), scores_NK=log_odds(40 * study().scores_NK))


def test_calibration_is_the_mean_over_seeds_of_pooled_folds_each_with_its_temperature():
    table, validation = odds(), held_out(study())
    figures = summarise_calibration(table, validation)
    assert list(figures) == ["temperature", "ece", "ece_uncalibrated", "nll", "nll_uncalibrated"]
    likelihood_NK, fold_N = 40 * study().scores_NK, np.array(table.fold)
    found: dict[str, list[float]] = {"ece": [], "nll": [], "ece_uncalibrated": [], "nll_uncalibrated": []}
    for seed in range(3):
        cooled_NK, rows = tempered(likelihood_NK, 1.0), table.seed == seed
        for fold in ("fold1", "fold2", "fold3"):
            known = (validation.seed == seed) & (np.array(validation.fold) == fold)
            fitted = fit_temperature(40 * study(key=1).scores_NK[known], validation.truth[known])
            assert figures["temperature"][f"{seed}/{fold}"] == pytest.approx(fitted, rel=1e-9)
            cell = rows & (fold_N == fold)
            cooled_NK[cell] = tempered(likelihood_NK[cell], fitted)
        for suffix, log_NK in (("", cooled_NK), ("_uncalibrated", tempered(likelihood_NK, 1.0))):
            found["ece" + suffix].append(calibration_error(np.exp(log_NK[rows]), table.truth[rows]))
            found["nll" + suffix].append(negative_log_likelihood(log_NK[rows], table.truth[rows]))
    assert len(figures["temperature"]) == 9
    for name, values in found.items():
        assert figures[name] == pytest.approx(np.mean(values), abs=1e-9)
    assert figures["nll"] < figures["nll_uncalibrated"]
    assert figures["ece"] < figures["ece_uncalibrated"]


def test_labels_of_test_clips_change_no_temperature():
    table, validation = odds(), held_out(study())
    poisoned = replace(table, truth=(table.truth + 1) % 3)
    one, other = (summarise_calibration(given, validation) for given in (table, poisoned))
    assert one["temperature"] == other["temperature"]
    assert one["ece"] != other["ece"]
    assert one["temperature"] != summarise_calibration(table, replace(validation, truth=poisoned.truth))["temperature"]


def test_without_validation_clips_nothing_is_calibrated():
    table, validation = odds(), held_out(study())
    figures = json.loads(json.dumps(summarise_calibration(table, None), allow_nan=False))
    assert figures["temperature"] == {f"{seed}/fold{n}": None for seed in range(3) for n in (1, 2, 3)}
    assert figures["ece"] is figures["nll"] is None
    calibrated = summarise_calibration(table, validation)
    assert figures["ece_uncalibrated"] == calibrated["ece_uncalibrated"]
    some = (validation.seed != 1) | (np.array(validation.fold) != "fold2")
    lacking = summarise_calibration(table, validation.rows(some))
    assert lacking["temperature"] == {**calibrated["temperature"], "1/fold2": None}
    assert lacking["ece"] is lacking["nll"] is None
