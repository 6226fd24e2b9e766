"""Classical classifiers of normalised MFCC pictures: what a generative network of each emotion has to beat.

A recipe says what is fitted; `fit` returns a scorer, a function of pictures. PCA and mixtures are generative, one
model per emotion as with autoencoders; logistic regression sees all emotions at once. Fitted by scikit-learn
(Pedregosa et al., JMLR 12, 2011), which is imported only when something is fitted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from serjax.models.classical.packages import ClassicalError, require

Pictures = Float[np.ndarray, "N T C"]
Mask = Bool[np.ndarray, "N T"]
Scores = Float[np.ndarray, "N K"]
Scorer = Callable[[Pictures, Mask], Scores]

MAX_ITERATIONS = 5_000  # far above what is needed: scikit-learn warns where it ends before converging
VARIANCE_FLOOR = 1e-3  # added to the variances of a mixture's components; those of all training frames are 1


@dataclass(frozen=True)
class PcaPerClass:
    """One PCA per emotion, a linear autoencoder: score = −mean squared reconstruction error per valid element."""

    n_components: int

    def __str__(self) -> str:
        return f"{self.n_components} components"


@dataclass(frozen=True)
class MixturePerClass:
    """One Gaussian mixture of frames per emotion: score = mean over the clip's valid frames of log p(frame), nats."""

    n_components: int
    covariance: Literal["diag", "full"] = "diag"

    def __str__(self) -> str:
        return f"{self.n_components} {self.covariance}"


@dataclass(frozen=True)
class Logistic:
    """Multinomial logistic regression with an L2 penalty, every emotion of equal weight: score = logit.

    `picture`: all frames in a row. `moments`: mean and standard deviation over time, standardised on training clips.
    """

    inverse_penalty: float
    view: Literal["picture", "moments"] = "picture"

    def __str__(self) -> str:
        return f"{self.view}, C = {self.inverse_penalty:g}"


Recipe = PcaPerClass | MixturePerClass | Logistic


def fit(
    recipe: Recipe, x_NTC: Pictures, mask_NT: Mask, truth_N: Int[np.ndarray, " N"], n_classes: int, seed: int = 0
) -> Scorer:
    """Fit a recipe to training clips and return its scorer `(x_NTC, mask_NT) → scores_NK`, higher = more likely.

    Args:
      recipe: what to fit. A PCA of more components than it has clips (less one) explains these clips wholly; it gets
        as many as there are.
      x_NTC: normalised pictures, finite; masked frames are 0.
      mask_NT: which frames lie inside the clip, at least one each.
      truth_N: class ids, 0 … n_classes − 1, each at least twice.
      n_classes: number of classes K, at least 2.
      seed: of the k-means that a mixture starts from; nothing else is random.

    Raises:
      ClassicalError: scikit-learn is not installed, fewer than two classes, or a class of fewer than two clips.
    """
    scarce = np.flatnonzero(np.bincount(truth_N, minlength=n_classes) < 2).tolist()
    if n_classes < 2 or scarce:
        raise ClassicalError(
            f"{n_classes} classes, too few training clips of {scarce or 'none'}; expected at least two classes and "
            "two clips of each. Choose more emotions or another protocol, or add clips."
        )
    match recipe:
        case PcaPerClass():
            return _fit_pca(recipe, x_NTC, truth_N, n_classes)
        case MixturePerClass():
            return _fit_mixtures(recipe, x_NTC, mask_NT, truth_N, n_classes, seed)
        case Logistic():
            return _fit_logistic(recipe, x_NTC, mask_NT, truth_N)


def moments(x_NTC: Pictures, mask_NT: Mask) -> Float[np.ndarray, "N D"]:
    """Return mean and standard deviation over each clip's valid frames, D = 2 C.

    >>> moments(np.array([[[1.0], [3.0], [0.0]]]), np.array([[True, True, False]]))
    array([[2., 1.]])
    """
    x_NTC = x_NTC.astype(np.float64)
    weight_NT1 = (mask_NT / mask_NT.sum(axis=1, keepdims=True))[..., None]
    mean_N1C = (x_NTC * weight_NT1).sum(axis=1, keepdims=True)
    variance_NC = ((x_NTC - mean_N1C) ** 2 * weight_NT1).sum(axis=1)
    return np.concatenate([mean_N1C[:, 0], np.sqrt(variance_NC)], axis=1)


