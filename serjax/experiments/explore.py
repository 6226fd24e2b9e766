"""Look at a corpus before modelling it: counts, durations, waveforms, spectra, per-frame curves, 26 features.

Question: what is in it, what is missing, and what would a model be misled by?

Writes pictures, a feature table with labels (`features.csv`), `summary.json` and one self-contained `index.html`.

    python -m serjax.experiments.explore --corpus ravdess --root RAVDESS --out runs/explore
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from serjax.data.corpora import Corpus, load_corpus
from serjax.data.corpora.corpus import Utterance
from serjax.data.corpora.crema_d import Defects
from serjax.data.feature_cache import default_cache_dir
from serjax.experiments.command import run_command
from serjax.experiments.config import check_positive, corpus_name, fingerprint
from serjax.experiments.display import print_table, progresses
from serjax.experiments.exploration import (
    FEATURES,
    Outliers,
    Overview,
    SizedStats26,
    clip_outliers,
    correlate,
    load_overview,
    pick_examples,
    view_clips,
)
from serjax.experiments.explore_figures import Table, Tables, draw_clips, draw_corpus, draw_features
from serjax.experiments.explore_page import write_page
from serjax.experiments.run_folder import RunFolder, open_run_folder, provenance
from serjax.train.parallel import request_devices

SUMMARY = "summary.json"
UNKNOWN = "not given"
LONGEST_S, SYNTHETIC_S = 6.5, 3.4  # RAVDESS's and the synthetic corpus's longest clips fit; padding costs time
FACTORS = ("gender", "text", "intensity", "channel")


@dataclass(frozen=True)
class Data:
    """Which clips."""

    corpus: str = "synthetic"
    """synthetic, ravdess (speech), ravdess-song, ravdess-all, crema-d, crema-d-voted; or a path of a CSV or folder."""
    root: Path | None = None
    """Folder that holds the corpus's audio files at any depth; of a CSV: where its paths start, if not beside it."""
    emotions: tuple[str, ...] = ()
    """Only these emotions, e.g. `--emotions happy sad`; default: all."""
    synthetic_clips: int | None = None
    """Shorten the synthetic corpus to so many clips, 8 to 1440; default: all."""
    defects: Defects | None = None
    """Clips of crema-d without sound or with the bytes of one of another emotion: left out (default) or kept."""


@dataclass(frozen=True)
class Analysis:
    """How clips are read and analysed."""

    sample_rate: int = 22_050
    """Hz; files of another rate are resampled."""
    n_fft: int = 2048
    """Samples a frame."""
    hop_length: int = 512
    """Samples between frames."""
    seconds: float | None = None
    """Read at most so much of a clip; the summary says how many clips are longer. Default: 6.5, of synthetic 3.4."""
    clips: int | None = None
    """Example clips in the pictures, of each label in turn; default: one of each."""


@dataclass(frozen=True)
class Clipping:
    """What counts as an outlier; the page says what was clipped, and how many."""

    fences: float = 3.0
    """Clip each feature so many interquartile ranges below its lower and above its upper quartile."""
    rolloff_at_most: float | None = None
    """Clip the roll-off at so many Hz instead of at its fence, e.g. 3000."""


@dataclass(frozen=True)
class Output:
    """Where results go; not part of the configuration's fingerprint."""

    out: Path | None = None
    """Folder of the results; default: runs/explore-CORPUS-HASH."""
    cache: Path | None = None
    """Folder of computed features; default: $SERJAX_CACHE, else the user's cache folder."""
    quiet: bool = False
    """No progress, only the result."""


@dataclass(frozen=True)
class Config:
    """Every field of every section is a flag."""

    data: Data = field(default_factory=Data)
    analysis: Analysis = field(default_factory=Analysis)
    clipping: Clipping = field(default_factory=Clipping)
    output: Output = field(default_factory=Output)


def run(config: Config) -> None:
    """Compute, draw, write and print; a finished folder is only printed."""
    check_flags(config)
    request_devices(None)
    sections = (config.data, config.analysis, config.clipping)
    mark = fingerprint("explore", sections)
    out = config.output.out or Path("runs") / f"explore-{corpus_name(config.data.corpus)}-{mark[:8]}"
    with open_run_folder(out, "explore", mark) as folder:
        if folder.read_json(SUMMARY) is None:
            explore(config, folder)
        print_summary(folder)


