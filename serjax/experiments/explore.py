"""Look at a corpus before modelling it: counts, durations, waveforms, spectra, per-frame curves, 26 features.

Question: what is in it, what is missing, and what would a model be misled by?

It goes on where clips cannot be read, and lists them all, with what to do; as it lists silent, too loud and equal ones.

Writes pictures, a feature table with labels (`features.csv`), `summary.json` and one self-contained `index.html`.

    python -m serjax.experiments.explore --corpus ravdess --root RAVDESS --out runs/explore
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from serjax import dsp
from serjax.data.corpora import Corpus, load_corpus
from serjax.data.corpora.corpus import Window
from serjax.data.corpora.crema_d import Defects
from serjax.data.feature_cache import default_cache_dir
from serjax.data.notes import Note
from serjax.experiments.command import run_command
from serjax.experiments.config import check_positive, corpus_name, fingerprint
from serjax.experiments.display import print_table, progresses, say
from serjax.experiments.exploration import (
    clip_outliers,
    load_values,
    pick_examples,
    view_clips,
)
from serjax.experiments.explore_figures import draw_clips, draw_corpus, draw_features
from serjax.experiments.explore_page import Picture, write_page
from serjax.experiments.explore_summary import count_tables, speaker_table, summary, write_features
from serjax.experiments.inventory import take_inventory
from serjax.experiments.run_folder import RunFolder, open_run_folder
from serjax.train.parallel import request_devices

SUMMARY = "summary.json"
MOST_EXAMPLES = 16
LONGEST_S, SYNTHETIC_S = 6.5, 3.4  # RAVDESS's and the synthetic corpus's longest clips fit; padding costs time


@dataclass(frozen=True)
class Data:
    """Which clips."""

    corpus: str = "synthetic"
    """synthetic, ravdess (speech), ravdess-song, ravdess-all, crema-d, crema-d-voted; or a path of a CSV or folder."""
    root: Path | None = None
    """Folder that holds the corpus's audio files at any depth; of a CSV: where its paths start, if not beside it."""
    emotions: tuple[str, ...] = ()
    """Only these emotions, e.g. `--emotions happy sad`; default: all."""
    clips: int | None = None
    """Only so many clips of the corpus, drawn at random, the same in every run; default: all."""
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
    """Features and pictures are of so much of a clip; the summary says how many are longer. Default: 6.5, of synthetic
    3.4."""
    examples: int | None = None
    """Clips in the pictures of single clips, of each label in turn; default: one of each, 16 at most."""


@dataclass(frozen=True)
class Clipping:
    """What counts as an outlier; the page says what was clipped, and how many."""

    fences: float = 3.0
    """Clip each feature so many interquartile ranges below its lower and above its upper quartile."""
    rolloff_at_least: float | None = None
    """Raise the roll-off of clips below so many Hz to it, in place of the lower fence, e.g. 3000 as the second report
    did; the roll-off of RAVDESS speech lies above that anyway (3 468 to 7 087 Hz)."""


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
        if not folder.finished:
            explore(config, folder)
        print_summary(folder)


def check_flags(config: Config) -> None:
    """Raise ConfigError for a number that makes no sense."""
    for flag, value in {
        "--seconds": config.analysis.seconds,
        "--fences": config.clipping.fences,
        "--clips": config.data.clips,
        "--examples": config.analysis.examples,
        "--sample-rate": config.analysis.sample_rate,
        "--n-fft": config.analysis.n_fft,
        "--hop-length": config.analysis.hop_length,
        "--rolloff-at-least": config.clipping.rolloff_at_least,
    }.items():
        check_positive(flag, value)


def frontend(analysis: Analysis, corpus: str) -> dsp.Stats26:
    """Return the front end that reads `--seconds` of a clip, in whole frames."""
    seconds = analysis.seconds or (SYNTHETIC_S if corpus == "synthetic" else LONGEST_S)
    frames = 1 + math.ceil(seconds * analysis.sample_rate / analysis.hop_length)
    return dsp.Stats26(
        sample_rate_hz=analysis.sample_rate, frames=frames, n_fft=analysis.n_fft, hop_length=analysis.hop_length
    )


def explore(config: Config, folder: RunFolder) -> None:
    """Write everything, then what makes the exploration finished."""
    front = frontend(config.analysis, config.data.corpus)
    with progresses(config.output.quiet) as shown:
        window = Window(front.sample_rate_hz, front.n_samples)
        stock = take_inventory(asked_for(config.data), window, shown.counter("clips"))
        corpus = stock.corpus
        values_ND = load_values(corpus, front, config.output.cache or default_cache_dir(), shown.counter("features"))
        folder.claim((config.data, config.analysis, config.clipping))
        outliers = clip_outliers(values_ND, config.clipping.fences, config.clipping.rolloff_at_least)
        examples = pick_examples(corpus, config.analysis.examples or min(MOST_EXAMPLES, len(corpus.labels)))
        write_features(stock, values_ND, folder.path / "features.csv")
        content = summary(stock, values_ND, outliers, examples, front) | {"seconds": folder.seconds}
        folder.write_json(SUMMARY, content)
        drawn, pictures = folder.path / "figures", list[Picture]()

        def add(n: int, draw: Callable[[], list[Picture]]) -> None:
            pictures.extend(draw())
            shown.update("pictures", n, 3)

        counts = count_tables(corpus), speaker_table(corpus)
        folder.finish(
            {
                "corpus": lambda: add(1, lambda: draw_corpus(corpus, stock.duration_s_N, *counts, drawn)),
                "clips": lambda: add(
                    2, lambda: draw_clips(view_clips(corpus, examples, front), front, corpus.name, drawn)
                ),
                "features": lambda: add(3, lambda: draw_features(corpus, values_ND, outliers, drawn)),
                "page": lambda: write_page(content, pictures, folder.path / "index.html"),
            }
        )


def asked_for(data: Data) -> Corpus:
    """Read the corpus, and keep the part that is asked for."""
    corpus = load_corpus(data.corpus, data.root, synthetic_clips=data.synthetic_clips, defects=data.defects)
    corpus = corpus.only(data.emotions) if data.emotions else corpus
    return corpus if data.clips is None else corpus.drawn(data.clips)


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
        say(f"Noted in the corpus: {Note.from_json(note).line}")
    for note in content["file_notes"]:
        say(f"Found in its clips: {Note.from_json(note).line}")
    page = folder.path / "index.html"
    if content["unreadable"]:
        codes = Counter(bad["code"] for bad in content["unreadable"]).most_common()
        told = ", ".join(f"{n} {code}" for code, n in codes)
        say(f"{page} lists all that cannot be read ({told}), with what to do.")
    counts = {name: limits["n_below"] + limits["n_above"] for name, limits in content["clipped"].items()}
    clipped = [f"{name} ({count})" for name, count in counts.items() if count]
    say(f"Clipped as outliers (clips): {', '.join(clipped) or 'none'}.")
    say(f"Written to {folder.path} in {content['seconds']:.0f} s; look at {page}.")


if __name__ == "__main__":
    run_command(Config, run, __doc__)
