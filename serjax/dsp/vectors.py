"""Frontends that give one vector per clip: means over the frames that lie inside it, of the length it has.

A clip is padded to a fixed length, but the padding never enters: values are those of librosa on the unpadded clip.
"""

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from serjax.dsp.cepstral import cepstra
from serjax.dsp.chroma import chroma_stft
from serjax.dsp.frontend import Frontend
from serjax.dsp.functionals import masked_mean
from serjax.dsp.mel import melspectrogram
from serjax.dsp.pictures import spectral_shape
from serjax.dsp.spectral import power_to_db
from serjax.dsp.waveform import rms, zero_crossing_rate

N_MELS = 128


@dataclass(frozen=True, kw_only=True)
class ClipMeans(Frontend):
    """What the two frontends share: the spectrum of the frames inside the clip, and means over them."""

    @property
    def n_frames(self) -> int:
        """Frames that come out: one vector per clip."""
        return 1

    def rows(self, clip_N: Float[Array, " N"], n_valid: Int[Array, ""]) -> tuple[Float[Array, "_ T"], ...]:
        """Compute what is averaged, a group of rows for each kind of feature."""
        raise NotImplementedError

    def features(self, clip_N: Float[Array, " N"], n_valid: Int[Array, ""]) -> Float[Array, "1 D"]:
        """Compute the means."""
        mask_T = self.frame_mask(n_valid)
        rows_DT = jnp.concatenate(self.rows(clip_N, n_valid))
        return masked_mean(rows_DT, mask_T)[None, :]

    def valid_spectra(
        self, clip_N: Float[Array, " N"], n_valid: Int[Array, ""]
    ) -> tuple[Float[Array, "F T"], Float[Array, "F T"]]:
        """Compute the power spectrogram and the magnitudes, 0 in frames behind the clip."""
        mask_1T = self.frame_mask(n_valid)[None, :]
        power_FT, magnitude_FT = self.power_and_magnitude(clip_N)
        # Zeros, so that no frame behind the clip is the peak that decibels are floored by.
        return jnp.where(mask_1T, power_FT, 0.0), jnp.where(mask_1T, magnitude_FT, 0.0)

    def mel(self, power_FT: Float[Array, "F T"]) -> Float[Array, "M T"]:
        """Compute mel bands from the power spectrogram."""
        return melspectrogram(S=power_FT, sr=self.sample_rate_hz, n_mels=N_MELS)


@dataclass(frozen=True, kw_only=True)
class Stats180(ClipMeans):
    """Means of 40 MFCC, 12 chroma (of the magnitude spectrogram) and 128 mel bands (linear power).

    >>> Stats180().n_frames, Stats180().n_features
    (1, 180)
    """

    @property
    def n_features(self) -> int:
        """Features of a clip."""
        return 180

    def rows(self, clip_N: Float[Array, " N"], n_valid: Int[Array, ""]) -> tuple[Float[Array, "_ T"], ...]:
        """Compute what is averaged: MFCC, chroma, mel."""
        power_FT, magnitude_FT = self.valid_spectra(clip_N, n_valid)
        mel_MT = self.mel(power_FT)
        chroma_CT = chroma_stft(S=magnitude_FT, sr=self.sample_rate_hz)
        return cepstra(power_to_db(mel_MT), 40), chroma_CT, mel_MT


@dataclass(frozen=True, kw_only=True)
class MelMeans(ClipMeans):
    """Means of 128 mel bands (linear power).

    >>> MelMeans().n_features
    128
    """

    @property
    def n_features(self) -> int:
        """Features of a clip."""
        return N_MELS

    def rows(self, clip_N: Float[Array, " N"], n_valid: Int[Array, ""]) -> tuple[Float[Array, "_ T"], ...]:
        """Compute what is averaged: mel."""
        return (self.mel(self.valid_spectra(clip_N, n_valid)[0]),)


@dataclass(frozen=True, kw_only=True)
class Stats26(ClipMeans):
    """Means of chroma (one for all pitch classes), RMS, centroid, bandwidth, roll-off, zero crossings and 20 MFCC.

    >>> Stats26().n_features
    26
    """

    @property
    def n_features(self) -> int:
        """Features of a clip."""
        return 26

    def rows(self, clip_N: Float[Array, " N"], n_valid: Int[Array, ""]) -> tuple[Float[Array, "_ T"], ...]:
        """Compute what is averaged, in the order above."""
        power_FT, magnitude_FT = self.valid_spectra(clip_N, n_valid)
        chroma_CT = chroma_stft(S=power_FT, sr=self.sample_rate_hz)
        return (
            chroma_CT.mean(axis=0, keepdims=True),
            rms(clip_N, frame_length=self.n_fft, hop_length=self.hop_length),
            *spectral_shape(magnitude_FT, self.sample_rate_hz),
            zero_crossing_rate(_hold_last(clip_N, n_valid), frame_length=self.n_fft, hop_length=self.hop_length),
            cepstra(power_to_db(self.mel(power_FT)), 20),
        )


def _hold_last(clip_N: Float[Array, " N"], n_valid: Int[Array, ""]) -> Float[Array, " N"]:
    """Repeat the last valid sample behind the clip, as librosa pads where it counts zero crossings."""
    return jnp.where(jnp.arange(clip_N.shape[0]) < n_valid, clip_N, clip_N[jnp.maximum(n_valid - 1, 0)])
