"""What the models minimise, per clip, in nats per element; augmentation happens here and nowhere else."""

from dataclasses import dataclass, field, replace

import chex
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from serjax.models.autoencoder import Autoencoder
from serjax.models.batch_axis import example_keys, fold_each
from serjax.models.classifiers import Classifier, with_dropout
from serjax.models.conditional_vae import ConditionalVAE
from serjax.models.tied_vae import TiedVAE
from serjax.models.vae import VAE, kl_to_standard_normal, squared_error_by_feature
from serjax.train.pictures import ClassifierChanges, PictureChanges
from serjax.train.state import Batch, Hyper

Variables = dict[str, chex.ArrayTree]
Parts = dict[str, Float[Array, " B"]]


@dataclass(frozen=True)
class PictureAugmentation:
    """Random changes of a feature picture `[T, C]`.

    `roll_frames`: the picture is rolled in time by a uniform number of frames in ±roll_frames, target included: what
    is said when does not matter. `noise`: standard deviation (in units of the normalised features) of Gaussian noise
    that the encoder sees and the target does not (Vincent et al. 2008, denoising autoencoders). What is 0 is off; of
    what is on, a run may have a strength of its own, 0 included.
    """

    roll_frames: int = 8
    noise: float = 0.0

    @classmethod
    def switched(cls, roll_frames: int, noise: float) -> "PictureAugmentation":
        """Return what is on where a strength is not 0; the strengths are those of the runs, which so share a program.

        >>> PictureAugmentation.switched(8, 0.0) == PictureAugmentation.switched(16, 0.0)
        True
        """
        return cls(int(roll_frames > 0), float(noise > 0))

    def roll(self, key_B: Key[Array, " B"], batch: Batch, own: Int[Array, ""] | None = None) -> Batch:
        """Roll every clip of the batch, frames and mask together, each by its own amount; `own` is the run's most."""
        if not self.roll_frames:
            return batch
        most = self.roll_frames if own is None else own
        draw = jax.vmap(lambda key: jax.random.randint(key, (), -most, most + 1))
        shift_B = draw(fold_each(key_B, 0))
        roll = jax.vmap(lambda a, shift: jnp.roll(a, shift, axis=0))
        return replace(batch, x_BTC=roll(batch.x_BTC, shift_B), mask_BT=roll(batch.mask_BT, shift_B))

    def corrupt(
        self, key_B: Key[Array, " B"], batch: Batch, own: Float[Array, ""] | None = None
    ) -> Float[Array, "B T C"]:
        """Return what the encoder sees of the batch; `own` is the run's noise."""
        if not self.noise:
            return batch.x_BTC
        shape = batch.x_BTC.shape[1:]
        noise_BTC = jax.vmap(lambda key: jax.random.normal(key, shape))(fold_each(key_B, 1))
        return batch.x_BTC + (self.noise if own is None else own) * noise_BTC * batch.mask_BT[..., None]


