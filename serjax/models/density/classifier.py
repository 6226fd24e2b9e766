"""A fitted classifier by densities: arrays alone, which score clips that nobody has seen.

A *member* is one background model (none, for other vectors) and what follows from it: vector → whitening within classes
→ one density per emotion. A classifier sums the scores of its members, each in units of its own.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from serjax.dsp.voice import slice_means
from serjax.models.density.gaussian import Gaussians, LinearAutoencoders, TiedGaussians
from serjax.models.density.logistic import LogisticRegression
from serjax.models.density.mixture import TiedMixtures
from serjax.models.density.ubm import Ubm, mean_log_likelihood, supervector
from serjax.models.density.whitening import Whitening

Vector = Literal["supervector", "functionals", "mfcc"]
ByDensity = TiedGaussians | Gaussians | LinearAutoencoders | TiedMixtures | LogisticRegression


class Member(NamedTuple):
    """One front end with its whitening and its densities; `ubm` is None but of supervectors."""

    ubm: Ubm | None
    whiten: Whitening
    density: ByDensity

    def scores(self, x_ND: Float[Array, "N D"]) -> Float[Array, "N K"]:
        """Return the score of each vector under each class, higher = more likely."""
        return self.density(self.whiten(x_ND))

    def log_px(self, x_ND: Float[Array, "N D"]) -> Float[Array, " N"]:
        """Return log p(x) of vectors: all classes alike likely, Gaussian, of the whitened numbers alone.

        `log p(x) = log mean_c exp(score_c) + sum_p log |r_pp| - P log(2 pi) / 2`, where the whitening axes are `Q R`.
        """
        scores_NK, axes_DP = self.scores(x_ND), self.whiten.axes_DP
        # By the R of QR: axes that are not square have no determinant.
        of_axes_P = jnp.log(jnp.abs(jnp.diagonal(jnp.linalg.qr(axes_DP, mode="r")))) - jnp.log(2 * jnp.pi) / 2
        return jax.nn.logsumexp(scores_NK, axis=1) - jnp.log(scores_NK.shape[1]) + of_axes_P.sum()


class DensityClassifier(NamedTuple):
    """The members of each kind of vectors, and the unit of their scores: `score = sum_m score_m / unit_m`."""

    members: Mapping[Vector, tuple[Member, ...]]
    units: Mapping[Vector, Float[Array, ""]]
    relevance: Float[Array, ""]

    def __call__(
        self,
        frames_NTE: Float[Array, "N T E"],
        counts_NT: Bool[Array, "N T"],
        functionals_ND: Float[Array, "N D"],
    ) -> tuple[Float[Array, "N K"], Float[Array, " N"]]:
        """Return the scores of clips, and log p(x): under the background models per frame, else of the first vectors.

        Args:
          frames_NTE: frames that sound, as `spoken_frames` gives them.
          counts_NT: which of them count.
          functionals_ND: statistics of the same clips.
        """
        scores, log_px = [], []
        for kind, members in self.members.items():
            for member in members:
                log_px_N = None
                if member.ubm is not None:
                    x_ND, log_px_N = supervectors(member.ubm, frames_NTE, counts_NT, self.relevance)
                elif kind == "mfcc":
                    x_ND = mfcc_slices(frames_NTE, counts_NT, len(member.whiten.centre_D))
                else:
                    x_ND = functionals_ND
                scores.append(member.scores(x_ND) / self.units[kind])
                log_px.append((member.ubm is None, member.log_px(x_ND) if log_px_N is None else log_px_N))
        # False sorts before True: log p(x) is that of the background models if there are any.
        best = min(other for other, _ in log_px)
        return sum(scores[1:], scores[0]), jnp.mean(jnp.stack([it for other, it in log_px if other == best]), axis=0)


def mfcc_slices(
    frames_NTE: Float[Array, "N T E"], counts_NT: Bool[Array, "N T"], n_features: int
) -> Float[Array, "N D"]:
    """Return D numbers of each clip: the cepstra of its slices, which are as many as make D of them.

    Args:
      frames_NTE: frames of `C` cepstra, energy, F0 and periodicity, with slopes: `E = 3 (C + 3)`.
      counts_NT: which of them count.
      n_features: D.
    """
    n_mfcc = frames_NTE.shape[-1] // 3 - 3

    def one(clip: tuple[Float[Array, "T E"], Bool[Array, " T"]]) -> Float[Array, " D"]:
        return slice_means(clip[0][:, :n_mfcc], clip[1], n_features // n_mfcc).ravel()

    return jax.lax.map(one, (frames_NTE, counts_NT))


@jax.jit
def supervectors(
    ubm: Ubm, frames_NTE: Float[Array, "N T E"], counts_NT: Bool[Array, "N T"], relevance: Float[Array, ""]
) -> tuple[Float[Array, "N D"], Float[Array, " N"]]:
    """Return the vector of each clip, and its log-likelihood per frame under the background model."""

    def one(clip: tuple[Float[Array, "T E"], Bool[Array, " T"]]) -> tuple[Float[Array, " D"], Float[Array, ""]]:
        return supervector(ubm, *clip, relevance), mean_log_likelihood(ubm, *clip)

    return jax.lax.map(one, (frames_NTE, counts_NT))
