"""The flags of a classifier by densities of one vector per clip."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from serjax.dsp.utterance import Functionals
from serjax.dsp.voice import VoiceFrames
from serjax.errors import ConfigError
from serjax.models.density.classifier import Vector
from serjax.study.checks import check_positive

Kind = Literal["gaussian", "mixture", "pca", "vae", "tied-vae", "logistic"]
N_DRAWN = 20  # clips of each speaker that enrolment draws and nothing scores


@dataclass(frozen=True)
class VoiceFeatures:
    """What a clip's frames are, and which vectors are made of a clip."""

    vectors: tuple[Vector, ...] = ("supervector", "functionals")
    """supervector: how far a clip's frames move the means of a background model; functionals: 988 statistics of a clip;
    mfcc: cepstra in slices of time. The scores of several are summed."""

    sample_rate: int = 16_000
    """Hz; files of another rate are resampled."""
    frames: int = 651
    """Frames read of a clip at most, 10 ms each: 6.5 s."""
    n_mfcc: int = 20
    """Cepstra of a frame; as many as there are mel bands, 64, hold what the bands do."""
    slices: int = 8
    """Of mfcc: equal parts of a clip's speech, of each of which the mean counts."""
    least_periodicity: float = 0.5
    """From where on a frame is voiced, 0 to 1; elsewhere F0 is the median of the clip."""
    top_db: float = 45.0
    """Frames further below the loudest of their clip, in dB, are silence and left out."""

    def frontend(self) -> VoiceFrames:
        """Return the DSP front end these flags describe."""
        return VoiceFrames(**self.framing())

    def framing(self) -> dict[str, Any]:
        """Return these flags as arguments of a front end."""
        return {"sample_rate_hz": self.sample_rate, "frames": self.frames, "hop_length": round(self.sample_rate / 100)}


@dataclass(frozen=True)
class FunctionalFeatures:
    """The flags of the functionals of the same frames."""

    voice: VoiceFeatures

    def frontend(self) -> Functionals:
        """Return the DSP front end these flags describe."""
        return Functionals(**self.voice.framing())


@dataclass(frozen=True)
class Supervectors:
    """How the frames of a clip become one vector: how far they move the means of a background model."""

    components: int = 64
    """Gaussians of the background model."""
    relevance: float = 8.0
    """Frames by which a clip has moved a Gaussian's mean half of the way."""
    backgrounds: int = 3
    """Background models, each from other frames; the scores of their systems are summed."""
    background_frames: int = 40_000
    """Frames of training clips that a background model is fitted to."""
    warps: tuple[float, ...] = (0.92, 1.09)
    """Copies of training clips with a longer (below 1) or shorter vocal tract: factors of all frequencies."""


@dataclass(frozen=True)
class Density:
    """What models the vectors of each emotion."""

    density: Kind = "gaussian"
    """gaussian: a mean per emotion and covariances (`--own`). mixture: several means per emotion. pca: a linear
    autoencoder per emotion; vae: a variational one; both classify by reconstruction error. tied-vae: one for all
    emotions, by its bound of log p(x|emotion). logistic: logistic regression on the same vectors, for comparison."""
    own: float = 0.0
    """Share of an emotion's own covariance in its Gaussian, from 0 (one covariance for all) to 1."""
    emotion_axes: int = 5
    """Principal axes of an emotion's linear autoencoder."""
    emotion_parts: int = 2
    """Gaussians of an emotion's mixture."""
    axes: int = 300
    """Principal axes that vectors are reduced to."""
    shrinkages: tuple[float, ...] = (0.1, 0.2, 0.4)
    """Shares of the identity in the within-class covariance; each fold's validation clips choose one."""
    penalties: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1)
    """Of logistic: weights of the squared weights; each fold's validation clips choose one."""
    functionals_weight: float = 0.25
    """Weight of the scores of functionals (and of mfcc) beside the supervectors', each in units of its own spread."""
    refit: bool = True
    """Fit again to train and validation clips, with what was chosen."""
    enrolment: int | None = None
    """Transductive: subtract the mean of so many clips of a speaker, 0 to 20, from all vectors of the speaker. Whatever
    the number, 20 clips per speaker are drawn by seed, not by emotion, and not scored. Default: none is drawn."""

    @property
    def candidates(self) -> tuple[float, ...]:
        """The numbers one of which validation clips choose."""
        return self.penalties if self.density == "logistic" else self.shrinkages

    @property
    def candidate(self) -> str:
        """What these numbers are."""
        return "penalty" if self.density == "logistic" else "shrinkage"


