"""Augmentation inside the train step: waveforms are changed at random, their features computed anew and changed too.

All of it on the device, clip by clip from keys of their own: a clip's change depends on the run, the step and the
clip's place in the whole batch, never on its neighbours or on devices.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, UInt32

from serjax.dsp import Frontend, extract, frame_mask, pitch_shift, time_stretch
from serjax.dsp.augment.waveforms import noise_by_peak
from serjax.dsp.framing import fit_length
from serjax.models.batch_axis import example_keys, fold_each
from serjax.train.pictures import PictureChanges
from serjax.train.state import Batch, Dataset, Hyper, RunInputs, normalise

WAVEFORM = 3  # the purpose of a clip's key, beside those of the objectives
SAMPLE_RATE_HZ = 22_050  # asked for by `pitch_shift`, on which nothing of it depends
BLOCK = 2  # clips whose features are computed at a time on CPU: one group of `dsp.extract`
Clip = tuple[Float[Array, " L"], Int[Array, ""]]
Change = Callable[[UInt32[Array, " W"], Float[Array, " L"], Int[Array, ""]], Clip]


@dataclass(frozen=True)
class WaveformAugmentation:
    """Random changes of a clip's waveform, several in a row; the first `n_valid` samples are the clip, others stay 0.

    Each pick is one of the changes whose strength is not 0, or none, all equally likely; the defaults are the noise
    and the pitch of many notebooks. Of noise and shift, where they are on, a run may have a strength of its own.
    """

    picks: int = 0
    """Waveform augmentation: changes in a row, each picked anew from none and those below that are not 0; 0: off."""
    noise_share: float = 0.035
    """Waveform augmentation: noise with a deviation of up to this share of the clip's peak."""
    pitch_semitones: float = 0.7
    """Waveform augmentation: pitch shifted by so many semitones, -24 to 24."""
    stretch_rate: float = 0.0
    """Waveform augmentation: speed of a change of tempo at the same pitch, 0.25 to 4, e.g. 0.85: slower."""
    shift_samples: int = 0
    """Waveform augmentation: shift in time by up to so many samples; what leaves at one end comes in at the other."""

    @property
    def switched(self) -> "WaveformAugmentation":
        """What is on where a strength is not 0, for runs that have their own: so they share a program.

        >>> WaveformAugmentation(noise_share=0.1).switched == WaveformAugmentation(noise_share=0.2).switched
        True
        """
        return replace(self, noise_share=float(self.noise_share > 0), shift_samples=int(self.shift_samples > 0))

    def __call__(
        self, key: Key[Array, ""], wav_L: Float[Array, " L"], n_valid: Int[Array, ""], own: Hyper | None = None
    ) -> Clip:
        """Return the changed clip, as long as before unless it was stretched, and how many samples of it are valid.

        `own` has the run's strengths.

        A branch and not a choice among all results (`dsp.augment.one_of`): clip by clip only what was picked is
        computed; under `vmap` it becomes that choice. Pitch and tempo change by what the program knows, which takes
        half the time of `dsp.augment`, where they are drawn.
        """
        changes = self.changes(own)
        for key_of_pick in jax.random.split(key, self.picks):
            pick_key, change_key = jax.random.split(key_of_pick)
            pick = jax.random.randint(pick_key, (), 0, len(changes))
            # As words: under `vmap` all branches get the key, which the search for keys that are used twice minds.
            words_W = jax.random.key_data(change_key)
            wav_L, n_valid = jax.lax.switch(pick, changes, words_W, wav_L, n_valid)
        return wav_L, n_valid

    def changes(self, own: Hyper | None = None) -> tuple[Change, ...]:
        """Return what a pick is made from, none and every change that has a strength: functions of (words, clip)."""
        noise_share = self.noise_share if own is None or own.noise_share is None else own.noise_share
        shift_samples = self.shift_samples if own is None or own.shift_samples is None else own.shift_samples
        there = (
            (self.noise_share, functools.partial(_add_noise, noise_share)),
            (self.pitch_semitones, self._shift_pitch),
            (self.stretch_rate, self._stretch),
            (self.shift_samples, functools.partial(_shift, shift_samples)),
        )
        return (_leave, *(change for strength, change in there if strength))

    def _shift_pitch(self, words_W: UInt32[Array, " W"], wav_L: Float[Array, " L"], n_valid: Int[Array, ""]) -> Clip:
        shifted_L = pitch_shift(wav_L, sr=SAMPLE_RATE_HZ, n_steps=self.pitch_semitones)
        return _cut(shifted_L, n_valid), n_valid

    def _stretch(self, words_W: UInt32[Array, " W"], wav_L: Float[Array, " L"], n_valid: Int[Array, ""]) -> Clip:
        stretched_L = fit_length(time_stretch(wav_L, rate=self.stretch_rate), wav_L.shape[0])
        n_stretched = jnp.round(n_valid / self.stretch_rate).astype(n_valid.dtype)
        n_valid = jnp.minimum(n_stretched, wav_L.shape[0])
        return _cut(stretched_L, n_valid), n_valid


