"""Clips as rows of one table: which features, and the table with its folds."""

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from serjax.data.feature_cache import Features
from serjax.dsp import Chroma, Descriptors, Frontend, LogMel, MelMeans, Mfcc, Stats26, Stats180
from serjax.experiments.config import ConfigError, Data
from serjax.experiments.display import Progresses
from serjax.experiments.feature_flags import check_frontend
from serjax.experiments.problem import Cell, Problem, load_parts, make_problem, offset_of
from serjax.models.classical.pictures import moments

FeatureSet = Literal["stats26", "stats180", "mel-means", "mfcc", "mel", "chroma", "descriptors"]
WHOLE_CLIP, WINDOW = 280, 108  # frames: 6.5 s, above the longest clip of RAVDESS (6.37 s); 2.5 s


@dataclass(frozen=True)
class TableFeatures:
    """The numbers of a clip."""

    features: tuple[FeatureSet, ...] = ("stats26",)
    """stats26, stats180, mel-means (128 bands of linear power; all three: means over the clip), mfcc, mel (dB), chroma,
    descriptors; several stand side by side."""
    view: Literal["moments", "flat"] = "moments"
    """Of mfcc, mel, chroma, descriptors: mean and sd over the clip's frames, or all frames in a row."""
    sample_rate: int = 22_050
    """Hz; files of another rate are resampled."""
    frames: int | None = None
    """Frames read of a clip at most; default: 280 (6.5 s), of flat pictures 108 (2.5 s)."""
    n_fft: int = 2048
    """Samples a frame."""
    hop_length: int = 512
    """Samples between frames."""
    n_mfcc: int = 20
    """Coefficients of mfcc."""
    n_mels: int = 128
    """Bands of mel, and under the cosine transform of mfcc."""

    def __post_init__(self) -> None:
        for kind in self.features:
            check_frontend(partial(self.frontend, kind))

    def frontend(self, kind: FeatureSet) -> Frontend:
        """Return the DSP front end of one of the feature sets."""
        picture = self.view == "flat" and kind not in ("stats26", "stats180", "mel-means")
        default = WINDOW if picture else WHOLE_CLIP
        frames = default if self.frames is None else self.frames
        size: dict[str, Any] = {"sample_rate_hz": self.sample_rate, "frames": frames, "n_fft": self.n_fft}
        size["hop_length"] = self.hop_length
        match kind:
            case "stats26":
                return Stats26(**size)
            case "stats180":
                return Stats180(**size)
            case "mel-means":
                return MelMeans(**size)
            case "mfcc":
                return Mfcc(**size, n_mfcc=self.n_mfcc, n_mels=self.n_mels)
            case "mel":
                return LogMel(**size, n_mels=self.n_mels)
            case "chroma":
                return Chroma(**size)
            case "descriptors":
                return Descriptors(**size)


@dataclass(frozen=True)
class OneSet:
    """The flags of one feature set."""

    flags: TableFeatures
    kind: FeatureSet

    def frontend(self) -> Frontend:
        """Return its DSP front end."""
        return self.flags.frontend(self.kind)


@dataclass(frozen=True, eq=False)
class Table:
    """One vector a clip, and the cells in which models are fitted and tested on them.

    A cell's training rows are all that are not tested: nothing is selected on validation rows.
    """

    problem: Problem
    x_ND: Float[np.ndarray, "N D"]

    @property
    def alphabetical_N(self) -> Int[np.ndarray, " N"]:
        """The class of each clip, numbered as labels stand in the alphabet, which is how label encoders do it."""
        return self.rank_K[self.problem.truth_N]

    @property
    def rank_K(self) -> Int[np.ndarray, " K"]:
        """The place of each of the problem's labels in the alphabet."""
        return np.argsort(np.argsort(self.problem.labels))

    @property
    def speaker_N(self) -> np.ndarray:
        """The speaker of each clip."""
        return np.array([utterance.speaker for utterance in self.problem.corpus.utterances])

    @property
    def gender_N(self) -> np.ndarray:
        """The gender of each clip's speaker, empty where the corpus does not say."""
        return np.array([utterance.gender or "" for utterance in self.problem.corpus.utterances])

    def digest(self) -> str:
        """Return a hash of numbers, labels and speakers, so that a cell never meets those of another table."""
        digest = hashlib.sha256(np.ascontiguousarray(self.x_ND).tobytes())
        digest.update(self.problem.digest().encode())
        return digest.hexdigest()[:16]

    def train(self, cell: Cell) -> Int[np.ndarray, " n"]:
        """Return the training rows of a cell."""
        return np.sort(np.concatenate([cell.fold.train, cell.fold.validation]))


def load_table(data: Data, features: TableFeatures, cache: Path | None, shown: Progresses) -> Table:
    """Read the corpus, compute or fetch each feature set, and put them side by side."""
    if not features.features:
        raise ConfigError("--features is empty: give one set at least.")
    sets = [OneSet(features, kind) for kind in features.features]
    reports = [shown.counter(f"{kind} features") for kind in features.features]
    corpus, splits, tables = load_parts(data, sets, cache, reports, selecting=False)
    problem = make_problem(corpus, splits, tables[-1], offset_of(corpus, data))
    return Table(problem, np.concatenate([_vectors(table, features.view) for table in tables], axis=1))


def _vectors(table: Features, view: Literal["moments", "flat"]) -> Float[np.ndarray, "N D"]:
    if view == "flat" or table.values_NTD.shape[1] == 1:
        return table.values_NTD.reshape(len(table.values_NTD), -1).astype(np.float64)
    return moments(table.values_NTD, table.mask_NT)
