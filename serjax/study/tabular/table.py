"""Clips as rows of one table: which features, and the table with its folds."""

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from serjax.data.corpora import Corpus
from serjax.data.feature_cache import Features
from serjax.data.splits import Fold, ProtocolError
from serjax.dsp import Chroma, Descriptors, Frontend, LogMel, MelMeans, Mfcc, Stats26, Stats180
from serjax.errors import ConfigError
from serjax.models.classical.pictures import moments
from serjax.study.flags import Data
from serjax.study.frontends import check_frontend
from serjax.study.problem import Cell, Problem, fingerprints_of, load_parts, make_problem, split_for_seeds, window_of
from serjax.study.progress import Progresses

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
    """Samples per frame."""
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
    """One vector per clip, and the cells in which models are fitted and tested on them.

    A cell's training rows are all that are not tested: nothing is selected on validation rows. `held_out_cells` are the
    same cells with validation rows apart, by which scores are calibrated; none where the protocol leaves none.
    """

    problem: Problem
    x_ND: Float[np.ndarray, "N D"]
    held_out_cells: tuple[Cell, ...] = ()

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

    def held_out(self, cell: Cell) -> Fold | None:
        """Return the fold of a cell with validation rows apart; None where the rest lacks a class or a gender."""
        own = cell.seed, cell.fold.name
        fold = next((other.fold for other in self.held_out_cells if (other.seed, other.fold.name) == own), None)
        if fold is None:
            return None
        kinds = [self._kinds(rows) for rows in (fold.train, self.train(cell))]
        return fold if kinds[0] == kinds[1] else None

    def _kinds(self, rows: Int[np.ndarray, " n"]) -> set[tuple[int, str]]:
        """Return the pairs of class and gender that rows have."""
        return set(zip(self.problem.truth_N[rows].tolist(), self.gender_N[rows].tolist(), strict=True))

    def train(self, cell: Cell) -> Int[np.ndarray, " n"]:
        """Return the training rows of a cell."""
        return np.sort(np.concatenate([cell.fold.train, cell.fold.validation]))


def load_table(data: Data, features: TableFeatures, cache: Path | None, shown: Progresses) -> Table:
    """Read the corpus, compute or fetch each feature set, and put them side by side.

    Raises:
      ConfigError: no set is named.
    """
    if not features.features:
        raise ConfigError("--features is empty: give one set at least.")
    sets = [OneSet(features, kind) for kind in features.features]
    reports = [shown.counter(f"{kind} features") for kind in features.features]
    corpus, splits, tables = load_parts(data, sets, cache, reports, selecting=False)
    prints = fingerprints_of(corpus, data, cache, shown.counter("fingerprints"))
    problem = make_problem(corpus, splits, tables[-1], window_of(corpus, data, sets[-1].frontend()), prints)
    x_ND = np.concatenate([_vectors(table, features.view) for table in tables], axis=1)
    return Table(problem, x_ND, _held_out_cells(corpus, data))


def _held_out_cells(corpus: Corpus, data: Data) -> tuple[Cell, ...]:
    """Return the cells with validation rows apart, none where there are too few clips or speakers for it."""
    try:
        splits = split_for_seeds(corpus, data, selecting=True)
    except ProtocolError:
        return ()
    return tuple(Cell(seed, fold) for seed, split in enumerate(splits) for fold in split.folds)


def _vectors(table: Features, view: Literal["moments", "flat"]) -> Float[np.ndarray, "N D"]:
    if view == "flat" or table.values_NTD.shape[1] == 1:
        return table.values_NTD.reshape(len(table.values_NTD), -1).astype(np.float64)
    return moments(table.values_NTD, table.mask_NT)
