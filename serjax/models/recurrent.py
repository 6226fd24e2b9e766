"""Recurrent networks: plain, LSTM and GRU cells scanned over time, stacked, in one direction or both, masked.

In a masked frame the state stands still: the state at the end is that of the last valid frame.
"""

from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.ad_checkpoint import checkpoint_name, checkpoint_policies
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Key

from serjax.models.head import Head
from serjax.models.pooling import FramePooling, Pooling, has_sound
from serjax.models.regularisers import Dropout, Rate

CellKind = Literal["rnn", "lstm", "gru"]
StatePooling = Literal["last"] | Pooling  # which states of a clip its vector is made of
KEPT = "products"
State = tuple[Float[Array, "B H"], ...]  # what the next layer sees comes first; an LSTM has its memory behind it


class RNNCell(nn.Module):
    """`h' = tanh(W x + U h + b)` (Elman 1990)."""

    width: int

    @nn.compact
    def __call__(self, state: State, x_BD: Float[Array, "B D"]) -> State:
        (h_BH,) = state
        return (nn.tanh(_keep(_from_input(self.width, 1)(x_BD) + _from_state(self.width, 1)(h_BH))),)


class LSTMCell(nn.Module):
    """`c' = σ(f) c + σ(i) tanh(g)`, `h' = σ(o) tanh(c')`, `(i, f, g, o) = W x + U h + b` (Gers et al. 2000).

    The forget gate's bias starts at 1 (Jozefowicz et al. 2015): a state that is not yet used is kept.
    """

    width: int

    @nn.compact
    def __call__(self, state: State, x_BD: Float[Array, "B D"]) -> State:
        h_BH, c_BH = state
        gates = _keep(_from_input(self.width, 4, open_gate=1)(x_BD) + _from_state(self.width, 4)(h_BH))
        i, f, g, o = jnp.split(gates, 4, axis=-1)
        c_BH = nn.sigmoid(f) * c_BH + nn.sigmoid(i) * nn.tanh(g)
        return nn.sigmoid(o) * nn.tanh(c_BH), c_BH


class GRUCell(nn.Module):
    """`h' = (1 − z) n + z h`, `n = tanh(W_n x + b_n + r (U_n h + v_n))`, r and z sigmoids of W x + U h + b + v.

    The reset gate acts after the product, as in PyTorch and cuDNN (Cho et al. 2014 have it before).
    """

    width: int

    @nn.compact
    def __call__(self, state: State, x_BD: Float[Array, "B D"]) -> State:
        (h_BH,) = state
        x_BG, h_BG = _from_input(self.width, 3)(x_BD), _from_state(self.width, 3, use_bias=True)(h_BH)
        (rz_x, n_x), (rz_h, n_h) = (jnp.split(a, [2 * self.width], axis=-1) for a in (x_BG, h_BG))
        r, z = jnp.split(nn.sigmoid(_keep(rz_x + rz_h)), 2, axis=-1)
        return ((1 - z) * nn.tanh(_keep(n_x) + r * _keep(n_h)) + z * h_BH,)


class MaskedCell(nn.Module):
    """A cell whose state stands still where the mask is 0."""

    kind: CellKind
    width: int

    @nn.compact
    def __call__(
        self, state: State, frame: tuple[Float[Array, "B D"], Float[Array, " B"]]
    ) -> tuple[State, Float[Array, "B H"]]:
        x_BD, mask_B = frame
        cell: nn.Module
        match self.kind:
            case "rnn":
                cell = RNNCell(self.width, name="cell")
            case "lstm":
                cell = LSTMCell(self.width, name="cell")
            case "gru":
                cell = GRUCell(self.width, name="cell")
        moved = cell(state, x_BD)
        state = tuple(jnp.where(mask_B[:, None] > 0, new, old) for new, old in zip(moved, state, strict=True))
        return state, state[0]


