"""Several frontends as one: their features side by side in every frame."""

from dataclasses import dataclass, fields

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from serjax.dsp.frontend import Frontend
from serjax.dsp.parameters import ParameterError

FRAMING = tuple(field.name for field in fields(Frontend))


@dataclass(frozen=True, kw_only=True)
class SideBySide(Frontend):
    """`features[t] = (parts[0](wav)[t], parts[1](wav)[t], ...)`; all parts have the same frames.

    Raises:
      ParameterError: as `Frontend`; there is no part, or a part has other frames.

    >>> from serjax.dsp import Chroma, Mfcc
    >>> SideBySide.of(Mfcc(frames=50), Chroma(frames=50)).n_features
    32
    """

    parts: tuple[Frontend, ...]
    """The frontends, in the order of their features."""

    @classmethod
    def of(cls, *parts: Frontend) -> "SideBySide":
        """Put frontends side by side, with the frames of the first."""
        framing = {name: getattr(part, name) for part in parts[:1] for name in FRAMING}
        return cls(**framing, parts=parts)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.parts:
            raise ParameterError("parts=() is empty: give at least one frontend.")
        for part in self.parts:
            for name in FRAMING:
                if getattr(part, name) != getattr(self, name):
                    raise ParameterError(
                        f"{type(part).__name__} has {name}={getattr(part, name)!r}, expected {getattr(self, name)!r}: "
                        "frontends stand side by side in the same frames only."
                    )
        if len({part.n_frames for part in self.parts}) > 1:
            counts = {type(part).__name__: part.n_frames for part in self.parts}
            raise ParameterError(f"n_frames={counts} differ: give pictures only, or vectors only.")

    @property
    def n_frames(self) -> int:
        """Frames that come out, of every part."""
        return self.parts[0].n_frames

    @property
    def n_features(self) -> int:
        """Features of a frame, of all parts together."""
        return sum(part.n_features for part in self.parts)

    def features(self, clip_N: Float[Array, " N"], n_valid: Int[Array, ""]) -> Float[Array, "T D"]:
        """Compute the features of one clip."""
        return jnp.concatenate([part.features(clip_N, n_valid) for part in self.parts], axis=-1)
