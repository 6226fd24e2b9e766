"""The flags of an exploration."""

import math
from dataclasses import dataclass, field
from pathlib import Path

from serjax import dsp
from serjax.data.corpora.crema_d import Defects
from serjax.study.checks import check_positive
from serjax.study.flags import Output

LONGEST_S, SYNTHETIC_S = 6.5, 3.4  # RAVDESS's and the synthetic corpus's longest clips fit; padding costs time


@dataclass(frozen=True)
class Data:
    """Which clips."""

    corpus: str | tuple[str, ...] = "synthetic"
    """synthetic, ravdess (speech), ravdess-song, ravdess-all, crema-d, crema-d-voted, emodb, savee, tess; or a path of
    a CSV or folder. Several are joined: labels are those of all."""
    root: Path | tuple[Path, ...] | None = None
    """Folder that holds the corpus's audio files at any depth; of a CSV: where its paths start, if not beside it. Of
    several corpora: one folder for each that is known by name."""
    label_map: Path | None = None
    """JSON: for each corpus its emotions and the labels they get; those that are not in it are left out."""
    emotions: tuple[str, ...] = ()
    """Only these emotions, e.g. `--emotions happy sad`; default: all."""
    clips: int | None = None
    """Only so many clips of the corpus, drawn at random, the same in every run; default: all."""
    synthetic_clips: int | None = None
    """Shorten the synthetic corpus to so many clips, 8 to 1440; default: all."""
    defects: Defects | None = None
    """Clips of crema-d without sound or with the bytes of one of another emotion: left out (default) or kept."""


@dataclass(frozen=True)
class Analysis:
    """How clips are read and analysed."""

    sample_rate: int = 22_050
    """Hz; files of another rate are resampled."""
    n_fft: int = 2048
    """Samples per frame."""
    hop_length: int = 512
    """Samples between frames."""
    seconds: float | None = None
    """Features and pictures are of so much of a clip; the summary says how many are longer. Default: 6.5, of synthetic
    3.4."""
    examples: int | None = None
    """Clips in the pictures of single clips, of each label in turn; default: one of each, 16 at most."""


@dataclass(frozen=True)
class Clipping:
    """What counts as an outlier; the page says what was clipped, and how many."""

    fences: float = 3.0
    """Clip each feature so many interquartile ranges below its lower and above its upper quartile."""
    rolloff_at_least: float | None = None
    """Raise the roll-off of clips below so many Hz to it, in place of the lower fence. The second report took 3000; the
    roll-off of RAVDESS speech lies above that anyway (3 468 to 7 087 Hz)."""


@dataclass(frozen=True)
class ExploreConfig:
    """Every field of every section is a flag."""

    data: Data = field(default_factory=Data)
    analysis: Analysis = field(default_factory=Analysis)
    clipping: Clipping = field(default_factory=Clipping)
    output: Output = field(default_factory=Output)


def check_flags(config: ExploreConfig) -> None:
    """Raise ConfigError for a number that makes no sense."""
    for flag, value in {
        "--seconds": config.analysis.seconds,
        "--fences": config.clipping.fences,
        "--clips": config.data.clips,
        "--examples": config.analysis.examples,
        "--sample-rate": config.analysis.sample_rate,
        "--n-fft": config.analysis.n_fft,
        "--hop-length": config.analysis.hop_length,
        "--rolloff-at-least": config.clipping.rolloff_at_least,
    }.items():
        check_positive(flag, value)


def frontend(analysis: Analysis, corpus: str | tuple[str, ...]) -> dsp.Stats26:
    """Return the front end that reads `--seconds` of a clip, in whole frames."""
    seconds = analysis.seconds or (SYNTHETIC_S if corpus == "synthetic" else LONGEST_S)
    frames = 1 + math.ceil(seconds * analysis.sample_rate / analysis.hop_length)
    return dsp.Stats26(
        sample_rate_hz=analysis.sample_rate, frames=frames, n_fft=analysis.n_fft, hop_length=analysis.hop_length
    )
