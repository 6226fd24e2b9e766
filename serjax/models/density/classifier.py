"""A fitted classifier by densities: arrays alone, which score clips that nobody has seen.

A *member* is one background model (none, for functionals) and what follows from it: vector → whitening within classes →
one density per emotion. A classifier sums the scores of its members, each in units of its own.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from serjax.models.density.gaussian import Gaussians, LinearAutoencoders, TiedGaussians
from serjax.models.density.ubm import Ubm, mean_log_likelihood, supervector
from serjax.models.density.whitening import Whitening

ByDensity = TiedGaussians | Gaussians | LinearAutoencoders


class Member(NamedTuple):
    """One front end with its whitening and its densities; `ubm` is None where vectors are functionals."""

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
        of_axes_P = jnp.log(jnp.abs(jnp.diagonal(jnp.linalg.qr(axes_DP, mode="r")))) - jnp.log(2 * jnp.pi) / 2
        return jax.nn.logsumexp(scores_NK, axis=1) - jnp.log(scores_NK.shape[1]) + of_axes_P.sum()


class DensityClassifier(NamedTuple):
    """Members, and the unit of each one's scores: `score = sum_m score_m / unit_m`."""

    members: tuple[Member, ...]
    unit_m: Float[Array, " m"]
    relevance: Float[Array, ""]

    def __call__(
        self,
        frames_NTE: Float[Array, "N T E"],
        counts_NT: Bool[Array, "N T"],
        functionals_ND: Float[Array, "N D"],
    ) -> tuple[Float[Array, "N K"], Float[Array, " N"]]:
        """Return the scores of clips, and log p(x): under the background models per frame, else of the functionals.

        Args:
            frames_NTE: frames that sound, as `spoken_frames` gives them.
            counts_NT: which of them count.
            functionals_ND: statistics of the same clips.
        """
        scores_NK, log_px, of_vectors = jnp.zeros(()), [], []
        for member, unit in zip(self.members, self.unit_m, strict=True):
            if member.ubm is None:
                x_ND = functionals_ND
                of_vectors.append(member.log_px(x_ND))
            else:
                x_ND, log_px_N = supervectors(member.ubm, frames_NTE, counts_NT, self.relevance)
                log_px.append(log_px_N)
            scores_NK += member.scores(x_ND) / unit
        return scores_NK, jnp.mean(jnp.stack(log_px or of_vectors), axis=0)


@jax.jit
def supervectors(
    ubm: Ubm, frames_NTE: Float[Array, "N T E"], counts_NT: Bool[Array, "N T"], relevance: Float[Array, ""]
) -> tuple[Float[Array, "N D"], Float[Array, " N"]]:
    """Return the vector of each clip, and its log-likelihood per frame under the background model."""

    def one(clip: tuple[Float[Array, "T E"], Bool[Array, " T"]]) -> tuple[Float[Array, " D"], Float[Array, ""]]:
        return supervector(ubm, *clip, relevance), mean_log_likelihood(ubm, *clip)

    return jax.lax.map(one, (frames_NTE, counts_NT))
