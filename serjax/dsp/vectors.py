"""Frontends that give one vector a clip: means over the frames that lie inside it, of the length it has.

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
        """Frames that come out: one vector a clip."""
        return 1

    def rows(self, clips_BN: Float[Array, "B N"], n_valid_B: Int[Array, " B"]) -> tuple[Float[Array, "B _ T"], ...]:
        """Compute what is averaged, a group of rows for each kind of feature."""
        raise NotImplementedError

    def features(self, clips_BN: Float[Array, "B N"], n_valid_B: Int[Array, " B"]) -> Float[Array, "B 1 D"]:
        """Compute the means."""
        mask_BT = self.frame_mask(n_valid_B)
        rows_BDT = jnp.concatenate(self.rows(clips_BN, n_valid_B), axis=1)
        return masked_mean(rows_BDT, mask_BT)[:, None, :]

    def valid_spectra(
        self, clips_BN: Float[Array, "B N"], n_valid_B: Int[Array, " B"]
    ) -> tuple[Float[Array, "B F T"], Float[Array, "B F T"]]:
        """Compute the power spectrogram and the magnitudes, 0 in frames behind the clip."""
        mask_B1T = self.frame_mask(n_valid_B)[:, None, :]
        power_BFT, magnitude_BFT = self.power_and_magnitude(clips_BN)
        return jnp.where(mask_B1T, power_BFT, 0.0), jnp.where(mask_B1T, magnitude_BFT, 0.0)

    def mel(self, power_BFT: Float[Array, "B F T"]) -> Float[Array, "B M T"]:
        """Compute mel bands from the power spectrogram."""
        return melspectrogram(S=power_BFT, sr=self.sample_rate_hz, n_mels=N_MELS)


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

    def rows(self, clips_BN: Float[Array, "B N"], n_valid_B: Int[Array, " B"]) -> tuple[Float[Array, "B _ T"], ...]:
        """Compute what is averaged: MFCC, chroma, mel."""
        power_BFT, magnitude_BFT = self.valid_spectra(clips_BN, n_valid_B)
        mel_BMT = self.mel(power_BFT)
        chroma_BCT = chroma_stft(S=magnitude_BFT, sr=self.sample_rate_hz)
        return cepstra(power_to_db(mel_BMT), 40), chroma_BCT, mel_BMT


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

    def rows(self, clips_BN: Float[Array, "B N"], n_valid_B: Int[Array, " B"]) -> tuple[Float[Array, "B _ T"], ...]:
        """Compute what is averaged: mel."""
        return (self.mel(self.valid_spectra(clips_BN, n_valid_B)[0]),)


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

    def rows(self, clips_BN: Float[Array, "B N"], n_valid_B: Int[Array, " B"]) -> tuple[Float[Array, "B _ T"], ...]:
        """Compute what is averaged, in the order above."""
        power_BFT, magnitude_BFT = self.valid_spectra(clips_BN, n_valid_B)
        chroma_BCT = chroma_stft(S=power_BFT, sr=self.sample_rate_hz)
        return (
            chroma_BCT.mean(axis=1, keepdims=True),
            rms(clips_BN, frame_length=self.n_fft, hop_length=self.hop_length),
            *spectral_shape(magnitude_BFT, self.sample_rate_hz),
            zero_crossing_rate(_hold_last(clips_BN, n_valid_B), frame_length=self.n_fft, hop_length=self.hop_length),
            cepstra(power_to_db(self.mel(power_BFT)), 20),
        )


def _hold_last(clips_BN: Float[Array, "B N"], n_valid_B: Int[Array, " B"]) -> Float[Array, "B N"]:
    """Repeat the last valid sample behind the clip, as librosa pads where it counts zero crossings."""
    last_B1 = jnp.take_along_axis(clips_BN, jnp.maximum(n_valid_B - 1, 0)[:, None], axis=1)
    return jnp.where(jnp.arange(clips_BN.shape[1])[None, :] < n_valid_B[:, None], clips_BN, last_B1)
