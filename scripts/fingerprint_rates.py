"""How often fingerprints find a copy, and how often they take a second recording for one: the table of their module.

    python -m scripts.fingerprint_rates --ravdess RAVDESS_SPEECH --crema-d CREMA_D

Each of `--clips` clips per corpus is changed in ten ways and looked for among all clips. All pairs of all clips are
compared; a pair found counts as right if its waveforms correlate by .9 at some shift, so nothing here trusts what is
measured. Of `--repeats` pairs of one speaker's same sentence, the fewest differing bits at any shift show the margin.
"""

import io
import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from scipy.signal import correlate

from serjax.command import run_command
from serjax.data import Corpus, load_corpus
from serjax.data.corpora.corpus import FileSource
from serjax.data.fingerprint import Copy, Fingerprint, copies, errors_at, fingerprint
from serjax.data.recordings import load_fingerprints
from serjax.figures.tables import print_table

Sound = tuple[np.ndarray, int]  # samples, sample rate
CUT_S = 0.05


@dataclass(frozen=True)
class Config:
    """Where the corpora are, and how much of them is changed."""

    ravdess: Path
    """Folder of RAVDESS speech."""
    crema_d: Path
    """Folder of CREMA-D."""
    clips: int = 400
    """Clips per corpus that are copied in each way."""
    repeats: int = 2000
    """Pairs of one speaker's same sentence per corpus that are compared at all shifts up to half a second."""


def resampled(sound: Sound, rate_hz: int) -> Sound:
    """Return a sound at another sample rate."""
    return soxr.resample(*sound, rate_hz), rate_hz


def as_mp3(sound: Sound) -> Sound:
    """Return a sound after MP3 of 64 kbit/s."""
    wav, rate_hz = sound
    file, level = io.BytesIO(), 0.87 if rate_hz >= 32_000 else 0.65  # libsndfile maps levels to rates per MPEG version
    soundfile.write(
        file, wav, rate_hz, "MPEG_LAYER_III", format="MP3", compression_level=level, bitrate_mode="CONSTANT"
    )
    assert 0.75 < file.tell() * 8 / 64_000 / (len(wav) / rate_hz) < 1.25, "not 64 kbit/s"
    file.seek(0)
    return soundfile.read(file, dtype="float32")


def amplified(sound: Sound, gain_db: float) -> Sound:
    """Return a sound as 16 bits hold it after a gain: what is too loud is clipped."""
    wav = np.clip(sound[0] * 10 ** (gain_db / 20), -1, 1 - 2**-15)
    return np.round(wav * 2**15).astype(np.float32) / 2**15, sound[1]


def cut(sound: Sound, start_s: float, end_s: float) -> Sound:
    """Return a sound without its first and last moments."""
    wav, rate_hz = sound
    return wav[round(start_s * rate_hz) : len(wav) - round(end_s * rate_hz)], rate_hz


def all_at_once(sound: Sound) -> Sound:
    """Return a sound at 16 kHz, cut at random at both ends, 12 dB louder or softer, after MP3."""
    rng = np.random.default_rng(len(sound[0]))
    start_s, end_s = CUT_S * rng.random(2)
    return as_mp3(amplified(cut(resampled(sound, 16_000), start_s, end_s), rng.choice([-12.0, 12.0])))


CHANGES: dict[str, Callable[[Sound], Sound]] = {
    "8 kHz": lambda sound: resampled(sound, 8_000),
    "16 kHz": lambda sound: resampled(sound, 16_000),
    "48 kHz": lambda sound: resampled(sound, 48_000),
    "MP3, 64 kbit/s": as_mp3,
    "48 kHz, MP3, 64 kbit/s": lambda sound: as_mp3(resampled(sound, 48_000)),
    "+12 dB, clipped": lambda sound: amplified(sound, 12),
    "−12 dB": lambda sound: amplified(sound, -12),
    "50 ms cut at the start": lambda sound: cut(sound, CUT_S, 0),
    "50 ms cut at the end": lambda sound: cut(sound, 0, CUT_S),
    "16 kHz, cuts, ±12 dB, MP3": all_at_once,
}


