"""What decoded samples say about a recording: how loud its peak is, and whether its channels cancel out."""

from pathlib import Path

import numpy as np
from jaxtyping import Float32

from serjax.data.audio_errors import AudioError, Oddity

MAX_ABS = 1e12  # features and their gradients are finite up to here
LOUD = 4.0  # no codec gives more to a recording whose full scale is 1
CANCELLED = 1e-3  # a downmix with less than this part (-30 dB) of the channels' power has cancelled out
CANCELLED_SHARE = 0.05  # of the parts of a clip that sound


def peak_of(block_NC: Float32[np.ndarray, "N C"], path: Path) -> float:
    """Give the largest |x|; AudioError where it is not finite, or beyond what features can take."""
    peak = max(float(block_NC.max()), -float(block_NC.min()))  # NaN goes through max and min
    if not np.isfinite(peak):
        raise AudioError("non-finite", path, "holds NaN or infinite samples", "Write it again as 16-bit PCM.")
    if peak > MAX_ABS:
        problem = f"holds samples of {peak:.3g}; full scale is 1 and {MAX_ABS:.0e} the limit"
        raise AudioError("implausible", path, problem, "Write it again as 16-bit PCM.")
    return peak


def check_peak(peak: float) -> list[Oddity]:
    """Tell whether the largest |x| of a clip is far above full scale."""
    return [Oddity("loud", "The peak is far above full scale, which is 1", f"{peak:.6g}")] if peak > LOUD else []


def powers_of(block_NC: Float32[np.ndarray, "N C"], mono_N: Float32[np.ndarray, " N"], n_part: int) -> np.ndarray:
    """Give the power, without the mean, of the downmix and of a channel (on average), for each part of 20 ms."""
    n_parts = 0 if block_NC.shape[1] == 1 else len(block_NC) // n_part
    mono_PN = mono_N[: n_parts * n_part].reshape(n_parts, n_part)
    block_PNC = block_NC[: n_parts * n_part].reshape(n_parts, n_part, block_NC.shape[1])
    return np.stack([mono_PN.var(axis=1), block_PNC.var(axis=1).mean(axis=1)])


def check_cancelling(powers: list[Float32[np.ndarray, "2 P"]], path: Path) -> list[Oddity]:
    """Compare the powers of downmix and channels: AudioError where they cancel out as a whole, else in which share.

    The mean is no part of them, since microphones may have an offset; nor are parts much quieter than the loudest.
    """
    mono_P, channel_P = np.concatenate([np.zeros((2, 0), np.float32), *powers], axis=1)
    if mono_P.sum() < CANCELLED * channel_P.sum():
        advice = "Keep one channel (sox IN OUT remix 1), or turn the polarity of one."
        raise AudioError("anti-phase", path, "has channels that cancel out in the mean", advice)
    sounds_P = channel_P > CANCELLED * channel_P.max(initial=0)
    n_cancelled = int((mono_P < CANCELLED * channel_P)[sounds_P].sum())
    if n_cancelled <= CANCELLED_SHARE * sounds_P.sum():
        return []
    return [
        Oddity("cancelling", "The channels cancel out in a part of the clip", f"{n_cancelled / sounds_P.sum():.0%}")
    ]
