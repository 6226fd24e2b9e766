"""Stretching and resampling by rates that are known only when the program runs, for augmentation: whole 4096ths.

Whole numbers keep places exact: `t * rate` in float32 would lose the fraction of a sample after a second or two.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from serjax.dsp.effects import frames_at
from serjax.dsp.framing import fit_length, padded_window
from serjax.dsp.inverse import synthesis
from serjax.dsp.parameters import check_size
from serjax.dsp.spectral import stft

FINENESS = 4096
# Kaiser's formulas for 60 dB, and a filter of 16 periods of the lower rate to both sides.
_BETA = 0.1102 * (60.0 - 8.7)
_HALF_PERIODS = 16
_CUTOFF = 1.0 - (60.0 - 8.0) / (2.285 * math.pi * 2 * _HALF_PERIODS) / 2.0


def stretch_by(
    y: Float[Array, " N"], steps: Int[Array, ""], length: int, n_fft: int, hop_length: int | None
) -> Float[Array, " length"]:
    """Play `steps / 4096` as fast, as `effects.time_stretch` does, in `length` samples, silent behind its end."""
    check_size("n_fft", n_fft)
    hop_length = max(1, n_fft // 4) if hop_length is None else hop_length
    check_size("hop_length", hop_length)
    D = stft(y, n_fft=n_fft, hop_length=hop_length)
    n_frames = D.shape[-1]
    # As many as reach into `length`, by half a frame.
    place = jnp.arange(-(-(length + n_fft) // hop_length)) * steps
    index, share = place // FINENESS, (place % FINENESS).astype(y.dtype) / FINENESS
    is_frame = index < n_frames
    slow = jnp.where(is_frame, frames_at(D, index, share), 0.0)
    stretched = fit_length(
        synthesis(slow, padded_window("hann", n_fft, n_fft), hop_length, is_frame)[n_fft // 2 :], length
    )
    return jnp.where(_is_inside(jnp.arange(length), steps, y.shape[0]), stretched, 0.0)


def _is_inside(sample: Int[Array, " S"], steps: Int[Array, ""], n_samples: int) -> Bool[Array, " S"]:
    """Tell which samples lie before `round(n_samples * 4096 / steps)`, halves rounded to even as Python does.

    Sample m does if `m + 1/2` is less than what is rounded, or equal to it and m odd.
    """
    whole, rest = jnp.divmod(2 * sample + 1, FINENESS)
    place, beyond = whole * steps + rest * steps // FINENESS, rest * steps % FINENESS
    return (place < 2 * n_samples) | ((place == 2 * n_samples) & (beyond == 0) & (sample % 2 == 1))


def resample_by(y: Float[Array, " N"], steps: Int[Array, ""], length: int, lowest: float) -> Float[Array, " length"]:
    """Resample to `steps / 4096` of the rate, which is at least `lowest`, by a windowed sinc as `resample` does."""
    reach = math.ceil(_HALF_PERIODS / lowest)
    padded = jnp.pad(y, (reach, reach + 1))
    whole, rest = jnp.divmod(jnp.arange(length), steps)
    index, share = jnp.divmod(rest * FINENESS, steps)
    first, fraction = whole * FINENESS + index, share.astype(y.dtype) / steps
    narrow = jnp.minimum(1.0, steps / FINENESS)
    sine, cosine = (f(jnp.pi * _CUTOFF * narrow * fraction) for f in (jnp.sin, jnp.cos))

    def add_tap(total: Float[Array, " length"], tap: Int[Array, ""]) -> tuple[Float[Array, " length"], None]:
        time = narrow * (fraction - tap)
        # sin(a - b) by the sines and cosines of both: none is left to compute for each weight.
        turn = jnp.pi * _CUTOFF * narrow * tap
        wave = (sine * jnp.cos(turn) - cosine * jnp.sin(turn)) / jnp.pi
        sinc = jnp.where(time == 0, _CUTOFF, wave / jnp.where(time == 0, 1.0, time))
        inside = 1.0 - jnp.square(time / _HALF_PERIODS)
        weight = jnp.where(inside >= 0, narrow * sinc * _kaiser(inside), 0.0)
        return total + weight * padded[first + reach + tap], None

    # Tap by tap: gathering all samples under each filter first takes longer than everything else.
    return jax.lax.scan(add_tap, jnp.zeros(length, y.dtype), jnp.arange(-reach, reach + 1))[0]


def _kaiser(inside: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Kaiser's window `I0(beta sqrt(x)) / I0(beta)` by the series of I0, which is quicker than the function of JAX."""
    terms = [(_BETA**2 / 4) ** n / math.factorial(n) ** 2 for n in range(16)]
    value = jnp.zeros_like(inside)
    for term in reversed(terms):
        value = value * inside + term / sum(terms)
    return value
