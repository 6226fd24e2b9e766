"""What the conformance table asks of: small inputs, and one case a function."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np

from tests.reference.dsp import vowel

SMALL = {"n_fft": 64, "hop_length": 16}
BANDS = {"sr": 8_000, "n_mels": 8, **SMALL}
CLIPS_BN = np.stack([vowel(400, 8_000, seed) for seed in range(3)])
POWER_BFT = np.square(np.random.default_rng(0).standard_normal((3, 33, 12))).astype(np.float32)
HZ_BFT = 4_000.0 * POWER_BFT / POWER_BFT.max()


@dataclass(frozen=True)
class Case:
    """A function of one array whose leading axis is a batch of clips, and the shortest time axis that it takes."""

    name: str
    function: Callable[[jax.Array], jax.Array]
    batch: np.ndarray
    shortest: int = 1
