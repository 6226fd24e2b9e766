"""Where VAEs start that begin by a known model: decoders that say nothing, and linear paths fitted by moments."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from serjax.models.density.whitening import class_means, fit_whitening, principal_axes

N_AXES, SHRINKAGE = 100, 0.4  # of pictures, which have more elements than there are clips


class LinearPath(NamedTuple):
    """The linear part of a tied VAE: `u = x @ axes`, class means there, and what `u` adds to the output."""

    axes_DU: Float[np.ndarray, "D U"]
    means_KU: Float[np.ndarray, "K U"]
    effect_UD: Float[np.ndarray, "U D"]

    @classmethod
    def of_means(cls, means_KD: Float[np.ndarray, "K D"], n_dims: int) -> "LinearPath":
        """Take the axes of class means of vectors that are whitened within classes, and centred."""
        axes_DU = np.zeros((means_KD.shape[1], n_dims), np.float32)
        n_axes = min(n_dims, len(means_KD) - 1, means_KD.shape[1])
        axes_DU[:, :n_axes] = np.linalg.svd(means_KD, full_matrices=False)[2][:n_axes].T
        return cls(axes_DU, (means_KD @ axes_DU).astype(np.float32), axes_DU.T)

    @classmethod
    def fit(
        cls, x_nD: Float[np.ndarray, "n D"], label_n: Int[np.ndarray, " n"], n_classes: int, n_dims: int
    ) -> "LinearPath":
        """Fit it to training pictures: principal axes, whitening within classes, and in that space as `of_means`.

        The effect is the least that moves a picture by as much as `u` says.
        """
        fitted_to = jnp.asarray(label_n), n_classes
        axes_DP = np.asarray(principal_axes(jnp.asarray(x_nD), min(N_AXES, len(x_nD) - n_classes, x_nD.shape[1])))
        along_nP = jnp.asarray(x_nD @ axes_DP)
        white_PP = np.asarray(fit_whitening(along_nP, *fitted_to, SHRINKAGE).axes_DP)
        means_KP = np.asarray(class_means(along_nP, *fitted_to)) @ white_PP
        inner = cls.of_means(means_KP - means_KP.mean(axis=0), n_dims)
        back_PD = np.linalg.pinv(white_PP) @ axes_DP.T
        shifted_KU = (means_KP @ inner.axes_DU).astype(np.float32)
        return cls(axes_DP @ white_PP @ inner.axes_DU, shifted_KU, (inner.effect_UD @ back_PD).astype(np.float32))


def with_paths(params_R: dict[str, Any], paths: Sequence[LinearPath]) -> dict[str, Any]:
    """Return parameters with these linear paths; the network beside has no say yet about the class part."""
    own, n_dims = params_R["params"], paths[0].means_KU.shape[1]
    mean = {name: array.copy() for name, array in own["to_mean"].items()}
    for array in mean.values():
        array[..., :n_dims] = 0
    fitted = {
        "class_axes": {"kernel": np.stack([path.axes_DU for path in paths])},
        "class_effect": {"kernel": np.stack([path.effect_UD for path in paths])},
        "class_means": np.stack([path.means_KU for path in paths]),
        "to_mean": mean,
    }
    return {**params_R, "params": {**own, **fitted}}


def silenced(params_R: dict[str, Any]) -> dict[str, Any]:
    """Return parameters with zeros in the last layer of the decoder."""
    own, decoder = params_R["params"], params_R["params"]["decoder"]
    last = f"Dense_{sum(name.startswith('Dense') for name in decoder) - 1}"
    silent = jax.tree.map(np.zeros_like, decoder[last])
    return {**params_R, "params": {**own, "decoder": {**decoder, last: silent}}}
