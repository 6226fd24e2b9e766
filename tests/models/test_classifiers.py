"""What every supervised model must do, one line per model in `CASES`; each compiles its programs once."""

import functools
import itertools
from dataclasses import dataclass

import chex
import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from serjax.models import (
    CNN,
    CNN1D,
    CNNLSTM,
    MLP,
    VGG,
    Classifier,
    LogisticRegression,
    MobileNet,
    Recurrent,
    ResidualLSTM,
    TimeDistributed,
    VectorRecurrent,
)
from serjax.models.classifiers import dropout_of, with_dropout
from serjax.models.regularisers import DATA_AXIS
from serjax.models.vgg import VGG_19
from serjax.models.weights import named_leaves
from serjax.train import step

B, T, C, K = 8, 13, 5, 3
TRUTH_B = jnp.arange(B) % K
MOBILE = {"size": 12, "width": 1 / 8, "blocks": ((64, 2),)}


@dataclass(frozen=True)
class Case:
    """A model at a small size; `extends`: more padding is the same clip to it; `drops`: it has dropout."""

    model: Classifier
    frames: int = T
    extends: bool = True
    drops: bool = True
    learning_rate: float = 0.01


CASES = {
    "logistic": Case(LogisticRegression(K), extends=False, learning_rate=0.05, drops=False),
    "logistic statistics": Case(LogisticRegression(K, "statistics"), learning_rate=0.2, drops=False),
    "mlp vector": Case(MLP(K, (16, 8)), frames=1, extends=False),
    "mlp norm": Case(MLP(K, (16,), input_dropout=0.1, batch_norm=True, pooling="mean"), learning_rate=0.03),
    "cnn": Case(CNN(K, (4,), (8,))),
    "cnn attention": Case(CNN(K, (4,), (), pooling="attention", formulation="xla")),
    "cnn bfloat16": Case(CNN(K, (4, 4), (), formulation="bfloat16")),
    "cnn deltas": Case(CNN(K, (4,), (), pooling="attentive-statistics", deltas=True)),
    "cnn1d": Case(CNN1D(K, (4, 4), (8,)), frames=1, extends=False),
    "rnn": Case(Recurrent(K, "rnn", (8, 6))),
    "lstm": Case(Recurrent(K, "lstm", (8,)), learning_rate=0.03),
    "gru both ways": Case(
        Recurrent(K, "gru", (8,), bidirectional=True, pooling="statistics", dense=(8,)), learning_rate=0.03
    ),
    "rnn vector": Case(VectorRecurrent(K, "rnn", (8,)), frames=1, extends=False, learning_rate=0.03),
    "time distributed": Case(TimeDistributed(K, filters=(4,), hidden=(8,), dense=(8,))),
    "cnn lstm": Case(CNNLSTM(K, channels=(6,), hidden=(8,), dense=(8,))),
    "cnn lstm both ways": Case(CNNLSTM(K, "lstm", (4,), True, "attention", (8,), channels=(6,))),
    "lstm both ways": Case(TimeDistributed(K, "lstm", (4,), True, "statistics", (8,), filters=())),
    "residual lstm": Case(ResidualLSTM(K, 8), learning_rate=0.03),
    "vgg": Case(VGG(K, (1, 2), 12, 1 / 16, (8,)), extends=False),
    "mobilenet": Case(MobileNet(K, **MOBILE), extends=False),
}
HEAVY = {
    "cnn1d",
    "gru both ways",
    "time distributed",
    "cnn lstm",
    "cnn lstm both ways",
    "lstm both ways",
    "residual lstm",
    "vgg",
    "mobilenet",
    "rnn",
    "rnn vector",
}  # seconds to compile
every_model = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.nightly) if name in HEAVY else name for name in CASES]
)


