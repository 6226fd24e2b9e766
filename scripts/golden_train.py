"""Write `tests/golden/train.json`: loss and norms of the first training step of a tiny VAE and autoencoder.

    python -m scripts.golden_train

They notice a change of anything in the way of a step: initialisation, keys, augmentation, loss, clipping, Adam. Run it
again only where such a change is meant, and look at the difference. Parameters come from NumPy, so that only the
step's own random numbers depend on the version of JAX.
"""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from serjax.train.objectives import AutoencoderObjective, VaeObjective
from serjax.train.optimizer import make_optimizer
from serjax.train.runs import stack_inputs
from serjax.train.state import gather, init_state
from serjax.train.step import make_train_step
from tests.reference.vae import random_params
from tests.train import tiny

GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "train.json"
OBJECTIVES: dict[str, VaeObjective | AutoencoderObjective] = {"vae": tiny.OBJECTIVE, "autoencoder": tiny.AUTOENCODER}
LEARNING_RATE = 0.01


def first_step(objective: VaeObjective | AutoencoderObjective) -> dict[str, float]:
    """Return what one step over six clips (the last is padding) reports and changes."""
    optimizer = make_optimizer(steps=10, warmup_steps=0, clip_norm=0.05)
    params = jax.tree.map(jnp.asarray, random_params(jax.eval_shape(objective.init, jax.random.key(0)), seed=0))
    hyper = tiny.make_hyper(learning_rate=LEARNING_RATE, beta=0.7, epochs=1)
    state = init_state(params, optimizer, jax.random.key(1), hyper)
    inputs = jax.tree.map(lambda a: jnp.asarray(a[0]), stack_inputs(tiny.make_runs(1)))
    batch = gather(tiny.DATASET, inputs, jnp.array([3, 1, 4, 15, 9, 0]), jnp.array([1.0, 1, 1, 1, 1, 0]))
    step = jax.vmap(make_train_step(objective, optimizer), in_axes=(None, 0), out_axes=None, axis_name="data")
    after, metrics = jax.jit(step)(state, jax.tree.map(lambda a: a[None], batch))
    change = jax.tree.map(lambda a, b: np.asarray(a) - np.asarray(b), after.params, params)
    norms = {"update_norm": optax.tree.norm(change), "parameter_norm": optax.tree.norm(after.params)}
    return {name: float(value) for name, value in sorted({**metrics, **norms}.items())}


if __name__ == "__main__":
    values = {name: first_step(objective) for name, objective in OBJECTIVES.items()}
    GOLDEN.write_text(json.dumps(values, indent=2) + "\n")
    print(f"wrote {GOLDEN.name}: {json.dumps(values)}")