def run(config: Config) -> None:
    """Print both tables."""
    found: list[tuple[str, ...]] = []
    wrong: list[tuple[str, ...]] = []
    for name, root in (("ravdess", config.ravdess), ("crema-d", config.crema_d)):
        corpus, started_s = load_corpus(name, root), time.monotonic()
        prints = load_fingerprints(corpus, None, lambda done, total: None)
        pairs = copies(prints)
        seconds = f"{time.monotonic() - started_s:.1f}"
        sounding = [row for row, words_T in enumerate(prints) if words_T.any()]
        some = np.random.default_rng(0).permutation(sounding)[: config.clips].tolist()
        for change, alter in CHANGES.items():
            found.append((name, change, *found_share(corpus, prints, some, alter)))
        wrong.append((name, f"{len(prints)}", seconds, *wrong_share(corpus, prints, pairs, config.repeats)))
        for pair in pairs:
            print(f"{name}: {told(corpus, pair)}")
    print_table(
        "Copies found among all clips of a corpus", ("corpus", "change", "clips", "found", "most errors"), found
    )
    header = ("corpus", "clips", "s", "pairs", "taken wrongly", "pairs of a sentence", "taken wrongly", "fewest errors")
    print_table("Second recordings taken for a copy", header, wrong)


def found_share(
    corpus: Corpus, prints: tuple[Fingerprint, ...], rows: list[int], alter: Callable[[Sound], Sound]
) -> tuple[str, str, str]:
    """Return how many clips were changed, the share found again, and the largest share of bits that differ."""

    def changed(row: int) -> Fingerprint:
        return fingerprint(*alter(read(corpus, row)))

    with ThreadPoolExecutor(2) as pool:
        own = [pair for pair in copies(prints, list(pool.map(changed, rows))) if pair.first == rows[pair.second]]
    return f"{len(rows)}", f"{len(own) / len(rows):.2%}", f"{max(pair.errors for pair in own):.3f}"


def wrong_share(
    corpus: Corpus, prints: tuple[Fingerprint, ...], pairs: tuple[Copy, ...], n_repeats: int
) -> tuple[str, str, str, str, str]:
    """Return counts of all pairs and of repeated sentences, the shares taken wrongly, and the fewest bits differing."""
    wrong = {pair[:2] for pair in pairs if correlation(corpus, pair) < 0.9}
    repeats = list(repeated(corpus))
    some = np.random.default_rng(0).permutation(repeats)[:n_repeats].tolist()
    right = {pair[:2] for pair in pairs} - wrong
    fewest = min(errors_at(prints[a], prints[b], s) for a, b in some if (a, b) not in right for s in range(-63, 64))
    n_pairs = len(prints) * (len(prints) - 1) // 2
    shares = f"{len(wrong) / n_pairs:.4%}", f"{len(wrong & set(repeats)) / len(repeats):.4%}"
    return f"{n_pairs}", shares[0], f"{len(repeats)}", shares[1], f"{fewest:.3f}"


def repeated(corpus: Corpus) -> Iterator[tuple[int, int]]:
    """Give the pairs of clips in which one speaker says one sentence."""
    alike = defaultdict(list)
    for row, utterance in enumerate(corpus.utterances):
        alike[utterance.speaker, utterance.text].append(row)
    for rows in alike.values():
        yield from itertools.combinations(rows, 2)


def read(corpus: Corpus, row: int) -> Sound:
    """Read a clip as it is."""
    assert isinstance(corpus.source, FileSource)
    return soundfile.read(corpus.source.root / corpus.utterances[row].path, dtype="float32")


def correlation(corpus: Corpus, pair: Copy) -> float:
    """Return the correlation of two waveforms where they overlap, at the shift where their product is largest."""
    a, b = read(corpus, pair.first)[0], read(corpus, pair.second)[0]
    shift = int(np.argmax(np.abs(correlate(a, b)))) - (len(b) - 1)
    a, b = a[max(0, shift) :], b[max(0, -shift) :]
    n = min(len(a), len(b))
    return float(np.corrcoef(a[:n], b[:n])[0, 1])


def told(corpus: Corpus, pair: Copy) -> str:
    """Say which clips are copies, and how alike they are."""
    paths = [corpus.utterances[row].path for row in pair[:2]]
    return f"{' = '.join(paths)}: {pair.errors:.3f} of the bits differ, correlation {correlation(corpus, pair):.4f}"


if __name__ == "__main__":
    run_command(Config, run, __doc__)
