"""The flags that describe a clip's features, as frozen dataclasses: each makes a DSP front end."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from serjax.dsp import Frontend, LogMel, Mfcc, Stats26, Stats180
from serjax.dsp.parameters import ParameterError, Transform
from serjax.experiments.config import ConfigError


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
    """Frames a clip: 108 × 512 samples are 2.5 s."""
    n_fft: int = 2048
    """Samples a frame."""
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
    """Coefficients a frame."""
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
