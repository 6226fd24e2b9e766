"""What a voice does, frame by frame: the picture that generative front ends make their vectors of."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, Real

from serjax.dsp.augment.pictures import mel_warp
from serjax.dsp.cepstral import cepstra, delta
from serjax.dsp.compiled import compiled
from serjax.dsp.parameters import Number, check_number
from serjax.dsp.pictures import LogMel
from serjax.dsp.pitch import yin_voicing
from serjax.dsp.waveform import rms

FLOOR = 1e-10  # of power, where full scale is 1
F0_HZ = (70.0, 500.0)


@dataclass(frozen=True, kw_only=True)
class VoiceFrames(LogMel):
    """Mel bands (natural logarithm), energy in dB, log F0 and periodicity of each frame, 10 ms apart.

    Energy comes after the bands, then log F0 in Hz as `yin` finds it, then `yin_voicing`'s periodicity.

    >>> VoiceFrames().n_features
    67
    """

    sample_rate_hz: int = 16_000
    frames: int = 651
    n_fft: int = 512
    hop_length: int = 160
    n_mels: int = 64
    fmin_hz: float = 50.0

    @property
    def n_features(self) -> int:
        """Features of a frame."""
        return self.n_mels + 3

    def features(self, clip_N: Float[Array, " N"], n_valid: Int[Array, ""]) -> Float[Array, "T D"]:
        """Compute the features of one clip."""
        mel_MT = self.mel(clip_N, norm=None)
        loudness_1T = rms(clip_N, frame_length=self.n_fft, hop_length=self.hop_length)
        f0_T, periodicity_T = voice_of(clip_N, self.sample_rate_hz, self.hop_length)
        energy_1T = 10 * jnp.log10(jnp.square(loudness_1T) + FLOOR)
        rows = jnp.log(mel_MT + 1e-6), energy_1T, jnp.log(f0_T)[None], periodicity_T[None]
        return jnp.concatenate(rows).T


def voice_of(clip_N: Float[Array, " N"], sr: int, hop_length: int) -> tuple[Float[Array, " T"], Float[Array, " T"]]:
    """Return F0 in Hz, within `F0_HZ`, and periodicity of frames that hold four periods of the lowest voice."""
    lowest, highest = F0_HZ
    frame_length = 2 * round(2 * sr / lowest)
    return yin_voicing(clip_N, fmin=lowest, fmax=highest, sr=sr, frame_length=frame_length, hop_length=hop_length)


@compiled
def trim_mask(
    energy_db: Real[ArrayLike, "*batch T"], mask: Bool[ArrayLike, "*batch T"], *, top_db: Number = 45
) -> Bool[Array, "*batch T"]:
    """Tell which frames sound: those at most `top_db` below the loudest valid one of their clip.

    Args:
      energy_db: energy of each frame in dB, `(..., T)`.
      mask: which frames are valid.
      top_db: range below the loudest frame in dB, at least 0.

    Raises:
      ParameterError: the range is negative.

    >>> trim_mask(jnp.array([-80.0, -20.0, -50.0, 0.0]), jnp.array([True, True, True, False])).tolist()
    [False, True, True, False]
    """
    check_number("top_db", top_db)
    energy, valid = jnp.asarray(energy_db), jnp.asarray(mask)
    loudest = jnp.where(valid, energy, -jnp.inf).max(axis=-1, keepdims=True)
    return valid & (energy >= loudest - top_db)


def spoken_frames(
    voice_TD: Float[Array, "T D"],
    mask_T: Bool[Array, " T"],
    warp: float = 1.0,
    n_mfcc: int = 20,
    least_periodicity: float = 0.5,
    top_db: float = 45.0,
) -> tuple[Float[Array, "T E"], Bool[Array, " T"]]:
    """Turn the picture of a voice into cepstra, energy, log F0 and periodicity of the frames that sound, with Δ and ΔΔ.

    Pauses are taken out first, so that slopes go from sound to sound. Where a frame is not voiced, F0 is the median of
    the clip.

    Args:
      voice_TD: what `VoiceFrames` gives of a clip.
      mask_T: which of its frames are valid.
      warp: a vocal tract shorter (above 1) or longer than the speaker's, see `augment.mel_warp`.
      n_mfcc: how many cepstra.
      least_periodicity: from where on a frame is voiced.
      top_db: frames that lie further below the loudest are silent.

    Returns:
      Frames, those that sound first, each with `3 (n_mfcc + 3)` features; and which of them count.
    """
    bands_TM, energy_T, f0_T, periodicity_T = voice_TD[:, :-3], voice_TD[:, -3], voice_TD[:, -2], voice_TD[:, -1]
    sounds_T = trim_mask(energy_T, mask_T, top_db=top_db)
    # The range of factors is one number, so the key decides nothing.
    bands_MT = mel_warp(jax.random.key(0), bands_TM.T, factor=warp)
    voiced_T = sounds_T & (periodicity_T > least_periodicity)
    # `warp` is a factor of all frequencies, F0 included.
    f0_T = jnp.where(voiced_T, f0_T, _middle(f0_T, voiced_T)) + jnp.log(warp)
    rows_TC = jnp.column_stack([cepstra(bands_MT, n_mfcc).T, energy_T, f0_T, periodicity_T])
    # Frames that sound move to the front in their order, so that shapes stay static.
    order_T = jnp.argsort(~sounds_T, stable=True)
    last = jnp.maximum(sounds_T.sum() - 1, 0)  # repeated behind the end, so that slopes end level
    rows_TC = rows_TC[order_T][jnp.minimum(jnp.arange(len(rows_TC)), last)]
    slope_TC = delta(rows_TC, axis=0, mode="nearest")
    return jnp.column_stack([rows_TC, slope_TC, delta(slope_TC, axis=0, mode="nearest")]), sounds_T[order_T]


def slice_means(frames_TC: Float[Array, "T C"], counts_T: Bool[Array, " T"], n_slices: int) -> Float[Array, "S C"]:
    """Cut the frames of a clip into slices of equal length and return the mean of each: a picture without tempo.

    Args:
      frames_TC: frames, those that count first.
      counts_T: which of them count.
      n_slices: how many slices; a frame on an edge counts for both in part.
    """
    summed_TC = jnp.cumsum(jnp.where(counts_T[:, None], frames_TC, 0.0), axis=0)
    n_frames = jnp.maximum(counts_T.sum(), 1)
    edge_E = jnp.arange(n_slices + 1) * n_frames / n_slices
    frame_T = jnp.arange(1, len(frames_TC) + 1)
    # An edge may lie inside a frame: the running sum is interpolated, and two slices share the frame.
    at_EC = jax.vmap(lambda column_T: jnp.interp(edge_E, frame_T, column_T, left=0.0), 1, 1)(summed_TC)
    first = edge_E < 1  # within the first frame the sum grows from nothing
    at_EC = jnp.where(first[:, None], edge_E[:, None] * summed_TC[:1], at_EC)
    return jnp.diff(at_EC, axis=0) * n_slices / n_frames


def _middle(values_T: Float[Array, " T"], mask_T: Bool[Array, " T"]) -> Float[Array, ""]:
    """Return the lower median of what counts; where nothing does, of all."""
    mask_T = mask_T | ~mask_T.any()
    ordered_T = jnp.sort(jnp.where(mask_T, values_T, jnp.inf))
    return ordered_T[jnp.maximum(mask_T.sum() - 1, 0) // 2]
