"""Random changes of a picture of bins and frames: masks, and a shift of the bins."""

from typing import Literal

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, Real

from serjax.dsp.augment.draws import Fill, Range, as_came, check_range, draw, one_example
from serjax.dsp.augment.waveforms import roll
from serjax.dsp.parameters import Number, ParameterError, check_number, check_size, plain_arguments


@plain_arguments
def frequency_shift(
    key: PRNGKeyArray, S: Real[ArrayLike, "bins T"], *, most: Number, fill: Fill = "wrap"
) -> Float[Array, "bins T"]:
    """Move a picture up or down by some bins, `roll` along its first axis: on a mel or log axis a change of the voice.

    Args:
      key: random key.
      S: picture, `(bins, T)`.
      most: largest shift in bins; below 1: as a share of the bins.
      fill: what comes in: the other end (`wrap`), or `zero`.

    Raises:
      ParameterError: as `roll`; or S has other than two axes.

    >>> frequency_shift(jax.random.key(0), jnp.ones((8, 5)), most=2).shape
    (8, 5)
    """
    return as_came(roll(key, one_example("S", S, 2), most=most, fill=fill, axis=0), S)


@plain_arguments
def mel_warp(key: PRNGKeyArray, S: Real[ArrayLike, "bins T"], *, factor: Range) -> Float[Array, "bins T"]:
    """Stretch the bins of a picture, `S'[m] = S[m / factor]`, as a shorter (above 1) or longer vocal tract would.

    Between bins it is linear; beyond the last bin that one is repeated. F0 moves by the same factor: add its logarithm.

    Args:
      key: random key.
      S: picture on a mel axis, `(bins, T)`, in decibels or another logarithm.
      factor: how much formants move up, from 0.5 to 2: a range, or one number that stands for itself.

    Raises:
      ParameterError: the range is out of its bounds, or S has other than two axes.

    Source: N. Jaitly and G. E. Hinton, "Vocal tract length perturbation (VTLP) improves speech recognition", 2013.

    >>> mel_warp(jax.random.key(0), jnp.arange(4.0)[:, None], factor=2.0)[:, 0].tolist()
    [0.0, 0.5, 1.0, 1.5]
    """
    picture = one_example("S", S, 2)
    stretch = draw(key, check_range("factor", factor, 0.5, most=2.0), picture.dtype)
    return as_came(interpolate_rows(picture, jnp.arange(len(picture), dtype=picture.dtype) / stretch), S)


def interpolate_rows(picture: Float[Array, "N M"], place_N: Float[Array, " N"]) -> Float[Array, "N M"]:
    """Return rows at places that need not be whole, linear between two; outside the first or last row is repeated."""
    last = len(picture) - 1
    place_N = jnp.clip(place_N, 0, last)
    below_N = jnp.minimum(jnp.floor(place_N).astype(jnp.int32), max(0, last - 1))
    share = (place_N - below_N)[:, None]
    return (1 - share) * picture[below_N] + share * picture[jnp.minimum(below_N + 1, last)]


@plain_arguments
def spec_augment(
    key: PRNGKeyArray,
    S: Real[ArrayLike, "bins T"],
    *,
    freq_masks: int = 2,
    freq_width: int = 27,
    time_masks: int = 2,
    time_width: int = 100,
    time_share: Number = 1.0,
    value: Number | Literal["mean"] = "mean",
    n_valid: Int[ArrayLike, ""] | None = None,
) -> Float[Array, "bins T"]:
    """Mask bands of bins and of frames: `w ~ U{0, ..., width}`, first bin or frame `~ U{0, ..., size - w}`.

    The defaults are the policy LD of the paper, without its warping of time. A picture of a waveform must be long
    enough for it: use smaller widths for a hundred frames.

    Args:
      key: random key.
      S: picture, `(bins, T)`, in decibels or otherwise.
      freq_masks: how many bands of bins, at least 0.
      freq_width: bins in a band at most, at least 0.
      time_masks: how many bands of frames, at least 0.
      time_width: frames in a band at most, at least 0.
      time_share: frames in a band at most, as a share of T, from 0 to 1.
      value: what the bands are filled with: a number, or the `mean` of the picture.
      n_valid: valid frames, which stand at the beginning; may be traced. No band reaches behind them, the share and
        the mean are of them alone, and the frames behind stay as they are. `None`: all.

    Raises:
      ParameterError: a count or width is negative, a share above 1, or `n_valid` not one number from 0 to T.

    Source: D. S. Park et al., "SpecAugment: a simple data augmentation method for automatic speech recognition", 2019.

    >>> spec_augment(jax.random.key(0), jnp.ones((80, 200)), value=0.0).min().item()
    0.0
    """
    picture = one_example("S", S, 2)
    sizes = {"freq_masks": freq_masks, "freq_width": freq_width, "time_masks": time_masks, "time_width": time_width}
    for name, size in sizes.items():
        check_size(name, size, least=0)
    check_range("time_share", time_share, 0.0, most=1.0)
    if value != "mean":
        check_number("abs(value)", abs(value))  # type: ignore[arg-type]
    bins, frames = picture.shape
    length = frames if n_valid is None else _checked_length(n_valid, frames)
    # By a table: a share of a number that is not known when traced is to be rounded as Python's floats are.
    widest = jnp.asarray([min(time_width, int(time_share * count)) for count in range(frames + 1)])[length]
    freq_key, time_key = jax.random.split(key)
    masked_bins = in_bands(freq_key, bins, bins, freq_masks, freq_width)
    masked_frames = in_bands(time_key, frames, length, time_masks, widest)
    inside = (jnp.arange(frames) < length)[None, :]
    filling = value if value != "mean" else picture.mean() if n_valid is None else _mean(picture, inside)
    return as_came(jnp.where((masked_bins[:, None] | masked_frames[None, :]) & inside, filling, picture), S)


def _checked_length(n_valid: Int[ArrayLike, ""], frames: int) -> Int[Array, ""]:
    length = jnp.asarray(n_valid)
    whole = jnp.issubdtype(length.dtype, jnp.integer) and length.shape == ()
    if not whole or (not isinstance(length, jax.core.Tracer) and not 0 <= length <= frames):
        raise ParameterError(f"n_valid={n_valid!r} cannot be: give one whole number from 0 to the {frames} frames.")
    return length


def _mean(picture: Float[Array, "bins T"], inside: Bool[Array, "1 T"]) -> Float[Array, ""]:
    return jnp.where(inside, picture, 0.0).sum() / jnp.maximum(1, inside.sum() * len(picture)).astype(picture.dtype)


def in_bands(
    key: PRNGKeyArray, size: int, length: int | Int[Array, ""], count: int, width: int | Int[Array, ""]
) -> Bool[Array, " size"]:
    """Tell which of `size` places lie in one of `count` bands among the first `length`."""
    width_key, first_key = jax.random.split(key)
    widths = jax.random.randint(width_key, (count, 1), 0, jnp.minimum(width, length) + 1)
    firsts = jax.random.randint(first_key, (count, 1), 0, length - widths + 1)
    place = jnp.arange(size)[None, :]
    return ((place >= firsts) & (place < firsts + widths)).any(axis=0)
