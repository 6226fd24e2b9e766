"""Signal processing in pure JAX, with librosa's argument names, defaults and array layout.

`y: (..., n)` becomes `(..., bins, frames)`; everything works under `jit`, `vmap` and `grad`, without x64.
Random changes for the train step are in `serjax.dsp.augment`. What differs from librosa:

- Leading axes are a batch of *independent* clips. `top_db`, and a callable `ref`, see one clip (the last two axes),
  never its neighbours. librosa does so from 1.0 on.
- Shapes are static. Sizes, hops and choices are numbers and names, of Python or NumPy, known when a function is traced
  (`functools.partial` or `static_argnames` under `jit`). `extract` can be exported for a batch of any size.
- A call with arrays is compiled once per shape and setting. A function given as `ref` or `window` is a setting: one
  made anew at every call is compiled anew. `spectral_contrast` with `freq` is not compiled by itself.
- The signal may be given by position (`mfcc(y, sr=...)`), and exactly one of `y` and `S` is accepted.
- No argument tunnels: `melspectrogram` and `mfcc` spell out all theirs. `dtype` and `out` are absent; a computation
  has the precision of its input, float32 at least.
- A clip shorter than `n_fft` is padded without a warning. Windows are arrays, functions of the length, names, and of
  names with a parameter `kaiser`, `gaussian` and `tukey`. `mel_filterbank` takes `norm="slaney"` or `None`.
- NaN in a signal gives NaN in all that it enters, where librosa raises. Decibels have a floor that follows the peak, so
  there the whole clip is NaN; so is whatever estimates the tuning.
- A callable `ref` is traced: `np.max` and `np.mean` work, `np.median` does not; give `jnp.median`.
- Whole numbers are refused as audio, where they are PCM that wants a scale, and taken everywhere else.
- `mel_to_power` is a product with the pseudo-inverse, cut off at zero, where librosa's `mel_to_stft` searches.
- `griffin_lim` is `librosa.griffinlim`. It takes a random key first, as `mel_to_audio` does. All clips of a batch begin
  with the same phases.
- `resample` has one filter and no `res_type`, so its samples, and those of `pitch_shift`, are alike, not equal.
- `preemphasis` gives no final state: it is `-coef * y[..., -1:]`.
- `chroma_filterbank` is `librosa.filters.chroma`; its `tuning`, and that of `chroma_stft`, may be traced and differ
  from clip to clip. The norms of chroma are `None`, a number above 0, and `inf`. `tonnetz` takes a chromagram.
- Spectra are not searched for negative values. `spectral_contrast` refuses bands without bins, where librosa gives
  NaN. `freq` may not be traced there, since it decides which bins make a band.
- Absent: `hpss` (medians of 31 bins, five times slower here than in scipy), `dtype` of `rms`, `ref` of `piptrack`,
  `ref_magnitude` of `zero_crossing_rate`, `win_length` of `yin` (without effect there). `estimate_tuning` and `yin` do
  not warn about clips without peaks and about long periods.
- `transform="matmul"` (`stft`, `spectrogram`, frontends) has no counterpart.
- `masked_mean` and its like, statistics over the valid frames of a clip, have no counterpart.
- Wrong arguments raise `ParameterError`, also some that librosa accepts: `n_mfcc` above the number of bands, `fmax`
  above `sr / 2`.
"""

from serjax.dsp.cepstral import dct, delta, mfcc
from serjax.dsp.chroma import chroma_filterbank, chroma_stft, tonnetz
from serjax.dsp.contrast import spectral_contrast
from serjax.dsp.descriptors import (
    spectral_bandwidth,
    spectral_centroid,
    spectral_flatness,
    spectral_rolloff,
)
from serjax.dsp.effects import phase_vocoder, pitch_shift, preemphasis, time_stretch
from serjax.dsp.framing import frame, get_window
from serjax.dsp.frontend import Frontend, extract, frame_mask
from serjax.dsp.functionals import (
    masked_max,
    masked_mean,
    masked_min,
    masked_percentile,
    masked_slope,
    masked_std,
)
from serjax.dsp.inverse import db_to_amplitude, istft, mel_to_power, mfcc_to_mel
from serjax.dsp.mel import hz_to_mel, mel_filterbank, mel_frequencies, mel_to_hz, melspectrogram
from serjax.dsp.parameters import ParameterError
from serjax.dsp.phase import griffin_lim, mel_to_audio
from serjax.dsp.pictures import Chroma, Descriptors, LogMel, Mfcc, RelativeLogMel
from serjax.dsp.pitch import yin, yin_voicing
from serjax.dsp.resampling import resample
from serjax.dsp.side_by_side import SideBySide
from serjax.dsp.spectral import amplitude_to_db, db_to_power, power_to_db, spectrogram, stft
from serjax.dsp.tuning import estimate_tuning, piptrack
from serjax.dsp.utterance import Functionals
from serjax.dsp.vectors import MelMeans, Stats26, Stats180
from serjax.dsp.voice import VoiceFrames, trim_mask
from serjax.dsp.waveform import rms, zero_crossing_rate

__all__ = [
    "Chroma",
    "Descriptors",
    "Frontend",
    "Functionals",
    "LogMel",
    "MelMeans",
    "Mfcc",
    "ParameterError",
    "RelativeLogMel",
    "SideBySide",
    "Stats26",
    "Stats180",
    "VoiceFrames",
    "amplitude_to_db",
    "chroma_filterbank",
    "chroma_stft",
    "db_to_amplitude",
    "db_to_power",
    "dct",
    "delta",
    "estimate_tuning",
    "extract",
    "frame",
    "frame_mask",
    "get_window",
    "griffin_lim",
    "hz_to_mel",
    "istft",
    "masked_max",
    "masked_mean",
    "masked_min",
    "masked_percentile",
    "masked_slope",
    "masked_std",
    "mel_filterbank",
    "mel_frequencies",
    "mel_to_audio",
    "mel_to_hz",
    "mel_to_power",
    "melspectrogram",
    "mfcc",
    "mfcc_to_mel",
    "phase_vocoder",
    "piptrack",
    "pitch_shift",
    "power_to_db",
    "preemphasis",
    "resample",
    "rms",
    "spectral_bandwidth",
    "spectral_centroid",
    "spectral_contrast",
    "spectral_flatness",
    "spectral_rolloff",
    "spectrogram",
    "stft",
    "time_stretch",
    "tonnetz",
    "trim_mask",
    "yin",
    "yin_voicing",
    "zero_crossing_rate",
]
