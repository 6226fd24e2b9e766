"""Front end × density × tying × score of one cell, fitted to its training clips alone.

A *member* is one background model and what follows from it: supervectors → whitening within classes → one density per
emotion. A system sums the scores of its members.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from serjax.data.splits import Fold
from serjax.dsp.voice import spoken_frames
from serjax.evaluate.generative import classify
from serjax.evaluate.metrics import confusion, uar
from serjax.models.density.gaussian import (
    Gaussians,
    LinearAutoencoders,
    TiedGaussians,
    fit_gaussians,
    fit_linear_autoencoders,
)
from serjax.models.density.ubm import Ubm, fit_ubm, supervector
from serjax.models.density.whitening import class_means, fit_within_classes, principal_axes
from serjax.study.density.flags import Density, Supervectors, VoiceFeatures

Scores = Float[np.ndarray, "N K"]


@dataclass(frozen=True, eq=False)
class Frames:
    """The frames that sound of all clips, as recorded and in copies with other vocal tracts: frames, which count."""

    recorded: tuple[Float[Array, "N T E"], Bool[Array, "N T"]]
    copies: tuple[tuple[Float[Array, "N T E"], Bool[Array, "N T"]], ...]

    @classmethod
    def of(
        cls,
        voice_NTD: Float[np.ndarray, "N T D"],
        mask_NT: Bool[np.ndarray, "N T"],
        features: VoiceFeatures,
        warps: tuple[float, ...],
    ) -> "Frames":
        """Compute them of the pictures of all clips."""

        @partial(jax.jit, static_argnames="warp")
        def all_clips(voice_NTD: Array, mask_NT: Array, warp: float) -> tuple[Array, Array]:
            one = partial(
                spoken_frames,
                warp=warp,
                n_mfcc=features.n_mfcc,
                least_periodicity=features.least_periodicity,
                top_db=features.top_db,
            )
            return jax.lax.map(lambda clip: one(*clip), (voice_NTD, mask_NT))

        arrays = jnp.asarray(voice_NTD), jnp.asarray(mask_NT)
        versions = [all_clips(*arrays, warp) for warp in (1.0, *warps)]
        longest = max(int(counts_NT.sum(axis=1).max()) for _, counts_NT in versions)
        recorded, *copies = [(frames_NTE[:, :longest], counts_NT[:, :longest]) for frames_NTE, counts_NT in versions]
        return cls(recorded, tuple(copies))

    def draw(self, rows_n: Int[np.ndarray, " n"], n_frames: int, seed: tuple[int, ...]) -> Float[Array, "F E"]:
        """Draw frames of some clips at random."""
        frames_NTE, counts_NT = self.recorded
        clip_F, place_F = np.nonzero(np.asarray(counts_NT)[rows_n])
        drawn = np.random.default_rng(seed).permutation(len(clip_F))[:n_frames]
        return frames_NTE[rows_n[clip_F[drawn]], place_F[drawn]]


@dataclass(frozen=True, eq=False)
class Vectors:
    """One vector per clip of a corpus, by a front end that was fitted to training clips; and those clips' copies too.

    `x_ND` has all clips, `train_MD` training clips and their copies, of classes `label_M`.
    """

    x_ND: Float[Array, "N D"]
    train_MD: Float[Array, "M D"]
    label_M: Int[Array, " M"]
    reduces: bool = True  # whether `--axes` is for them

    @property
    def n_features(self) -> int:
        """The length of a vector."""
        return self.train_MD.shape[1]


def supervectors(
    frames: Frames,
    rows_n: Int[np.ndarray, " n"],
    label_N: Int[np.ndarray, " N"],
    flags: Supervectors,
    seed: tuple[int, ...],
) -> Vectors:
    """Fit a background model to frames of the clips `rows_n`, and make vectors of all clips by it."""
    drawn_FE = frames.draw(rows_n, flags.background_frames, seed)
    ubm = fit_ubm(drawn_FE, jax.random.key(seed[-1]), min(flags.components, len(drawn_FE)))
    x_ND = _supervectors(ubm, *frames.recorded, flags.relevance)
    copies = [_supervectors(ubm, copy[0][rows_n], copy[1][rows_n], flags.relevance) for copy in frames.copies]
    label_M = np.tile(label_N[rows_n], 1 + len(copies))
    return Vectors(x_ND, jnp.concatenate([x_ND[rows_n], *copies]), jnp.asarray(label_M))


def functionals(
    x_ND: Float[np.ndarray, "N D"], rows_n: Int[np.ndarray, " n"], label_N: Int[np.ndarray, " N"]
) -> Vectors:
    """Take statistics of clips as they are."""
    arrays = jnp.asarray(x_ND), jnp.asarray(x_ND[rows_n]), jnp.asarray(label_N[rows_n])
    return Vectors(*arrays, reduces=False)


@jax.jit
def _supervectors(
    ubm: Ubm, frames_NTE: Float[Array, "N T E"], counts_NT: Bool[Array, "N T"], relevance: ArrayLike
) -> Float[Array, "N D"]:
    return jax.lax.map(lambda clip: supervector(ubm, clip[0], clip[1], relevance), (frames_NTE, counts_NT))


def density_scores(
    vectors: Vectors, n_classes: int, flags: Density, shrinkages: tuple[float, ...]
) -> dict[float, Scores]:
    """Return the score of every clip under the density of each emotion, for each shrinkage of the whitening."""
    reduced = reduce_vectors(vectors, n_classes, flags)
    within, scores = fit_within_classes(reduced.train_MD, reduced.label_M, n_classes), {}
    for shrinkage in shrinkages:
        whiten = within.whitening(shrinkage)
        train_MP, x_NP = whiten(reduced.train_MD), whiten(reduced.x_ND)
        density: TiedGaussians | Gaussians | LinearAutoencoders
        if flags.density == "pca":
            n_own = min(flags.emotion_axes, reduced.n_features)
            density = fit_linear_autoencoders(train_MP, reduced.label_M, n_classes, n_own)
        elif flags.own:
            density = fit_gaussians(train_MP, reduced.label_M, n_classes, flags.own, shrinkage)
        else:
            density = TiedGaussians(class_means(train_MP, reduced.label_M, n_classes))
        scores[shrinkage] = np.asarray(density(x_NP), np.float64)
    return scores


def reduce_vectors(vectors: Vectors, n_classes: int, flags: Density) -> Vectors:
    """Project vectors onto principal axes of the training clips, as many as flags and the number of clips allow."""
    n_axes = min(flags.axes, len(vectors.train_MD) - n_classes)
    if not vectors.reduces or n_axes >= vectors.n_features:
        return vectors
    centre_D, axes_DP = vectors.train_MD.mean(axis=0), principal_axes(vectors.train_MD, n_axes)
    return Vectors(
        (vectors.x_ND - centre_D[None]) @ axes_DP, (vectors.train_MD - centre_D[None]) @ axes_DP, vectors.label_M
    )


def rows_of(fold: Fold, refit: bool) -> Int[np.ndarray, " n"]:
    """Return the rows that a system is fitted to: those that train; refitting takes validation rows too."""
    return np.sort(np.concatenate([fold.train, fold.validation])) if refit else fold.train


def best_shrinkage(
    scores: Mapping[float, Scores], truth_N: Int[np.ndarray, " N"], rows_n: Int[np.ndarray, " n"]
) -> tuple[float, float]:
    """Return the shrinkage whose scores classify some clips best, and the UAR that they reach."""
    reached = {}
    for share, scores_NK in scores.items():
        reached[share] = uar(confusion(truth_N[rows_n], classify(scores_NK[rows_n]), scores_NK.shape[1]))
    return max(reached.items(), key=lambda pair: pair[1])
