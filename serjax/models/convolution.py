"""Convolution layers in two formulations of the same sum, and max pooling by halves, made for XLA on CPU.

Inside `lax.scan` XLA's CPU backend has no fast kernel for convolutions; a matrix product over gathered windows
("im2col") has. Both formulations have the parameters of `flax.linen.Conv`: weights of one serve the other.
"""

from collections.abc import Sequence
from typing import Literal

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Array, Float

Formulation = Literal["im2col", "xla"]


def conv(
    features: int, kernel: Sequence[int], formulation: Formulation, *, use_bias: bool, stride: int = 1, name: str = ""
) -> nn.Conv:
    """Return a convolution layer over the last axes but one, zeros around ("SAME"), for what a ReLU follows."""
    return nn.Conv(
        features,
        tuple(kernel),
        strides=stride,
        use_bias=use_bias,
        kernel_init=nn.initializers.he_normal(),
        conv_general_dilated=im2col if formulation == "im2col" else None,
        name=name or None,
    )


def depthwise_conv(n_channels: int, kernel: Sequence[int], formulation: Formulation, *, stride: int = 1) -> nn.Conv:
    """Return a convolution layer in which every channel is convolved with one kernel of its own, without bias."""
    return nn.Conv(
        n_channels,
        tuple(kernel),
        strides=stride,
        use_bias=False,
        feature_group_count=n_channels,
        kernel_init=nn.initializers.he_normal(),
        conv_general_dilated=shift_and_add if formulation == "im2col" else None,
    )


def im2col(
    x: Float[Array, "B *s C"],
    kernel: Float[Array, "*k C F"],
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    *,
    lhs_dilation: Sequence[int],
    rhs_dilation: Sequence[int],
    dimension_numbers: jax.lax.ConvDimensionNumbers,
    feature_group_count: int,
    precision: jax.lax.PrecisionLike = None,
) -> Float[Array, "B *o F"]:
    """Return what `jax.lax.conv_general_dilated` returns, by one product `[windows, k·C] × [k·C, F]`.

    Channels last, no dilation, no groups; arguments as `flax.linen.Conv` gives them.
    """
    chex.assert_equal((*lhs_dilation, *rhs_dilation, feature_group_count), (1,) * (2 * x.ndim - 3))
    columns = jnp.concatenate(_windows(x, kernel.shape[:-2], window_strides, padding), axis=-1)
    matrix = kernel.reshape(-1, kernel.shape[-1])
    # As one flat product: contracting the last of four axes was 15 % slower.
    rows = jnp.dot(columns.reshape(-1, columns.shape[-1]), matrix, precision=precision)
    return rows.reshape(*columns.shape[:-1], -1)


def shift_and_add(
    x: Float[Array, "B *s C"],
    kernel: Float[Array, "*k one C"],
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    *,
    lhs_dilation: Sequence[int],
    rhs_dilation: Sequence[int],
    dimension_numbers: jax.lax.ConvDimensionNumbers,
    feature_group_count: int,
    precision: jax.lax.PrecisionLike = None,
) -> Float[Array, "B *o C"]:
    """Return what `jax.lax.conv_general_dilated` returns for depthwise kernels: `Σ_k x shifted by k · kernel[k]`."""
    chex.assert_equal((*lhs_dilation, *rhs_dilation), (1,) * (2 * x.ndim - 4))
    chex.assert_equal(feature_group_count, x.shape[-1])
    shifted = _windows(x, kernel.shape[:-2], window_strides, padding)
    taps = kernel.reshape(len(shifted), *(1,) * (x.ndim - 1), -1)
    return sum(x * tap for x, tap in zip(shifted, taps, strict=True))


def _windows(
    x: Float[Array, "B *s C"],
    kernel: Sequence[int],
    strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
) -> list[Float[Array, "B *o C"]]:
    """Return for each place in the kernel, last axis fastest, what of `x` lies under it at every output place."""
    pads = padding
    if isinstance(padding, str):
        pads = jax.lax.padtype_to_pads(x.shape[1:-1], kernel, strides, padding)
    x = jnp.pad(x, [(0, 0), *pads, (0, 0)])
    n_out = [(size - width) // step + 1 for size, width, step in zip(x.shape[1:-1], kernel, strides, strict=True)]

    def under(place: tuple[int, ...]) -> Float[Array, "B *o C"]:
        end = [p + (n - 1) * step + 1 for p, n, step in zip(place, n_out, strides, strict=True)]
        return jax.lax.slice(x, (0, *place, 0), (x.shape[0], *end, x.shape[-1]), (1, *strides, 1))

    return [under(place) for place in np.ndindex(*kernel)]


def halve(h: Float[Array, "*s"], axis: int) -> Float[Array, "*o"]:
    """Return the larger of every two neighbours along an axis; a single one at the end stands against zero.

    For what is never negative: features after a ReLU, masks.

    >>> halve(jnp.array([1.0, 4.0, 3.0]), axis=0).tolist()
    [4.0, 3.0]
    """
    pads = [(0, 0)] * h.ndim
    pads[axis] = (0, h.shape[axis] % 2)
    h = jnp.pad(h, pads)
    return h.reshape(*h.shape[:axis], -1, 2, *h.shape[axis + 1 :]).max(axis=axis + 1)
