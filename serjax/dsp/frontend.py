"""Frontends: frozen configurations that turn waveforms into features, frames first, as models take them."""

import math
from dataclasses import dataclass, fields
from functools import partial
from typing import get_args

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from serjax.dsp.compiled import BLOCK, compiled, map_blocks
from serjax.dsp.framing import fit_length
from serjax.dsp.parameters import ParameterError, Transform, as_audio, check_choice, check_size, plain, plain_arguments
from serjax.dsp.spectral import energy_of, magnitude_of, stft


@dataclass(frozen=True, kw_only=True)
class Frontend:
    """A fixed number of centred frames, and what is computed of them: the base of all frontends.

    Hashable, so that it can be a static argument under `jit`.

    Raises:
      ParameterError: a size is not positive, `frames` under 2, or `n_fft` odd.
    """

    sample_rate_hz: int = 22_050
    """Sampling rate of the waveforms in Hz."""
    frames: int = 108
    """Number of frames; the clip lasts (frames - 1) * hop_length samples."""
    n_fft: int = 2048
    """Length of a frame and its Fourier transform in samples."""
    hop_length: int = 512
    """Samples from the centre of a frame to that of the next."""
    transform: Transform = "fft"
    """How spectra are computed: fft, or matmul for accelerators with a slow FFT, see `stft`."""

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, plain(getattr(self, field.name)))
        for name in ("sample_rate_hz", "n_fft", "hop_length"):
            check_size(name, getattr(self, name))
        check_size("frames", self.frames, least=2)
        check_choice("transform", self.transform, get_args(Transform))
        if self.n_fft % 2:
            raise ParameterError(f"n_fft={self.n_fft} is odd, a frame then has no centre: give an even length.")

    @property
    def n_samples(self) -> int:
        """Length of the clip that gives exactly `frames` frames, in samples."""
        return (self.frames - 1) * self.hop_length

    @property
    def n_frames(self) -> int:
        """Frames that come out; 1 where a clip gives one vector."""
        return self.frames

    @property
    def n_features(self) -> int:
        """Features of a frame."""
        raise NotImplementedError

    def features(self, clip_N: Float[Array, " N"], n_valid: Int[Array, ""]) -> Float[Array, "T D"]:
        """Compute the features of one clip of `n_samples`, of which the first `n_valid` are valid."""
        raise NotImplementedError

    def power(self, clip_N: Float[Array, " N"]) -> Float[Array, "F T"]:
        """Compute the power spectrogram."""
        return self.power_and_magnitude(clip_N)[0]

    def power_and_magnitude(self, clip_N: Float[Array, " N"]) -> tuple[Float[Array, "F T"], Float[Array, "F T"]]:
        """Compute the power spectrogram, and its root by a way of its own, whose gradient stays finite."""
        D_FT = stft(clip_N, n_fft=self.n_fft, hop_length=self.hop_length, transform=self.transform)
        return energy_of(D_FT.real, D_FT.imag), magnitude_of(D_FT.real, D_FT.imag)

    def frame_mask(self, n_valid: Int[Array, ""]) -> Bool[Array, " T"]:
        """Tell which frames of one clip are centred inside its valid samples."""
        return (jnp.arange(self.frames) * self.hop_length <= n_valid) & (n_valid > 0)


@plain_arguments
@partial(jax.jit, static_argnames=("frontend", "block"))
def extract(
    frontend: Frontend,
    wav: Float[ArrayLike, "*batch N"],
    *,
    n_valid: Int[ArrayLike, "*batch"] | None = None,
    block: int | None = BLOCK,
) -> Float[Array, "*batch T D"]:
    """Extract the features of a batch of clips, such as `features[..., t, d] = mfcc(wav)[..., d, t]`.

    The clips go through in blocks that fit in the processor's cache, one after another; inside a block, threads take
    pairs of clips side by side. That takes a third of the time of the whole batch at once. Neighbours do not enter a
    clip's features; its place in a block moves their last bits at most.

    Args:
      frontend: what to extract; a static argument under `jit`.
      wav: waveforms at `frontend.sample_rate_hz`, `(..., N)`. What is shorter than `frontend.n_samples` is padded
        with zeros at the end, what is longer is cut there.
      n_valid: valid samples of each clip, which stand at its beginning; statistics over frames leave the others out.
        `None`: all of `wav`.
      block: clips in a block; `None`: the whole batch at once (on accelerators).

    Returns:
      `(..., frontend.n_frames, frontend.n_features)`.

    Raises:
      ParameterError: the block is not positive, the waveforms are not real floating point, or `n_valid` is not one
        number per clip.

    >>> from serjax.dsp import Mfcc
    >>> extract(Mfcc(), jnp.zeros((3, 54784))).shape
    (3, 108, 20)
    """
    if block is not None:
        check_size("block", block)
    clips = as_audio("wav", wav)
    *lead, n_samples = clips.shape
    valid = jnp.full(lead, n_samples) if n_valid is None else jnp.asarray(n_valid)
    if valid.shape != tuple(lead):
        raise ParameterError(f"n_valid has shape {valid.shape}, expected {tuple(lead)}: one number per clip.")
    clips_BN = fit_length(clips.reshape(math.prod(lead), n_samples), frontend.n_samples)
    valid_B = jnp.minimum(valid.reshape(clips_BN.shape[0]), frontend.n_samples)
    features = jax.vmap(frontend.features)
    if block is None:
        features_BTD = features(clips_BN, valid_B)
    else:
        n_clips = clips_BN.shape[0]
        if isinstance(n_clips, int):  # else a symbol of a program that is exported for any batch
            block = min(block, max(n_clips, 1))
        features_BTD = map_blocks(lambda both: features(*both), (clips_BN, valid_B), block)
    return features_BTD.reshape(*lead, frontend.n_frames, frontend.n_features)


@compiled
def frame_mask(frontend: Frontend, n_valid: Int[ArrayLike, "*batch"]) -> Bool[Array, "*batch T"]:
    """Tell which frames are centred inside the valid samples, `mask[..., t] = t * hop <= n_valid` (none if that is 0).

    These are the `1 + n_valid // hop` frames that the unpadded clip has of its own. Where a clip gives one vector, it
    counts if it has any valid sample.

    Args:
      frontend: the frontend whose frames are meant.
      n_valid: valid samples of each clip, which stand at its beginning; at least 0.

    >>> from serjax.dsp import Mfcc
    >>> frame_mask(Mfcc(frames=4, hop_length=10, n_fft=16, n_mels=20), jnp.array([0, 10, 29])).astype(int).tolist()
    [[0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]]
    """
    mask = jnp.vectorize(frontend.frame_mask, signature="()->(t)")(jnp.asarray(n_valid))
    return mask if frontend.n_frames > 1 else mask.any(axis=-1, keepdims=True)
