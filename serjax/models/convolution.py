"""Convolution layers in three formulations of the same sum, and max pooling by halves, made for XLA on CPU.

Arrays have channels first and clips last, `[channels, *places, *clips]`: windows, moments and maxima of neighbours
then read long runs of neighbouring numbers. Inside `lax.scan` XLA's CPU backend has no fast kernel for convolutions; a
matrix product over gathered windows ("im2col") has. "bfloat16" is the same with the factors of these products rounded
to 8 bits of precision and sums in float32, for processors that have a unit for it. Weights are those of
`flax.linen.Conv`, for all formulations.
"""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.typing import DTypeLike
from jaxtyping import Array, Float

Formulation = Literal["im2col", "bfloat16", "xla"]


class Conv(nn.Module):
    """Convolution over as many axes after the first as `kernel` has, zeros around ("SAME"), for what a ReLU follows.

    `depthwise`: every channel has one kernel of its own. All axes after the places are clips.
    """

    features: int
    kernel: Sequence[int]
    formulation: Formulation
    use_bias: bool = False
    stride: int = 1
    depthwise: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "C *s"]) -> Float[Array, "F *o"]:
        if self.depthwise:
            chex.assert_equal(self.features, x.shape[0])
        shape = (*self.kernel, 1 if self.depthwise else x.shape[0], self.features)
        kernel = self.param("kernel", nn.initializers.he_normal(), shape)
        if self.formulation == "xla":
            y = _by_xla(x, kernel, self.stride, self.depthwise)
        elif self.depthwise:
            y = shift_and_add(x, kernel, self.stride)
        else:
            y = im2col(x, kernel, self.stride, jnp.bfloat16 if self.formulation == "bfloat16" else x.dtype)
        if not self.use_bias:
            return y
        bias_F = self.param("bias", nn.initializers.zeros, (self.features,))
        return y + bias_F.reshape(-1, *(1,) * (y.ndim - 1))


def im2col(
    x: Float[Array, "C *s"], kernel: Float[Array, "*k C F"], stride: int, factors: DTypeLike
) -> Float[Array, "F *o"]:
    """Return the convolution as one product `[F, k·C] × [k·C, windows]` of numbers rounded to the type `factors`."""
    columns = jnp.concatenate(_windows(x, kernel.shape[:-2], stride), axis=0)
    rows_FN = _product(kernel.reshape(-1, kernel.shape[-1]), columns.reshape(columns.shape[0], -1), jnp.dtype(factors))
    return rows_FN.reshape(-1, *columns.shape[1:])


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _product(matrix_KF: Float[Array, "K F"], columns_KN: Float[Array, "K N"], factors: np.dtype) -> Float[Array, "F N"]:
    """Return `matrixᵀ columns`. The slope of `columns` comes as `[K, N]`, so that windows are read in long runs.

    JAX's own would be `[N, K]`: what XLA then gathers from it, number by number, took as long as all products.
    """
    return _product_forward(matrix_KF, columns_KN, factors)[0]


def _product_forward(
    matrix_KF: Float[Array, "K F"], columns_KN: Float[Array, "K N"], factors: np.dtype
) -> tuple[Float[Array, "F N"], tuple[Float[Array, "K F"], Float[Array, "K N"]]]:
    kept = matrix_KF.astype(factors), columns_KN.astype(factors)
    return jnp.dot(kept[0].T, kept[1], preferred_element_type=columns_KN.dtype), kept


def _product_backward(
    factors: np.dtype, kept: tuple[Float[Array, "K F"], Float[Array, "K N"]], slope_FN: Float[Array, "F N"]
) -> tuple[Float[Array, "K F"], Float[Array, "K N"]]:
    (matrix_KF, columns_KN), rounded_FN, dtype = kept, slope_FN.astype(factors), slope_FN.dtype
    over_windows = (((1,), (1,)), ((), ()))  # .T would be copied
    matrix_slope_KF = jax.lax.dot_general(columns_KN, rounded_FN, over_windows, preferred_element_type=dtype)
    return matrix_slope_KF, jnp.dot(matrix_KF, rounded_FN, preferred_element_type=dtype)


_product.defvjp(_product_forward, _product_backward)


def shift_and_add(x: Float[Array, "C *s"], kernel: Float[Array, "*k one C"], stride: int) -> Float[Array, "C *o"]:
    """Return the convolution of every channel with its own kernel, `Σ_k x shifted by k · kernel[k]`."""
    shifted = _windows(x, kernel.shape[:-2], stride)
    taps = kernel.reshape(len(shifted), -1, *(1,) * (x.ndim - 1))
    return sum(x * tap for x, tap in zip(shifted, taps, strict=True))


def _by_xla(
    x: Float[Array, "C *s"], kernel: Float[Array, "*k D F"], stride: int, depthwise: bool
) -> Float[Array, "F *o"]:
    n = kernel.ndim - 2
    clips, axes = x.shape[1 + n :], "XYZ"[:n]
    y = jax.lax.conv_general_dilated(
        x.reshape(*x.shape[: 1 + n], -1),
        kernel,
        window_strides=(stride,) * n,
        padding="SAME",
        dimension_numbers=(f"C{axes}N", f"{axes}IO", f"C{axes}N"),
        feature_group_count=x.shape[0] if depthwise else 1,
    )
    return y.reshape(*y.shape[:-1], *clips)


def _windows(x: Float[Array, "C *s"], kernel: Sequence[int], stride: int) -> list[Float[Array, "C *o"]]:
    """Return for each place in the kernel, last axis fastest, what of `x` lies under it at every output place."""
    end_of_places = 1 + len(kernel)
    clips, steps = x.shape[end_of_places:], (stride,) * len(kernel)
    pads = jax.lax.padtype_to_pads(x.shape[1:end_of_places], kernel, steps, "SAME")
    x = jnp.pad(x, [(0, 0), *pads, *[(0, 0)] * len(clips)])
    places = x.shape[1:end_of_places]
    n_out = [(size - width) // stride + 1 for size, width in zip(places, kernel, strict=True)]

    def under(place: tuple[int, ...]) -> Float[Array, "C *o"]:
        end = [p + (n - 1) * stride + 1 for p, n in zip(place, n_out, strict=True)]
        start = (0, *place, *(0,) * len(clips))
        return jax.lax.slice(x, start, (x.shape[0], *end, *clips), (1, *steps, *(1,) * len(clips)))

    return [under(place) for place in np.ndindex(*kernel)]


def halve(h: Float[Array, "*s"], axis: int) -> Float[Array, "*o"]:
    """Return the larger of every two neighbours along an axis; a single one at the end stands against zero.

    For what is never negative: features after a ReLU, masks. The slope is the larger one's, of two equals the first's.

    >>> halve(jnp.array([1.0, 4.0, 3.0]), axis=0).tolist()
    [4.0, 3.0]
    """
    pads = [(0, 0)] * h.ndim
    pads[axis] = (0, h.shape[axis] % 2)
    h = jnp.pad(h, pads)
    pairs = h.reshape(*h.shape[:axis], -1, 2, *h.shape[axis + 1 :])
    first, second = (jax.lax.index_in_dim(pairs, n, axis + 1, keepdims=False) for n in (0, 1))
    # A choice, not a maximum, whose slope goes to the number that equals it: XLA may compute both again for the slope
    # and round them differently, so that neither does. The slope of `.max` over pairs took three times as long, too.
    return jnp.where((first >= second) | jnp.isnan(first), first, second)
