"""Front end × density × tying × score × calibration: a classifier by densities, fitted to training clips alone.

- front end: supervectors of one or more background models, functionals, cepstra in slices of time, or several of these
  (`VoiceFeatures`, `Supervectors`);
- density: Gaussians, mixtures, linear autoencoders, one VAE per emotion (`Density`, `Vaes`);
- tying: one covariance for all emotions, shares of their own, or only their own (`Density.own`);
- score: log-likelihood or reconstruction error, summed over front ends in units of their spread;
- calibration: a temperature from validation clips, as in every run (`serjax.evaluate.calibration`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from serjax.data.splits import Fold
from serjax.dsp.voice import spoken_frames
from serjax.evaluate.generative import classify
from serjax.evaluate.metrics import confusion, uar
from serjax.models.density.classifier import ByDensity, Member, mfcc_slices, supervectors
from serjax.models.density.gaussian import TiedGaussians, fit_gaussians, fit_linear_autoencoders
from serjax.models.density.logistic import fit_logistic
from serjax.models.density.mixture import fit_mixtures
from serjax.models.density.ubm import Ubm, fit_ubm
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
        # Frames that count come first in each clip: what lies behind the longest is cut off.
        longest = max(int(counts_NT.sum(axis=1).max()) for _, counts_NT in versions)
        recorded, *copies = [(frames_NTE[:, :longest], counts_NT[:, :longest]) for frames_NTE, counts_NT in versions]
        return cls(recorded, tuple(copies))

    def draw(self, rows_n: Int[np.ndarray, " n"], n_frames: int, seed: tuple[int, ...]) -> Float[Array, "F E"]:
        """Draw frames of some clips at random."""
        frames_NTE, counts_NT = self.recorded
        # On the host: how many frames count is known only there, where shapes may depend on it.
        clip_F, place_F = np.nonzero(np.asarray(counts_NT)[rows_n])
        drawn = np.random.default_rng(seed).permutation(len(clip_F))[:n_frames]
        return frames_NTE[rows_n[clip_F[drawn]], place_F[drawn]]


@dataclass(frozen=True, eq=False)
class Vectors:
    """One vector per clip of a corpus, by a front end that was fitted to training clips; and those clips' copies too.

    `x_ND` has all clips, `train_MD` training clips and their copies, of classes `label_M`. `ubm` made them, where one
    did, and `log_px_N` is what it says of all clips. `reduces`: whether `--axes` is for them.
    """

    x_ND: Float[Array, "N D"]
    train_MD: Float[Array, "M D"]
    label_M: Int[Array, " M"]
    ubm: Ubm | None = None
    log_px_N: Float[Array, " N"] | None = None
    reduces: bool = True

    @property
    def n_features(self) -> int:
        """The length of a vector."""
        return self.train_MD.shape[1]


class Said(NamedTuple):
    """What models of one kind of vectors say of all clips: scores, log p(x); and how many numbers were fitted."""

    scores_NK: Scores
    log_px_N: Float[np.ndarray, " N"]
    n_parameters: int = 0

    @classmethod
    def by(cls, member: Member, vectors: Vectors) -> "Said":
        """Ask one member."""
        log_px_N = vectors.log_px_N if vectors.ubm else member.log_px(vectors.x_ND)
        n_parameters = sum(array.size for array in jax.tree.leaves(member))
        return cls(np.asarray(member.scores(vectors.x_ND), float), np.asarray(log_px_N, float), n_parameters)

    @classmethod
    def of_all(cls, members: Sequence["Said"]) -> "Said":
        """Sum the scores of members; log p(x) is their mean."""
        scores_mNK, log_px_mN, counts = zip(*members, strict=True)
        return cls(np.sum(scores_mNK, axis=0), np.mean(log_px_mN, axis=0), sum(counts))


def background_vectors(
    frames: Frames,
    rows_n: Int[np.ndarray, " n"],
    label_N: Int[np.ndarray, " N"],
    flags: Supervectors,
    seed: tuple[int, ...],
) -> Vectors:
    """Fit a background model to frames of the clips `rows_n`, and make vectors of all clips by it."""
    drawn_FE = frames.draw(rows_n, flags.background_frames, seed)
    ubm = fit_ubm(drawn_FE, jax.random.key(seed[-1]), min(flags.components, len(drawn_FE)))
    relevance = jnp.float32(flags.relevance)
    x_ND, log_px_N = supervectors(ubm, *frames.recorded, relevance)
    copies = [supervectors(ubm, copy[0][rows_n], copy[1][rows_n], relevance)[0] for copy in frames.copies]
    label_M = np.tile(label_N[rows_n], 1 + len(copies))
    return Vectors(x_ND, jnp.concatenate([x_ND[rows_n], *copies]), jnp.asarray(label_M), ubm, log_px_N)


def slices(
    frames: Frames, rows_n: Int[np.ndarray, " n"], label_N: Int[np.ndarray, " N"], features: VoiceFeatures
) -> Vectors:
    """Take the cepstra of all clips in slices of time, and of copies."""
    n_features = features.n_mfcc * features.slices
    x_ND = mfcc_slices(*frames.recorded, n_features)
    copies = [mfcc_slices(copy[0][rows_n], copy[1][rows_n], n_features) for copy in frames.copies]
    label_M = np.tile(label_N[rows_n], 1 + len(copies))
    return Vectors(x_ND, jnp.concatenate([x_ND[rows_n], *copies]), jnp.asarray(label_M))


def functionals(
    x_ND: Float[np.ndarray, "N D"], rows_n: Int[np.ndarray, " n"], label_N: Int[np.ndarray, " N"]
) -> Vectors:
    """Take statistics of clips as they are."""
    return Vectors(jnp.asarray(x_ND), jnp.asarray(x_ND[rows_n]), jnp.asarray(label_N[rows_n]), reduces=False)


def fit_members(vectors: Vectors, n_classes: int, flags: Density, candidates: tuple[float, ...]) -> dict[float, Member]:
    """Fit whitening and the density of each emotion, for each shrinkage of the whitening.

    Logistic regression gets standardised vectors, and is fitted for each penalty.
    """
    reduced = reduce_vectors(vectors, n_classes, flags)
    train_MD, label_M = reduced.vectors.train_MD, reduced.vectors.label_M
    within, members = fit_within_classes(train_MD, label_M, n_classes), {}
    for candidate in candidates:
        # Logistic regression gets standardised, not whitened vectors: shrunk by 1, all directions have one scale.
        whiten = within.whitening(1.0 if flags.density == "logistic" else candidate)
        density = _fit_density(whiten(train_MD), label_M, n_classes, flags, candidate)
        members[candidate] = Member(vectors.ubm, whiten.after(*reduced.axes) if reduced.axes else whiten, density)
    return members


def background_log_px(vectors: Vectors, n_classes: int, shrinkage: float) -> Float[np.ndarray, " N"]:
    """Return log p(x) of all clips: under the background model, else of functionals under Gaussians."""
    if vectors.log_px_N is not None:
        return np.asarray(vectors.log_px_N, float)
    return Said.by(fit_members(vectors, n_classes, Density(), (shrinkage,))[shrinkage], vectors).log_px_N


def _fit_density(
    x_MP: Float[Array, "M P"], label_M: Int[Array, " M"], n_classes: int, flags: Density, candidate: float
) -> ByDensity:
    if flags.density == "logistic":
        return fit_logistic(x_MP, label_M, n_classes, candidate)
    if flags.density == "mixture":
        return fit_mixtures(x_MP, label_M, jax.random.key(0), n_classes, flags.emotion_parts)
    if flags.density == "pca":
        return fit_linear_autoencoders(x_MP, label_M, n_classes, min(flags.emotion_axes, x_MP.shape[1]))
    if flags.own:
        return fit_gaussians(x_MP, label_M, n_classes, flags.own, candidate)
    return TiedGaussians(class_means(x_MP, label_M, n_classes))


@dataclass(frozen=True, eq=False)
class Reduced:
    """Vectors along principal axes: the centre and the axes that did it, None where they are as they were."""

    vectors: Vectors
    axes: tuple[Float[Array, " D"], Float[Array, "D P"]] | None


def reduce_vectors(vectors: Vectors, n_classes: int, flags: Density) -> Reduced:
    """Project vectors onto principal axes of the training clips, as many as flags and the number of clips allow.

    Functionals stay as they are: principal axes follow those with the largest units.
    """
    # Around K class means M vectors vary along M − K directions at most.
    n_axes = min(flags.axes, len(vectors.train_MD) - n_classes)
    if not vectors.reduces or n_axes >= vectors.n_features:
        return Reduced(vectors, None)
    centre_D, axes_DP = vectors.train_MD.mean(axis=0), principal_axes(vectors.train_MD, n_axes)
    x_NP, train_MP = ((of_D - centre_D[None]) @ axes_DP for of_D in (vectors.x_ND, vectors.train_MD))
    return Reduced(replace(vectors, x_ND=x_NP, train_MD=train_MP), (centre_D, axes_DP))


def rows_of(fold: Fold, refit: bool) -> Int[np.ndarray, " n"]:
    """Return the rows that a system is fitted to: those that train; refitting takes validation rows too."""
    return np.sort(np.concatenate([fold.train, fold.validation])) if refit else fold.train


def best_shrinkage(
    said: Mapping[float, Said], truth_N: Int[np.ndarray, " N"], rows_n: Int[np.ndarray, " n"]
) -> tuple[float, float]:
    """Return the shrinkage whose scores classify some clips best, and the UAR that they reach."""
    reached = {}
    for share, (scores_NK, *_) in said.items():
        reached[share] = uar(confusion(truth_N[rows_n], classify(scores_NK[rows_n]), scores_NK.shape[1]))
    return max(reached.items(), key=lambda pair: pair[1])
