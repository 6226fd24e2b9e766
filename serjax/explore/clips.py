"""What an exploration of a corpus is made of: features of all clips, outliers, example clips."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from serjax import dsp
from serjax.data.corpora import Corpus
from serjax.data.corpora.corpus import Utterance, Window
from serjax.data.features import load_features

FEATURES = (
    *("chroma", "rms", "spectral_centroid", "spectral_bandwidth", "spectral_rolloff", "zero_crossing_rate"),
    *(f"mfcc_{n}" for n in range(20)),
)
UNITS = {"spectral_centroid": "Hz", "spectral_bandwidth": "Hz", "spectral_rolloff": "Hz"}
ROLLOFF = FEATURES.index("spectral_rolloff")
CLIPS_A_PART = 512  # features are kept part by part: an interrupted exploration goes on behind the last whole one
BANDWIDTH_P = (2, 3, 4)
F0_RANGE_HZ = (60.0, 600.0)
QUIET_DB = 35.0  # a frame so much weaker than the clip's strongest: silence has neither pitch nor pitch classes


@dataclass(frozen=True, eq=False)
class Outliers:
    """Where features are clipped, and how many clips lie below and above."""

    limits_D2: Float[np.ndarray, "D 2"]
    n_below_D: Int[np.ndarray, " D"]
    n_above_D: Int[np.ndarray, " D"]
    clipped_ND: Float[np.ndarray, "N D"]


@dataclass(frozen=True, eq=False)
class ClipView:
    """One clip as pictures and curves; every array ends with the clip. F0 and chroma are NaN in quiet frames."""

    utterance: Utterance
    wave_N: Float[np.ndarray, " N"]
    spectrogram_db_FT: Float[np.ndarray, "F T"]
    mel_db_MT: Float[np.ndarray, "M T"]
    chroma_PT: Float[np.ndarray, "P T"]
    mfcc_CT: Float[np.ndarray, "C T"]
    centroid_hz_T: Float[np.ndarray, " T"]
    rolloff_hz_T: Float[np.ndarray, " T"]
    bandwidth_hz: dict[int, Float[np.ndarray, " T"]]
    crossings_T: Float[np.ndarray, " T"]
    rms_db_T: Float[np.ndarray, " T"]
    f0_hz_T: Float[np.ndarray, " T"]


def load_values(
    corpus: Corpus, frontend: dsp.Stats26, cache: Path | None, report: Callable[[int, int], None]
) -> Float[np.ndarray, "N D"]:
    """Compute or fetch the 26 features of all clips; `report(done, total)` is called as clips are done.

    Raises:
      AudioError: a clip cannot be read.
    """
    clips, rows = corpus.utterances, []
    for start in range(0, len(clips), CLIPS_A_PART):
        part = _part(corpus, clips[start : start + CLIPS_A_PART])
        count = partial(_count_on, report, start, len(clips))
        rows.append(load_features(part, frontend, cache=cache, progress=count).values_NTD[:, 0])
        report(start + len(part.utterances), len(clips))
    return np.concatenate(rows).astype(np.float64)


def clip_outliers(values_ND: Float[np.ndarray, "N D"], fences: float, rolloff_at_least_hz: float | None) -> Outliers:
    """Clip features at Q₁ − k (Q₃ − Q₁) and Q₃ + k (Q₃ − Q₁) of all clips; roll-offs may be raised to a frequency.

    Source: Tukey, "Exploratory Data Analysis", 1977: k = 1.5 "outside", k = 3 "far out".

    Args:
      values_ND: the 26 features, in the order of `FEATURES`.
      fences: k, above 0.
      rolloff_at_least_hz: lower limit of the roll-off in Hz, in place of its fence; None: the fence.
    """
    low_D, high_D = np.quantile(values_ND, [0.25, 0.75], axis=0)
    limits_D2 = np.stack([low_D - fences * (high_D - low_D), high_D + fences * (high_D - low_D)], axis=1)
    if rolloff_at_least_hz is not None:
        limits_D2[ROLLOFF] = rolloff_at_least_hz, max(limits_D2[ROLLOFF, 1], rolloff_at_least_hz)
    below_ND, above_ND = values_ND < limits_D2[:, 0], values_ND > limits_D2[:, 1]
    clipped_ND = np.clip(values_ND, limits_D2[:, 0], limits_D2[:, 1])
    return Outliers(limits_D2, below_ND.sum(axis=0), above_ND.sum(axis=0), clipped_ND)


def correlate(values_ND: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "D D"]:
    """Return Pearson's correlation of the features; NaN where one is constant, or there is one clip only."""
    centred_ND = values_ND - values_ND.mean(axis=0)
    norm_D = np.linalg.norm(centred_ND, axis=0)
    constant_D = norm_D <= 1e-6 * np.maximum(np.abs(values_ND).max(axis=0), 1e-30) * np.sqrt(len(values_ND))
    unit_ND = centred_ND / np.where(constant_D, np.nan, norm_D)
    return np.clip(unit_ND.T @ unit_ND, -1.0, 1.0)


