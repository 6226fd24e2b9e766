"""The flags that describe a clip's features, as frozen dataclasses: each makes a DSP front end."""

from dataclasses import dataclass
from typing import Literal

from serjax.dsp import LogMel, Mfcc, Stats26, Stats180
from serjax.dsp.parameters import Transform


@dataclass(frozen=True)
class Features:
    """The MFCC picture of a clip."""

    sample_rate: int = 22_050
    """Hz; files of another rate are resampled."""
    n_mfcc: int = 20
    """Coefficients a frame."""
    frames: int = 108
    """Frames a clip: 108 × 512 samples are 2.5 s."""
    n_fft: int = 2048
    """Samples a frame."""
    hop_length: int = 512
    """Samples between frames."""
    n_mels: int = 128
    """Mel bands under the cosine transform."""
    transform: Transform = "fft"
    """How spectra are computed: fft, or matmul for accelerators with a slow FFT."""

    def frontend(self) -> Mfcc:
        """Return the DSP front end these flags describe."""
        return Mfcc(
            sample_rate_hz=self.sample_rate,
            n_mfcc=self.n_mfcc,
            frames=self.frames,
            n_fft=self.n_fft,
            hop_length=self.hop_length,
            n_mels=self.n_mels,
            transform=self.transform,
        )


@dataclass(frozen=True)
class MelFeatures:
    """The mel picture of a clip, in dB."""

    sample_rate: int = 22_050
    """Hz; files of another rate are resampled."""
    n_mels: int = 64
    """Mel bands."""
    frames: int = 108
    """Frames a clip: 108 × 512 samples are 2.5 s."""
    n_fft: int = 2048
    """Samples a frame."""
    hop_length: int = 512
    """Samples between frames."""
    transform: Transform = "fft"
    """How spectra are computed: fft, or matmul for accelerators with a slow FFT."""

    def frontend(self) -> LogMel:
        """Return the DSP front end these flags describe."""
        return LogMel(
            sample_rate_hz=self.sample_rate,
            frames=self.frames,
            n_fft=self.n_fft,
            hop_length=self.hop_length,
            n_mels=self.n_mels,
            transform=self.transform,
        )


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

    def frontend(self) -> Stats26 | Stats180:
        """Return the DSP front end these flags describe."""
        if self.statistics == "stats26":
            return Stats26(sample_rate_hz=self.sample_rate, frames=self.frames)
        return Stats180(sample_rate_hz=self.sample_rate, frames=self.frames)
