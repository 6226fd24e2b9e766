"""Frontends: frozen configurations that turn waveforms into features, frames first, as models take them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from serjax.dsp.cepstral import cepstra
from serjax.dsp.mel import melspectrogram
from serjax.dsp.parameters import ParameterError, as_real, check_number, check_size, upper_edge_hz
from serjax.dsp.spectral import power_to_db


@dataclass(frozen=True)
class Mfcc:
    """MFCCs of a fixed number of centred frames; librosa's values for `librosa.feature.mfcc(y=y, ...)`.

    Raises:
        ParameterError: a size is not positive, `frames` under 2, `n_fft` odd, `n_mfcc` above `n_mels`, or the band does
            not fit the sampling rate.

    >>> Mfcc().n_samples, Mfcc().n_features
    (54784, 20)
    """

    sample_rate_hz: int = 22_050
    """Sampling rate of the waveforms in Hz."""
    n_mfcc: int = 20
    """Number of cepstral coefficients, the features of a frame."""
    frames: int = 108
    """Number of frames; the clip lasts (frames - 1) * hop_length samples."""
    n_fft: int = 2048
    """Length of a frame and its Fourier transform in samples."""
    hop_length: int = 512
    """Samples from the centre of a frame to that of the next."""
    n_mels: int = 128
    """Number of mel bands under the cosine transform."""
    fmin_hz: float = 0.0
    """Lowest frequency of the mel bands in Hz."""
    fmax_hz: float | None = None
    """Highest frequency of the mel bands in Hz; none: half the sampling rate."""
    top_db: float | None = 80.0
    """Range below the loudest band of a clip in dB; none: down to -100 dB."""

    def __post_init__(self) -> None:
        for name in ("sample_rate_hz", "n_mfcc", "n_fft", "hop_length", "n_mels"):
            check_size(name, getattr(self, name))
        check_size("frames", self.frames, least=2)
        if self.n_fft % 2:
            raise ParameterError(f"n_fft={self.n_fft} is odd, a frame then has no centre: give an even length.")
        upper_edge_hz(self.sample_rate_hz, self.fmin_hz, self.fmax_hz)
        if self.n_mfcc > self.n_mels:
            raise ParameterError(f"n_mfcc={self.n_mfcc} exceeds n_mels={self.n_mels}: give at most as many.")
        if self.top_db is not None:
            check_number("top_db", self.top_db)

    @property
    def n_samples(self) -> int:
        """Length of the clip that gives exactly `frames` frames, in samples."""
        return (self.frames - 1) * self.hop_length

    @property
    def n_features(self) -> int:
        """Features of a frame."""
        return self.n_mfcc


@partial(jax.jit, static_argnames=("frontend", "block"))
def extract(frontend: Mfcc, wav: Float[ArrayLike, "*batch N"], *, block: int | None = 8) -> Float[Array, "*batch T D"]:
    """Extract the features of a batch of clips, `features[..., t, d] = mfcc(wav)[..., d, t]`.

    The clips go through in blocks that fit in the processor's cache, one after another; that takes half the time of the
    whole batch at once. Neighbours do not enter a clip's features; its place in a block moves their last bits at most.

    Args:
        frontend: what to extract; a static argument under `jit`.
        wav: waveforms at `frontend.sample_rate_hz`, `(..., N)`. What is shorter than `frontend.n_samples` is padded
            with zeros at the end, what is longer is cut there.
        block: clips in a block; `None`: the whole batch at once (on accelerators).

    Returns:
        `(..., frontend.frames, frontend.n_features)`.

    Raises:
        ParameterError: the block is not positive, or the waveforms are not real floating point.

    >>> extract(Mfcc(), jnp.zeros((3, 54784))).shape
    (3, 108, 20)
    """
    if block is not None:
        check_size("block", block)
    clips = as_real("wav", wav)
    *lead, n_samples = clips.shape
    clips_BN = _fit_length(clips.reshape(math.prod(lead), n_samples), frontend.n_samples)
    features_BTD = _map_blocks(partial(_mfcc_frames, frontend), clips_BN, block)
    return features_BTD.reshape(*lead, frontend.frames, frontend.n_features)


def _fit_length(clips_BN: Float[Array, "B N"], n_samples: int) -> Float[Array, "B n_samples"]:
    missing = n_samples - clips_BN.shape[1]
    return jnp.pad(clips_BN, ((0, 0), (0, max(0, missing))))[:, :n_samples]


def _mfcc_frames(frontend: Mfcc, clips_BN: Float[Array, "B N"]) -> Float[Array, "B T C"]:
    mel = melspectrogram(
        clips_BN,
        sr=frontend.sample_rate_hz,
        n_fft=frontend.n_fft,
        hop_length=frontend.hop_length,
        n_mels=frontend.n_mels,
        fmin=frontend.fmin_hz,
        fmax=frontend.fmax_hz,
    )
    coefficients_BCT = cepstra(power_to_db(mel, top_db=frontend.top_db), frontend.n_mfcc)
    return jnp.swapaxes(coefficients_BCT, 1, 2)


def _map_blocks(
    function: Callable[[Float[Array, "b N"]], Float[Array, "b T D"]], clips_BN: Float[Array, "B N"], block: int | None
) -> Float[Array, "B T D"]:
    """Apply a function to `block` clips at a time; the last block is filled with silence, so one program serves all."""
    n_clips = clips_BN.shape[0]
    if block is None or n_clips <= block:
        return function(clips_BN)
    n_blocks = -(-n_clips // block)
    padded = jnp.pad(clips_BN, ((0, n_blocks * block - n_clips), (0, 0)))
    blocks = jax.lax.map(function, padded.reshape(n_blocks, block, -1))
    return blocks.reshape(n_blocks * block, *blocks.shape[2:])[:n_clips]


def frame_mask(frontend: Mfcc, n_valid: Int[ArrayLike, "*batch"]) -> Bool[Array, "*batch T"]:
    """Tell which frames are centred inside the valid samples, `mask[..., t] = t * hop <= n_valid` (none if that is 0).

    These are the `1 + n_valid // hop` frames that the unpadded clip has of its own.

    Args:
        frontend: the frontend whose frames are meant.
        n_valid: valid samples of each clip, which stand at its beginning; at least 0.

    >>> frame_mask(Mfcc(frames=4, hop_length=10, n_fft=16, n_mels=20), jnp.array([0, 10, 29])).astype(int).tolist()
    [[0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]]
    """
    valid = jnp.asarray(n_valid)[..., None]
    centres = jnp.arange(frontend.frames) * frontend.hop_length
    return (centres.reshape((1,) * (valid.ndim - 1) + (-1,)) <= valid) & (valid > 0)
