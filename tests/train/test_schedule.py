"""What a schedule says reaches the optimiser, and what runs say of their rows reaches the index stream."""

import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serjax.train.loop import compile_training, index_blocks
from serjax.train.parallel import Layout
from tests.train import tiny

LAYOUT = Layout((jax.devices()[0],))
SCHEDULE = replace(tiny.SCHEDULE, batch_size=10)
CLASS_n = np.array([0, 1, 1, 1, 1, 1])
PLAIN = [replace(run, train=np.array([0, 1, 4, 7, 10, 13]) + r) for r, run in enumerate(tiny.make_runs(2))]
BALANCED = [replace(run, train_class_n=CLASS_n) for run in PLAIN]


def second_update(schedule):
    """Return the update after two equal gradients of 1."""
    optimizer, _ = compile_training(tiny.OBJECTIVE, replace(schedule, warmup_steps=0, clip_norm=9.0), LAYOUT)
    params, hyper = jnp.zeros(()), replace(tiny.make_hyper(learning_rate=1.0), decay_epochs=jnp.array(tiny.EPOCHS))
    state = optimizer.init(params)
    for _ in range(2):
        update, state = optimizer.update(jnp.ones(()), state, params, hyper=hyper, gradient_norm=jnp.ones(()))
    return float(update)


def test_the_schedule_names_the_optimiser_and_its_momentum():
    slower = (1 + math.cos(math.pi / (tiny.EPOCHS * tiny.SCHEDULE.steps))) / 2  # the curve, a step on
    assert second_update(tiny.SCHEDULE) == pytest.approx(-slower, rel=1e-4)  # Adam: of length 1; measured 1e-5
    sgd = replace(tiny.SCHEDULE, optimizer="sgd")
    assert second_update(sgd) == pytest.approx(-slower * 1.9, rel=1e-5)
    assert second_update(replace(sgd, momentum=0.5)) == pytest.approx(-slower * 1.5, rel=1e-5)


def test_runs_that_say_the_class_of_their_rows_read_classes_equally_often():
    rows_RESB, plain_RESB = (tiny.make_rows(runs, SCHEDULE, 2) for runs in (BALANCED, PLAIN))
    assert rows_RESB.shape == plain_RESB.shape  # an epoch has as many steps
    for run, rows_ESB, plain_ESB in zip(BALANCED, rows_RESB, plain_RESB, strict=True):
        assert set(rows_ESB.ravel().tolist()) == set(run.train.tolist())
        assert np.mean(rows_ESB == run.train[0]) == 1 / 2
        assert np.mean(plain_ESB == run.train[0]) == 1 / 6
    assert index_blocks(BALANCED, SCHEDULE).fingerprint() != index_blocks(PLAIN, SCHEDULE).fingerprint()


def test_a_stack_is_balanced_as_a_whole_or_not_at_all():
    with pytest.raises(AssertionError, match="some runs of a stack"):
        index_blocks([BALANCED[0], PLAIN[1]], SCHEDULE)
