"""What is minimised, against float64, and the augmentations of pictures."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serjax.models import ConditionalVAE
from serjax.models.batch_axis import fold_each
from serjax.models.mlp import MLP
from serjax.train.objectives import ClassifierObjective, ConditionalVaeObjective, PictureAugmentation
from serjax.train.pictures import PictureChanges
from serjax.train.state import Batch
from tests.reference import vae as reference
from tests.train import tiny

RNG = np.random.default_rng(0)
B, BETA = 5, 0.7
MASK_BT = (np.arange(tiny.T)[None, :] < np.array([12, 5, 9, 12, 0])[:, None]).astype(np.float32)
X_BTC = (RNG.normal(size=(B, tiny.T, tiny.C)) * MASK_BT[..., None]).astype(np.float32)
BATCH = Batch(jnp.asarray(X_BTC), jnp.asarray(MASK_BT), jnp.zeros(B, jnp.int32), jnp.ones(B))
HYPER = tiny.make_hyper(beta=BETA)
KEY = jax.random.key(0)
KEY_B = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(KEY, jnp.arange(B))
PLAIN = PictureAugmentation(roll_frames=0, noise=0.0)


def alone(objective):
    """Return the training loss in a "data" axis of one."""
    return jax.jit(jax.vmap(objective.loss, in_axes=None, out_axes=None, axis_name="data", axis_size=1))


def make_params(objective):
    return reference.random_params(jax.eval_shape(objective.init, jax.random.key(0)), seed=0)


def test_vae_losses_equal_float64():
    objective = replace(tiny.OBJECTIVE, augmentation=PLAIN)
    params = make_params(objective)
    loss_B, parts, _ = alone(objective)(params, BATCH, KEY, HYPER)
    validation_B = jax.jit(objective.validation_loss)(params, BATCH, HYPER)
    noise_BZ = np.stack([jax.random.normal(key, (8,)) for key in fold_each(KEY_B, 2)])
    for value_B, noise in ((loss_B, noise_BZ), (validation_B, 0 * noise_BZ)):
        output, mean, logvar = reference.vae(params, X_BTC, noise)
        terms = list(zip(X_BTC, output, MASK_BT, mean, logvar, strict=True))[:4]
        np.testing.assert_allclose(value_B[:4], [reference.vae_loss(*clip, BETA) for clip in terms], rtol=1e-5)
    error_B = [
        reference.squared_error(*clip).sum()
        for clip in zip(X_BTC, reference.vae(params, X_BTC, noise_BZ)[0], MASK_BT, strict=True)
    ]
    np.testing.assert_allclose(parts["squared_error"][:4], error_B[:4] / (4 * MASK_BT[:4].sum(axis=1)), rtol=1e-5)
    assert np.isfinite(loss_B).all()  # a clip without a valid frame too


def test_conditional_vae_losses_equal_float64_and_follow_the_label():
    objective = ConditionalVaeObjective(ConditionalVAE(tiny.T, tiny.C, latent_dim=8, hidden=(16,)), PLAIN, 3)
    params, label_B = make_params(objective), np.array([0, 2, 1, 1, 0])
    told = replace(BATCH, label_B=jnp.asarray(label_B))
    class_BK, plain = np.eye(3)[label_B], {"params": params["params"]["vae"]}
    beside_BTC = np.concatenate([X_BTC, np.repeat(class_BK[:, None], tiny.T, axis=1)], axis=-1)
    mean_BZ, logvar_BZ = reference.encode(plain, beside_BTC)
    noise_BZ = np.stack([jax.random.normal(key, (8,)) for key in fold_each(KEY_B, 2)])
    training, validation = alone(objective), jax.jit(objective.validation_loss)
    for value_B, noise in ((training(params, told, KEY, HYPER)[0], noise_BZ), (validation(params, told, HYPER), 0.0)):
        z_BZ = mean_BZ + np.exp(0.5 * logvar_BZ) * noise
        output_BTC = reference.decode(plain, np.concatenate([z_BZ, class_BK], axis=-1), tiny.T)
        terms = list(zip(X_BTC, output_BTC, MASK_BT, mean_BZ, logvar_BZ, strict=True))[:4]
        np.testing.assert_allclose(value_B[:4], [reference.vae_loss(*clip, BETA) for clip in terms], rtol=1e-5)
    otherwise = replace(told, label_B=jnp.array([0, 2, 2, 1, 0]))
    for loss_B in (
        lambda batch: training(params, batch, KEY, HYPER)[0],
        lambda batch: validation(params, batch, HYPER),
    ):
        differs_B = np.abs(loss_B(otherwise) - loss_B(told)) > 1e-3
        assert differs_B.tolist() == [False, False, True, False, False]


def test_autoencoder_losses_equal_float64():
    objective = replace(tiny.AUTOENCODER, augmentation=PLAIN)
    params = make_params(objective)
    loss_B, parts, _ = alone(objective)(params, BATCH, KEY, HYPER)
    output = reference.autoencoder(params, X_BTC)
    error_B = [reference.squared_error(*clip).sum() for clip in zip(X_BTC, output, MASK_BT, strict=True)]
    expected_B = np.array(error_B) / np.maximum(4 * MASK_BT.sum(axis=1), 1)
    np.testing.assert_allclose(parts["squared_error"], expected_B, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(loss_B, 0.5 * expected_B, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(jax.jit(objective.validation_loss)(params, BATCH, HYPER), loss_B)


def test_rolls_move_picture_and_mask_together_and_reach_every_amount():
    many = jax.tree.map(lambda a: jnp.repeat(a[1:2], 200, axis=0), BATCH)
    rolled = PictureAugmentation(roll_frames=3).roll(jax.random.split(jax.random.key(1), 200), many)
    seen = set()
    for x_TC, mask_T in zip(np.asarray(rolled.x_BTC), np.asarray(rolled.mask_BT), strict=True):
        (amount,) = (s for s in range(-3, 4) if np.array_equal(np.roll(MASK_BT[1], s), mask_T))
        np.testing.assert_array_equal(x_TC, np.roll(X_BTC[1], amount, axis=0))
        seen.add(amount)
    assert seen == set(range(-3, 4))


def test_noise_is_seen_by_the_encoder_in_valid_frames_only():
    seen_BTC = np.asarray(PictureAugmentation(noise=0.5).corrupt(KEY_B, BATCH))
    difference = seen_BTC - X_BTC
    np.testing.assert_array_equal(difference[MASK_BT == 0], 0)
    assert difference[MASK_BT > 0].std() == pytest.approx(0.5, rel=0.15)  # 152 draws: 6 %
    objective = replace(tiny.AUTOENCODER, augmentation=PictureAugmentation(roll_frames=0, noise=0.5))
    params = make_params(objective)
    error_B = alone(objective)(params, BATCH, KEY, HYPER)[1]["squared_error"]
    output = reference.autoencoder(params, seen_BTC)
    expected = reference.squared_error(X_BTC[0], output[0], MASK_BT[0]).sum() / (tiny.T * tiny.C)  # the target has none
    np.testing.assert_allclose(error_B[0], expected, rtol=1e-5)


@pytest.mark.parametrize("objective", [tiny.AUTOENCODER, tiny.OBJECTIVE], ids=["autoencoder", "vae"])
def test_hidden_bands_and_frames_are_to_be_restored(objective):
    """The encoder sees them as 0; the target has them."""
    changes = PictureChanges(freq_mask=3, time_mask=6)
    objective = replace(objective, augmentation=PLAIN, changes=changes.switched)
    params, own = make_params(objective), {name: jnp.float32(value) for name, value in vars(changes).items()}
    parts = alone(objective)(params, BATCH, KEY, replace(HYPER, pictures=own))[1]
    seen_BTC = np.asarray(changes.mask(KEY_B, BATCH, None).x_BTC)
    hidden_B = ((seen_BTC != X_BTC) & (seen_BTC == 0)).any(axis=(1, 2))
    assert hidden_B.sum() >= 3  # widths are drawn, 0 too
    noise_BZ = np.stack([jax.random.normal(key, (8,)) for key in fold_each(KEY_B, 2)])
    is_vae = objective.model is tiny.OBJECTIVE.model
    output_BTC = reference.vae(params, seen_BTC, noise_BZ)[0] if is_vae else reference.autoencoder(params, seen_BTC)
    error_B = [reference.squared_error(*clip).sum() for clip in zip(X_BTC, output_BTC, MASK_BT, strict=True)]
    expected_B = np.array(error_B) / np.maximum(4 * MASK_BT.sum(axis=1), 1)
    np.testing.assert_allclose(parts["squared_error"], expected_B, rtol=1e-5, atol=1e-7)


def test_a_run_has_strengths_of_its_own():
    on = PictureAugmentation.switched(8, 0.3)
    for most, noise in ((2, 0.1), (0, 0.0)):
        fixed = PictureAugmentation(most, noise)
        rolled = on.roll(KEY_B, BATCH, jnp.array(most))
        np.testing.assert_array_equal(rolled.x_BTC, fixed.roll(KEY_B, BATCH).x_BTC)
        np.testing.assert_array_equal(rolled.mask_BT, fixed.roll(KEY_B, BATCH).mask_BT)
        np.testing.assert_array_equal(on.corrupt(KEY_B, BATCH, jnp.array(noise)), fixed.corrupt(KEY_B, BATCH))
    objective = replace(tiny.AUTOENCODER, augmentation=on)
    own = replace(HYPER, roll_frames=jnp.array(2), noise=jnp.array(0.1))
    fixed_loss = alone(replace(objective, augmentation=PictureAugmentation(2, 0.1)))
    expected = fixed_loss(make_params(objective), BATCH, KEY, HYPER)[0]
    np.testing.assert_allclose(alone(objective)(make_params(objective), BATCH, KEY, own)[0], expected, rtol=1e-6)


def test_a_clip_is_augmented_by_its_key_alone():
    """In another order, each clip with its own key: the same pictures, moved."""
    order = np.array([3, 0, 4, 1, 2])
    moved = jax.tree.map(lambda a: a[order], BATCH)
    for change in (lambda key_B, batch: tiny.AUGMENTATION.roll(key_B, batch).x_BTC, tiny.AUGMENTATION.corrupt):
        changed_BTC = np.asarray(change(KEY_B, BATCH))
        np.testing.assert_array_equal(change(KEY_B[order], moved), changed_BTC[order])
        assert not np.array_equal(change(jax.random.split(jax.random.key(9), B), BATCH), changed_BTC)


def test_a_loss_follows_the_key_of_the_step():
    params, loss = make_params(tiny.OBJECTIVE), alone(tiny.OBJECTIVE)
    first_B, again_B, other_B = (loss(params, BATCH, key, HYPER)[0] for key in (KEY, KEY, jax.random.key(9)))
    np.testing.assert_array_equal(first_B, again_B)
    assert not np.allclose(other_B[:4], first_B[:4], rtol=1e-3)


CLASSIFIER = ClassifierObjective(MLP(3, hidden=(6,), dropout=0.0, batch_norm=True), PLAIN, tiny.T, tiny.C)


def test_classifier_loss_is_cross_entropy_and_moments_move():
    labelled = replace(BATCH, label_B=jnp.array([0, 2, 1, 1, 0]))
    params = CLASSIFIER.init(jax.random.key(0))
    loss_B, parts, moved = alone(CLASSIFIER)(params, labelled, KEY, HYPER)
    logits_BK, after = jax.vmap(
        lambda x, m: CLASSIFIER.model.apply(params, x, m, train=True, mutable=["batch_stats"]),
        in_axes=None,
        out_axes=None,
        axis_name="data",
        axis_size=1,
    )(labelled.x_BTC, labelled.mask_BT)
    logits_BK = np.asarray(logits_BK, np.float64)
    expected_B = np.log(np.exp(logits_BK).sum(axis=1)) - logits_BK[np.arange(B), labelled.label_B]
    np.testing.assert_allclose(loss_B, expected_B, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(parts["accuracy"], logits_BK.argmax(axis=1) == labelled.label_B)
    assert tiny.leaves_equal(moved["batch_stats"], after["batch_stats"])
    assert not tiny.leaves_equal(moved["batch_stats"], params["batch_stats"])
    still_B = np.asarray(CLASSIFIER.model.apply(params, labelled.x_BTC, labelled.mask_BT), np.float64)
    expected_B = np.log(np.exp(still_B).sum(axis=1)) - still_B[np.arange(B), labelled.label_B]
    np.testing.assert_allclose(CLASSIFIER.validation_loss(params, labelled, HYPER), expected_B, rtol=1e-5, atol=1e-6)


def test_the_dropout_of_the_run_takes_the_place_of_that_of_the_model():
    dropping = replace(CLASSIFIER, model=MLP(3, hidden=(6,), dropout=0.5))
    params, resting = dropping.init(jax.random.key(0)), replace(dropping, model=MLP(3, hidden=(6,), dropout=0.0))
    own, none = alone(dropping), replace(HYPER, dropout=jnp.float32(0.0))
    np.testing.assert_array_equal(own(params, BATCH, KEY, none)[0], alone(resting)(params, BATCH, KEY, HYPER)[0])
    half = replace(HYPER, dropout=jnp.float32(0.5))
    np.testing.assert_array_equal(alone(resting)(params, BATCH, KEY, half)[0], own(params, BATCH, KEY, HYPER)[0])
    assert not np.allclose(own(params, BATCH, KEY, HYPER)[0], own(params, BATCH, KEY, none)[0])
    both = jax.tree.map(lambda *numbers: jnp.stack(numbers), half, none)  # two runs side by side
    loss_RB, _, _ = jax.vmap(own, in_axes=(None, None, None, 0))(params, BATCH, KEY, both)
    for loss_B, hyper in zip(loss_RB, (half, none), strict=True):
        np.testing.assert_allclose(loss_B, own(params, BATCH, KEY, hyper)[0], rtol=1e-6)


def test_dropout_of_a_classifier_follows_the_key_of_the_step():
    dropping = replace(CLASSIFIER, model=MLP(3, hidden=(6,), dropout=0.5))
    params, loss = dropping.init(jax.random.key(0)), alone(dropping)
    first_B, again_B, other_B = (loss(params, BATCH, key, HYPER)[0] for key in (KEY, KEY, jax.random.key(9)))
    np.testing.assert_array_equal(first_B, again_B)
    assert not np.allclose(first_B, other_B)