@dataclass(frozen=True)
class Vaes:
    """The VAE of one emotion, of `--density vae`, or of all, of `tied-vae`."""

    latent_dim: int = 128
    """Numbers in the code of a clip."""
    class_dim: int | None = None
    """How many of them tell emotions apart, of tied-vae; default: one less than there are emotions."""
    hidden: tuple[int, ...] = (256,)
    """Units of the encoder's hidden layers, mirrored in the decoder."""
    vae_epochs: int = 5
    """Passes over the training clips (of vae: of the emotion that has most, and as many steps for each of the others),
    copies included; the best one on validation clips is kept."""
    beta: float = 1.0
    """Weight of the KL term."""
    learning_rate: float = 1e-3
    """Peak of the warm-up and cosine schedule."""


def check_flags(features: VoiceFeatures, vectors: Supervectors, density: Density) -> None:
    """Raise ConfigError for numbers that nothing can be fitted with."""
    if not features.vectors or len(set(features.vectors)) < len(features.vectors):
        raise ConfigError(f"--vectors {' '.join(features.vectors)}: expected one kind at least, and each once.")
    check_positive("--functionals-weight", density.functionals_weight)
    check_positive("--slices", features.slices)
    check_positive("--emotion-parts", density.emotion_parts)
    check_positive("--penalties", min(density.penalties, default=0))
    for flag in ("components", "relevance", "backgrounds", "background_frames"):
        check_positive(f"--{flag.replace('_', '-')}", getattr(vectors, flag))
    for warp in vectors.warps:
        if not 0.5 <= warp <= 2:
            raise ConfigError(f"--warps {warp}: expected factors from 0.5 to 2, such as 0.92.")
    check_positive("--axes", density.axes)
    if not 0 <= density.own <= 1:
        raise ConfigError(f"--own {density.own}: expected a share from 0 to 1.")
    if density.own and density.density != "gaussian":
        raise ConfigError("--own goes with --density gaussian: an autoencoder has no covariance.")
    if not 0 <= density.emotion_axes <= density.axes:
        raise ConfigError(f"--emotion-axes {density.emotion_axes}: expected 0 to --axes, {density.axes}.")
    if density.enrolment is not None and not 0 <= density.enrolment <= N_DRAWN:
        raise ConfigError(f"--enrolment {density.enrolment}: expected 0 to {N_DRAWN} clips of each speaker.")
    if density.enrolment is not None and density.density in ("vae", "tied-vae"):
        raise ConfigError("--enrolment goes with --density gaussian or pca: nobody has tried it with VAEs.")
    if not density.shrinkages or not all(0 < share <= 1 for share in density.shrinkages):
        raise ConfigError(f"--shrinkages {density.shrinkages}: expected shares above 0, at most 1.")


def check_vaes(vaes: Vaes) -> None:
    """Raise ConfigError for numbers that no VAE can be made or trained with."""
    for flag in ("latent_dim", "vae_epochs", "learning_rate"):
        check_positive(f"--{flag.replace('_', '-')}", getattr(vaes, flag))
    check_positive("--hidden", min(vaes.hidden, default=0))
    if vaes.class_dim is not None and not 1 <= vaes.class_dim <= vaes.latent_dim:
        raise ConfigError(f"--class-dim {vaes.class_dim}: expected 1 to --latent-dim, {vaes.latent_dim}.")
    if not 0 <= vaes.beta < math.inf:
        raise ConfigError(f"--beta {vaes.beta}: expected a number from 0 on, such as 1.")
