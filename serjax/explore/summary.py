"""What an exploration says in numbers: counts by label and factor, `features.csv`, `summary.json`."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from serjax import dsp
from serjax.data.corpora import Corpus
from serjax.data.corpora.corpus import Utterance
from serjax.escape import csv_cell
from serjax.explore.clips import FEATURES, Outliers, correlate
from serjax.explore.figures import Table, Tables
from serjax.explore.inventory import Inventory
from serjax.provenance import provenance

UNKNOWN = "not given"
FACTORS = ("gender", "text", "intensity", "channel")
OF_FILES = ("duration_s", "sample_rate_hz", "channels", "format", "peak_dbfs", "level_dbfs")


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


def write_features(stock: Inventory, values_ND: Float[np.ndarray, "N D"], path: Path) -> None:
    """Write the feature table: who, what, how long and loud, and the 26 features as they are, before any clipping.

    Text that a spreadsheet would compute has an apostrophe before it.
    """
    names = ("path", "emotion", "speaker", *FACTORS, *OF_FILES, *FEATURES)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        for utterance, clip, value_D in zip(stock.corpus.utterances, stock.clips, values_ND, strict=True):
            told = [getattr(utterance, name) or "" for name in names[: 3 + len(FACTORS)]]
            loudness = ["" if db is None else f"{db:.2f}" for db in (clip.peak_db, clip.level_db)]
            files = [f"{clip.seconds:.7g}", clip.rate_hz, clip.channels, clip.format, *loudness]
            writer.writerow([*map(csv_cell, told), *files, *(f"{value:.7g}" for value in value_D)])


def summary(
    stock: Inventory,
    values_ND: Float[np.ndarray, "N D"],
    outliers: Outliers,
    examples: Sequence[Utterance],
    front: dsp.Stats26,
) -> dict[str, object]:
    """Return `summary.json`, `seconds` aside."""
    corpus, longest_s = stock.corpus, front.n_samples / front.sample_rate_hz
    genders = {utterance.speaker: utterance.gender or UNKNOWN for utterance in corpus.utterances}
    speakers = list(genders.values())
    duration_s_N = stock.duration_s_N
    return {
        "experiment": "explore",
        "corpus": corpus.name,
        "corpus_notes": [note.as_json() for note in corpus.notes],
        "file_notes": [note.as_json() for note in stock.notes],
        "unreadable": [bad._asdict() for bad in stock.unreadable],
        "silent": list(stock.silent),
        "peaks_above_full_scale_dbfs": stock.too_loud,
        "equal_clips": [[{"path": u.path, "label": u.emotion, "speaker": u.speaker} for u in g] for g in stock.equal],
        "n_clips": len(corpus.utterances),
        "n_speakers": len(genders),
        "speakers_by_gender": {gender: speakers.count(gender) for gender in sorted(set(speakers))},
        "labels": dict(zip(corpus.labels, np.bincount(corpus.label_ids).tolist(), strict=True)),
        "labels_by_speaker": _labels_by_speaker(corpus),
        "files": {name: stock.counts(name) for name in ("rate_hz", "channels", "format")},
        "peak_dbfs": _loudness([clip.peak_db for clip in stock.clips]),
        "level_dbfs": _loudness([clip.level_db for clip in stock.clips]),
        "clips_by": {factor: _nested(corpus.labels, *table) for factor, table in count_tables(corpus).items()},
        "duration_s": quantiles(duration_s_N) | {"total": float(duration_s_N.sum())},
        "longer_than_read": {"seconds": longest_s, "n_clips": int((duration_s_N > longest_s).sum())},
        "features": {name: quantiles(values_ND[:, d]) for d, name in enumerate(FEATURES)},
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


def _nested(labels: Sequence[str], levels: Sequence[str], count_LV: Int[np.ndarray, "L V"]) -> dict:
    """Return counts by label and level."""
    return {label: dict(zip(levels, row.tolist(), strict=True)) for label, row in zip(labels, count_LV, strict=True)}


def _labels_by_speaker(corpus: Corpus) -> dict[str, dict[str, int]]:
    """Count the clips of each speaker and label."""
    speakers, speaker_N = np.unique([utterance.speaker for utterance in corpus.utterances], return_inverse=True)
    by_label = [corpus.labels[k] for k in corpus.label_ids]
    levels, count_SL = _count(speaker_N, len(speakers), by_label)
    return _nested(speakers.tolist(), levels, count_SL)


def _loudness(values: Sequence[float | None]) -> dict[str, float] | None:
    """Return the quartiles of what is not silent."""
    there = [value for value in values if value is not None]
    return quantiles(np.array(there)) if there else None


def _rounded(values_DD: Float[np.ndarray, "D D"]) -> list[list[float | None]]:
    return [[round(float(r), 4) if np.isfinite(r) else None for r in row] for row in values_DD]
