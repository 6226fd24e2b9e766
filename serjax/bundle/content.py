"""What a recording is by content: a hash of its samples, the same in another container, under another name."""

import hashlib
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float32

from serjax.data.audio import decode

HEARD_S = 60.0  # at the start of a file: no clip of a corpus is as long
FULL_SCALE = 32_767


def content_of(wav_N: Float32[np.ndarray, " N"], sample_rate_hz: int) -> str:
    """Return the sha256 of samples at 16 bits and their own rate, mono; of the first minute.

    A recording of 16 bits that is written as FLAC, or with more bits, keeps it; another rate or a lossy codec does not.

    >>> content_of(np.zeros(8, np.float32), 16_000)[:8]
    'e2be03b2'
    """
    pcm_N = np.clip(np.rint(wav_N[: round(HEARD_S * sample_rate_hz)] * FULL_SCALE), -FULL_SCALE - 1, FULL_SCALE)
    return hashlib.sha256(f"{sample_rate_hz} ".encode() + pcm_N.astype("<i2").tobytes()).hexdigest()


def content_of_file(path: Path) -> str:
    """Return the hash of what decodes from a file.

    Raises:
      AudioError: it cannot be decoded.
    """
    rate_hz = rate_of(path)
    return content_of(decode(path, rate_hz, duration_s=HEARD_S).wav, rate_hz)


def rate_of(path: Path) -> int:
    """Return a file's own sampling rate in Hz; where its header cannot be read, one at which `decode` says why."""
    try:
        with path.open("rb") as file:
            return int(soundfile.info(file).samplerate)
    except (OSError, soundfile.LibsndfileError):
        return 16_000
