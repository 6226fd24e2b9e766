"""Comparing runs in any metric: equal to the figures of `metrics.json`, to enumeration, and to cases done by hand."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from serjax.evaluate import comparison, metrics, statistics
from serjax.evaluate.predictions import Predictions, PredictionsError
from serjax.evaluate.summary import summarise
from tests.evaluate.test_statistics import simulated_counts

SCALARS = {"uar": metrics.uar, "war": metrics.war, "macro_f1": metrics.macro_f1}


def predictions(right_NR: np.ndarray, n_classes: int = 2, n_speakers: int = 4, first_seed: int = 0) -> Predictions:
    """Return a run over N clips: clip n is of speaker n mod S and class n // S mod K, taken for the next if wrong."""
    n_clips, n_seeds = right_NR.shape
    truth_N = np.arange(n_clips) // n_speakers % n_classes
    prediction_RN = np.where(right_NR.T, truth_N, (truth_N + 1) % n_classes)
    return Predictions(
        utterance=tuple(f"{n:03d}.wav" for n in range(n_clips)) * n_seeds,
        speaker=tuple(f"s{n % n_speakers}" for n in range(n_clips)) * n_seeds,
        fold=("fold-1",) * (n_clips * n_seeds),
        seed=np.repeat(np.arange(n_seeds) + first_seed, n_clips),
        truth=np.tile(truth_N, n_seeds),
        prediction=prediction_RN.ravel(),
        scores_NK=np.eye(n_classes)[prediction_RN.ravel()],
        labels=tuple("abcdef"[:n_classes]),
    )


def drawn(chance: float, n_seeds: int, seed: int, n_clips: int = 60, **about: int) -> Predictions:
    return predictions(np.random.default_rng(seed).random((n_clips, n_seeds)) < chance, **about)


@pytest.mark.parametrize("metric", SCALARS)
def test_a_stack_is_measured_as_each_matrix_alone(metric):
    counts_RKK = np.random.default_rng(0).integers(0, 9, (20, 4, 4))
    counts_RKK[3, 2], counts_RKK[4, :, 1] = 0, 0  # a class that is not there, one that is never predicted
    expected = [SCALARS[metric](counts_KK) for counts_KK in counts_RKK]
    np.testing.assert_allclose(metrics.measure(metric, counts_RKK), expected, rtol=1e-14)


def test_counts_are_confusions_of_each_seed_and_speaker():
    run = drawn(0.6, 3, 1, n_classes=3)
    counts_RSKK = statistics.seed_counts(run)
    assert counts_RSKK.shape == (3, 4, 3, 3)
    rows_N = (run.seed == 1) & (np.array(run.speaker) == "s2")
    np.testing.assert_array_equal(counts_RSKK[1, 2], run.rows(rows_N).confusion())


@pytest.mark.parametrize("n_seeds", [1, 3])
def test_the_estimate_is_what_metrics_json_says(n_seeds):
    run = drawn(0.6, n_seeds, 2, n_classes=3)
    summary = summarise(run, speakers_shared=False)
    mean, sd, interval = statistics.estimate(run, "uar", speakers_shared=False)
    assert (mean, sd) == pytest.approx((summary["uar"], summary["uar_sd"]), abs=1e-14)
    assert interval == pytest.approx(summary["uar_ci95"], abs=1e-14)
    for metric in ("war", "macro_f1"):
        assert statistics.estimate(run, metric, speakers_shared=False).mean == pytest.approx(summary[metric], abs=1e-14)
    assert statistics.estimate(run, "uar", speakers_shared=True) == (mean, sd, None)


def test_an_empty_run_has_no_estimate():
    with pytest.raises(PredictionsError, match="no prediction"):
        statistics.estimate(drawn(0.5, 1, 0).rows(np.zeros(60, bool)), "uar", speakers_shared=False)


@pytest.mark.parametrize("n_seeds", [(1, 1), (2, 2), (3, 1)])
def test_a_swap_turns_the_sign_of_a_speakers_share_of_the_uar(n_seeds):
    runs = drawn(0.7, n_seeds[0], 3, n_speakers=6), drawn(0.5, n_seeds[1], 4, n_speakers=6)
    first_SKK, second_SKK = (statistics.seed_counts(run).mean(axis=0) for run in runs)
    hits_SK = np.diagonal(second_SKK - first_SKK, axis1=1, axis2=2)
    gain_S = (hits_SK / first_SKK.sum(axis=(0, 2))).mean(axis=1)
    delta = comparison.difference(*runs, "uar", speakers_shared=False)
    uars = [summarise(run, speakers_shared=False)["uar"] for run in runs]
    assert delta.difference == pytest.approx(gain_S.sum(), abs=1e-14) == pytest.approx(uars[1] - uars[0], abs=1e-14)
    assert delta.p_value == statistics.two_sided_p(gain_S.sum(), statistics.random_swaps(6) @ gain_S)


def test_p_is_nearly_uniform_without_a_difference():
    """Two runs of equal quality on speakers that differ: P(p ≤ α) ≈ α, a little less for ties.

    500 repetitions measure it to ± .022 (one standard error at α = .5).
    """
    rng, p_values = np.random.default_rng(4), []
    for repetition in range(500):
        recall_SK = rng.normal(0.6, 0.15, (12, 2)).clip(0.05, 0.95)
        runs = [simulated_counts(rng, recall_SK, 200).astype(float) for _ in range(2)]
        p_values.append(comparison._permutation_p("uar", *runs, 400, repetition))
    for alpha in (0.05, 0.25, 0.5, 0.75):
        assert np.mean(np.array(p_values) <= alpha) == pytest.approx(alpha, abs=0.06)


