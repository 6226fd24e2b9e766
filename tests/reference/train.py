"""Adam and SGD with global-norm clipping behind a warm-up–cosine curve, in float64, written from the papers."""

import math
from collections.abc import Sequence

import numpy as np


def schedule(step: int, warmup_steps: int, total_steps: int) -> float:
    """Return the factor of the learning rate at `step` (0 is the first): a ramp from 0 to 1, then half a cosine."""
    if step < warmup_steps:
        return step / warmup_steps
    done = min((step - warmup_steps) / (total_steps - warmup_steps), 1.0)
    return 0.5 * (1 + math.cos(math.pi * done))


def clip(gradient: np.ndarray, norm: float) -> np.ndarray:
    """Return the gradient shortened to `norm` where it is longer (Pascanu et al. 2013)."""
    length = math.sqrt(float((gradient**2).sum()))
    return gradient * (norm / length) if length > norm else gradient


def adam(
    params: np.ndarray,
    gradients: Sequence[np.ndarray],
    learning_rate: float,
    clip_norm: float,
    warmup_steps: int,
    total_steps: int,
) -> list[np.ndarray]:
    """Return the parameters after each step (Kingma & Ba 2015, algorithm 1)."""
    x, m, v, path = params.astype(np.float64), np.zeros(params.shape), np.zeros(params.shape), []
    for t, gradient in enumerate(gradients, start=1):
        g = clip(gradient.astype(np.float64), clip_norm)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
        x = x - learning_rate * schedule(t - 1, warmup_steps, total_steps) * m_hat / (np.sqrt(v_hat) + 1e-8)
        path.append(x)
    return path


def sgd(
    params: np.ndarray,
    gradients: Sequence[np.ndarray],
    learning_rate: float,
    momentum: float,
    clip_norm: float,
    warmup_steps: int,
    total_steps: int,
) -> list[np.ndarray]:
    """Return the parameters after each step (Polyak 1964: the ball keeps a share of its velocity)."""
    x, velocity, path = params.astype(np.float64), np.zeros(params.shape), []
    for t, gradient in enumerate(gradients):
        velocity = momentum * velocity + clip(gradient.astype(np.float64), clip_norm)
        x = x - learning_rate * schedule(t, warmup_steps, total_steps) * velocity
        path.append(x)
    return path
