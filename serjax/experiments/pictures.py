"""The flags of pictures of any kind, one or several side by side."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from serjax.dsp import Chroma, Descriptors, Frontend, LogMel, Mfcc, SideBySide
from serjax.experiments.config import ConfigError
from serjax.experiments.feature_flags import Framing, check_frontend

PictureKind = Literal["mfcc", "mel", "chroma", "descriptors"]


@dataclass(frozen=True)
class PictureFeatures(Framing):
    """The picture of a clip, a row of features for each frame."""

    kinds: tuple[PictureKind, ...] = ("mfcc",)
    """mfcc, mel (dB), chroma, descriptors (RMS, zero crossings, centroid, bandwidth, roll-off, flatness)."""
    n_mfcc: int = 20
    """Coefficients of mfcc."""
    mfcc_bands: int = 128
    """Mel bands under the cosine transform of mfcc."""
    n_mels: int = 64
    """Bands of mel."""

    def __post_init__(self) -> None:
        for kind in self.kinds:
            check_frontend(partial(self.one, kind))

    def frontend(self) -> Frontend:
        """Return the DSP front end these flags describe; several kinds stand side by side in each frame.

        Raises:
          ConfigError: no kind, or one twice.
        """
        if not self.kinds or len(set(self.kinds)) < len(self.kinds):
            raise ConfigError(f"--kinds {' '.join(self.kinds)}: expected one kind at least, and each once.")
        parts = [self.one(kind) for kind in self.kinds]
        return parts[0] if len(parts) == 1 else SideBySide.of(*parts)

    def one(self, kind: PictureKind) -> Frontend:
        """Return the front end of one kind."""
        framing = self.framing()
        match kind:
            case "mfcc":
                return Mfcc(**framing, n_mfcc=self.n_mfcc, n_mels=self.mfcc_bands)
            case "mel":
                return LogMel(**framing, n_mels=self.n_mels)
            case "chroma":
                return Chroma(**framing)
            case "descriptors":
                return Descriptors(**framing)
