"""Random changes of one example, made inside the train step: `from serjax.dsp import augment`.

Every change takes a key first and one example, a waveform `(N,)` or a picture `(bins, T)`, and gives an example of the
same shape and precision. `partial` settles what it may do, `compose` puts several in a row, `vmap` takes a batch with
one key per clip:

    change = compose(maybe(0.5, partial(add_noise, snr_db=(5, 30))), partial(roll, most=0.1))
    clips_BN = jax.vmap(change)(jax.random.split(key, len(clips_BN)), clips_BN)

A range `(low, high)` is drawn from uniformly; one number stands for itself. Nothing is stored anywhere: an equal key
and example give an equal result, whatever else is in the batch.
"""

from serjax.dsp.augment.mixing import compose, maybe, mixup, one_of
from serjax.dsp.augment.pictures import frequency_shift, mel_warp, spec_augment
from serjax.dsp.augment.waveforms import add_noise, gain, pitch_shift, roll, time_stretch

__all__ = [
    "add_noise",
    "compose",
    "frequency_shift",
    "gain",
    "maybe",
    "mel_warp",
    "mixup",
    "one_of",
    "pitch_shift",
    "roll",
    "spec_augment",
    "time_stretch",
]
