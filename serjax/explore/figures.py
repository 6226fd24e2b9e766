"""The figures of an exploration, drawn from its arrays into a folder, with heading and caption for the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from serjax import dsp
from serjax.data.corpora import Corpus
from serjax.explore.clips import BANDWIDTH_P, FEATURES, QUIET_DB, UNITS, ClipView, Outliers, correlate
from serjax.figures import canvas as plots
from serjax.figures import corpus as plots_explore
from serjax.figures import signal as plots_signal
from serjax.figures.signal import Colours, Rows

DPI = 120
RANGE_DB = 100.0
LOWEST_HZ = 60.0  # of the logarithmic axis: below it speech has nothing
TICKS_HZ = {100.0: "100", 200.0: "200", 500.0: "500", 1e3: "1k", 2e3: "2k", 5e3: "5k", 1e4: "10k", 2e4: "20k"}
PITCH_CLASSES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")
SHARE_SHOWN = 0.97  # of the MFCC inside the colour scale: the first coefficients would wash out the others
MOST_LEVELS = 40  # of a factor that is drawn: a text of its own for each clip tells nothing
LEVELS = "Decibels below the loudest value of all clips shown."
MEANS = "Means over the frames of each clip."
TEXTS = {  # heading and caption of each figure
    "labels": ("Labels", "Clips of each label."),
    "speakers": ("Speakers", "Clips of each speaker."),
    "durations": ("Durations", "All clips; boxes: quartiles of each label, whiskers to 1.5 interquartile ranges."),
    "factors": ("Labels by other factors", "Clips of each combination."),
    "waveforms": ("Waveforms", "Example clips, label and speaker above each; all on one scale."),
    "spectrogram_linear": ("Spectrogram, linear frequency", LEVELS),
    "spectrogram_log": ("Spectrogram, logarithmic frequency", LEVELS),
    "mel": ("Mel spectrogram", LEVELS),
    "chroma": (
        "Chroma",
        "Energy of the pitch classes, each frame divided by its strongest; tuned to each clip. Grey: frames more than "
        f"{QUIET_DB:g} dB below the clip's strongest.",
    ),
    "mfcc": ("MFCC", "Without coefficient 0, the level, whose size would hide the others."),
    "curves": (
        "Descriptors of each frame",
        "Over the waveform (grey, scaled to each panel). Digital silence has a centroid, roll-off and bandwidth of 0. "
        f"F0 is drawn in frames at most {QUIET_DB:g} dB below the clip's strongest; YIN gives one to unvoiced frames, "
        "too: these are the jumps.",
    ),
    "histograms": ("Histograms of the 26 features", f"{MEANS} Lines: where outliers are clipped."),
    "boxes": ("Box plots of the 26 features", f"{MEANS} After clipping; whiskers to 1.5 interquartile ranges."),
    "correlation": ("Correlation of the 26 features", f"{MEANS} Pearson's r over clips, after clipping."),
}
Table = tuple[tuple[str, ...], Int[np.ndarray, "_ _"]]  # the levels of a factor, and counts of each row and level
Tables = Mapping[str, Table]  # by factor


@dataclass(frozen=True)
class Picture:
    """A figure as it stands on the page."""

    heading: str
    caption: str
    path: Path


def draw_corpus(
    corpus: Corpus, duration_s_N: Float[np.ndarray, " N"], tables: Tables, by_speaker: Table, folder: Path
) -> list[Picture]:
    """Draw counts and durations; `tables` are of labels by factor, `by_speaker` of speakers by gender."""
    n_clips_L = np.bincount(corpus.label_ids, minlength=len(corpus.labels))
    factor = "gender" if "gender" in tables else ""
    levels, count_LV = tables[factor] if factor else (("clips",), n_clips_L[:, None])
    speakers = sorted({utterance.speaker for utterance in corpus.utterances})
    titles, (genders, count_SV) = _titles(corpus.name), by_speaker
    drawn = {
        "labels": plots_explore.label_counts(count_LV, corpus.labels, levels, factor, titles["labels"]),
        "speakers": plots_explore.speaker_counts(count_SV, speakers, genders, factor, titles["speakers"]),
        "durations": plots_explore.durations(duration_s_N, corpus.label_ids, corpus.labels, titles["durations"]),
    }
    others = {name: table for name, table in tables.items() if name != "gender" and 1 < len(table[0]) <= MOST_LEVELS}
    if others:
        drawn["factors"] = plots_explore.count_matrices(others, corpus.labels, titles["factors"])
    return [_saved(figure, folder, name) for name, figure in drawn.items()]


def draw_clips(views: Sequence[ClipView], front: dsp.Stats26, corpus: str, folder: Path) -> list[Picture]:
    """Draw the example clips: waveforms, spectrograms, mel, chroma, MFCC, curves."""
    captions = [f"{view.utterance.emotion} · {view.utterance.speaker}" for view in views]
    waves, titles, rate_hz = [view.wave_N for view in views], _titles(corpus), front.sample_rate_hz
    frame_s = front.hop_length / rate_hz
    drawn = {"waveforms": plots_signal.waveforms(waves, captions, rate_hz, titles["waveforms"])}
    for name, (pictures, rows, colours) in (_spectra(views, front) | _cepstra_and_chroma(views)).items():
        drawn[name] = plots_signal.clip_pictures(pictures, captions, rows, colours, frame_s, titles[name])
    drawn["curves"] = plots_signal.curves(waves, _curves(views), captions, rate_hz, frame_s, titles["curves"])
    return [_saved(figure, folder, name) for name, figure in drawn.items()]


def draw_features(
    corpus: Corpus, values_ND: Float[np.ndarray, "N D"], outliers: Outliers, folder: Path
) -> list[Picture]:
    """Draw histograms, box plots and correlations of the 26 features."""
    names = [name.removeprefix("spectral_") + (f" / {UNITS[name]}" if name in UNITS else "") for name in FEATURES]
    n_clipped = int(outliers.n_below_D.sum() + outliers.n_above_D.sum())
    titles, clipped_ND = _titles(corpus.name), outliers.clipped_ND
    boxes = f"{titles['boxes']} · {n_clipped} values clipped"
    drawn = {
        "histograms": plots_explore.feature_histograms(values_ND, names, outliers.limits_D2, titles["histograms"]),
        "boxes": plots_explore.feature_boxes(clipped_ND, names, corpus.label_ids, corpus.labels, boxes),
        "correlation": plots_explore.correlation(correlate(clipped_ND), FEATURES, titles["correlation"]),
    }
    return [_saved(figure, folder, name) for name, figure in drawn.items()]


PictureRows = dict[str, tuple[list[Float[np.ndarray, "_ _"]], Rows, Colours]]


def _spectra(views: Sequence[ClipView], front: dsp.Stats26) -> PictureRows:
    """Return spectrograms on a linear and on a logarithmic axis, and mel bands, in dB below the loudest."""
    spectra = _below_loudest([view.spectrogram_db_FT for view in views])
    mels = _below_loudest([view.mel_db_MT for view in views])
    n_bins, n_mels, top_hz = len(spectra[0]), len(mels[0]), front.sample_rate_hz / 2
    edges_hz = np.clip((np.arange(n_bins + 1) - 0.5) * front.sample_rate_hz / front.n_fft, 0.0, top_hz)
    low = int((edges_hz[1:] <= LOWEST_HZ).sum())  # bins below the logarithmic axis
    log_edges_hz = np.append(LOWEST_HZ, edges_hz[low + 1 :])
    ticks = {hz: text for hz, text in TICKS_HZ.items() if hz <= top_hz}
    band_hz = np.asarray(dsp.mel_frequencies(n_mels + 2, fmax=top_hz))[1:-1]
    mel_rows = Rows(np.arange(n_mels + 1) - 0.5, "frequency / Hz, mel scale", "linear", _rows_at(band_hz, ticks))
    colours = Colours("level / dB below the loudest", "magma", -RANGE_DB, 0.0, "min")
    return {
        "spectrogram_linear": (spectra, Rows(edges_hz / 1000, "frequency / kHz"), colours),
        "spectrogram_log": (
            [picture_FT[low:] for picture_FT in spectra],
            Rows(log_edges_hz, "frequency / Hz, logarithmic", "log", ticks),
            colours,
        ),
        "mel": (mels, mel_rows, colours),
    }


def _cepstra_and_chroma(views: Sequence[ClipView]) -> PictureRows:
    """Return chroma, and MFCC without the level."""
    classes = {float(n): PITCH_CLASSES[n] for n in range(0, 12, 2)}
    cepstra = [view.mfcc_CT[1:] for view in views]
    limit = float(np.quantile(np.abs(np.concatenate([values_CT.ravel() for values_CT in cepstra])), SHARE_SHOWN))
    rows = np.arange(1, len(cepstra[0]) + 2) - 0.5
    return {
        "chroma": (
            [view.chroma_PT for view in views],
            Rows(np.arange(13) - 0.5, "pitch class", "linear", classes),
            Colours("share of the strongest", "magma", 0.0, 1.0),
        ),
        "mfcc": (
            cepstra,
            Rows(rows, "coefficient", "linear", {float(n): str(n) for n in (1, 5, 10, 15)}),
            Colours("MFCC", "RdBu_r", -(limit or 1.0), limit or 1.0, "both"),
        ),
    }


def _curves(views: Sequence[ClipView]) -> dict[str, list[dict[str, Float[np.ndarray, " T"]]]]:
    """Return the curves of each clip, by the name of their column and then their own."""
    return {
        "centroid, roll-off / kHz": [
            {"centroid": v.centroid_hz_T / 1000, "roll-off 85 %": v.rolloff_hz_T / 1000} for v in views
        ],
        "bandwidth / kHz": [{f"p = {p}": v.bandwidth_hz[p] / 1000 for p in BANDWIDTH_P} for v in views],
        "zero crossings per sample": [{"ZCR": v.crossings_T} for v in views],
        "RMS / dB of full scale": [{"RMS": np.maximum(v.rms_db_T, -RANGE_DB)} for v in views],
        "F0 by YIN / Hz": [{"F0": v.f0_hz_T} for v in views],
    }


def _rows_at(band_hz: Float[np.ndarray, " M"], ticks: Mapping[float, str]) -> dict[float, str]:
    """Return ticks for rows that lie at rising frequencies: the (fractional) row of each frequency in range."""
    inside = {hz: text for hz, text in ticks.items() if band_hz[0] <= hz <= band_hz[-1] and hz > 100}
    return {float(np.interp(hz, band_hz, np.arange(len(band_hz)))): text for hz, text in inside.items()}


def _below_loudest(pictures: Sequence[Float[np.ndarray, "F _"]]) -> list[Float[np.ndarray, "F _"]]:
    loudest_db = max(float(picture_FT.max()) for picture_FT in pictures)
    return [picture_FT - loudest_db for picture_FT in pictures]


def _titles(corpus: str) -> dict[str, str]:
    """Return the title of each figure."""
    headings = {name: heading for name, (heading, _) in TEXTS.items()}
    return {n: f"{corpus} · {text if text.isupper() else text[0].lower() + text[1:]}" for n, text in headings.items()}


def _saved(figure: Figure, folder: Path, name: str) -> Picture:
    path = folder / f"{name}.png"
    plots.save(figure, path, DPI)
    return Picture(*TEXTS[name], path)
