"""K-means as a classifier: clusters found without labels, then named by classes on the training clips."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from serjax.models.classical.packages import require
from serjax.models.classical.specs import KMeans


@dataclass(frozen=True, eq=False)
class Clusters:
    """Centres in the order of classes, and the variance of a feature about its cluster's centre."""

    centre_KD: Float[np.ndarray, "K D"]
    variance: float

    def predict_proba(self, x_ND: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N K"]:
        """Return p(k | x) ∝ exp(−|x − c_k|² / 2σ²): the share of each sphere of a mixture of equal ones."""
        square_NK = ((x_ND[:, None, :] - self.centre_KD[None]) ** 2).sum(axis=2)
        # Relative to the nearest centre: of a far clip all exponentials would be 0.
        exponent_NK = -(square_NK - square_NK.min(axis=1, keepdims=True)) / (2 * self.variance)
        return np.exp(exponent_NK) / np.exp(exponent_NK).sum(axis=1, keepdims=True)


def fit_clusters(model: KMeans, x_ND: Float[np.ndarray, "N D"], label_N: Int[np.ndarray, " N"], seed: int) -> Clusters:
    """Find as many clusters as there are classes (0 … K − 1, all there), and put them in the order of classes."""
    n_classes = int(label_N.max()) + 1
    found = require("sklearn.cluster").KMeans(n_classes, n_init=model.n_init, random_state=seed).fit(x_ND)
    cluster_K = np.arange(n_classes)
    if model.ids == "matched":
        cluster_K = match_clusters(found.labels_, label_N, n_classes)
    variance = max(float(found.inertia_) / x_ND.size, 1e-12)
    return Clusters(found.cluster_centers_[cluster_K], variance)


def match_clusters(
    cluster_N: Int[np.ndarray, " N"], label_N: Int[np.ndarray, " N"], n_classes: int
) -> Int[np.ndarray, " K"]:
    """Return the cluster of each class such that most clips are right. Kuhn, Naval Res. Logist. Q. 2, 1955.

    >>> match_clusters(np.array([1, 1, 0, 0, 0]), np.array([0, 0, 1, 1, 0]), 2)
    array([1, 0])
    """
    counts_KK = np.zeros((n_classes, n_classes), int)
    np.add.at(counts_KK, (label_N, cluster_N), 1)
    _, cluster_K = require("scipy.optimize").linear_sum_assignment(counts_KK, maximize=True)
    return cluster_K
