"""From the scores of one generative model per emotion to a class: the clip gets the emotion that explains it best.

Three scores of a clip under the VAE of an emotion, all "higher is better":
`reconstruction`, minus the mean squared error; `elbo` and `iwae`, lower bounds of its log-likelihood in nats.
A class prior has a meaning beside a log-likelihood only, so it enters `elbo` and `iwae` and never
`reconstruction`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Int, Num

from serjax.errors import SerjaxError
from serjax.evaluate.metrics import AnyArray, check_labels, confusion, uar

ScoreName = Literal["reconstruction", "elbo", "iwae"]
ClassPrior = Literal["uniform", "empirical"]

# among equals: the tightest bound of the likelihood first
PREFERENCE: tuple[ScoreName, ...] = ("iwae", "elbo", "reconstruction")


class ScoreError(SerjaxError):
    """Scores that do not let a class be chosen."""


def log_prior(kind: ClassPrior, train_counts_K: Int[AnyArray, "K"]) -> Float[np.ndarray, "K"]:
    """Log-probability of each class before anything is heard: log 1/K, or log n_c / Σ n.

    Args:
      kind: `uniform`, or `empirical` for the frequencies of the training rows.
      train_counts_K: training clips of each class, each ≥ 1.

    Raises:
      ScoreError: an unknown kind, or a class without training clips (it would have no model either).

    >>> np.exp(log_prior("empirical", np.array([1, 3])))
    array([0.25, 0.75])
    """
    counts_K = np.asarray(train_counts_K, np.float64)
    if kind not in get_args(ClassPrior):
        raise ScoreError(f"class prior {kind!r}: expected one of {', '.join(get_args(ClassPrior))}")
    if not (counts_K > 0).all():
        empty = int(np.flatnonzero(counts_K <= 0)[0])
        raise ScoreError(f"class {empty} has no training clip: leave the class out or choose another protocol")
    if kind == "uniform":
        counts_K = np.ones_like(counts_K)
    return np.log(counts_K / counts_K.sum())


def with_prior(
    name: ScoreName, scores_NK: Float[AnyArray, "N K"], log_prior_K: Float[AnyArray, "K"]
) -> Float[np.ndarray, "N K"]:
    """Add the class prior where it belongs: log p(x | c) + log p(c) for `elbo` and `iwae`, else nothing.

    Args:
      name: what the scores are.
      scores_NK: one score per clip and class, higher = more likely, finite.
      log_prior_K: log p(c) in nats.

    Raises:
      ScoreError: an unknown name, or a score that is not finite.

    >>> with_prior("elbo", np.array([[-5.0, -5.5]]), np.log(np.array([0.25, 0.75]))).argmax()
    np.int64(1)
    >>> with_prior("reconstruction", np.array([[-5.0, -5.5]]), np.log(np.array([0.25, 0.75]))).argmax()
    np.int64(0)
    """
    if name not in get_args(ScoreName):
        raise ScoreError(f"score {name!r}: expected one of {', '.join(get_args(ScoreName))}")
    scores_NK = _finite(scores_NK)
    if name == "reconstruction":
        return scores_NK
    return scores_NK + np.asarray(log_prior_K, np.float64)[None, :]


def classify(
    loglik_NK: Float[AnyArray, "N K"], log_prior_K: Float[AnyArray, "K"] | None = None
) -> Int[np.ndarray, "N"]:
    """Choose the class of highest posterior, argmax_c log p(x | c) + log p(c); the first of equals.

    Args:
      loglik_NK: log-likelihood in nats of each clip under each class, finite; without a prior any score will
        do.
      log_prior_K: log p(c) in nats; None is uniform.

    Raises:
      ScoreError: a score that is not finite.

    >>> classify(np.array([[-5.0, -5.5], [-9.0, -7.0]]))
    array([0, 1])
    >>> classify(np.array([[-5.0, -5.5], [-9.0, -7.0]]), np.log(np.array([0.25, 0.75])))
    array([1, 1])
    """
    scores_NK = _finite(loglik_NK)
    if log_prior_K is not None:
        scores_NK = scores_NK + np.asarray(log_prior_K, np.float64)[None, :]
    return scores_NK.argmax(axis=1)


def log_odds(scores_NK: Float[AnyArray, "N K"]) -> Float[np.ndarray, "N K"]:
    """Turn scores into class-against-the-rest scores that can be compared between clips.

    o_c = s_c − log Σ_{j ≠ c} exp s_j, which is log p(c | x) / (1 − p(c | x)) if s_c = log p(x | c) + log
    p(c).

    A log-likelihood says first how hard the clip is and only then how well the class fits; a ROC curve over
    bare log-likelihoods would rank clips by difficulty. The log-odds take that out, keep every clip's
    argmax, and unlike the posterior do not saturate at 1. For −MSE, whose differences are far below 1, they
    are the score minus the mean of the others, up to a constant.

    Args:
      scores_NK: one score per clip and class, prior included, higher = more likely, finite, K ≥ 2.

    Raises:
      ScoreError: a score that is not finite, or fewer than two classes.

    >>> log_odds(np.array([[-1000.0, -1003.0]]))
    array([[ 3., -3.]])
    """
    scores_NK = _finite(scores_NK)
    n_classes = scores_NK.shape[1]
    if n_classes < 2:
        raise ScoreError(f"{n_classes} class: log-odds need a class and at least one other")
    others_NKJ = np.stack([np.delete(scores_NK, c, axis=1) for c in range(n_classes)], axis=1)
    return scores_NK - np.logaddexp.reduce(others_NKJ, axis=2)


def choose_score(
    scores: Mapping[ScoreName, Float[AnyArray, "N K"]],
    truth_N: Int[AnyArray, "N"],
    log_prior_K: Float[AnyArray, "K"] | None = None,
) -> ScoreName:
    """Choose the score of highest UAR on a fold's validation rows (`--score auto`).

    Equal UARs are settled by the order `iwae`, `elbo`, `reconstruction`: the tightest bound of the likelihood
    first. Only this fold's own validation rows may be given; test rows never.

    Args:
      scores: validation scores by name, each [clip, class], without the prior.
      truth_N: the true class ids of the validation rows.
      log_prior_K: class prior in nats, added to `elbo` and `iwae`; None is uniform.

    Raises:
      ScoreError: no score, no validation row, an unknown name, or a score that is not finite.

    >>> good, bad = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 0.0], [1.0, 0.0]])
    >>> choose_score({"reconstruction": good, "elbo": bad, "iwae": bad}, np.array([0, 1]))
    'reconstruction'
    """
    truth_N = np.asarray(truth_N)
    if not scores or not truth_N.size:
        raise ScoreError(
            f"{len(scores)} scores on {truth_N.size} validation clips: --score auto needs validation clips to "
            "choose by; name a score or choose a protocol with validation speakers"
        )
    reached = score_uars(scores, truth_N, log_prior_K)
    return max(reached, key=lambda name: (reached[name], -PREFERENCE.index(name)))


def score_uars(
    scores: Mapping[ScoreName, Float[AnyArray, "N K"]],
    truth_N: Int[AnyArray, "N"],
    log_prior_K: Float[AnyArray, "K"] | None = None,
) -> dict[ScoreName, float]:
    """Return the UAR of the classification by each score, given without the prior, as `choose_score` compares them."""
    n_classes = next(iter(scores.values())).shape[1]
    prior_K = np.zeros(n_classes) if log_prior_K is None else log_prior_K
    return {
        name: uar(confusion(truth_N, classify(with_prior(name, score_NK, prior_K)), n_classes))
        for name, score_NK in scores.items()
    }


@dataclass(frozen=True)
class ReconstructionMatrix:
    """Sums and counts of reconstruction losses, [VAE emotion, clip emotion]; folds and seeds merge by `+`."""

    sum_KK: Float[np.ndarray, "K K"]
    count_KK: Int[np.ndarray, "K K"]

    def __add__(self, other: "ReconstructionMatrix") -> "ReconstructionMatrix":
        return ReconstructionMatrix(self.sum_KK + other.sum_KK, self.count_KK + other.count_KK)

    def mean(self) -> Float[np.ndarray, "K K"]:
        """Return the mean loss per clip, Σ loss / Σ 1, NaN where an emotion had no clip."""
        undefined_KK = np.full(self.sum_KK.shape, np.nan)
        return np.divide(self.sum_KK, self.count_KK, out=undefined_KK, where=self.count_KK > 0)

    def rows(self) -> list[list[float | None]]:
        """Return the mean as nested lists for JSON, None where an emotion had no clip."""
        return [[None if np.isnan(x) else float(x) for x in row] for row in self.mean()]


def reconstruction_matrix(
    mse_NK: Num[AnyArray, "N K"], truth_N: Int[AnyArray, "N"], n_classes: int
) -> ReconstructionMatrix:
    """Sum the losses of each emotion's clips under each emotion's VAE: M[k, c] = Σ_{n : truth_n = c} mse[n, k].

    Every clip counts once, whatever its length. `.mean()` is the table [VAE emotion][clip emotion].

    Args:
      mse_NK: mean squared error per valid element of each clip under each emotion's VAE, ≥ 0, finite.
      truth_N: the emotion of each clip.
      n_classes: the number of emotions K.

    Raises:
      ScoreError: a loss that is not finite.
      ValueError: a class id out of range.

    >>> losses = np.array([[0.1, 0.4], [0.3, 0.4], [0.8, 0.2]])
    >>> reconstruction_matrix(losses, np.array([0, 0, 1]), 2).mean()
    array([[0.2, 0.8],
           [0.4, 0.2]])
    """
    mse_NK, truth_N = _finite(mse_NK), np.asarray(truth_N, np.int64)
    check_labels(truth_N, n_classes, "truth")
    is_class_NC = truth_N[:, None] == np.arange(n_classes)[None, :]
    count_C = is_class_NC.sum(axis=0)
    return ReconstructionMatrix(mse_NK.T @ is_class_NC, np.tile(count_C, (n_classes, 1)))


def _finite(scores_NK: AnyArray) -> Float[np.ndarray, "N K"]:
    scores_NK = np.asarray(scores_NK, np.float64)
    bad = np.argwhere(~np.isfinite(scores_NK))
    if len(bad):
        clip, label = bad[0]
        raise ScoreError(
            f"the score of clip {clip} under class {label} is {scores_NK[clip, label]} ({len(bad)} such scores): "
            "expected finite numbers; the model has probably diverged, lower the learning rate"
        )
    return scores_NK
