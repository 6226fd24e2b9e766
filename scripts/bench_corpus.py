"""Time a corpus of files to features, decoding included: ours over all devices beside the script that users write.

    python -m scripts.bench_corpus --root RAVDESS [--clips 480] [--devices 2]

Two targets: `Stats180` (means of 40 MFCC, 12 chroma, 128 mel bands) and 20 MFCCs of 108 frames. The script is librosa
file by file, `librosa.load` and the same features; it is timed on every eighth clip. The two take turns, after a first
call of each that compiles and fills the file cache. Then ours on a sixteenth, a quarter and all of the corpus, and on
all of it seven times (RAVDESS: ten hours). Neither the time per clip nor the memory may grow with the number of clips.
Without `--root`: a synthetic corpus, written to a temporary folder.
"""

import resource
import shlex
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from serjax import dsp
from serjax.data import Corpus, Waveforms, Window, load_corpus
from serjax.data.corpora.corpus import AudioSource
from serjax.data.corpora.synthetic import synthetic_corpus, write_wav
from serjax.data.features import load_features
from serjax.provenance import program
from serjax.train.parallel import request_devices

SR = 22_050
TARGETS: dict[str, dsp.Frontend] = {"Stats180": dsp.Stats180(frames=230), "MFCC 20×108": dsp.Mfcc()}
Script = Callable[[Path], None]


def stats_180(path: Path) -> None:
    """Compute what `Stats180` stands for, as a user of librosa would."""
    import librosa

    y, sr = librosa.load(path, sr=SR)
    np.mean(librosa.feature.mfcc(y=y, sr=sr, n_mfcc=40), axis=1)
    np.mean(librosa.feature.chroma_stft(S=np.abs(librosa.stft(y)), sr=sr), axis=1)
    np.mean(librosa.feature.melspectrogram(y=y, sr=sr), axis=1)


def mfcc_20(path: Path) -> None:
    """Compute 20 MFCCs, as a user of librosa would."""
    import librosa

    y, sr = librosa.load(path, sr=SR)
    librosa.feature.mfcc(y=y, sr=sr, n_mfcc=20)


SCRIPTS: dict[str, Script] = {"Stats180": stats_180, "MFCC 20×108": mfcc_20}


def seconds(call: Callable[[], object]) -> float:
    """Return how long a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def compare(name: str, corpus: Corpus, root: Path, repeats: int) -> tuple[float, float]:
    """Return the median milliseconds per clip of ours and of the script."""
    frontend, script = TARGETS[name], SCRIPTS[name]
    some = [root / utterance.path for utterance in corpus.utterances[::8]]
    load_features(corpus, frontend)
    script(some[0])
    ours, theirs = [], []
    for _ in range(repeats):
        ours.append(seconds(lambda: load_features(corpus, frontend)) / len(corpus.utterances))
        theirs.append(seconds(lambda: [script(path) for path in some]) / len(some))
    return 1e3 * statistics.median(ours), 1e3 * statistics.median(theirs)


def first(corpus: Corpus, n_clips: int) -> Corpus:
    """Return the corpus of the first clips."""
    return replace(corpus, utterances=corpus.utterances[:n_clips])


@dataclass(frozen=True)
class SevenTimes:
    """The sound of a corpus that is there seven times, under `0/path` to `6/path`."""

    once: AudioSource

    def read(self, paths: Sequence[str], window: Window) -> Waveforms:
        """Give the windows of the clips."""
        return self.once.read([path.partition("/")[2] for path in paths], window)

    def digest(self, path: str) -> str:
        """Give the hash of a clip."""
        return self.once.digest(path.partition("/")[2])


def seven_times(corpus: Corpus) -> Corpus:
    """Return a corpus seven times as long."""
    copies = [replace(clip, path=f"{n}/{clip.path}") for n in range(7) for clip in corpus.utterances]
    return replace(corpus, utterances=tuple(copies), source=SevenTimes(corpus.source))


def main(root: Path | None = None, clips: int = 480, devices: int | None = None, repeats: int = 3) -> None:
    """Print milliseconds per clip, their ratio, and the cost of more clips."""
    n_devices = len(request_devices(devices))
    warnings.simplefilter("ignore")  # what librosa deprecates is not the point here
    with tempfile.TemporaryDirectory() as folder:
        if root is None:
            root = Path(folder)
            write_wav(synthetic_corpus(clips), root)
        whole = load_corpus("ravdess", root)
        corpus = first(whole, clips)
        table = Table("", "ours, ms per clip", "librosa, ms per clip", "times as fast")
        table.title = f"{len(corpus.utterances)} files of {corpus.name} to features, {n_devices} devices"
        for name in TARGETS:
            ours, theirs = compare(name, corpus, root, repeats)
            table.add_row(name, f"{ours:.2f}", f"{theirs:.2f}", f"{theirs / ours:.1f}")
        growth = Table("clips", "seconds", "ms per clip", "peak memory, MiB", title="Stats180: cost of more clips")
        for more in (*(first(whole, len(whole.utterances) // share) for share in (16, 4, 1)), seven_times(whole)):
            n_clips = len(more.utterances)
            spent = seconds(partial(load_features, more, TARGETS["Stats180"]))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            growth.add_row(f"{n_clips}", f"{spent:.1f}", f"{1e3 * spent / n_clips:.2f}", f"{peak:.0f}")
    Console().print(table, growth)


if __name__ == "__main__":
    tyro.cli(main, prog=shlex.join(program()), description=__doc__)
