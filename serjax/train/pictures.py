"""Random changes of pictures inside the train step: voices stretched, bands and frames masked, clips mixed.

`move` works on pictures in the units of the front end, before they are normalised, `mask` and `mix` on normalised ones.
What is drawn for a clip depends on the run, the step and the clip's place in the whole batch, never on devices.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from serjax.dsp.augment.mixing import mixing_shares
from serjax.dsp.augment.pictures import in_bands, interpolate_rows
from serjax.models.batch_axis import DATA_AXIS, fold_each
from serjax.train.state import Batch

MOVE, MASK = 4, 5  # purposes of a clip's key, beside those of the objectives and of waveforms
MIX = 1 << 20  # purpose of the step's key, above all places in a batch, by which the keys of clips are made
Strengths = Mapping[str, Float[Array, ""]]
Mixed = tuple[Batch, Float[Array, "B K"]]
Changes = TypeVar("Changes", bound="PictureChanges")


@dataclass(frozen=True)
class PictureChanges:
    """How training pictures are changed at random; what is 0 is off. An autoencoder has to restore what is hidden."""

    mel_warp: float = 0.0
    """Pictures in training: mel bands stretched by up to this share, as by another vocal tract, e.g. 0.1."""
    mel_shift: float = 0.0
    """Pictures in training: moved up or down by up to so many mel bands, as by another voice, e.g. 2."""
    time_rate: float = 0.0
    """Pictures in training: spoken faster or slower by up to this share, e.g. 0.1."""
    gain_db: float = 0.0
    """Pictures in training: louder or softer by up to so many dB; of mel pictures."""
    freq_mask: int = 0
    """SpecAugment in training: a band of up to so many bands or coefficients becomes their mean, e.g. 12."""
    time_mask: int = 0
    """SpecAugment in training: up to so many frames in a row become the mean, e.g. 25."""

    @property
    def switched(self: Changes) -> Changes:
        """What is on where a strength is not 0, for runs that have their own: so they share a program.

        >>> PictureChanges(mel_warp=0.1).switched == PictureChanges(mel_warp=0.2).switched
        True
        """
        return type(self)(**{name: type(value)(value != 0) for name, value in vars(self).items()})

    @property
    def strengths(self) -> dict[str, float] | None:
        """The strengths as numbers of a run; None where nothing is on."""
        return {name: float(value) for name, value in vars(self).items()} if any(vars(self).values()) else None

    @property
    def moves(self) -> bool:
        """Whether pictures are changed before they are normalised."""
        return any((self.mel_warp, self.mel_shift, self.time_rate, self.gain_db))

    def move(
        self, key_B: Key[Array, " B"], x_BTC: Float[Array, "B T C"], mask_BT: Float[Array, "B T"], own: Strengths | None
    ) -> tuple[Float[Array, "B T C"], Float[Array, "B T"]]:
        """Return pictures of another voice, speed and loudness, and which of their frames are valid.

        Valid frames stand at the beginning. `x'[t, m] = x[t · r, (m − s) / w] + g`, linear between places, with
        `r`, `w` drawn evenly from 1 ± the share, `s` and `g` from ± bands and dB. What lies outside repeats the edge.
        """
        if not self.moves:
            return x_BTC, mask_BT
        drawn_B4 = jax.vmap(lambda key: jax.random.uniform(key, (4,), minval=-1.0, maxval=1.0))(fold_each(key_B, MOVE))
        given = self._given(own)
        most_4 = jnp.stack([given[name] for name in ("mel_warp", "mel_shift", "time_rate", "gain_db")])
        return jax.vmap(self._move)(drawn_B4 * most_4[None], x_BTC, mask_BT)

    def _move(
        self, by_4: Float[Array, " 4"], x_TC: Float[Array, "T C"], mask_T: Float[Array, " T"]
    ) -> tuple[Float[Array, "T C"], Float[Array, " T"]]:
        warp, shift, rate, gain_db = by_4
        if self.time_rate:
            frame_T, last = jnp.arange(len(x_TC)) * (1.0 + rate), jnp.sum(mask_T) - 1
            x_TC = interpolate_rows(x_TC, jnp.minimum(frame_T, last))
            mask_T = (frame_T <= last).astype(mask_T.dtype)
        if self.mel_warp or self.mel_shift:
            x_TC = interpolate_rows(x_TC.T, (jnp.arange(x_TC.shape[1]) - shift) / (1.0 + warp)).T
        return x_TC + gain_db, mask_T

    def mask(self, key_B: Key[Array, " B"], batch: Batch, own: Strengths | None) -> Batch:
        """Set one band of coefficients and one of frames to 0, which is their mean in training; widths are drawn."""
        if not (self.freq_mask or self.time_mask):
            return batch
        given = self._given(own)

        def one(key: Key[Array, ""], x_TC: Float[Array, "T C"], mask_T: Float[Array, " T"]) -> Float[Array, "T C"]:
            freq_key, time_key = jax.random.split(key)
            n_frames, n_coefficients = x_TC.shape
            n_valid = jnp.sum(mask_T).astype(jnp.int32)
            hidden_C = in_bands(freq_key, n_coefficients, n_coefficients, 1, given["freq_mask"].astype(jnp.int32))
            hidden_T = in_bands(time_key, n_frames, n_valid, 1, given["time_mask"].astype(jnp.int32))
            return jnp.where(hidden_T[:, None] | hidden_C[None], 0.0, x_TC)

        return replace(batch, x_BTC=jax.vmap(one)(fold_each(key_B, MASK), batch.x_BTC, batch.mask_BT))

    def _given(self, own: Strengths | None) -> Strengths:
        """Return the run's strengths, or these."""
        return own or {field.name: jnp.asarray(getattr(self, field.name), jnp.float32) for field in fields(self)}


