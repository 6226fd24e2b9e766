"""Systems that score waveforms: what a bundle holds, as one pure function of weights and clips.

A system knows shapes and choices and is hashable; all numbers that were fitted are its weights, nested dictionaries of
arrays whose first axis S counts the seeds.
"""

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from serjax.bundle.densities import densities_of
from serjax.bundle.parts import AUTOENCODERS, CLASSIFIERS, BundleError, build, describe
from serjax.bundle.scores import CLIPS_AT_A_TIME, Scores, Weights
from serjax.dsp import Frontend, extract, frame_mask
from serjax.evaluate.generative import ScoreName
from serjax.evaluate.likelihood import reconstruct, sample_posterior
from serjax.evaluate.logits import classify_all
from serjax.models.vae import VAE
from serjax.train.state import Dataset, RunInputs


@runtime_checkable
class System(Hashable, Protocol):
    """How waveforms become scores; all that was fitted comes as `weights`."""

    @property
    def frontend(self) -> Frontend:
        """The front end; it says which sampling rate and how many samples of a clip are heard."""
        ...

    def scores(self, weights: Weights, wav_BN: Float[Array, "B N"], n_valid_B: Int[Array, " B"]) -> Scores:
        """Score clips, of which the first `n_valid_B` samples are valid; a pure function, to be compiled."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return the system without its weights, as JSON."""
        ...


@dataclass(frozen=True)
class Networks:
    """A classifier of each seed. Weights: `params`, and `inputs` (`shift_C`, `scale_C`, and `projection_CP`).

    A clip counts with copies of it that are rolled by so many frames.
    """

    frontend: Frontend
    network: nn.Module
    rolls: tuple[int, ...] = (0,)

    def scores(self, weights: Weights, wav_BN: Float[Array, "B N"], n_valid_B: Int[Array, " B"]) -> Scores:
        """Return log-probabilities; see `System`."""
        dataset = pictures(self.frontend, wav_BN, n_valid_B)

        def one(seed: Weights) -> Float[Array, "B K"]:
            return classify_all(self.network, seed["params"], run_inputs(seed["inputs"]), dataset, self.rolls)

        return Scores(jax.nn.log_softmax(jax.vmap(one)(dict(weights))), None)

    def describe(self) -> dict[str, Any]:
        """Return it as JSON."""
        parts = {"frontend": describe(self.frontend), "network": describe(self.network)}
        return {"kind": "networks", **parts, "rolls": list(self.rolls)}


@dataclass(frozen=True)
class Autoencoders:
    """One (variational) autoencoder per seed and class, its score, and the class prior that enters likelihoods.

    Weights are as those of `Networks` with an axis of classes behind that of seeds, and `variance` `[S, 1]`. Every
    clip draws the same noise for the bounds of its likelihood.
    """

    frontend: Frontend
    network: nn.Module
    score: ScoreName
    n_samples: int
    log_prior: tuple[float, ...]

    def scores(self, weights: Weights, wav_BN: Float[Array, "B N"], n_valid_B: Int[Array, " B"]) -> Scores:
        """Return scores by reconstruction or a bound of the likelihood; evidence is per valid element."""
        dataset = pictures(self.frontend, wav_BN, n_valid_B)
        n_elements_B = jnp.maximum(dataset.mask_NT.sum(axis=1) * dataset.x_NTC.shape[2], 1.0)

        def one(model: Weights, variance: Float[Array, " 1"]) -> Float[Array, " B"]:
            given = self.network, model["params"], run_inputs(model["inputs"]), dataset
            if self.score == "reconstruction":
                return -reconstruct(*given).sum(axis=1) / n_elements_B
            rows_B = jnp.arange(wav_BN.shape[0])
            samples = sample_posterior(*given, rows_B, jnp.zeros_like(rows_B, jnp.uint32), self.n_samples)
            constant_B = n_elements_B * jnp.log(2 * math.pi * variance[0])
            loglik_BK = -0.5 * (samples.squared_error_MK / variance[0] + constant_B[:, None])
            if self.score == "elbo":
                return loglik_BK.mean(axis=1) - samples.kl_M
            return jax.nn.logsumexp(loglik_BK + samples.log_ratio_MK, axis=1) - math.log(self.n_samples)

        models = {name: weights[name] for name in ("params", "inputs")}
        scores_SKB = jax.vmap(lambda seed, variance: jax.vmap(lambda model: one(model, variance))(seed))(
            models, weights["variance"]
        )
        scores_SBK = scores_SKB.swapaxes(1, 2)
        if self.score == "reconstruction":
            return Scores(scores_SBK, scores_SBK.max(axis=2))
        scores_SBK = scores_SBK + jnp.asarray(self.log_prior, jnp.float32)[None, None]
        return Scores(scores_SBK, jax.nn.logsumexp(scores_SBK, axis=2) / n_elements_B[None])

    def describe(self) -> dict[str, Any]:
        """Return it as JSON."""
        parts = {"frontend": describe(self.frontend), "network": describe(self.network)}
        prior = list(self.log_prior)
        return {"kind": "autoencoders", **parts, "score": self.score, "n_samples": self.n_samples, "log_prior": prior}