def check_flags(config: Config) -> None:
    """Raise ConfigError for a number that makes no sense."""
    for flag, value in {
        "--seconds": config.analysis.seconds,
        "--fences": config.clipping.fences,
        "--clips": config.analysis.clips,
        "--sample-rate": config.analysis.sample_rate,
        "--n-fft": config.analysis.n_fft,
        "--hop-length": config.analysis.hop_length,
        "--rolloff-at-most": config.clipping.rolloff_at_most,
    }.items():
        check_positive(flag, value)


def frontend(analysis: Analysis, corpus: str) -> SizedStats26:
    """Return the front end that reads `--seconds` of a clip, in whole frames."""
    seconds = analysis.seconds or (SYNTHETIC_S if corpus == "synthetic" else LONGEST_S)
    frames = 1 + math.ceil(seconds * analysis.sample_rate / analysis.hop_length)
    return SizedStats26(
        sample_rate_hz=analysis.sample_rate, frames=frames, n_fft=analysis.n_fft, hop_length=analysis.hop_length
    )


def explore(config: Config, folder: RunFolder) -> None:
    """Write everything, `summary.json` last: where it is, the exploration is finished."""
    data = config.data
    corpus = load_corpus(data.corpus, data.root, synthetic_clips=data.synthetic_clips, defects=data.defects)
    corpus = corpus.only(data.emotions) if data.emotions else corpus
    front = frontend(config.analysis, config.data.corpus)
    with progresses(config.output.quiet) as shown:
        overview = load_overview(corpus, front, config.output.cache or default_cache_dir(), shown.counter("features"))
        folder.claim((config.data, config.analysis, config.clipping))
        outliers = clip_outliers(overview.values_ND, config.clipping.fences, config.clipping.rolloff_at_most)
        examples = pick_examples(corpus, config.analysis.clips or len(corpus.labels))
        drawn = folder.path / "figures"
        drawn.mkdir(exist_ok=True)
        pictures = draw_corpus(corpus, overview.duration_s_N, count_tables(corpus), speaker_table(corpus), drawn)
        shown.update("pictures", 1, 3)
        pictures += draw_clips(view_clips(corpus, examples, front), front, corpus.name, drawn)
        shown.update("pictures", 2, 3)
        pictures += draw_features(corpus, overview.values_ND, outliers, drawn)
        shown.update("pictures", 3, 3)
    write_features(corpus, overview, folder.path / "features.csv")
    content = summary(corpus, overview, outliers, examples, front) | {"seconds": folder.seconds}
    write_page(content, pictures, folder.path / "index.html")
    folder.write_json(SUMMARY, content)


def count_tables(corpus: Corpus) -> Tables:
    """Count the clips of each label by the levels of each factor that the corpus tells."""
    told = [factor for factor in FACTORS if any(getattr(utterance, factor) for utterance in corpus.utterances)]
    return {factor: _count(corpus.label_ids, len(corpus.labels), _levels(corpus, factor)) for factor in told}


def speaker_table(corpus: Corpus) -> Table:
    """Count the clips of each speaker, in sorted order, by gender."""
    speakers, speaker_N = np.unique([utterance.speaker for utterance in corpus.utterances], return_inverse=True)
    return _count(speaker_N, len(speakers), _levels(corpus, "gender"))


def _levels(corpus: Corpus, factor: str) -> list[str]:
    return [getattr(utterance, factor) or UNKNOWN for utterance in corpus.utterances]


def _count(row_N: Int[np.ndarray, " N"], n_rows: int, level_N: Sequence[str]) -> Table:
    """Return the levels in sorted order, and how often each row has each."""
    levels, place_N = np.unique(level_N, return_inverse=True)
    flat = np.bincount(row_N * len(levels) + place_N, minlength=n_rows * len(levels))
    return tuple(map(str, levels)), flat.reshape(n_rows, len(levels))


def write_features(corpus: Corpus, overview: Overview, path: Path) -> None:
    """Write the feature table: who, what, how long, and the 26 features as they are, before any clipping."""
    names = ("path", "emotion", "speaker", *FACTORS, "duration_s", *FEATURES)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        for n, utterance in enumerate(corpus.utterances):
            about = [getattr(utterance, factor) or "" for factor in FACTORS]
            numbers = [f"{value:.7g}" for value in (overview.duration_s_N[n], *overview.values_ND[n])]
            writer.writerow([utterance.path, utterance.emotion, utterance.speaker, *about, *numbers])