@dataclass(frozen=True)
class ClassifierChanges(PictureChanges):
    """How training pictures of a classifier, and their labels, are changed at random; what is 0 is off."""

    mixup: float = 0.0
    """Training clips are mixed in pairs, labels too, with shares drawn from Beta(a, a): a, e.g. 0.3."""
    label_smoothing: float = 0.0
    """Share of each training label that is spread evenly over all classes, e.g. 0.1."""

    @property
    def softens(self) -> bool:
        """Whether labels become shares of several classes."""
        return any((self.mixup, self.label_smoothing))

    def mix(self, key: Key[Array, ""], batch: Batch, n_classes: int, own: Strengths | None) -> Mixed:
        """Return clips mixed in pairs of the whole batch, and the target of each as shares of classes.

        `x = l x_i + (1 − l) x_j`, `l ~ Beta(a, a)`; a frame is valid that is so in either. A clip keeps its own weight,
        and whole what would be mixed with padding. Smoothing comes last: `(1 − ε) y + ε / K`.
        """
        given, target_BK = self._given(own), jax.nn.one_hot(batch.label_B, n_classes)
        if self.mixup:
            x_BTC, mask_BT, target_BK = _mix_pairs(jax.random.fold_in(key, MIX), batch, target_BK, given["mixup"])
            batch = replace(batch, x_BTC=x_BTC, mask_BT=(mask_BT > 0).astype(mask_BT.dtype))
        smoothing = given["label_smoothing"]
        return batch, (1 - smoothing) * target_BK + smoothing / n_classes


def _mix_pairs(
    key: Key[Array, ""], batch: Batch, target_BK: Float[Array, "B K"], alpha: Float[Array, ""]
) -> tuple[Float[Array, "B T C"], Float[Array, "B T"], Float[Array, "B K"]]:
    """Mix pictures, masks and targets of a batch that the `"data"` axis splits, in pairs of all of it."""
    mine = (batch.x_BTC, batch.mask_BT, target_BK)
    n_local, n_shares = len(target_BK), jax.lax.axis_size(DATA_AXIS)
    everyone, weight_B, first = mine, batch.weight_B, jnp.array(0)
    if n_shares > 1:
        everyone, weight_B = jax.lax.all_gather((mine, weight_B), DATA_AXIS, tiled=True)
        first = jax.lax.axis_index(DATA_AXIS) * n_local
    share_B, order_B = mixing_shares(key, n_local * n_shares, alpha)
    share_B = jnp.where(weight_B[order_B] > 0, share_B, 1.0)
    share_b, order_b = (jax.lax.dynamic_slice_in_dim(values_B, first, n_local) for values_B in (share_B, order_B))

    def mix(own: Float[Array, "b *s"], all_B: Float[Array, "B *s"]) -> Float[Array, "b *s"]:
        share = share_b.reshape(-1, *(1,) * (own.ndim - 1))
        return share * own + (1.0 - share) * all_B[order_b]

    x_BTC, mask_BT, target_BK = (mix(own, all_B) for own, all_B in zip(mine, everyone, strict=True))
    return x_BTC, mask_BT, target_BK