def _fit_pca(recipe: PcaPerClass, x_NTC: Pictures, truth_N: Int[np.ndarray, " N"], n_classes: int) -> Scorer:
    make = require("sklearn.decomposition").PCA
    models = []
    for k in range(n_classes):
        flat_ND = _flat(x_NTC[truth_N == k])
        n_components = min(recipe.n_components, len(flat_ND) - 1, flat_ND.shape[1])
        models.append(make(n_components, svd_solver="full").fit(flat_ND))

    def score(x_NTC: Pictures, mask_NT: Mask) -> Scores:
        flat_ND = _flat(x_NTC)
        outputs = [model.inverse_transform(model.transform(flat_ND)).reshape(x_NTC.shape) for model in models]
        return np.stack([-_mean_squared_error(x_NTC, output_NTC, mask_NT) for output_NTC in outputs], axis=1)

    return score


def _fit_mixtures(
    recipe: MixturePerClass, x_NTC: Pictures, mask_NT: Mask, truth_N: Int[np.ndarray, " N"], n_classes: int, seed: int
) -> Scorer:
    make = require("sklearn.mixture").GaussianMixture
    models = []
    for k in range(n_classes):
        frames_MC = x_NTC[truth_N == k][mask_NT[truth_N == k]].astype(np.float64)
        model = make(
            min(recipe.n_components, len(frames_MC)),
            covariance_type=recipe.covariance,
            reg_covar=VARIANCE_FLOOR,
            max_iter=MAX_ITERATIONS,
            random_state=seed,
        )
        models.append(model.fit(frames_MC))

    def score(x_NTC: Pictures, mask_NT: Mask) -> Scores:
        frames_MC = x_NTC[mask_NT].astype(np.float64)
        n_frames_N = mask_NT.sum(axis=1)
        clip_M = np.repeat(np.arange(len(x_NTC)), n_frames_N)
        sums = [np.bincount(clip_M, model.score_samples(frames_MC), len(x_NTC)) for model in models]
        return np.stack(sums, axis=1) / n_frames_N[:, None]

    return score


def _fit_logistic(recipe: Logistic, x_NTC: Pictures, mask_NT: Mask, truth_N: Int[np.ndarray, " N"]) -> Scorer:
    make = require("sklearn.linear_model").LogisticRegression

    def view(x_NTC: Pictures, mask_NT: Mask) -> Float[np.ndarray, "N D"]:
        return moments(x_NTC, mask_NT) if recipe.view == "moments" else _flat(x_NTC)

    train_ND = view(x_NTC, mask_NT)
    shift_D, scale_D = np.zeros(train_ND.shape[1]), np.ones(train_ND.shape[1])
    if recipe.view == "moments":  # the elements of a picture have one scale already
        shift_D, scale_D = train_ND.mean(axis=0), np.maximum(train_ND.std(axis=0), 1e-6)
    model = make(C=recipe.inverse_penalty, class_weight="balanced", max_iter=MAX_ITERATIONS)
    model.fit((train_ND - shift_D) / scale_D, truth_N)

    def score(x_NTC: Pictures, mask_NT: Mask) -> Scores:
        logit = model.decision_function((view(x_NTC, mask_NT) - shift_D) / scale_D)
        # of two classes scikit-learn gives the log-odds of the second alone
        return logit if logit.ndim == 2 else np.stack([np.zeros_like(logit), logit], axis=1)

    return score


def _flat(x_NTC: Pictures) -> Float[np.ndarray, "N D"]:
    return x_NTC.reshape(len(x_NTC), -1).astype(np.float64)


def _mean_squared_error(x_NTC: Pictures, output_NTC: Pictures, mask_NT: Mask) -> Float[np.ndarray, " N"]:
    """Return the mean over the valid elements of each clip."""
    squared_NT = ((x_NTC - output_NTC) ** 2).mean(axis=2)
    return (squared_NT * mask_NT).sum(axis=1) / mask_NT.sum(axis=1)
