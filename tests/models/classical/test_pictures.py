"""Classical models against formulas written out in numpy, and what they refuse."""

import importlib
from collections.abc import Iterator

import numpy as np
import pytest
from scipy.special import logsumexp

from serjax.models.classical.packages import ClassicalError, one_thread
from serjax.models.classical.pictures import (
    VARIANCE_FLOOR,
    Logistic,
    MixturePerClass,
    PcaPerClass,
    Recipe,
    fit,
    moments,
)


@pytest.fixture(autouse=True, scope="module")
def on_one_thread() -> Iterator[None]:
    """Threads only wait for each other here."""
    with one_thread():
        yield


def clips(n: int = 24, key: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clips of 5 to 7 frames of 3 coefficients; the classes differ in mean and in how frames vary."""
    rng = np.random.default_rng(key)
    truth_N = np.arange(n) % 2
    mask_NT = np.arange(7)[None, :] < rng.integers(5, 8, n)[:, None]
    scale_N = 1.0 + truth_N
    x_NTC = rng.normal(size=(n, 7, 3)) * scale_N[:, None, None] + 0.5 * truth_N[:, None, None]
    return (x_NTC * mask_NT[..., None]).astype(np.float32), mask_NT, truth_N


@pytest.mark.parametrize("n_components", [1, 2, 5])
def test_pca_leaves_the_residual_of_the_svd(n_components: int) -> None:
    x_NTC, mask_NT, truth_N = clips()
    scores_NK = fit(PcaPerClass(n_components), x_NTC, mask_NT, truth_N, 2)(x_NTC, mask_NT)
    for k in range(2):
        train_ND = x_NTC[truth_N == k].reshape(-1, 21).astype(np.float64)
        mean_D = train_ND.mean(0)
        axes_ED = np.linalg.svd(train_ND - mean_D)[2][:n_components]
        centred_ND = x_NTC.reshape(-1, 21) - mean_D
        residual_NTC = (centred_ND - centred_ND @ axes_ED.T @ axes_ED).reshape(-1, 7, 3)
        error_N = np.array([(r[m] ** 2).mean() for r, m in zip(residual_NTC, mask_NT, strict=True)])
        np.testing.assert_allclose(scores_NK[:, k], -error_N, rtol=1e-9)


def test_pca_takes_no_more_components_than_clips_span() -> None:
    x_NTC, mask_NT, truth_N = clips(8)
    scores_NK = fit(PcaPerClass(40), x_NTC, mask_NT, truth_N, 2)(x_NTC, mask_NT)
    np.testing.assert_allclose(scores_NK[np.arange(8), truth_N], 0.0, atol=1e-12)


@pytest.mark.parametrize("covariance", ["diag", "full"])
def test_one_component_is_the_gaussian_of_the_class(covariance: str) -> None:
    x_NTC, mask_NT, truth_N = clips()
    scores_NK = fit(MixturePerClass(1, covariance), x_NTC, mask_NT, truth_N, 2)(x_NTC, mask_NT)  # type: ignore[arg-type]
    for k in range(2):
        train_MC = x_NTC[truth_N == k][mask_NT[truth_N == k]].astype(np.float64)
        cov_CC = np.cov(train_MC.T, bias=True) + VARIANCE_FLOOR * np.eye(3)
        cov_CC = np.diag(np.diag(cov_CC)) if covariance == "diag" else cov_CC
        for n in range(len(x_NTC)):
            d_MC = x_NTC[n][mask_NT[n]] - train_MC.mean(0)
            square_M = np.einsum("mc,cd,md->m", d_MC, np.linalg.inv(cov_CC), d_MC)
            loglik_M = -0.5 * (square_M + np.linalg.slogdet(2 * np.pi * cov_CC)[1])
            np.testing.assert_allclose(scores_NK[n, k], loglik_M.mean(), rtol=1e-9)


def test_several_components_find_several_heaps() -> None:
    rng = np.random.default_rng(0)
    mask_NT, truth_N = np.ones((200, 2), bool), np.arange(200) % 2
    heaps_NT = rng.choice([-10.0, 10.0], (200, 2))
    x_NTC = np.where(truth_N[:, None] == 0, heaps_NT, 0.0)[..., None] + rng.normal(size=(200, 2, 1))
    scorer = fit(MixturePerClass(2), x_NTC, mask_NT, truth_N, 2)
    frames_M = x_NTC[truth_N == 0].ravel()
    heaps = [frames_M[frames_M < 0], frames_M[frames_M > 0]]  # 20 standard deviations apart: no frame is shared
    at_T = np.array([-9.0, 10.5])
    terms = [
        np.log(len(heap) / len(frames_M)) - 0.5 * np.log(2 * np.pi * v) - 0.5 * (at_T - heap.mean()) ** 2 / v
        for heap in heaps
        for v in [heap.var() + VARIANCE_FLOOR]
    ]
    scores_NK = scorer(at_T[None, :, None], np.ones((1, 2), bool))
    np.testing.assert_allclose(scores_NK[0, 0], logsumexp(terms, axis=0).mean(), rtol=1e-9)


@pytest.mark.parametrize("view", ["picture", "moments"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_logistic_regression_is_where_the_penalised_loss_has_no_slope(view: str, n_classes: int) -> None:
    x_NTC, mask_NT, _ = clips(31)
    truth_N = np.arange(31) % n_classes
    c = 0.1
    scores_NK = fit(Logistic(c, view), x_NTC, mask_NT, truth_N, n_classes)(x_NTC, mask_NT)  # type: ignore[arg-type]
    view_ND = moments(x_NTC, mask_NT) if view == "moments" else x_NTC.reshape(31, -1).astype(np.float64)
    z_ND = (view_ND - view_ND.mean(0)) / view_ND.std(0) if view == "moments" else view_ND
    # logits are linear in z: recover their weights, then check that C · Xᵀ(p − y) + w = 0 (balanced classes)
    design_ND = np.column_stack([z_ND, np.ones(31)])
    w_DK = np.linalg.lstsq(design_ND, scores_NK, rcond=None)[0]
    np.testing.assert_allclose(design_ND @ w_DK, scores_NK, atol=1e-6)
    p_NK = np.exp(scores_NK - logsumexp(scores_NK, axis=1, keepdims=True))
    weight_N = (31 / n_classes / np.bincount(truth_N))[truth_N]
    slope_DK = z_ND.T @ ((p_NK - np.eye(n_classes)[truth_N]) * weight_N[:, None])
    np.testing.assert_allclose(c * slope_DK[:, -1] + w_DK[:-1, -1], 0.0, atol=1e-3)  # measured 1.9e-4
    assert np.abs(w_DK[:-1]).max() > 0.02


def test_padding_changes_nothing() -> None:
    x_NTC, mask_NT, truth_N = clips()
    for recipe in (MixturePerClass(2), Logistic(0.1, "moments")):
        scorer = fit(recipe, x_NTC, mask_NT, truth_N, 2)
        longer_NTC = np.pad(x_NTC, ((0, 0), (0, 4), (0, 0)))
        padded_NK = scorer(longer_NTC, np.pad(mask_NT, ((0, 0), (0, 4))))
        np.testing.assert_allclose(padded_NK, scorer(x_NTC, mask_NT), rtol=1e-12)


@pytest.mark.parametrize("recipe", [PcaPerClass(2), MixturePerClass(3), Logistic(0.1)])
def test_the_same_seed_gives_the_same_scores(recipe: Recipe) -> None:
    x_NTC, mask_NT, truth_N = clips()
    first, second = (fit(recipe, x_NTC, mask_NT, truth_N, 2, seed=3)(x_NTC, mask_NT) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_too_few_clips_or_classes_are_refused() -> None:
    x_NTC, mask_NT, truth_N = clips()
    with pytest.raises(ClassicalError, match=r"3 classes, too few training clips of \[2\]"):
        fit(PcaPerClass(2), x_NTC, mask_NT, truth_N, 3)
    with pytest.raises(ClassicalError, match="at least two classes"):
        fit(Logistic(1.0), x_NTC, mask_NT, np.zeros_like(truth_N), 1)
    with pytest.raises(ClassicalError, match=r"\[1\]; expected .* two clips of each"):
        fit(PcaPerClass(2), x_NTC[[0, 1, 2]], mask_NT[[0, 1, 2]], truth_N[[0, 1, 2]], 2)


def test_without_scikit_learn_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(f"No module named '{name}'")

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ClassicalError, match=r'pip install "serjax\[classical\]"'):
        fit(PcaPerClass(2), *clips(), 2)
