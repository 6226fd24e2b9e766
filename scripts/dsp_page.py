"""Write `docs/dsp.md`: each function of `serjax.dsp`, its counterpart in librosa, and how far the two are apart.

    python -m scripts.dsp_page

Twelve clips of the synthetic corpus, four seconds each, go through both: ours in float32, librosa in float64 on the
same samples. The error is the largest difference divided by the largest magnitude, the worst of the clips.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import jax
import librosa
import numpy as np

from serjax import dsp
from serjax.data import Window
from serjax.data.corpora.synthetic import synthetic_corpus

PAGE = Path(__file__).parents[1] / "docs" / "dsp.md"
SR = 22_050
Signal = np.ndarray
one = librosa.feature


@dataclass(frozen=True)
class Entry:
    """A function, its counterpart, both as calls on one clip, and what differs on purpose."""

    name: str
    counterpart: str
    ours: Callable[[Signal], jax.Array]
    theirs: Callable[[Signal], np.ndarray | float]
    differs: str = ""


def spectrum(y: Signal) -> np.ndarray:
    """Return the spectrum that both sides are given, in the precision of the signal."""
    return librosa.stft(y.astype(np.float64)).astype(np.complex64 if y.dtype == np.float32 else np.complex128)


def chromagram(y: Signal) -> np.ndarray:
    """Return the chromagram that both sides are given."""
    return np.asarray(one.chroma_stft(y=y.astype(np.float64)))


ENTRIES = (
    Entry("stft", "librosa.stft", dsp.stft, librosa.stft),
    Entry(
        "istft",
        "librosa.istft",
        lambda y: dsp.istft(spectrum(y)),
        lambda y: librosa.istft(spectrum(y)),
        "no `dtype`, `out`",
    ),
    Entry(
        "power_to_db",
        "librosa.power_to_db",
        lambda y: dsp.power_to_db(np.abs(spectrum(y)) ** 2),
        lambda y: librosa.power_to_db(np.abs(spectrum(y)) ** 2),
        "`top_db` and a callable `ref` see one clip",
    ),
    Entry(
        "amplitude_to_db",
        "librosa.amplitude_to_db",
        lambda y: dsp.amplitude_to_db(np.abs(spectrum(y))),
        lambda y: librosa.amplitude_to_db(np.abs(spectrum(y))),
        "as `power_to_db`",
    ),
    Entry(
        "db_to_power",
        "librosa.db_to_power",
        lambda y: dsp.db_to_power(one.mfcc(y=y)[1:]),
        lambda y: librosa.db_to_power(one.mfcc(y=y)[1:]),
    ),
    Entry(
        "db_to_amplitude",
        "librosa.db_to_amplitude",
        lambda y: dsp.db_to_amplitude(one.mfcc(y=y)[1:]),
        lambda y: librosa.db_to_amplitude(one.mfcc(y=y)[1:]),
    ),
    Entry(
        "mel_filterbank",
        "librosa.filters.mel",
        lambda y: dsp.mel_filterbank(sr=SR, n_fft=2048),
        lambda y: librosa.filters.mel(sr=SR, n_fft=2048, dtype=np.float64),
        "`norm` is `slaney` or `None`",
    ),
    Entry("melspectrogram", "librosa.feature.melspectrogram", dsp.melspectrogram, lambda y: one.melspectrogram(y=y)),
    Entry("mfcc", "librosa.feature.mfcc", dsp.mfcc, lambda y: one.mfcc(y=y), "`top_db` sees one clip"),
    Entry(
        "delta",
        "librosa.feature.delta",
        lambda y: dsp.delta(one.mfcc(y=y)),
        lambda y: one.delta(one.mfcc(y=y)),
    ),
    Entry(
        "mfcc_to_mel",
        "librosa.feature.inverse.mfcc_to_mel",
        lambda y: dsp.mfcc_to_mel(one.mfcc(y=y)),
        lambda y: librosa.feature.inverse.mfcc_to_mel(one.mfcc(y=y)),
        "a lifter that zeroes a coefficient is refused",
    ),
    Entry(
        "chroma_stft", "librosa.feature.chroma_stft", dsp.chroma_stft, lambda y: one.chroma_stft(y=y), "`tuning` a clip"
    ),
    Entry(
        "chroma_filterbank",
        "librosa.filters.chroma",
        lambda y: dsp.chroma_filterbank(sr=SR, n_fft=2048, tuning=0.2),
        lambda y: librosa.filters.chroma(sr=SR, n_fft=2048, tuning=0.2, dtype=np.float64),
        "`tuning` may be traced",
    ),
    Entry(
        "piptrack",
        "librosa.piptrack",
        lambda y: dsp.piptrack(S=np.abs(spectrum(y)))[0],
        lambda y: librosa.piptrack(S=np.abs(spectrum(y)).astype(np.float64))[0],
        "no `ref`; frequencies compared",
    ),
    Entry("estimate_tuning", "librosa.estimate_tuning", dsp.estimate_tuning, lambda y: librosa.estimate_tuning(y=y)),
    Entry(
        "spectral_centroid",
        "librosa.feature.spectral_centroid",
        dsp.spectral_centroid,
        lambda y: one.spectral_centroid(y=y),
    ),
    Entry(
        "spectral_bandwidth",
        "librosa.feature.spectral_bandwidth",
        dsp.spectral_bandwidth,
        lambda y: one.spectral_bandwidth(y=y),
    ),
    Entry(
        "spectral_rolloff",
        "librosa.feature.spectral_rolloff",
        dsp.spectral_rolloff,
        lambda y: one.spectral_rolloff(y=y),
    ),
    Entry(
        "spectral_contrast",
        "librosa.feature.spectral_contrast",
        dsp.spectral_contrast,
        lambda y: one.spectral_contrast(y=y),
        "bands without bins are refused",
    ),
    Entry(
        "spectral_flatness",
        "librosa.feature.spectral_flatness",
        dsp.spectral_flatness,
        lambda y: one.spectral_flatness(y=y),
    ),
    Entry(
        "zero_crossing_rate",
        "librosa.feature.zero_crossing_rate",
        dsp.zero_crossing_rate,
        lambda y: one.zero_crossing_rate(y),
        "no `ref_magnitude`",
    ),
    Entry("rms", "librosa.feature.rms", dsp.rms, lambda y: one.rms(y=y)),
    Entry("yin", "librosa.yin", lambda y: dsp.yin(y, fmin=65, fmax=500), lambda y: librosa.yin(y, fmin=65, fmax=500)),
    Entry(
        "tonnetz",
        "librosa.feature.tonnetz",
        lambda y: dsp.tonnetz(chromagram(y).astype(np.float32)),
        lambda y: one.tonnetz(chroma=chromagram(y)),
        "takes a chromagram only",
    ),
    Entry("preemphasis", "librosa.effects.preemphasis", dsp.preemphasis, librosa.effects.preemphasis, "no `return_zf`"),
    Entry(
        "phase_vocoder",
        "librosa.phase_vocoder",
        lambda y: dsp.phase_vocoder(spectrum(y), rate=1.25),
        lambda y: librosa.phase_vocoder(spectrum(y).astype(np.complex128), rate=1.25),
        "librosa 1.0 has other phases",
    ),
    Entry(
        "time_stretch",
        "librosa.effects.time_stretch",
        lambda y: dsp.time_stretch(y, rate=1.25),
        lambda y: librosa.effects.time_stretch(y, rate=1.25),
        "tones without a floor of noise come out with other phases",
    ),
    Entry(
        "pitch_shift",
        "librosa.effects.pitch_shift",
        lambda y: dsp.pitch_shift(y, sr=SR, n_steps=2),
        lambda y: librosa.effects.pitch_shift(y, sr=SR, n_steps=2),
        "our own resampling: alike, not equal",
    ),
    Entry(
        "resample",
        "librosa.resample",
        lambda y: dsp.resample(y, orig_sr=SR, target_sr=16_000),
        lambda y: librosa.resample(y, orig_sr=SR, target_sr=16_000),
        "our own filter: alike, not equal",
    ),
)


def worst_error(entry: Entry, clips_BN: np.ndarray) -> float:
    """Return the largest error relative to the largest magnitude over the clips."""
    errors = []
    for clip in clips_BN:
        expected = np.asarray(entry.theirs(clip.astype(np.float64)))
        actual = np.asarray(entry.ours(clip)).reshape(expected.shape)
        errors.append(np.abs(actual - expected).max() / np.abs(expected).max())
    return float(max(errors))


def main() -> None:
    """Measure and write the page."""
    corpus = synthetic_corpus(96)
    window = Window(sample_rate_hz=SR, n_samples=4 * SR)
    clips_BN = corpus.source.read([u.path for u in corpus.utterances[::8]], window).values_BN
    lines = [
        "# `serjax.dsp` and librosa",
        "",
        "Names, defaults and layout are librosa's; leading axes are a batch of independent clips. What differs "
        "everywhere stands in the docstring of `serjax.dsp`. Largest error: ours in float32 against librosa "
        f"{metadata.version('librosa')} in float64, relative to the largest magnitude, worst of {len(clips_BN)} clips "
        "of the synthetic corpus. Written by `python -m scripts.dsp_page`.",
        "",
        "| function | librosa | largest error | differs on purpose |",
        "| --- | --- | ---: | --- |",
    ]
    for entry in ENTRIES:
        error = worst_error(entry, clips_BN)
        lines.append(f"| `{entry.name}` | `{entry.counterpart}` | {error:.1e} | {entry.differs} |")
        print(lines[-1])
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
