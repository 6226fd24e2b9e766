"""The flags that describe a clip's features, as frozen dataclasses: each makes a DSP front end."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from serjax.dsp import Chroma, Descriptors, Frontend, LogMel, Mfcc, RelativeLogMel, SideBySide, Stats26, Stats180
from serjax.dsp.parameters import ParameterError, Transform
from serjax.errors import ConfigError


def check_frontend(make: Callable[[], Frontend]) -> None:
    """Raise ConfigError, in the words of the command line, for flags of which no front end can be made."""
    try:
        make()
    except ParameterError as error:
        named = re.sub(r"\b([a-z_]+?)(_hz)?=", lambda found: f"--{found[1].replace('_', '-')} ", str(error))
        raise ConfigError(named.replace("Python integer", "whole number")) from error


@dataclass(frozen=True)
class Framing:
    """How the sound of a clip is cut into frames, and their spectra are computed."""

    sample_rate: int = 22_050
    """Hz; files of another rate are resampled."""
    frames: int = 108
    """Frames per clip: 108 × 512 samples are 2.5 s."""
    n_fft: int = 2048
    """Samples per frame."""
    hop_length: int = 512
    """Samples between frames."""
    transform: Transform = "fft"
    """How spectra are computed: fft, or matmul for accelerators with a slow FFT."""

    def framing(self) -> dict[str, Any]:
        """Return these flags as arguments of a front end."""
        return {
            "sample_rate_hz": self.sample_rate,
            "frames": self.frames,
            "n_fft": self.n_fft,
            "hop_length": self.hop_length,
            "transform": self.transform,
        }


@dataclass(frozen=True)
class Features(Framing):
    """The MFCC picture of a clip."""

    n_mfcc: int = 20
    """Coefficients per frame."""
    n_mels: int = 128
    """Mel bands under the cosine transform."""

    def __post_init__(self) -> None:
        check_frontend(self.frontend)

    def frontend(self) -> Mfcc:
        """Return the DSP front end these flags describe."""
        return Mfcc(**self.framing(), n_mfcc=self.n_mfcc, n_mels=self.n_mels)


@dataclass(frozen=True)
class MelFeatures(Framing):
    """The mel picture of a clip, in dB."""

    n_mels: int = 64
    """Mel bands."""

    def __post_init__(self) -> None:
        check_frontend(self.frontend)

    def frontend(self) -> LogMel:
        """Return the DSP front end these flags describe."""
        return LogMel(**self.framing(), n_mels=self.n_mels)


@dataclass(frozen=True)
class BandFeatures(MelFeatures):
    """The mel picture of a clip in dB, up to a highest frequency."""

    frames: int = 65
    """Frames per clip: 65 × 1024 samples are 3 s."""
    hop_length: int = 1024
    """Samples between frames."""
    fmax: float | None = 8000.0
    """Highest frequency of the mel bands in Hz; None: half the sampling rate."""
    relative: bool = True
    """Decibels below the loudest band of the clip, so that the level of a recording does not matter."""

    def frontend(self) -> LogMel:
        """Return the DSP front end these flags describe."""
        kind = RelativeLogMel if self.relative else LogMel
        return kind(**self.framing(), n_mels=self.n_mels, fmax_hz=self.fmax)


@dataclass(frozen=True)
class ClipFeatures:
    """The numbers of a clip: means over all of it."""

    statistics: Literal["stats26", "stats180"] = "stats180"
    """stats180: 40 MFCC, 12 chroma and 128 mel bands; stats26: chroma, RMS, centroid, bandwidth, roll-off, zero
    crossings and 20 MFCC."""
    sample_rate: int = 22_050
    """Hz; files of another rate are resampled."""
    frames: int = 280
    """Frames read of a clip at most: 280 × 512 samples are 6.5 s."""

    def __post_init__(self) -> None:
        check_frontend(self.frontend)

    def frontend(self) -> Stats26 | Stats180:
        """Return the DSP front end these flags describe."""
        if self.statistics == "stats26":
            return Stats26(sample_rate_hz=self.sample_rate, frames=self.frames)
        return Stats180(sample_rate_hz=self.sample_rate, frames=self.frames)


PictureKind = Literal["mfcc", "mel", "chroma", "descriptors"]


@dataclass(frozen=True)
class PictureFeatures(Framing):
    """The picture of a clip, a row of features for each frame."""

    kinds: tuple[PictureKind, ...] = ("mfcc",)
    """mfcc, mel (dB), chroma, descriptors (RMS, zero crossings, centroid, bandwidth, roll-off, flatness)."""
    n_mfcc: int = 20
    """Coefficients of mfcc."""
    mfcc_bands: int = 128
    """Mel bands under the cosine transform of mfcc."""
    n_mels: int = 64
    """Bands of mel."""

    def __post_init__(self) -> None:
        for kind in self.kinds:
            check_frontend(partial(self.one, kind))

    def frontend(self) -> Frontend:
        """Return the DSP front end these flags describe; several kinds stand side by side in each frame.

        Raises:
          ConfigError: no kind, or one twice.
        """
        if not self.kinds or len(set(self.kinds)) < len(self.kinds):
            raise ConfigError(f"--kinds {' '.join(self.kinds)}: expected one kind at least, and each once.")
        parts = [self.one(kind) for kind in self.kinds]
        return parts[0] if len(parts) == 1 else SideBySide.of(*parts)

    def one(self, kind: PictureKind) -> Frontend:
        """Return the front end of one kind."""
        framing = self.framing()
        match kind:
            case "mfcc":
                return Mfcc(**framing, n_mfcc=self.n_mfcc, n_mels=self.mfcc_bands)
            case "mel":
                return LogMel(**framing, n_mels=self.n_mels)
            case "chroma":
                return Chroma(**framing)
            case "descriptors":
                return Descriptors(**framing)
