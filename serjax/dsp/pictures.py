"""Frontends whose features are pictures, one row per frame: MFCC, log-mel, chroma, descriptors of the spectrum."""

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from serjax.dsp.cepstral import cepstra
from serjax.dsp.chroma import chroma_stft
from serjax.dsp.descriptors import spectral_bandwidth, spectral_centroid, spectral_flatness, spectral_rolloff
from serjax.dsp.frontend import Frontend
from serjax.dsp.mel import melspectrogram
from serjax.dsp.parameters import MelNorm, ParameterError, check_number, check_size, upper_edge_hz
from serjax.dsp.spectral import power_to_db
from serjax.dsp.waveform import rms, zero_crossing_rate


@dataclass(frozen=True, kw_only=True)
class LogMel(Frontend):
    """Mel bands in dB; `librosa.power_to_db(librosa.feature.melspectrogram(y=y, ...))`.

    Raises:
      ParameterError: as `Frontend`; or the band does not fit the sampling rate.

    >>> LogMel(n_mels=64).n_features
    64
    """

    n_mels: int = 128
    """Number of mel bands."""
    fmin_hz: float = 0.0
    """Lowest frequency of the mel bands in Hz."""
    fmax_hz: float | None = None
    """Highest frequency of the mel bands in Hz; none: half the sampling rate."""
    top_db: float | None = 80.0
    """Range below the loudest band of a clip in dB; none: down to -100 dB."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size("n_mels", self.n_mels)
        upper_edge_hz(self.sample_rate_hz, self.fmin_hz, self.fmax_hz)
        if self.top_db is not None:
            check_number("top_db", self.top_db)

    @property
    def n_features(self) -> int:
        """Features of a frame."""
        return self.n_mels

    def mel(self, clip_N: Float[Array, " N"], norm: MelNorm | None = "slaney") -> Float[Array, "M T"]:
        """Compute the power in the mel bands of each frame, frames last."""
        return melspectrogram(
            S=self.power(clip_N),
            sr=self.sample_rate_hz,
            n_fft=self.n_fft,
            n_mels=self.n_mels,
            fmin=self.fmin_hz,
            fmax=self.fmax_hz,
            norm=norm,
        )

    def decibels(self, clip_N: Float[Array, " N"]) -> Float[Array, "M T"]:
        """Compute the mel bands of each frame in dB, frames last."""
        return power_to_db(self.mel(clip_N), top_db=self.top_db)

    def features(self, clip_N: Float[Array, " N"], n_valid: Int[Array, ""]) -> Float[Array, "T D"]:
        """Compute the features of one clip."""
        return self.decibels(clip_N).T


@dataclass(frozen=True, kw_only=True)
class RelativeLogMel(LogMel):
    """Mel bands in dB below the loudest band of the clip, so that how loud it was recorded does not matter.

    `librosa.power_to_db(librosa.feature.melspectrogram(y=y, ...), ref=np.max)`.

    Raises:
      ParameterError: as `LogMel`.

    >>> RelativeLogMel(n_mels=64).n_features
    64
    """

    def decibels(self, clip_N: Float[Array, " N"]) -> Float[Array, "M T"]:
        """Compute the mel bands of each frame in dB below the loudest, frames last."""
        return power_to_db(self.mel(clip_N), ref=jnp.max, top_db=self.top_db)


@dataclass(frozen=True, kw_only=True)
class Mfcc(LogMel):
    """Mel-frequency cepstral coefficients; librosa's values for `librosa.feature.mfcc(y=y, ...)`.

    Raises:
      ParameterError: as `LogMel`; or `n_mfcc` is not positive or above `n_mels`.

    >>> Mfcc().n_samples, Mfcc().n_features
    (54784, 20)
    """

    n_mfcc: int = 20
    """Number of cepstral coefficients, the features of a frame."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size("n_mfcc", self.n_mfcc)
        if self.n_mfcc > self.n_mels:
            raise ParameterError(f"n_mfcc={self.n_mfcc} exceeds n_mels={self.n_mels}: give at most as many.")

    @property
    def n_features(self) -> int:
        """Features of a frame."""
        return self.n_mfcc

    def features(self, clip_N: Float[Array, " N"], n_valid: Int[Array, ""]) -> Float[Array, "T D"]:
        """Compute the features of one clip."""
        return cepstra(self.decibels(clip_N), self.n_mfcc).T


@dataclass(frozen=True, kw_only=True)
class Chroma(Frontend):
    """Energy of the pitch classes; `librosa.feature.chroma_stft(y=y, ...)`, the tuning estimated for each clip.

    >>> Chroma().n_features
    12
    """

    n_chroma: int = 12
    """Pitch classes."""

    @property
    def n_features(self) -> int:
        """Features of a frame."""
        return self.n_chroma

    def features(self, clip_N: Float[Array, " N"], n_valid: Int[Array, ""]) -> Float[Array, "T D"]:
        """Compute the features of one clip."""
        chroma_CT = chroma_stft(S=self.power(clip_N), sr=self.sample_rate_hz, n_chroma=self.n_chroma)
        return chroma_CT.T


@dataclass(frozen=True, kw_only=True)
class Descriptors(Frontend):
    """RMS, zero-crossing rate, and centroid, bandwidth, roll-off (Hz) and flatness of the spectrum; librosa's values.

    >>> Descriptors().n_features
    6
    """

    roll_percent: float = 0.85
    """Share of the magnitude that lies below the roll-off."""

    @property
    def n_features(self) -> int:
        """Features of a frame."""
        return 6

    def features(self, clip_N: Float[Array, " N"], n_valid: Int[Array, ""]) -> Float[Array, "T D"]:
        """Compute the features of one clip."""
        _, magnitude_FT = self.power_and_magnitude(clip_N)
        rows = (
            rms(clip_N, frame_length=self.n_fft, hop_length=self.hop_length),
            zero_crossing_rate(clip_N, frame_length=self.n_fft, hop_length=self.hop_length),
            *spectral_shape(magnitude_FT, self.sample_rate_hz, self.roll_percent),
            spectral_flatness(S=magnitude_FT),
        )
        return jnp.concatenate(rows).T


def spectral_shape(
    magnitude_FT: Float[Array, "F T"], sr: int, roll_percent: float = 0.85
) -> tuple[Float[Array, "1 T"], Float[Array, "1 T"], Float[Array, "1 T"]]:
    """Compute centroid, bandwidth and roll-off of magnitude spectra, in Hz."""
    centroid = spectral_centroid(S=magnitude_FT, sr=sr)
    bandwidth = spectral_bandwidth(S=magnitude_FT, sr=sr, centroid=centroid)
    return centroid, bandwidth, spectral_rolloff(S=magnitude_FT, sr=sr, roll_percent=roll_percent)
