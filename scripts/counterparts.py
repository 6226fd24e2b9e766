"""The functions of `serjax.dsp` and their counterparts in librosa: what `bench_dsp` times and `dsp_page` compares.

Names and keywords are librosa's, so that one call does for both.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import jax
import librosa
import numpy as np

from serjax import dsp

SR = 22_050
Input = Literal["y", "D", "S", "power", "db", "mfcc", "chroma", ""]


@dataclass(frozen=True)
class Counterpart:
    """A function, its counterpart, and how both are called."""

    name: str
    path: str
    """Where librosa has it, behind `librosa.`."""
    takes: Input = "y"
    """The input, see `inputs`; none: the function makes a table."""
    keyword: str = "y"
    """The parameter that takes it."""
    options: Mapping[str, float | None] = field(default_factory=dict)
    differs: str = ""
    """What differs on purpose."""
    keyed: bool = False
    """Whether ours takes a random key first."""
    batches: bool = True
    """Whether librosa takes a batch."""
    frontend: dsp.Frontend | None = None
    """The frontend that computes the same."""

    @property
    def label(self) -> str:
        """The function's name, and what it is given where it could take a signal too."""
        return self.name if self.keyword != "S" or "to_db" in self.name else f"{self.name} of S"

    def ours(self) -> Callable[..., Any]:
        """Return our function of the input."""
        key = (jax.random.key(0),) if self.keyed else ()
        return self._of_input(partial(getattr(dsp, self.name), *key, **self.options))

    def theirs(self) -> Callable[..., Any]:
        """Return librosa's function of the input; its tables are of float32 unless they are asked for."""
        precision = {} if self.takes else {"dtype": np.float64}
        return self._of_input(partial(operator.attrgetter(self.path)(librosa), **self.options, **precision))

    def _of_input(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return (lambda values: function(**{self.keyword: values})) if self.takes else lambda _: function()


def inputs(y: np.ndarray) -> dict[Input, np.ndarray]:
    """Compute what functions are given: spectra (complex, magnitude, power), mel bands in dB, MFCCs, chroma."""
    D = librosa.stft(y)
    power = np.abs(D) ** 2
    db = librosa.power_to_db(librosa.feature.melspectrogram(S=power, sr=SR))
    chroma = librosa.feature.chroma_stft(S=power, sr=SR, tuning=0.0)
    mfcc = librosa.feature.mfcc(S=db)
    return {"y": y, "D": D, "S": np.abs(D), "power": power, "db": db, "mfcc": mfcc, "chroma": chroma, "": y}


FRAMES = 108  # of 2.5 s
COUNTERPARTS = (
    Counterpart("stft", "stft"),
    Counterpart("istft", "istft", "D", "stft_matrix", differs="no `dtype`, `out`"),
    Counterpart(
        "griffin_lim",
        "griffinlim",
        "S",
        "S",
        {"n_iter": 4, "init": None},
        differs="takes a random key first; compared from phase 0",
        keyed=True,
    ),
    Counterpart("power_to_db", "power_to_db", "power", "S", differs="`top_db` and a callable `ref` see one clip"),
    Counterpart("amplitude_to_db", "amplitude_to_db", "S", "S", differs="as `power_to_db`"),
    Counterpart("db_to_power", "db_to_power", "db", "S_db"),
    Counterpart("db_to_amplitude", "db_to_amplitude", "db", "S_db"),
    Counterpart(
        "mel_filterbank", "filters.mel", "", options={"sr": SR, "n_fft": 2048}, differs="`norm` is `slaney` or `None`"
    ),
    Counterpart("melspectrogram", "feature.melspectrogram", frontend=dsp.LogMel(frames=FRAMES)),
    Counterpart("melspectrogram", "feature.melspectrogram", "power", "S"),
    Counterpart("mfcc", "feature.mfcc", differs="`top_db` sees one clip", frontend=dsp.Mfcc(frames=FRAMES)),
    Counterpart("mfcc", "feature.mfcc", "db", "S"),
    Counterpart("delta", "feature.delta", "mfcc", "data"),
    Counterpart(
        "mfcc_to_mel",
        "feature.inverse.mfcc_to_mel",
        "mfcc",
        "mfcc",
        differs="a lifter that zeroes a coefficient is refused",
    ),
    Counterpart(
        "chroma_stft",
        "feature.chroma_stft",
        differs="one `tuning` per clip",
        batches=False,
        frontend=dsp.Chroma(frames=FRAMES),
    ),
    Counterpart(
        "chroma_filterbank",
        "filters.chroma",
        "",
        options={"sr": SR, "n_fft": 2048, "tuning": 0.2},
        differs="`tuning` may be traced",
    ),
    Counterpart("piptrack", "piptrack", "S", "S", differs="no `ref`; frequencies compared"),
    Counterpart("estimate_tuning", "estimate_tuning", batches=False),
    Counterpart("spectral_centroid", "feature.spectral_centroid"),
    Counterpart("spectral_bandwidth", "feature.spectral_bandwidth"),
    Counterpart("spectral_rolloff", "feature.spectral_rolloff"),
    Counterpart("spectral_contrast", "feature.spectral_contrast", differs="bands without bins are refused"),
    Counterpart("spectral_flatness", "feature.spectral_flatness"),
    Counterpart("zero_crossing_rate", "feature.zero_crossing_rate", differs="no `ref_magnitude`"),
    Counterpart("rms", "feature.rms"),
    Counterpart("yin", "yin", options={"fmin": 65, "fmax": 500}),
    Counterpart("tonnetz", "feature.tonnetz", "chroma", "chroma", differs="takes a chromagram only"),
    Counterpart("preemphasis", "effects.preemphasis", differs="no `return_zf`"),
    Counterpart("phase_vocoder", "phase_vocoder", "D", "D", {"rate": 1.25}, differs="librosa 1.0 has other phases"),
    Counterpart(
        "time_stretch",
        "effects.time_stretch",
        options={"rate": 1.25},
        differs="tones without a floor of noise come out with other phases",
    ),
    Counterpart(
        "pitch_shift",
        "effects.pitch_shift",
        options={"sr": SR, "n_steps": 2},
        differs="our own resampling: alike, not equal",
    ),
    Counterpart(
        "resample", "resample", options={"orig_sr": SR, "target_sr": 16_000}, differs="our own filter: alike, not equal"
    ),
)
