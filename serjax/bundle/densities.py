"""The classifier by densities as a system: a picture of the voice, statistics of the clip, then fitted arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from serjax.bundle.parts import BundleError, build, describe
from serjax.bundle.scores import CLIPS_AT_A_TIME, Scores, Weights
from serjax.dsp import extract, frame_mask
from serjax.dsp.utterance import Functionals
from serjax.dsp.voice import VoiceFrames, spoken_frames
from serjax.models.density.classifier import ByDensity, DensityClassifier, Member, Vector
from serjax.models.density.ubm import Ubm
from serjax.models.density.whitening import Whitening

DENSITIES = {kind.__name__: kind for kind in get_args(ByDensity)}


@dataclass(frozen=True)
class Densities:
    """A `DensityClassifier` of each seed; `densities` names for each kind of vectors what models them.

    Weights are those of the classifier as nested dictionaries, members by number.
    """

    frontend: VoiceFrames
    functionals: Functionals
    n_mfcc: int
    least_periodicity: float
    top_db: float
    densities: tuple[tuple[Vector, str], ...]

    def scores(self, weights: Weights, wav_BN: Float[Array, "B N"], n_valid_B: Int[Array, " B"]) -> Scores:
        """Return summed scores, and log p(x) under the background models; see `System`."""
        block = CLIPS_AT_A_TIME if jax.default_backend() == "cpu" else None
        voice_BTD = extract(self.frontend, wav_BN, n_valid=n_valid_B, block=block)
        numbers = 1.0, self.n_mfcc, self.least_periodicity, self.top_db
        clips = voice_BTD, frame_mask(self.frontend, n_valid_B)
        frames_BTE, counts_BT = jax.lax.map(lambda clip: spoken_frames(clip[0], clip[1], *numbers), clips)
        functionals_BD = jnp.zeros((wav_BN.shape[0], 1))
        if "functionals" in dict(self.densities):
            functionals_BD = extract(self.functionals, wav_BN, n_valid=n_valid_B, block=block)[:, 0]
        scores_SBK, log_px_SB = jax.vmap(lambda own: self._classifier(own)(frames_BTE, counts_BT, functionals_BD))(
            dict(weights)
        )
        return Scores(scores_SBK, log_px_SB)

    def _classifier(self, weights: Weights) -> DensityClassifier:
        """Return the classifier of one seed."""
        members = {}
        for kind, name in self.densities:
            several = weights["members"][kind]
            members[kind] = tuple(_member(several[number], DENSITIES[name]) for number in sorted(several))
        return DensityClassifier(members, weights["units"], weights["relevance"])

    def describe(self) -> dict[str, Any]:
        """Return it as JSON."""
        parts = {"frontend": describe(self.frontend), "functionals": describe(self.functionals)}
        numbers = {"n_mfcc": self.n_mfcc, "least_periodicity": self.least_periodicity, "top_db": self.top_db}
        return {"kind": "densities", **parts, **numbers, "densities": dict(self.densities)}


def densities_of(content: Mapping[str, Any]) -> Densities:
    """Return what `Densities.describe` described; BundleError where it is something else."""
    try:
        named = tuple(content["densities"].items())
        frontend, functionals = build(content["frontend"]), build(content["functionals"])
        numbers = int(content["n_mfcc"]), float(content["least_periodicity"]), float(content["top_db"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"Densities that lack something ({error}). Export the run again.") from error
    unknown = [name for kind, name in named if kind not in get_args(Vector) or name not in DENSITIES]
    if unknown or not isinstance(frontend, VoiceFrames) or not isinstance(functionals, Functionals):
        raise BundleError(f"Densities of other parts ({unknown or content['frontend']}). Export the run again.")
    return Densities(frontend, functionals, *numbers, named)


def weights_of(classifier: DensityClassifier) -> dict[str, Any]:
    """Return the arrays of a classifier with a leading axis of one seed, as `Densities` takes them."""
    members = {
        kind: {f"{number:02d}": _fields(member) for number, member in enumerate(several)}
        for kind, several in classifier.members.items()
    }
    weights = {"members": members, "units": dict(classifier.units), "relevance": classifier.relevance}
    return jax.tree.map(lambda array: np.asarray(array, np.float32)[None], weights)


def _member(weights: Weights, density: Any) -> Member:
    ubm = Ubm(**weights["ubm"]) if "ubm" in weights else None
    return Member(ubm, Whitening(**weights["whiten"]), density(**weights["density"]))


def _fields(member: Member) -> dict[str, Any]:
    parts = {"ubm": member.ubm, "whiten": member.whiten, "density": member.density}
    return {name: part._asdict() for name, part in parts.items() if part is not None}


def fitted_densities(classifier: DensityClassifier) -> tuple[tuple[Vector, str], ...]:
    """Return what models each kind of vectors."""
    return tuple((kind, type(several[0].density).__name__) for kind, several in classifier.members.items())