@dataclass(frozen=True)
class VaeObjective:
    """The negative evidence lower bound at unit variance with weight β on the KL term (Higgins et al. 2017).

    `loss = (½ ‖x − dec(z)‖² + β KL(q(z|x) ‖ N(0, I))) / n`, `z ~ q(z|x)` by one sample, `n` valid elements.
    """

    model: VAE | ConditionalVAE
    augmentation: PictureAugmentation
    changes: PictureChanges = field(default_factory=PictureChanges, kw_only=True)

    def init(self, key: Key[Array, ""]) -> chex.ArrayTree:
        """Return fresh parameters."""
        picture, noise = jnp.zeros((1, self.model.frames, self.model.n_features)), jnp.zeros((1, self.model.latent_dim))
        return self.model.init(key, picture, noise, *self._told(jnp.zeros(1, jnp.int32)))

    def loss(
        self, params: Variables, batch: Batch, key: Key[Array, ""], hyper: Hyper
    ) -> tuple[Float[Array, " B"], Parts, Variables]:
        """Return the loss of each augmented clip, with its mean squared error and KL."""
        key_B = example_keys(key, batch.weight_B.shape[0])
        batch = self.augmentation.roll(key_B, batch, hyper.roll_frames)
        noise_BZ = jax.vmap(lambda key: jax.random.normal(key, (self.model.latent_dim,)))(fold_each(key_B, 2))
        seen_BTC = corrupted(self.augmentation, self.changes, key_B, batch, hyper)
        output_BTC, mean_BZ, logvar_BZ = self.model.apply(params, seen_BTC, noise_BZ, *self._told(batch.label_B))
        return *self._loss(output_BTC, kl_to_standard_normal(mean_BZ, logvar_BZ), batch, hyper), {}

    def validation_loss(self, params: Variables, batch: Batch, hyper: Hyper) -> Float[Array, " B"]:
        """Return the loss of each clip as it is, at `z = μ(x)`."""
        none_BZ = jnp.zeros((batch.x_BTC.shape[0], self.model.latent_dim))
        output_BTC, mean_BZ, logvar_BZ = self.model.apply(params, batch.x_BTC, none_BZ, *self._told(batch.label_B))
        return self._loss(output_BTC, kl_to_standard_normal(mean_BZ, logvar_BZ), batch, hyper)[0]

    def _told(self, label_B: Int[Array, " B"]) -> tuple[Float[Array, "B K"], ...]:
        """Return what the model is told of each clip beside its picture: nothing."""
        return ()

    def _loss(
        self, output_BTC: Float[Array, "B T C"], kl_B: Float[Array, " B"], batch: Batch, hyper: Hyper
    ) -> tuple[Float[Array, " B"], Parts]:
        squared_B = jnp.sum(squared_error_by_feature(batch.x_BTC, output_BTC, batch.mask_BT), axis=-1)
        n_B = n_elements(batch)
        return (0.5 * squared_B + hyper.beta * kl_B) / n_B, {"squared_error": squared_B / n_B, "kl": kl_B}


@dataclass(frozen=True)
class ConditionalVaeObjective(VaeObjective):
    """The same of a model that is told each clip's class `y`: `z ~ q(z|x, y)`, `dec(z, y)` (Sohn, Lee & Yan 2015).

    Of a `TiedVAE` it is the bound of `log p(x|y)`: the KL term is that to the prior of the class.
    """

    model: ConditionalVAE | TiedVAE
    n_classes: int

    def _told(self, label_B: Int[Array, " B"]) -> tuple[Float[Array, "B K"], ...]:
        """Return the class of each clip, one-hot."""
        return (jax.nn.one_hot(label_B, self.n_classes),)


@dataclass(frozen=True)
class AutoencoderObjective:
    """Half the mean squared error: `loss = ½ ‖x − dec(enc(x))‖² / n`, the VAE's loss without its second term."""

    model: Autoencoder
    augmentation: PictureAugmentation
    changes: PictureChanges = field(default_factory=PictureChanges, kw_only=True)

    def init(self, key: Key[Array, ""]) -> chex.ArrayTree:
        """Return fresh parameters."""
        return self.model.init(key, jnp.zeros((1, self.model.frames, self.model.n_features)))

    def loss(
        self, params: Variables, batch: Batch, key: Key[Array, ""], hyper: Hyper
    ) -> tuple[Float[Array, " B"], Parts, Variables]:
        """Return the loss of each augmented clip, with its mean squared error."""
        key_B = example_keys(key, batch.weight_B.shape[0])
        batch = self.augmentation.roll(key_B, batch, hyper.roll_frames)
        seen_BTC = corrupted(self.augmentation, self.changes, key_B, batch, hyper)
        return *self._loss(self.model.apply(params, seen_BTC), batch), {}

    def validation_loss(self, params: Variables, batch: Batch, hyper: Hyper) -> Float[Array, " B"]:
        """Return the loss of each clip as it is."""
        return self._loss(self.model.apply(params, batch.x_BTC), batch)[0]

    def _loss(self, output_BTC: Float[Array, "B T C"], batch: Batch) -> tuple[Float[Array, " B"], Parts]:
        squared_BC = squared_error_by_feature(batch.x_BTC, output_BTC, batch.mask_BT)
        error_B = jnp.sum(squared_BC, axis=-1) / n_elements(batch)
        return 0.5 * error_B, {"squared_error": error_B}