class RecurrentLayer(nn.Module):
    """One cell over all frames by `nn.scan`: the states `[B, T, H]` and the last one `[B, H]`.

    `reverse`: from the last frame to the first. Of each frame the gradient finds the products again, and computes
    gates and states anew from them: to write and read all of these took longer than that.
    """

    kind: CellKind
    width: int
    reverse: bool = False

    @nn.compact
    def __call__(
        self, h_BTD: Float[Array, "B T D"], mask_BT: Float[Array, "B T"]
    ) -> tuple[Float[Array, "B T H"], Float[Array, "B H"]]:
        scan = nn.scan(
            nn.remat(MaskedCell, policy=checkpoint_policies.save_only_these_names(KEPT), prevent_cse=False),
            variable_broadcast="params",
            split_rngs={"params": False},
            in_axes=1,
            out_axes=1,
            reverse=self.reverse,
        )
        zero_BH = jnp.zeros((h_BTD.shape[0], self.width), h_BTD.dtype)
        state = (zero_BH, zero_BH) if self.kind == "lstm" else (zero_BH,)
        state, h_BTH = scan(self.kind, self.width, name="scan")(state, (h_BTD, mask_BT))
        return h_BTH, state[0]


class RecurrentStack(nn.Module):
    """Layers on top of each other, input side first; with `bidirectional` both directions' states side by side."""

    kind: CellKind
    hidden: Sequence[int]
    bidirectional: bool = False

    @nn.compact
    def __call__(
        self, h_BTD: Float[Array, "B T D"], mask_BT: Float[Array, "B T"]
    ) -> tuple[Float[Array, "B T H"], Float[Array, "B H"]]:
        directions = (False, True) if self.bidirectional else (False,)
        for width in self.hidden:
            layers = [RecurrentLayer(self.kind, width, reverse)(h_BTD, mask_BT) for reverse in directions]
            h_BTD, last_BH = (jnp.concatenate(parts, axis=-1) for parts in zip(*layers, strict=True))
        return h_BTD, last_BH


def pool_states(
    pooling: StatePooling, h_BTH: Float[Array, "B T H"], last_BH: Float[Array, "B H"], mask_BT: Float[Array, "B T"]
) -> Float[Array, "B D"]:
    """Return one vector per clip of its states; to be called within a module, which gets what the pooling learns."""
    return last_BH if pooling == "last" else FramePooling(pooling)(h_BTH, mask_BT)


class Recurrent(nn.Module):
    """A recurrent stack over the frames, its last state (or all of them, pooled), dropout, dense layers.

    `batch_norm`: before the ReLU of each dense layer.
    """

    n_classes: int
    kind: CellKind = "lstm"
    hidden: Sequence[int] = (64, 32)
    bidirectional: bool = False
    pooling: StatePooling = "last"
    dense: Sequence[int] = ()
    dropout: Rate = 0.2
    batch_norm: bool = False

    @nn.compact
    def __call__(
        self, x_BTC: Float[Array, "B T C"], mask_BT: Float[Array, "B T"], train: bool = False
    ) -> Float[Array, "B K"]:
        h_BTH, last_BH = RecurrentStack(self.kind, self.hidden, self.bidirectional)(x_BTC, mask_BT)
        h_BH = Dropout(self.dropout)(pool_states(self.pooling, h_BTH, last_BH, mask_BT), train)
        head = Head(self.n_classes, self.dense, self.dropout, batch_norm=self.batch_norm)
        return head(h_BH, has_sound(mask_BT), train)


def _keep(product: Float[Array, "B G"]) -> Float[Array, "B G"]:
    """Mark what the gradient is to find again."""
    kept: Float[Array, "B G"] = checkpoint_name(product, KEPT)
    return kept


def _from_input(width: int, n_gates: int, open_gate: int | None = None) -> nn.Dense:
    """Return `W x + b` of all gates in one product; the bias of `open_gate` starts at 1, the others at 0."""

    def bias(key: Key[Array, ""], shape: tuple[int, ...], dtype: DTypeLike) -> Float[Array, " G"]:
        return (jnp.arange(n_gates) == (-1 if open_gate is None else open_gate)).astype(dtype).repeat(width)

    return nn.Dense(n_gates * width, bias_init=bias, name="input")


def _from_state(width: int, n_gates: int, *, use_bias: bool = False) -> nn.Dense:
    """Return `U h` of all gates in one product, each gate's square block orthogonal at first (Saxe et al. 2014)."""

    def blocks(key: Key[Array, ""], shape: tuple[int, ...], dtype: DTypeLike) -> Float[Array, "H G"]:
        draw = nn.initializers.orthogonal()
        return jnp.concatenate([draw(k, (width, width), dtype) for k in jax.random.split(key, n_gates)], axis=-1)

    return nn.Dense(n_gates * width, use_bias=use_bias, kernel_init=blocks, name="recurrent")
