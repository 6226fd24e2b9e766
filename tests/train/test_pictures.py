"""Changes of training pictures: against NumPy, by a clip's key alone, and the same however devices split the batch."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serjax.models.batch_axis import example_keys, fold_each
from serjax.train.pictures import MOVE, ClassifierChanges
from serjax.train.state import Batch

B, T, C, K = 6, 20, 12, 3
RNG = np.random.default_rng(0)
N_VALID_B = np.array([20, 14, 9, 20, 17, 0])
MASK_BT = (np.arange(T)[None] < N_VALID_B[:, None]).astype(np.float32)
X_BTC = RNG.normal(size=(B, T, C)).astype(np.float32)
LABEL_B = np.array([0, 1, 2, 0, 1, 0])
WEIGHT_B = np.array([1, 1, 2, 1, 1, 0], np.float32)
BATCH = Batch(*map(jnp.asarray, (np.where(MASK_BT[..., None] > 0, X_BTC, 0), MASK_BT, LABEL_B, WEIGHT_B)))
KEY = jax.random.key(0)
KEY_B = jax.random.split(jax.random.key(1), B)
ALL = ClassifierChanges(0.2, 2.0, 0.3, 6.0, freq_mask=4, time_mask=5, mixup=0.5, label_smoothing=0.1)
OWN = {name: jnp.asarray(value, jnp.float32) for name, value in vars(ALL).items()}


def split(changes, shares, batch=BATCH):
    """Return what `mix` gives where so many devices share the batch, put together again."""
    parts = jax.tree.map(lambda a: a.reshape(shares, -1, *a.shape[1:]), batch)
    mix = jax.vmap(lambda part: changes.mix(KEY, part, K, None), axis_name="data")
    return jax.tree.map(lambda a: np.asarray(a).reshape(-1, *a.shape[2:]), mix(parts))


def test_moved_pictures_equal_numpy():
    moved_BTC, mask_BT = jax.jit(ALL.move)(KEY_B, jnp.asarray(X_BTC), jnp.asarray(MASK_BT), None)
    for b, key in enumerate(fold_each(KEY_B, MOVE)):
        by = np.asarray(jax.random.uniform(key, (4,), minval=-1.0, maxval=1.0), np.float64) * [0.2, 2.0, 0.3, 6.0]
        frames, bands = np.arange(T) * (1 + by[2]), np.clip((np.arange(C) - by[1]) / (1 + by[0]), 0, C - 1)
        inside = frames <= N_VALID_B[b] - 1
        np.testing.assert_array_equal(mask_BT[b], inside)
        if not inside.any():
            continue
        by_band_TC = np.array([np.interp(bands, np.arange(C), x_C) for x_C in X_BTC[b]])
        expected_TC = np.array([np.interp(frames[inside], np.arange(T), x_T) for x_T in by_band_TC.T]).T + by[3]
        np.testing.assert_allclose(moved_BTC[b][inside], expected_TC, atol=2e-4)


def test_masks_are_one_band_and_one_run_of_valid_frames_no_wider_than_asked():
    many = jax.tree.map(lambda a: jnp.repeat(a[1:2], 300, axis=0), replace(BATCH, x_BTC=jnp.ones((B, T, C))))
    hidden_BTC = np.asarray(ALL.mask(jax.random.split(KEY, 300), many, None).x_BTC) == 0
    bands_BC, frames_BT = hidden_BTC.all(axis=1), hidden_BTC.all(axis=2)
    np.testing.assert_array_equal(hidden_BTC, bands_BC[:, None] | frames_BT[..., None])
    assert (set(bands_BC.sum(axis=1)), set(frames_BT.sum(axis=1))) == (set(range(5)), set(range(6)))
    assert not frames_BT[:, N_VALID_B[1] :].any()
    edges_BC, edges_BT = (np.diff(hidden.astype(int), prepend=0, append=0) for hidden in (bands_BC, frames_BT))
    assert max((edges_BC > 0).sum(axis=1).max(), (edges_BT > 0).sum(axis=1).max()) == 1


def test_a_mixed_clip_lies_between_two_and_so_does_its_label():
    mixed, target_BK = split(replace(ALL, label_smoothing=0.0), 1)
    np.testing.assert_allclose(target_BK.sum(axis=1), 1, rtol=1e-6)
    x_BTC, partners = np.asarray(BATCH.x_BTC), []
    for b in range(B):
        found = []
        for other in range(B):
            away_TC = x_BTC[other] - x_BTC[b]
            share = (away_TC * (mixed.x_BTC[b] - x_BTC[b])).sum() / max((away_TC**2).sum(), 1e-9)
            between_TC = x_BTC[b] + share * away_TC
            label_K = (1 - share) * np.eye(K)[LABEL_B[b]] + share * np.eye(K)[LABEL_B[other]]
            is_it = np.allclose(mixed.x_BTC[b], between_TC, atol=1e-4) and np.allclose(target_BK[b], label_K, atol=1e-4)
            found += [(other, share)] * is_it
        assert found
        partners += [other for other, share in found if share > 1e-3]
        mask_T = np.maximum(MASK_BT[b], max((MASK_BT[other] for other, s in found if s > 1e-3), key=sum, default=0))
        np.testing.assert_array_equal(mixed.mask_BT[b], mask_T)
    assert B - 1 not in partners[:-1]  # the last clip only fills up the batch
    np.testing.assert_array_equal(mixed.weight_B, WEIGHT_B)


def test_labels_are_smoothed_after_they_are_mixed():
    plain_BK, smoothed_BK = (split(replace(ALL, label_smoothing=share), 1)[1] for share in (0.0, 0.1))
    np.testing.assert_allclose(smoothed_BK, 0.9 * plain_BK + 0.1 / K, rtol=1e-6)


@pytest.mark.parametrize("shares", [2, 3])
def test_pairs_are_those_of_the_whole_batch_on_any_number_of_devices(shares):
    jax.tree.map(np.testing.assert_array_equal, split(ALL, shares), split(ALL, 1))


@pytest.mark.slow
def test_a_run_has_strengths_of_its_own():
    for strong in (
        ALL,
        ClassifierChanges(0.1, 1.0, 0.1, 3.0, freq_mask=2, time_mask=2, mixup=0.2, label_smoothing=0.0),
    ):
        own = {name: jnp.asarray(value, jnp.float32) for name, value in vars(strong).items()}
        for name in ("move", "mask"):
            given = (BATCH.x_BTC, BATCH.mask_BT) if name == "move" else (BATCH,)
            fixed, of_run = getattr(strong, name)(KEY_B, *given, None), getattr(ALL.switched, name)(KEY_B, *given, own)
            jax.tree.map(np.testing.assert_array_equal, of_run, fixed)
        mix = jax.vmap(lambda batch, changes=ALL.switched, own=own: changes.mix(KEY, batch, K, own), axis_name="data")
        found = jax.tree.map(lambda a: a[0], mix(jax.tree.map(lambda a: a[None], BATCH)))
        jax.tree.map(np.testing.assert_array_equal, found, split(strong, 1))
    assert ClassifierChanges().strengths is None


def test_a_strength_of_zero_changes_nothing():
    none = dict.fromkeys(OWN, jnp.zeros(()))
    moved_BTC, mask_BT = ALL.switched.move(KEY_B, BATCH.x_BTC, BATCH.mask_BT, none)
    np.testing.assert_array_equal(mask_BT, BATCH.mask_BT)
    np.testing.assert_array_equal(moved_BTC[MASK_BT > 0], BATCH.x_BTC[MASK_BT > 0])
    np.testing.assert_array_equal(ALL.switched.mask(KEY_B, BATCH, none).x_BTC, BATCH.x_BTC)
    mix = jax.vmap(lambda batch: ALL.switched.mix(KEY, batch, K, none), axis_name="data")
    mixed, target_BK = jax.tree.map(lambda a: a[0], mix(jax.tree.map(lambda a: a[None], BATCH)))
    jax.tree.map(np.testing.assert_array_equal, mixed, BATCH)
    np.testing.assert_array_equal(target_BK, np.eye(K)[LABEL_B])


def test_a_clip_is_changed_by_its_key_alone():
    order = np.array([3, 0, 4, 1, 5, 2])
    moved = jax.tree.map(lambda a: a[order], BATCH)
    here, there = (ALL.move(key, x.x_BTC, x.mask_BT, None)[0] for key, x in ((KEY_B, BATCH), (KEY_B[order], moved)))
    np.testing.assert_array_equal(there, here[order])
    here, there = (ALL.mask(key, x, None).x_BTC for key, x in ((KEY_B, BATCH), (KEY_B[order], moved)))
    np.testing.assert_array_equal(there, here[order])


def test_the_key_of_pairs_is_that_of_no_clip():
    of_clips = jax.vmap(lambda _: example_keys(KEY, 4096), axis_name="data")(jnp.zeros(1))[0]
    pairs = jax.random.key_data(jax.random.fold_in(KEY, 1 << 20))
    assert not (jax.random.key_data(of_clips) == pairs[None]).all(axis=1).any()