@functools.cache
def clips(frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Return smooth pictures and masks; the last clip has no frame, as a row that only fills up the batch."""
    rng = np.random.default_rng(frames)
    t, phase = np.arange(frames)[None, :, None], rng.uniform(0, 6, (B, 1, C))
    x_BTC = np.sin((0.3 + 0.2 * np.asarray(TRUTH_B)[:, None, None]) * t + phase) + 0.1 * rng.normal(size=(B, frames, C))
    mask_BT = np.arange(frames) < rng.integers(max(1, frames // 2), frames + 1, B)[:, None]
    mask_BT[-1] = False
    return np.where(mask_BT[..., None], x_BTC, 0).astype(np.float32), mask_BT.astype(np.float32)


def on_data_axis(function):
    return jax.vmap(function, in_axes=None, out_axes=None, axis_name=DATA_AXIS, axis_size=1)


@functools.cache
def variables(name: str, seed: int = 0) -> dict[str, chex.ArrayTree]:
    """Return variables near what `init` gives, from NumPy: compiling `init` takes longer than all else here."""
    shapes = jax.eval_shape(CASES[name].model.init, jax.random.key(0), *clips(CASES[name].frames))
    rng = np.random.default_rng(seed)
    draws = {
        "kernel": lambda shape: rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[:-1])),
        "scale": lambda shape: rng.uniform(0.8, 1.2, shape),
        "var": lambda shape: rng.uniform(0.8, 1.2, shape),
        "bias": lambda shape: rng.normal(size=shape) * 0.1,
        "mean": lambda shape: rng.normal(size=shape) * 0.1,
    }
    leaves = [draws[path.split("/")[-1]](leaf.shape) for path, leaf in named_leaves(shapes)]
    return jax.tree.unflatten(jax.tree.structure(shapes), [jnp.asarray(leaf, jnp.float32) for leaf in leaves])


def outputs(name: str):
    """Return `(variables, x, mask, key) → (logits, logits in training, batch statistics after it)`."""

    def apply(v, x_BTC, mask_BT, key):
        model = CASES[name].model
        trained = model.apply(v, x_BTC, mask_BT, True, rngs={"dropout": key}, mutable=["batch_stats"])
        return model.apply(v, x_BTC, mask_BT), *trained

    return on_data_axis(apply)


@functools.cache
def compiled(name: str):
    return jax.jit(outputs(name))


def evaluate(name: str, x_BTC: np.ndarray, mask_BT: np.ndarray, seed: int = 0) -> np.ndarray:
    return np.asarray(compiled(name)(variables(name, seed), x_BTC, mask_BT, jax.random.key(0))[0])


@functools.cache
def overfit(name: str):
    """Return the losses of 60 steps of Adam on the clips, and the gradient before the first."""
    case, v = CASES[name], variables(name)
    x_BTC, mask_BT = (jnp.asarray(a) for a in clips(case.frames))
    weight_B = mask_BT.max(axis=1)
    flat_P, unravel = jax.flatten_util.ravel_pytree(v["params"])  # one vector is quicker to compile than a tree
    optimizer = optax.adam(case.learning_rate)

    def loss(flat_P, state):
        rngs = {"dropout": jax.random.key(1)}  # always the same: what is trained is one thinned network
        params = {"params": unravel(flat_P), **state}
        logits_BK, state = case.model.apply(params, x_BTC, mask_BT, True, rngs=rngs, mutable=["batch_stats"])
        loss_B = optax.softmax_cross_entropy_with_integer_labels(logits_BK, TRUTH_B)
        return jnp.sum(weight_B * loss_B) / jnp.sum(weight_B), state

    @jax.jit
    @on_data_axis
    def one_step(flat_P, opt_state, state):
        (value, state), gradient_P = jax.value_and_grad(loss, has_aux=True)(flat_P, state)
        updates_P, opt_state = optimizer.update(gradient_P, opt_state)
        return (flat_P + updates_P, opt_state, state), value, gradient_P

    carry = (flat_P, optimizer.init(flat_P), {k: a for k, a in v.items() if k != "params"})
    losses = []
    for i in range(60):
        carry, value, gradient_P = one_step(*carry)
        losses.append(float(value))
        first_P = gradient_P if i == 0 else first_P
    return losses, {path: np.abs(g).max() for path, g in named_leaves(unravel(first_P))}


@every_model
def test_logits_are_finite_and_one_a_class(name):
    logits_BK = evaluate(name, *clips(CASES[name].frames))
    assert logits_BK.shape == (B, K)
    assert np.isfinite(logits_BK).all(), "the last clip is masked throughout"
    assert np.ptp(logits_BK, axis=0).min() > 1e-3


@every_model
def test_stacked_runs_equal_one(name):
    """The stacked runs see longer padding where that is the same clip to the model; in training they draw alike."""
    x_BTC, mask_BT = (jnp.asarray(a) for a in clips(CASES[name].frames))
    n_more = 3 if CASES[name].extends else 0
    longer_BTC = jnp.pad(x_BTC, ((0, 0), (0, n_more), (0, 0)), constant_values=9.0)
    longer_BT = jnp.pad(mask_BT, ((0, 0), (0, n_more)))
    runs, key = [variables(name), variables(name, seed=1)], jax.random.key(0)
    stack = jax.jit(jax.vmap(outputs(name), in_axes=(0, None, None, None)))
    stacked = stack(jax.tree.map(lambda *a: np.stack(a), *runs), longer_BTC, longer_BT, key)
    for r, v in enumerate(runs):
        one = jax.tree.map(lambda a, r=r: a[r], stacked)
        chex.assert_trees_all_close(compiled(name)(v, x_BTC, mask_BT, key), one, atol=3e-5)
    assert np.abs(stacked[0][0] - stacked[0][1]).max() > 1e-2


@pytest.mark.parametrize("name", ["logistic statistics", "mlp norm", "cnn attention", "gru both ways"])
def test_eager_equals_compiled(name):
    """These have every kind of layer between them; op by op, a deep model takes seconds to compile."""
    x_BTC, mask_BT = (jnp.asarray(a) for a in clips(CASES[name].frames))
    logits_BK = CASES[name].model.apply(variables(name), x_BTC, mask_BT)
    np.testing.assert_allclose(logits_BK, evaluate(name, x_BTC, mask_BT), atol=2e-5)


@every_model
def test_what_masked_frames_hold_changes_nothing(name):
    """Neither the logits, nor in training what batch norm remembers; a row that is all padding is masked too."""
    x_BTC, mask_BT = clips(CASES[name].frames)
    spoilt_BTC = np.where(mask_BT[..., None] > 0, x_BTC, np.nan).astype(np.float32)
    function, v, key = compiled(name), variables(name), jax.random.key(2)
    chex.assert_trees_all_equal(function(v, spoilt_BTC, mask_BT, key), function(v, x_BTC, mask_BT, key))


@every_model
def test_training_differs_by_dropout_and_batch_statistics(name):
    v, inputs, drops = variables(name), clips(CASES[name].frames), CASES[name].drops
    evaluated_BK, logits_BK, moved = compiled(name)(v, *inputs, jax.random.key(3))
    still_BK, other_BK, _ = compiled(name)(v, *inputs, jax.random.key(4))
    np.testing.assert_array_equal(evaluated_BK, still_BK)
    assert (np.abs(logits_BK - other_BK).max() > 1e-3) == drops
    assert set(moved) == set(v) - {"params"}
    for (path, new), (_, old) in zip(named_leaves(moved), named_leaves({**v, "params": {}}), strict=True):
        assert np.isfinite(new).all()
        assert (np.asarray(new) != np.asarray(old)).any(), f"{path} stood still"
    assert (np.abs(logits_BK - evaluated_BK).max() > 1e-3) == (drops or "batch_stats" in v)


@every_model
def test_every_parameter_has_a_gradient(name):
    _, gradient = overfit(name)
    for path, largest in gradient.items():
        assert np.isfinite(largest), path
        assert largest > 1e-7, f"{path} learns nothing"


@every_model
def test_eight_clips_are_learnt_by_heart(name):
    losses, _ = overfit(name)
    assert losses[1] < losses[0]
    assert losses[-1] < 0.25 * losses[0], f"{losses[0]:.3f} → {losses[-1]:.3f}"


def n_parameters(model: Classifier, frames: int, n_coefficients: int) -> int:
    x_BTC, mask_BT = jnp.zeros((1, frames, n_coefficients)), jnp.ones((1, frames))
    shapes = jax.eval_shape(model.init, jax.random.key(0), x_BTC, mask_BT)
    return sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))


def dense(*widths: int) -> int:
    return sum((a + 1) * b for a, b in itertools.pairwise(widths))


def lstm(d: int, h: int) -> int:
    return 4 * h * (d + h + 1)


TD_CONVOLUTIONS = 3 * (1 * 32 + 32 * 32 + 32 * 64 + 64 * 64 + 64 * 128 + 128 * 128) + 2 * (
    32 + 32 + 64 + 64 + 128 + 128
)
S4_HEAD = 256 * 128 + 2 * 256 + 2 * 128 + 128 * 16 + 16


@pytest.mark.parametrize(
    ("model", "picture", "expected"),
    [
        (LogisticRegression(8), (1, 26), dense(26, 8)),
        (MLP(16, (1283,)), (1, 180), dense(180, 1283, 16)),
        (CNN(8), (108, 20), 9 * (32 + 32 * 64 + 64 * 128) + 2 * (32 + 64 + 128) + dense(2 * 3 * 128, 128, 8)),
        (Recurrent(8), (108, 20), lstm(20, 64) + lstm(64, 32) + dense(32, 8)),
        (Recurrent(8, "gru", (64,)), (108, 20), 3 * 64 * (20 + 64 + 2) + dense(64, 8)),
        (Recurrent(8, "rnn", (64,), True), (108, 20), 2 * dense(20 + 64, 64) + dense(128, 8)),
        (ResidualLSTM(8), (124, 46), lstm(46, 46) + 2 * 46 + lstm(46, 64) + 64 + 2 * 64 + dense(64, 8)),
        (TimeDistributed(8), (108, 20), TD_CONVOLUTIONS + lstm(2560, 64) + lstm(64, 32) + 32 * 64 + 128 + dense(64, 8)),
        # published without dense layers for three channels: 14 714 688, 20 024 384, 3 206 976 (Keras Applications)
        (VGG(16), (128, 130), 14_714_688 - 2 * 9 * 64 + 7 * 7 * 512 * 256 + S4_HEAD),
        (VGG(16, VGG_19), (128, 130), 20_024_384 - 2 * 9 * 64 + 7 * 7 * 512 * 256 + S4_HEAD),
        (MobileNet(16), (128, 130), 3_206_976 - 2 * 9 * 32 + dense(1024, 16)),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, Classifier) else str(v),
)
def test_number_of_parameters(model, picture, expected):
    assert n_parameters(model, *picture) == expected


def test_eight_convolutions_and_three_dense_layers():
    shapes = jax.eval_shape(CNN1D(16).init, jax.random.key(0), jnp.zeros((1, 1, 66)), jnp.ones((1, 1)))["params"]
    assert sum(name.startswith("Conv_") for name in shapes) == 8
    assert sorted(shapes["Head_0"]) == ["BatchNorm_0", "BatchNorm_1", "Dense_0", "Dense_1", "logits"]


@pytest.mark.parametrize("name", CASES)
def test_the_rate_of_dropout_may_be_traced(name):
    """Traced alone: nothing is compiled. The model that is given a rate has it, and is otherwise what it was."""
    case = CASES[name]
    x_BTC, mask_BT = jnp.zeros((B, case.frames, C)), jnp.ones((B, case.frames))

    def logits(rate):
        model = with_dropout(case.model, rate)
        init = functools.partial(case.model.init, jax.random.key(0), x_BTC, mask_BT)
        variables = jax.tree.map(lambda a: jnp.zeros(a.shape), jax.eval_shape(init))
        rngs = {"dropout": jax.random.key(1)}
        return model.apply(variables, x_BTC, mask_BT, True, rngs=rngs, mutable=["batch_stats"])[0]

    alone = jax.vmap(logits, in_axes=None, out_axes=None, axis_name=DATA_AXIS, axis_size=1)
    assert jax.eval_shape(alone, jnp.float32(0.1)).shape == (B, K)
    assert dropout_of(with_dropout(case.model, 0.45)) == (None if dropout_of(case.model) is None else 0.45)
    assert with_dropout(with_dropout(case.model, 0.45), dropout_of(case.model) or 0.0) == case.model


def test_the_data_axis_is_that_of_the_train_step():
    assert DATA_AXIS == step.DATA_AXIS