@pytest.mark.parametrize("metric", SCALARS)
def test_p_approaches_full_enumeration(metric):
    first, second = drawn(0.75, 2, 5, n_speakers=5), drawn(0.6, 2, 6, n_speakers=5)
    a_SKK, b_SKK = (statistics.seed_counts(run).sum(axis=0) for run in (first, second))
    deltas = []
    for swap in product([False, True], repeat=5):
        swap_S11 = np.array(swap)[:, None, None]
        swapped = [np.where(swap_S11, x, y).sum(axis=0) for x, y in ((b_SKK, a_SKK), (a_SKK, b_SKK))]
        deltas.append(SCALARS[metric](swapped[1]) - SCALARS[metric](swapped[0]))
    extreme = np.mean(np.abs(deltas) >= abs(deltas[0]) - 1e-12)
    delta = comparison.difference(first, second, metric, speakers_shared=False)
    assert delta.p_value == pytest.approx(extreme, abs=0.015)  # three standard errors of 10 000 draws


@pytest.mark.parametrize("metric", SCALARS)
def test_swapping_the_runs_flips_the_sign(metric):
    first, second = drawn(0.7, 2, 7), drawn(0.5, 2, 8)
    there = comparison.difference(first, second, metric, speakers_shared=False)
    back = comparison.difference(second, first, metric, speakers_shared=False)
    assert there.difference == pytest.approx(-back.difference, abs=1e-14) != 0
    assert there.interval == pytest.approx((-back.interval[1], -back.interval[0]), abs=1e-12)
    assert there.p_value == back.p_value


def test_three_speakers_who_gain_alike_by_hand():
    """Each speaker says two clips of each class. A: all right; B: one clip of class a wrong, for each speaker.

    The recall of a falls from 1 to 1/2, so Δ = −1/4; of the 8 swaps two are as large: p → 1/4. All speakers gain the
    same, so every resample has the same difference.
    """
    right_N1 = np.ones((12, 1), bool)
    wrong_N1 = right_N1.copy()
    wrong_N1[:3] = False
    first, second = predictions(right_N1, n_speakers=3), predictions(wrong_N1, n_speakers=3)
    delta = comparison.difference(first, second, "uar", speakers_shared=False)
    assert delta.difference == -0.25
    assert delta.interval == (-0.25, -0.25)
    assert delta.p_value == pytest.approx(0.25, abs=0.013)
    assert comparison.difference(first, second, "war", speakers_shared=True).interval is None
    # macro-F1 of B: a has F1 2/3, b has 6/(6 + 9) · 2 = 4/5
    assert comparison.difference(first, second, "macro_f1", speakers_shared=False).difference == pytest.approx(
        (2 / 3 + 4 / 5) / 2 - 1, abs=1e-14
    )


def test_the_interval_draws_the_same_speakers_for_both_runs():
    """Speakers differ much, the runs by a constant: the difference is certain, although neither value is."""
    right_N1 = np.zeros((40, 1), bool)
    right_N1[np.arange(40) % 4 == 0] = True
    better_N1 = right_N1.copy()
    better_N1[4:8] = True  # one more clip of class b for each speaker but s0, who had it already
    first, second = predictions(right_N1), predictions(better_N1)
    own = statistics.estimate(first, "war", speakers_shared=False).interval
    delta = comparison.difference(first, second, "war", speakers_shared=False)
    assert own == (0.0, 0.75)  # s0 drawn not at all, or three times of four
    assert delta.interval == pytest.approx((0.025, 0.1), abs=1e-12)


def test_clips_pair_by_speaker_label_and_share_of_seeds():
    run = drawn(0.6, 2, 9)
    assert comparison.unpaired_clips(run, drawn(0.5, 3, 10)) == ()
    renamed = replace(run, utterance=("other.wav", *run.utterance[1:]))
    assert comparison.unpaired_clips(run, renamed) == ("000.wav", "other.wav")
    assert comparison.unpaired_clips(run, replace(run, speaker=("s9", *run.speaker[1:]))) == ("000.wav",)
    one_seed = run.rows((run.seed == 0) | (np.arange(120) > 61))  # as random splits do: not every clip, every seed
    assert comparison.unpaired_clips(run, one_seed) == ("000.wav", "001.wav")
    with pytest.raises(PredictionsError, match=r"2 clips are not tested alike by both runs, among them 000\.wav"):
        comparison.difference(run, one_seed, "uar", speakers_shared=False)


def test_the_order_of_labels_does_not_matter():
    run = drawn(0.6, 1, 11, n_classes=3)
    order = np.array([2, 0, 1])  # id of the label in the other order: a is 2, b is 0, c is 1
    other = replace(
        run,
        labels=("b", "c", "a"),
        truth=order[run.truth],
        prediction=order[run.prediction],
        scores_NK=run.scores_NK[:, [1, 2, 0]],
    )
    assert comparison.difference(run, other, "uar", speakers_shared=False) == (0.0, (0.0, 0.0), 1.0)
    back = comparison.in_order(other, ("a", "b", "c"))
    np.testing.assert_array_equal(back.truth, run.truth)
    np.testing.assert_array_equal(back.scores_NK, run.scores_NK)
    with pytest.raises(PredictionsError, match="only runs of the same labels compare"):
        comparison.in_order(run, ("a", "b"))