def pick_examples(corpus: Corpus, n_clips: int) -> tuple[Utterance, ...]:
    """Return example clips, one of each label in turn: by one speaker as far as possible, so that labels compare.

    Speakers with clips of more labels come first; of a speaker and label the clips in path order.
    """
    by_speaker: dict[str, dict[str, list[Utterance]]] = {}
    for utterance in corpus.utterances:
        by_speaker.setdefault(utterance.speaker, {}).setdefault(utterance.emotion, []).append(utterance)
    speakers = sorted(by_speaker.values(), key=lambda clips: -len(clips))
    queues = {label: _one_a_speaker([clips.get(label, []) for clips in speakers]) for label in corpus.labels}
    chosen: list[Utterance] = []
    while len(chosen) < min(n_clips, len(corpus.utterances)):
        chosen += [queue.pop(0) for queue in queues.values() if queue]
    order = {label: k for k, label in enumerate(corpus.labels)}
    return tuple(sorted(chosen[:n_clips], key=lambda utterance: order[utterance.emotion]))


def view_clips(corpus: Corpus, utterances: Sequence[Utterance], frontend: dsp.Stats26) -> tuple[ClipView, ...]:
    """Compute pictures and curves of a few clips with `serjax.dsp`, as long as each clip is."""
    window = Window(frontend.sample_rate_hz, frontend.n_samples)
    waves_BN, n_valid_B = corpus.source.read([utterance.path for utterance in utterances], window)[:2]
    waves_BN = waves_BN[:, : int(n_valid_B.max())]
    pictures = jax.tree.map(np.asarray, _pictures(waves_BN, frontend))
    views = []
    for b, utterance in enumerate(utterances):
        own = jax.tree.map(partial(_own_frames, b, 1 + int(n_valid_B[b]) // frontend.hop_length), pictures)
        quiet_T = own["rms_db_T"] < own["rms_db_T"].max() - QUIET_DB
        own |= {name: np.where(quiet_T, np.nan, own[name]) for name in ("f0_hz_T", "chroma_PT")}
        views.append(ClipView(utterance, waves_BN[b, : n_valid_B[b]], **own))
    return tuple(views)


@partial(jax.jit, static_argnames="frontend")
def _pictures(waves_BN: Float[Array, "B N"], frontend: dsp.Stats26) -> dict:
    """Compute what `ClipView` holds for a batch of padded clips."""
    sr, n_fft, hop = frontend.sample_rate_hz, frontend.n_fft, frontend.hop_length
    magnitude_BFT = jnp.abs(dsp.stft(waves_BN, n_fft=n_fft, hop_length=hop))
    power_BFT = magnitude_BFT**2
    mel_BMT = dsp.melspectrogram(S=power_BFT, sr=sr)
    centroid_B1T = dsp.spectral_centroid(S=magnitude_BFT, sr=sr)
    bandwidth = {p: dsp.spectral_bandwidth(S=magnitude_BFT, sr=sr, centroid=centroid_B1T, p=p) for p in BANDWIDTH_P}
    rms_B1T = dsp.rms(waves_BN, frame_length=n_fft, hop_length=hop)
    low_hz, high_hz = F0_RANGE_HZ
    f0_frame = max(n_fft, 2 * math.ceil(sr / low_hz))  # two periods of the lowest
    return {
        "spectrogram_db_FT": dsp.amplitude_to_db(magnitude_BFT, top_db=None),
        "mel_db_MT": dsp.power_to_db(mel_BMT, top_db=None),
        "chroma_PT": dsp.chroma_stft(S=power_BFT, sr=sr),
        "mfcc_CT": dsp.mfcc(S=dsp.power_to_db(mel_BMT), sr=sr, n_mfcc=20),
        "centroid_hz_T": centroid_B1T[:, 0],
        "rolloff_hz_T": dsp.spectral_rolloff(S=magnitude_BFT, sr=sr)[:, 0],
        "bandwidth_hz": {p: value_B1T[:, 0] for p, value_B1T in bandwidth.items()},
        "crossings_T": dsp.zero_crossing_rate(waves_BN, frame_length=n_fft, hop_length=hop)[:, 0],
        "rms_db_T": dsp.amplitude_to_db(rms_B1T, top_db=None)[:, 0],
        "f0_hz_T": dsp.yin(waves_BN, fmin=low_hz, fmax=high_hz, sr=sr, frame_length=f0_frame, hop_length=hop),
    }


def _own_frames(b: int, n_frames: int, rows: np.ndarray) -> np.ndarray:
    """Return one clip of a batch without what pads it: that must not look like silence that was recorded."""
    return rows[b, ..., :n_frames]


def _part(corpus: Corpus, utterances: tuple[Utterance, ...]) -> Corpus:
    there = {utterance.emotion for utterance in utterances}
    labels = tuple(label for label in corpus.labels if label in there)
    return dataclasses.replace(corpus, utterances=utterances, labels=labels)


def _count_on(report: Callable[[int, int], None], start: int, total: int, done: int, _of_part: int) -> None:
    report(start + done, total)


def _one_a_speaker(clips_by_speaker: Sequence[list[Utterance]]) -> list[Utterance]:
    """Return all clips, first the first of each speaker, then the second of each, and so on."""
    ranked = [(rank, s, clip) for s, clips in enumerate(clips_by_speaker) for rank, clip in enumerate(clips)]
    return [clip for _, _, clip in sorted(ranked, key=lambda entry: entry[:2])]
