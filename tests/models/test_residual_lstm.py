"""The residual LSTM against a loop in float64."""

import jax
import jax.numpy as jnp
import numpy as np

from serjax.models import ResidualLSTM

B, T, C, H, K = 2, 7, 5, 6, 3


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def states(cell: dict, x_TD: np.ndarray) -> np.ndarray:
    """Return the states of an LSTM over frames, gates in the order i, f, g, o."""
    width = cell["recurrent"]["kernel"].shape[0]
    h_H, c_H, out = np.zeros(width), np.zeros(width), []
    for x_D in x_TD:
        gates = x_D @ cell["input"]["kernel"] + cell["input"]["bias"] + h_H @ cell["recurrent"]["kernel"]
        i, f, g, o = np.split(gates, 4)
        c_H = sigmoid(f) * c_H + sigmoid(i) * np.tanh(g)
        h_H = sigmoid(o) * np.tanh(c_H)
        out.append(h_H)
    return np.array(out)


def test_logits_are_those_of_the_definition_over_valid_frames() -> None:
    model, rng = ResidualLSTM(K, H, dropout=0.0), np.random.default_rng(0)
    x_BTC, mask_BT = rng.normal(size=(B, T, C)), np.ones((B, T), np.float32)
    mask_BT[1, 4:] = 0
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.asarray(x_BTC, jnp.float32), jnp.asarray(mask_BT))
    variables = jax.tree.map(lambda leaf: rng.uniform(0.2, 1.0, leaf.shape) - 0.3 * (leaf.ndim > 1), shapes)
    as_device = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), variables)
    found_BK = model.apply(as_device, jnp.asarray(x_BTC, jnp.float32), jnp.asarray(mask_BT))
    params, moved = variables["params"], variables["batch_stats"]

    def normalised(h: np.ndarray, name: str) -> np.ndarray:
        mean, var = moved[name]["mean"], moved[name]["var"]
        return (h - mean) / np.sqrt(var + 1e-5) * params[name]["scale"] + params[name]["bias"]

    for b in range(B):
        x_TC = x_BTC[b, : int(mask_BT[b].sum())]
        residual = normalised(x_TC + states(params["first"]["scan"]["cell"], x_TC), "residual_norm")
        h_TH = states(params["second"]["scan"]["cell"], residual)
        score_T = np.exp(h_TH @ params["score"]["kernel"][:, 0])
        h_H = normalised(score_T / score_T.sum() @ h_TH, "norm")
        dense = params["Head_0"]["logits"]
        np.testing.assert_allclose(found_BK[b], h_H @ dense["kernel"] + dense["bias"], rtol=2e-6)  # measured: 2e-7