@dataclass(frozen=True)
class ClassifierObjective:
    """Cross-entropy of a softmax over classes, `loss = -log softmax(logits)[label]`.

    Training has the dropout rate of the run (`hyper.dropout`), or the model's own where the run has none. Mixed or
    smoothed labels are shares `y` of classes: `loss = -Σ_k y_k log softmax(logits)_k`.
    """

    model: Classifier
    augmentation: PictureAugmentation
    frames: int
    n_features: int
    changes: ClassifierChanges = field(default_factory=ClassifierChanges)

    def init(self, key: Key[Array, ""]) -> Variables:
        """Return fresh variables."""
        picture = jnp.zeros((1, self.frames, self.n_features))
        return self.model.init(key, picture, jnp.ones(picture.shape[:2]))

    def loss(
        self, params: Variables, batch: Batch, key: Key[Array, ""], hyper: Hyper
    ) -> tuple[Float[Array, " B"], Parts, Variables]:
        """Return the loss of each augmented clip, whether it was classified rightly, and the new running moments."""
        key_B = example_keys(key, batch.weight_B.shape[0])
        batch = self.changes.mask(key_B, batch, hyper.pictures)
        batch = self.augmentation.roll(key_B, batch, hyper.roll_frames)
        batch = replace(batch, x_BTC=self.augmentation.corrupt(key_B, batch, hyper.noise))
        target_BK = None
        if self.changes.softens:
            batch, target_BK = self.changes.mix(key, batch, self.model.n_classes, hyper.pictures)
        model = self.model if hyper.dropout is None else with_dropout(self.model, hyper.dropout)
        logits_BK, updated = model.apply(
            params, batch.x_BTC, batch.mask_BT, train=True, rngs={"dropout": key}, mutable=["batch_stats"]
        )
        right_B = (logits_BK.argmax(axis=-1) == batch.label_B).astype(logits_BK.dtype)
        if target_BK is None:
            loss_B = cross_entropy(logits_BK, batch.label_B)
        else:
            loss_B = optax.softmax_cross_entropy(logits_BK, target_BK)
        return loss_B, {"accuracy": right_B}, dict(updated)

    def validation_loss(self, params: Variables, batch: Batch, hyper: Hyper) -> Float[Array, " B"]:
        """Return the loss of each clip as it is."""
        return cross_entropy(self.model.apply(params, batch.x_BTC, batch.mask_BT), batch.label_B)


def corrupted(
    augmentation: PictureAugmentation, changes: PictureChanges, key_B: Key[Array, " B"], batch: Batch, hyper: Hyper
) -> Float[Array, "B T C"]:
    """Return what an autoencoder's encoder sees: with noise, and with bands and frames hidden that are to be restored.

    The target keeps both (Vincent et al. 2008).
    """
    seen = replace(batch, x_BTC=augmentation.corrupt(key_B, batch, hyper.noise))
    return changes.mask(key_B, seen, hyper.pictures).x_BTC


def cross_entropy(logits_BK: Float[Array, "B K"], label_B: Int[Array, " B"]) -> Float[Array, " B"]:
    """Return the negative log-probability of the true class in nats."""
    return optax.softmax_cross_entropy_with_integer_labels(logits_BK, label_B)


def n_elements(batch: Batch) -> Float[Array, " B"]:
    """Return how many elements of each picture are valid, at least 1."""
    return jnp.maximum(jnp.sum(batch.mask_BT, axis=-1) * batch.x_BTC.shape[-1], 1.0)
