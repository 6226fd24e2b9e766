"""One vector of many statistics per clip: level, spread, shape and course of what a voice does, and its rhythm."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from serjax.dsp.cepstral import cepstra, delta
from serjax.dsp.contrast import spectral_contrast
from serjax.dsp.descriptors import spectral_flatness
from serjax.dsp.frontend import Frontend
from serjax.dsp.functionals import masked_mean, masked_percentile, masked_std
from serjax.dsp.mel import melspectrogram
from serjax.dsp.pictures import spectral_shape
from serjax.dsp.spectral import power_to_db
from serjax.dsp.voice import FLOOR, trim_mask, voice_of
from serjax.dsp.waveform import rms, zero_crossing_rate

N_MELS, N_MFCC = 40, 20
PERCENTILES = (5, 25, 50, 75, 95)
RHYTHM_HZ = ((0.5, 2.0), (2.0, 4.0), (4.0, 6.0), (6.0, 8.0), (8.0, 12.0), (12.0, 20.0))
N_COURSE = 9  # rows whose spread in each third of a clip counts: F0, energy, shape of the spectrum
QUIET = 0.1  # frames of less than this share of the loudest one's amplitude are pauses


@dataclass(frozen=True, kw_only=True)
class Functionals(Frontend):
    """Statistics of 56 rows per frame: MFCC, mel bands, contrast, F0, periodicity, energy, shape of the spectrum.

    Of frames that are no pause: mean, standard deviation, percentiles, range and skewness; of slopes spread, mean size
    and two percentiles; of slopes of slopes the spread. Of each third of a clip means, and spreads of F0, energy and
    shape. Of the energy its modulation in six bands; duration, share of frames that sound, and how often they begin.

    Silence at both ends is left out. The set follows what openSMILE's sets have in common: F. Eyben et al., "The Geneva
    minimalistic acoustic parameter set (GeMAPS)", IEEE Trans. Affective Computing 7, 2016.

    >>> Functionals().n_frames, Functionals().n_features
    (1, 988)
    """

    sample_rate_hz: int = 16_000
    frames: int = 651
    n_fft: int = 512
    hop_length: int = 160

    @property
    def n_frames(self) -> int:
        """Frames that come out: one vector per clip."""
        return 1

    @property
    def n_features(self) -> int:
        """Features of a clip."""
        n_rows = N_MFCC + N_MELS // 2 + 6 + 10
        return n_rows * (len(PERCENTILES) + 4 + 4 + 1 + 3) + 3 * N_COURSE + len(RHYTHM_HZ) + 3

    def features(self, clip_N: Float[Array, " N"], n_valid: Int[Array, ""]) -> Float[Array, "1 D"]:
        """Compute the statistics of one clip."""
        mask_T = self.frame_mask(n_valid)
        rows_DT, amplitude_T = self.rows(clip_N)
        inside_T = _between(trim_mask(20 * jnp.log10(amplitude_T + 1e-6), mask_T, top_db=35))
        loudest = jnp.where(inside_T, amplitude_T, 0.0).max()
        sounds_T = inside_T & (amplitude_T >= QUIET * loudest)
        slopes_DT = delta(rows_DT)
        parts = (
            *_level(rows_DT, sounds_T),
            *_movement(slopes_DT, sounds_T),
            masked_std(delta(rows_DT, order=2), sounds_T),
            *_course(rows_DT, inside_T),
            _rhythm(amplitude_T, inside_T, self.sample_rate_hz / self.hop_length),
            _timing(sounds_T, inside_T),
        )
        return jnp.concatenate(parts)[None, :]

    def rows(self, clip_N: Float[Array, " N"]) -> tuple[Float[Array, "D T"], Float[Array, " T"]]:
        """Compute the rows that statistics are made of, and the amplitude of each frame."""
        power_FT, magnitude_FT = self.power_and_magnitude(clip_N)
        mel_MT = melspectrogram(S=power_FT, sr=self.sample_rate_hz, n_fft=self.n_fft, n_mels=N_MELS)
        logmel_MT = power_to_db(mel_MT, top_db=60)
        amplitude_1T = rms(clip_N, frame_length=2 * self.n_fft, hop_length=self.hop_length)
        f0_T, periodicity_T = voice_of(clip_N, self.sample_rate_hz, self.hop_length)
        shape = [row / 1000 for row in spectral_shape(magnitude_FT, self.sample_rate_hz)]
        rows = (
            cepstra(logmel_MT, N_MFCC),
            logmel_MT[::2],
            spectral_contrast(S=magnitude_FT, sr=self.sample_rate_hz, fmin=100, n_bands=5),
            periodicity_T[None],
            jnp.log2(f0_T)[None],
            jnp.log(amplitude_1T + 1e-6),
            *shape,
            jnp.log(spectral_flatness(S=magnitude_FT) + 1e-8),
            zero_crossing_rate(clip_N, frame_length=2 * self.n_fft, hop_length=self.hop_length),
            _flux(mel_MT),
            _alpha_ratio(power_FT, self.sample_rate_hz),
        )
        return jnp.concatenate(rows), amplitude_1T[0]


def _between(mask_T: Bool[Array, " T"]) -> Bool[Array, " T"]:
    """Tell which frames lie from the first true one to the last."""
    begun, ended = jnp.cumsum(mask_T) > 0, jnp.cumsum(mask_T[::-1])[::-1] > 0
    return begun & ended


def _flux(mel_MT: Float[Array, "M T"]) -> Float[Array, "1 T"]:
    """Root mean square change of the log mel bands from the frame before."""
    change_MT = jnp.diff(jnp.log(mel_MT + 1e-8), axis=1, prepend=jnp.log(mel_MT[:, :1] + 1e-8))
    return jnp.sqrt(jnp.square(change_MT).mean(axis=0, keepdims=True) + FLOOR)


def _alpha_ratio(power_FT: Float[Array, "F T"], sr: int) -> Float[Array, "1 T"]:
    """Energy of 50 Hz to 1 kHz over that above, in dB: low for a tense, bright voice."""
    hz_F = np.linspace(0, sr / 2, len(power_FT))
    low_T, high_T = power_FT[(hz_F > 50) & (hz_F < 1000)].sum(axis=0), power_FT[hz_F >= 1000].sum(axis=0)
    return 10 * jnp.log10((low_T + 1e-9) / (high_T + 1e-9))[None]


def _level(rows_DT: Float[Array, "D T"], mask_T: Bool[Array, " T"]) -> list[Float[Array, " D"]]:
    mean_D, std_D = masked_mean(rows_DT, mask_T), masked_std(rows_DT, mask_T) + 1e-6
    quantiles = [masked_percentile(rows_DT, mask_T, q) for q in PERCENTILES]
    skew_D = masked_mean(((rows_DT - mean_D[:, None]) / std_D[:, None]) ** 3, mask_T)
    return [mean_D, std_D, *quantiles, quantiles[-1] - quantiles[0], skew_D]


def _movement(slopes_DT: Float[Array, "D T"], mask_T: Bool[Array, " T"]) -> list[Float[Array, " D"]]:
    size_D = masked_mean(jnp.abs(slopes_DT), mask_T)
    return [masked_std(slopes_DT, mask_T), size_D, *(masked_percentile(slopes_DT, mask_T, q) for q in (10, 90))]


def _course(rows_DT: Float[Array, "D T"], inside_T: Bool[Array, " T"]) -> list[Float[Array, " _"]]:
    """Means of each third of a clip, and spreads of what tells its course."""
    place_T, n_inside = jnp.cumsum(inside_T) - 1, inside_T.sum()
    thirds = [inside_T & (3 * place_T // jnp.maximum(n_inside, 1) == third) for third in range(3)]
    means = [masked_mean(rows_DT, third_T) for third_T in thirds]
    return [*means, *(masked_std(rows_DT[-N_COURSE:], third_T) for third_T in thirds)]


def _rhythm(amplitude_T: Float[Array, " T"], inside_T: Bool[Array, " T"], frames_hz: float) -> Float[Array, " R"]:
    """Log power of the modulation of the energy, in bands of its frequency."""
    energy_T = jnp.log(amplitude_T + 1e-5)
    place_T, n_inside = jnp.cumsum(inside_T) - 1, jnp.maximum(inside_T.sum(), 2)
    # A Hann window over the part that sounds: hard ends would leak into all bands.
    taper_T = 0.5 - 0.5 * jnp.cos(2 * jnp.pi * place_T / (n_inside - 1))
    centred_T = jnp.where(inside_T, (energy_T - masked_mean(energy_T[None], inside_T)) * taper_T, 0.0)
    power_F = jnp.square(jnp.abs(jnp.fft.rfft(centred_T, 1024)))
    hz_F = np.fft.rfftfreq(1024, 1 / frames_hz)
    bands = [power_F[(hz_F >= low) & (hz_F < high)].mean() for low, high in RHYTHM_HZ]
    return jnp.log(jnp.stack(bands) + 1e-6)


def _timing(sounds_T: Bool[Array, " T"], inside_T: Bool[Array, " T"]) -> Float[Array, " 3"]:
    """Length in hundreds of frames, share of frames that sound, number of times that sound begins."""
    n_inside = inside_T.sum()
    # `roll` brings the last frame before the first, where nothing sounds.
    begins = (sounds_T & ~jnp.roll(sounds_T, 1).at[0].set(False)).sum()
    return jnp.stack([n_inside / 100, sounds_T.sum() / jnp.maximum(n_inside, 1), begins]).astype(jnp.float32)
