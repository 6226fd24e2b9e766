"""Random changes of a picture of bins and frames: masks, and a shift of the bins."""

from typing import Literal

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from serjax.dsp.augment.draws import Fill, check_range, one_example
from serjax.dsp.augment.waveforms import roll
from serjax.dsp.parameters import Number, check_number, check_size


def frequency_shift(
    key: PRNGKeyArray, S: Float[ArrayLike, "bins T"], *, most: Number, fill: Fill = "wrap"
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
    return roll(key, one_example("S", S, 2), most=most, fill=fill, axis=0)


def spec_augment(
    key: PRNGKeyArray,
    S: Float[ArrayLike, "bins T"],
    *,
    freq_masks: int = 2,
    freq_width: int = 27,
    time_masks: int = 2,
    time_width: int = 100,
    time_share: Number = 1.0,
    value: Number | Literal["mean"] = "mean",
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

    Raises:
        ParameterError: a count or width is negative, or a share above 1.

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
    freq_key, time_key = jax.random.split(key)
    masked_bins = _bands(freq_key, bins, freq_masks, freq_width)
    masked_frames = _bands(time_key, frames, time_masks, min(time_width, int(time_share * frames)))
    filling = picture.mean() if value == "mean" else value
    return jnp.where(masked_bins[:, None] | masked_frames[None, :], filling, picture)


def _bands(key: PRNGKeyArray, size: int, count: int, width: int) -> Bool[Array, " size"]:
    """Tell which of `size` places lie in one of `count` bands."""
    width_key, first_key = jax.random.split(key)
    widths = jax.random.randint(width_key, (count, 1), 0, min(width, size) + 1)
    firsts = jax.random.randint(first_key, (count, 1), 0, size - widths + 1)
    place = jnp.arange(size)[None, :]
    return ((place >= firsts) & (place < firsts + widths)).any(axis=0)