def pictures(frontend: Frontend, wav_BN: Float[Array, "B N"], n_valid_B: Int[Array, " B"]) -> Dataset:
    """Return the features of clips and which frames count."""
    block = CLIPS_AT_A_TIME if jax.default_backend() == "cpu" else None
    x_BTC = extract(frontend, wav_BN, n_valid=n_valid_B, block=block)
    mask_BT = frame_mask(frontend, n_valid_B).astype(jnp.float32)
    return Dataset(x_BTC, mask_BT, jnp.zeros_like(n_valid_B))


def run_inputs(inputs: Weights) -> RunInputs:
    """Return the normaliser, and the projection where there is one, as evaluation takes them."""
    shift_C = jnp.asarray(inputs["shift_C"])
    unused = {
        "class_weight_K": jnp.ones(1),
        "validation_V": jnp.zeros(1, jnp.int32),
        "validation_weight_V": jnp.ones(1),
    }
    return RunInputs(shift_C, jnp.asarray(inputs["scale_C"]), projection_CP=inputs.get("projection_CP"), **unused)


def system_of(content: Any) -> System:
    """Return what `System.describe` described.

    Raises:
      BundleError: an unknown kind of system, or parts that do not belong to it.
    """
    match content:
        case {"kind": "networks", "frontend": frontend, "network": network, **rest}:
            rolls = rest.get("rolls", [0])
            if not isinstance(rolls, list) or not rolls or not all(type(n) is int for n in rolls):
                raise BundleError(f"Networks with rolls {rolls!r}: expected whole numbers. Export the run again.")
            return Networks(_frontend(frontend), _of(build(network), CLASSIFIERS), tuple(rolls))
        case {"kind": "autoencoders", "frontend": frontend, "network": network, **rest}:
            score, n_samples, prior = rest.get("score"), rest.get("n_samples"), rest.get("log_prior")
            if (
                score not in ("reconstruction", "elbo", "iwae")
                or type(n_samples) is not int
                or not isinstance(prior, list)
            ):
                raise BundleError(f"Autoencoders with {rest}: no score is known from it. Export the run again.")
            network = _of(build(network), AUTOENCODERS)
            if score != "reconstruction" and not isinstance(network, VAE):
                raise BundleError(f"The score {score} of a plain autoencoder, which has none. Export the run again.")
            return Autoencoders(_frontend(frontend), network, score, n_samples, tuple(map(float, prior)))
        case {"kind": "densities"}:
            return densities_of(content)
    found = content.get("kind") if isinstance(content, dict) else content
    raise BundleError(
        f"A system of kind {found!r}; expected networks, autoencoders or densities. Export the run again."
    )


def _frontend(content: Any) -> Frontend:
    return _of(build(content), (Frontend,))


def _of(part: Any, kinds: tuple[type, ...]) -> Any:
    if not isinstance(part, kinds):
        raise BundleError(f"A {type(part).__name__} stands where another part belongs. Export the run again.")
    return part