@dataclass(frozen=True)
class AugmentedFeatures:
    """Features of changed waveforms, computed inside the train step, and pictures that are then moved.

    Without waveform changes the features are those of the data set. `one_by_one`: waveforms are changed one after
    another (on CPU: only what was picked is computed), else all at once.
    """

    augmentation: WaveformAugmentation
    frontend: Frontend
    one_by_one: bool = True
    pictures: PictureChanges = field(default_factory=PictureChanges)

    @classmethod
    def of(
        cls, pictures: PictureChanges, frontend: Frontend, waveforms: WaveformAugmentation | None = None
    ) -> "AugmentedFeatures":
        """Return what changes clips by strengths that are numbers of the runs: those that differ share a program."""
        return cls((waveforms or WaveformAugmentation()).switched, frontend, pictures=pictures.switched)

    @property
    def sounding(self) -> bool:
        """Whether waveforms are needed."""
        return self.augmentation.picks > 0

    def gather(
        self,
        key: Key[Array, ""],
        hyper: Hyper,
        dataset: Dataset,
        inputs: RunInputs,
        rows_B: Int[Array, " B"],
        weight_B: Float[Array, " B"],
    ) -> Batch:
        """Take rows of the data set as `state.gather` does, changed at random.

        `key` is that of the step, `hyper` may have strengths of the run's own; inside the `"data"` axis that splits the
        batch.
        """
        key_B = example_keys(key, rows_B.shape[0])
        if self.sounding:
            assert dataset.sound is not None
            sound = dataset.sound.wav_NL[rows_B], dataset.sound.n_valid_N[rows_B]
            x_BTC, mask_BT = self.features(fold_each(key_B, WAVEFORM), *sound, hyper)
        else:
            x_BTC, mask_BT = dataset.x_NTC[rows_B], dataset.mask_NT[rows_B]
        x_BTC, mask_BT = self.pictures.move(key_B, x_BTC, mask_BT, hyper.pictures)
        return normalise(x_BTC, mask_BT, dataset.label_N[rows_B], inputs, weight_B)

    def features(
        self,
        key_B: Key[Array, " B"],
        wav_BL: Float[Array, "B L"],
        n_valid_B: Int[Array, " B"],
        own: Hyper | None = None,
    ) -> tuple[Float[Array, "B T C"], Float[Array, "B T"]]:
        """Return the features of changed clips, each changed by its own key, and the mask of their frames."""

        def change(clip: tuple[Key[Array, ""], Float[Array, " L"], Int[Array, ""]]) -> Clip:
            return self.augmentation(*clip, own)

        each = jax.lax.map if self.one_by_one else _map_at_once
        wav_BL, n_valid_B = each(change, (key_B, wav_BL, n_valid_B))
        x_BTC = extract(self.frontend, wav_BL, n_valid=n_valid_B, block=BLOCK if self.one_by_one else None)
        return x_BTC, frame_mask(self.frontend, n_valid_B).astype(x_BTC.dtype)


def _map_at_once(function: Callable, xs: tuple[Array, ...]) -> tuple[Array, ...]:
    return jax.vmap(function)(xs)


def _leave(words_W: UInt32[Array, " W"], wav_L: Float[Array, " L"], n_valid: Int[Array, ""]) -> Clip:
    return wav_L, n_valid


def _add_noise(
    most: float | Float[Array, ""], words_W: UInt32[Array, " W"], wav_L: Float[Array, " L"], n_valid: Int[Array, ""]
) -> Clip:
    """Add noise of up to `most` of the peak."""
    return _cut(noise_by_peak(jax.random.wrap_key_data(words_W), wav_L, (0.0, most)), n_valid), n_valid


def _shift(
    most: int | Int[Array, ""], words_W: UInt32[Array, " W"], wav_L: Float[Array, " L"], n_valid: Int[Array, ""]
) -> Clip:
    """Roll the valid samples by up to `most`, so that no padding gets between them."""
    shift = jax.random.randint(jax.random.wrap_key_data(words_W), (), -most, most + 1)
    place_L = jnp.arange(wav_L.shape[0], dtype=n_valid.dtype)
    return _cut(wav_L[(place_L - shift) % jnp.maximum(n_valid, 1)], n_valid), n_valid


def _cut(wav_L: Float[Array, " L"], n_valid: Int[Array, ""]) -> Float[Array, " L"]:
    """Silence what a change has put behind the clip."""
    return jnp.where(jnp.arange(wav_L.shape[0]) < n_valid, wav_L, 0.0)
