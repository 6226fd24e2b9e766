"""The VAE and the autoencoder in float64 NumPy, read from their parameters; densities as loops."""

import math
from collections.abc import Mapping

import jax
import numpy as np

Params = Mapping[str, Mapping]


def random_params(shapes: Params, seed: int) -> Params:
    """Return parameters of the given shapes, biases too, that keep numbers near 1 from layer to layer."""
    rng = np.random.default_rng(seed)

    def draw(shape: tuple[int, ...]) -> np.ndarray:
        return (rng.normal(size=shape) / math.sqrt(max(math.prod(shape[:-1]), 2))).astype(np.float32)

    return jax.tree.map(lambda leaf: draw(leaf.shape), shapes)


def gelu(x: np.ndarray) -> np.ndarray:
    """Return the tanh approximation of Hendrycks & Gimpel 2016, which is what Flax means by GELU."""
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def dense(params: Params, x: np.ndarray) -> np.ndarray:
    return x @ np.asarray(params["kernel"], np.float64) + np.asarray(params["bias"], np.float64)


def conv_same(params: Params, x_BTC: np.ndarray, stride: int) -> np.ndarray:
    """Return the correlation over time with zeros around, output frame `o` at input frame `o·stride − left`."""
    kernel = np.asarray(params["kernel"], np.float64)
    n_batch, frames, _ = x_BTC.shape
    width, n_out = len(kernel), -(-frames // stride)
    left = max((n_out - 1) * stride + width - frames, 0) // 2
    out = np.tile(np.asarray(params["bias"], np.float64), (n_batch, n_out, 1))
    for o in range(n_out):
        for k in range(width):
            frame = o * stride - left + k
            if 0 <= frame < frames:
                out[:, o] += x_BTC[:, frame] @ kernel[k]
    return out


def encode_trunk(params: Params, x_BTC: np.ndarray) -> np.ndarray:
    """Return what the encoder's trunk gives, dense or convolutional as its parameters say."""
    h = x_BTC.astype(np.float64)
    for i in range(sum(name.startswith("Conv") for name in params)):
        h = gelu(conv_same(params[f"Conv_{i}"], h, stride=2))
    h = h.reshape(len(h), -1)
    for i in range(sum(name.startswith("Dense") for name in params)):
        h = gelu(dense(params[f"Dense_{i}"], h))
    return h


def decode(params: Params, z_BZ: np.ndarray, frames: int) -> np.ndarray:
    """Return the decoded pictures `[B, T, C]`."""
    trunk = params["params"]["decoder"]
    n_dense, n_conv = (sum(name.startswith(kind) for name in trunk) for kind in ("Dense", "Conv"))
    h = z_BZ.astype(np.float64)
    for i in range(n_dense - 1):
        h = gelu(dense(trunk[f"Dense_{i}"], h))
    if n_conv:
        h = h.reshape(len(h), -1, trunk["Conv_0"]["kernel"].shape[1])
        for i in range(n_conv):
            h = gelu(conv_same(trunk[f"Conv_{i}"], np.repeat(h, 2, axis=1), stride=1))
        h = h[:, :frames]
    return dense(trunk[f"Dense_{n_dense - 1}"], h).reshape(len(h), frames, -1)


def encode(params: Params, x_BTC: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return `μ(x)` and `log σ²(x)`, the latter squashed into ±8."""
    h = encode_trunk(params["params"]["encoder"], x_BTC)
    raw = dense(params["params"]["to_logvar"], h)
    return dense(params["params"]["to_mean"], h), 8 * raw / (8 + np.abs(raw))


def vae(params: Params, x_BTC: np.ndarray, noise_BZ: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    mean, logvar = encode(params, x_BTC)
    return decode(params, mean + np.sqrt(np.exp(logvar)) * noise_BZ, x_BTC.shape[1]), mean, logvar


def autoencoder(params: Params, x_BTC: np.ndarray) -> np.ndarray:
    code = dense(params["params"]["to_code"], encode_trunk(params["params"]["encoder"], x_BTC))
    return decode(params, code, x_BTC.shape[1])


def squared_error(x_TC: np.ndarray, output_TC: np.ndarray, mask_T: np.ndarray) -> np.ndarray:
    """Return the squared error of one clip for each coefficient, frame by frame."""
    total_C = np.zeros(x_TC.shape[1])
    for x_C, output_C, valid in zip(x_TC.astype(np.float64), output_TC.astype(np.float64), mask_T, strict=True):
        if valid:
            total_C += (x_C - output_C) ** 2
    return total_C


def vae_loss(
    x_TC: np.ndarray, output_TC: np.ndarray, mask_T: np.ndarray, mean_Z: np.ndarray, logvar_Z: np.ndarray, beta: float
) -> float:
    """Return `(½ ‖x − x̂‖² + β KL) / n` of one clip, the KL summed dimension by dimension."""
    kl = sum(0.5 * (math.exp(v) + m * m - 1 - v) for m, v in zip(mean_Z, logvar_Z, strict=True))
    n_valid = float(mask_T.sum()) * x_TC.shape[1]
    return (0.5 * squared_error(x_TC, output_TC, mask_T).sum() + beta * kl) / n_valid