def summary(
    corpus: Corpus, overview: Overview, outliers: Outliers, examples: Sequence[Utterance], front: SizedStats26
) -> dict[str, object]:
    """Return `summary.json`, `seconds` aside."""
    genders = {utterance.speaker: utterance.gender or UNKNOWN for utterance in corpus.utterances}
    speakers = list(genders.values())
    duration_s_N = overview.duration_s_N
    return {
        "experiment": "explore",
        "corpus": corpus.name,
        "corpus_notes": list(corpus.notes),
        "n_clips": len(corpus.utterances),
        "n_speakers": len(genders),
        "speakers_by_gender": {gender: speakers.count(gender) for gender in sorted(set(speakers))},
        "labels": dict(zip(corpus.labels, np.bincount(corpus.label_ids).tolist(), strict=True)),
        "clips_by": {factor: _nested(corpus.labels, *table) for factor, table in count_tables(corpus).items()},
        "duration_s": quantiles(duration_s_N) | {"total": float(duration_s_N.sum())},
        "longer_than_read": {"seconds": front.n_samples / front.sample_rate_hz, "n_clips": int(overview.cut_N.sum())},
        "features": {name: quantiles(overview.values_ND[:, d]) for d, name in enumerate(FEATURES)},
        "clipped": {
            name: {
                "low": float(outliers.limits_D2[d, 0]),
                "high": float(outliers.limits_D2[d, 1]),
                "n_below": int(outliers.n_below_D[d]),
                "n_above": int(outliers.n_above_D[d]),
            }
            for d, name in enumerate(FEATURES)
        },
        "correlation": {"features": list(FEATURES), "r": _rounded(correlate(outliers.clipped_ND))},
        "examples": [utterance.path for utterance in examples],
        **provenance(),
    }


def quantiles(values_N: Float[np.ndarray, " N"]) -> dict[str, float]:
    """Return mean, standard deviation (n − 1; 0 for one value), and the five quartiles."""
    names = ("min", "lower_quartile", "median", "upper_quartile", "max")
    five = np.quantile(values_N, [0, 0.25, 0.5, 0.75, 1]).tolist()
    sd = float(values_N.std(ddof=1)) if len(values_N) > 1 else 0.0
    return {"mean": float(values_N.mean()), "sd": sd, **dict(zip(names, five, strict=True))}


def print_summary(folder: RunFolder) -> None:
    """Print the counts of a finished exploration, and where the rest is."""
    content = folder.read_json(SUMMARY)
    assert content is not None
    minutes = content["duration_s"]["total"] / 60
    factors = {factor: list(next(iter(table.values()))) for factor, table in content["clips_by"].items()}
    short = {factor: levels for factor, levels in factors.items() if len(levels) <= 4}
    header = ("label", "clips", *(level for levels in short.values() for level in levels))
    rows = []
    for label, n_clips in content["labels"].items():
        cells = [content["clips_by"][factor][label][level] for factor, levels in short.items() for level in levels]
        rows.append((label, n_clips, *cells))
    title = f"{content['corpus']}: {content['n_clips']} clips, {content['n_speakers']} speakers, {minutes:.0f} min"
    print_table(title, header, rows)
    for note in content["corpus_notes"]:
        print(f"Noted in the corpus: {note}")
    counts = {name: limits["n_below"] + limits["n_above"] for name, limits in content["clipped"].items()}
    clipped = [f"{name} ({count})" for name, count in counts.items() if count]
    print(f"Clipped as outliers (clips): {', '.join(clipped) or 'none'}.")
    print(f"Written to {folder.path} in {content['seconds']:.0f} s; look at {folder.path / 'index.html'}.")


def _nested(labels: Sequence[str], levels: Sequence[str], count_LV: Int[np.ndarray, "L V"]) -> dict:
    """Return counts by label and level."""
    return {label: dict(zip(levels, row.tolist(), strict=True)) for label, row in zip(labels, count_LV, strict=True)}


def _rounded(values_DD: Float[np.ndarray, "D D"]) -> list[list[float | None]]:
    return [[round(float(r), 4) if np.isfinite(r) else None for r in row] for row in values_DD]


if __name__ == "__main__":
    run_command(Config, run, __doc__)
