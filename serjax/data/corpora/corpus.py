"""What a corpus is: labelled utterances, and a source that turns their paths into waveforms."""

import dataclasses
import hashlib
import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int32

from serjax.data import audio
from serjax.data.corpora import spelling
from serjax.data.notes import Note, gather
from serjax.data.segments import Segment, shared_digest
from serjax.errors import SerjaxError

LabelScheme = Literal["emotion", "emotion-gender", "gender"]


class CorpusError(SerjaxError):
    """A corpus cannot be found, read or narrowed down as asked."""


@dataclass(frozen=True)
class Utterance:
    """One clip and what is known about it; `path` (posix, relative to the root) is its identity.

    The path of a segment of a file is `FILE#t=START,END` in seconds (as in W3C Media Fragments).

    `gender`, `text`, `intensity`, `channel` ("speech" or "song") and `split` ("train", "validation" or "test", as
    published) are None where the corpus does not say. A `speaker` is a person: the same one in speech and in song.
    """

    path: str
    emotion: str
    speaker: str
    gender: str | None
    text: str | None
    intensity: str | None
    channel: str | None
    corpus: str
    split: str | None = None

    @property
    def lot(self) -> str:
        """What splits, draws and copies go by: speaker and file name, the same whatever folders are around them."""
        return f"{self.speaker}/{clip_name(self.path)}"


def clip_name(path: str) -> str:
    """Return the name of a clip's file without folders and suffix; the number of a copy stays.

    >>> clip_name("speech/Actor_01/03-01-05-01-01-01-01.flac#2")
    '03-01-05-01-01-01-01#2'
    """
    original, mark, number = path.partition("#")
    return f"{PurePosixPath(original).stem}{mark}{number}"


@dataclass(frozen=True)
class Labelling:
    """What is to be told apart: the label of an utterance, as a function of what is known about it.

    `merged` has pairs (emotion, its new name), all taken at once and before the scheme; other emotions keep theirs.
    """

    scheme: LabelScheme = "emotion"
    merged: tuple[tuple[str, str], ...] = ()

    def __call__(self, utterance: Utterance) -> str:
        """Give the label; CorpusError if it takes a gender that is not known."""
        emotion = dict(self.merged).get(utterance.emotion, utterance.emotion)
        if self.scheme == "emotion":
            return emotion
        if utterance.gender is None:
            raise CorpusError(
                f"The gender of {utterance.path} is not known; labels by {self.scheme} take it of every clip. Tell it "
                "(a CSV has a column for it), or choose labels by emotion."
            )
        return utterance.gender if self.scheme == "gender" else f"{emotion}_{utterance.gender}"


@dataclass(frozen=True)
class Window:
    """The part of a clip that is read: from `offset_s`, at most `duration_s`, cut or padded to `n_samples`."""

    sample_rate_hz: int
    n_samples: int
    offset_s: float = 0.0
    duration_s: float | None = None

    def __post_init__(self) -> None:
        if not audio.MIN_RATE_HZ <= self.sample_rate_hz <= audio.MAX_RATE_HZ:
            expected = f"expected {audio.MIN_RATE_HZ} to {audio.MAX_RATE_HZ}"
            raise CorpusError(f"The wanted sample rate is {self.sample_rate_hz} Hz; {expected}.")
        if self.n_samples < 1:
            raise CorpusError(f"A window has {self.n_samples} samples; expected at least 1.")
        if not 0 <= self.offset_s < float("inf"):
            raise CorpusError(f"The offset is {self.offset_s} s; expected a number of seconds from 0.")
        if self.duration_s is not None and not 0 < self.duration_s < float("inf"):
            raise CorpusError(f"The duration is {self.duration_s} s; expected a number above 0, or none.")


class Waveforms(NamedTuple):
    """Clips as rows, zero behind the first `n_valid_B[b]` samples of row b, and what is odd about their files."""

    values_BN: Float32[np.ndarray, "B N"]
    n_valid_B: Int32[np.ndarray, " B"]
    notes: tuple[Note, ...] = ()


@runtime_checkable
class AudioSource(Protocol):
    """Where the sound of a corpus comes from: files, or a synthesiser."""

    def read(self, paths: Sequence[str], window: Window) -> Waveforms:
        """Give the windows of the clips at `paths`, in their order; UnreadableClips names all that have none."""
        ...

    def digest(self, path: str) -> str:
        """Give the sha256 (hex) of all that determines the sound of `path`."""
        ...


@dataclass(frozen=True)
class FileSource:
    """Audio files below `root`, decoded by a few threads (libsndfile and soxr release the GIL).

    `segments` has the clips that are a part of a file, by their path. Offsets count from a segment's start.
    """

    root: Path
    n_threads: int = min(8, os.cpu_count() or 1)
    segments: Mapping[str, Segment] = field(default_factory=dict)

    def read(self, paths: Sequence[str], window: Window) -> Waveforms:
        """Decode `paths`; UnreadableClips names all bad files, in their order."""
        waveforms, errors = self.try_read(paths, window)
        if bad := tuple(error for error in errors if error):
            raise audio.UnreadableClips(bad)
        return waveforms

    def try_read(self, paths: Sequence[str], window: Window) -> tuple[Waveforms, tuple[audio.AudioError | None, ...]]:
        """Decode `paths`; a bad file has a row of zeros and an error, whose `path` is the one given here."""
        values_BN = np.zeros((len(paths), window.n_samples), np.float32)
        n_valid_B = np.zeros(len(paths), np.int32)

        def read_row(row: int) -> tuple[audio.AudioError | None, list[Note]]:
            path = paths[row]
            try:
                wav, oddities = self.decode(
                    path, window.sample_rate_hz, window.offset_s, window.duration_s, window.n_samples
                )
            except audio.AudioError as error:
                return audio.AudioError(error.code, Path(path), error.problem, error.advice), []
            values_BN[row, : wav.size] = wav
            n_valid_B[row] = wav.size
            return None, [Note(odd.kind, odd.what, ((path, odd.detail),)) for odd in oddities]

        with ThreadPoolExecutor(self.n_threads) as pool:
            rows = list(pool.map(read_row, range(len(paths))))
        notes = gather(note for _, row_notes in rows for note in row_notes)
        return Waveforms(values_BN, n_valid_B, notes), tuple(error for error, _ in rows)

    def decode(
        self,
        path: str,
        sample_rate_hz: int,
        offset_s: float = 0.0,
        duration_s: float | None = None,
        n_samples: int | None = None,
    ) -> audio.Decoded:
        """Decode a part of a clip, as `audio.decode` does of a file; AudioError for a bad file or part."""
        segment = self.segment(path)
        offset_s, duration_s = segment.within(offset_s, duration_s)
        return audio.decode(
            self.file(path), sample_rate_hz, offset_s=offset_s, duration_s=duration_s, n_samples=n_samples
        )

    def segment(self, path: str) -> Segment:
        """Return what part of which file a clip is."""
        return self.segments.get(path, Segment(path))

    def file(self, path: str) -> Path:
        """Return the file that a clip is in."""
        return self.root / self.segment(path).file

    def digest(self, path: str) -> str:
        """Give the sha256 (hex) of the bytes of the file; of a segment, of these and its bounds."""
        if path not in self.segments:
            return audio.file_digest(self.root / path)
        about = shared_digest(self.file(path)), self.segment(path).path.rpartition("#")[2]
        return hashlib.sha256(repr(about).encode()).hexdigest()


@dataclass(frozen=True)
class Corpus:
    """Labelled utterances, sorted by path, and the source of their sound.

    `labels` are the labels that occur, in the corpus's own order: emotions, unless `labelling` says otherwise (see
    `serjax.data.labels`); `published_folds` the test speakers of each fold, by the name of a published protocol;
    `notes` what is odd about it, found while reading; `speakers` (found when not given) all people of the corpus by
    gender and name, kept by `only`, so that folds stay; `offset_s` where speech begins in its clips, which is where
    they are read from unless another offset is asked for. Of joined corpora the source adds each part's own offset,
    and `offsets_s` names them.
    """

    name: str
    utterances: tuple[Utterance, ...]
    source: AudioSource
    labels: tuple[str, ...]
    published_folds: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    speakers: tuple[str, ...] = ()
    labelling: Labelling = Labelling()
    offset_s: float = 0.0
    offsets_s: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        paths = [utterance.path for utterance in self.utterances]
        if any(first >= second for first, second in itertools.pairwise(paths)):
            raise CorpusError(f"The utterances of '{self.name}' must be sorted by path, each path once.")
        if set(self.labels) != {self.labelling(utterance) for utterance in self.utterances}:
            raise CorpusError(f"The labels of '{self.name}' must be exactly those that occur.")
        if not self.speakers:
            people = {(utterance.gender or "", utterance.speaker) for utterance in self.utterances}
            object.__setattr__(self, "speakers", tuple(speaker for _, speaker in sorted(people)))

    @property
    def label_ids(self) -> Int32[np.ndarray, " N"]:
        """The position in `labels` of every utterance's label."""
        position = {label: index for index, label in enumerate(self.labels)}
        return np.array([position[self.labelling(utterance)] for utterance in self.utterances], np.int32)

    def windows(self, window: Window) -> dict[str, dict[str, float]]:
        """Say from where on, and how many seconds at most, are read of each clip, by the corpus it is of."""
        read_s = [window.n_samples / window.sample_rate_hz, *([window.duration_s] if window.duration_s else [])]
        offsets_s = self.offsets_s or {self.name: window.offset_s}
        return {name: {"offset_s": offset_s, "seconds": round(min(read_s), 4)} for name, offset_s in offsets_s.items()}

    def only(self, labels: Iterable[str]) -> "Corpus":
        """Keep the utterances with one of `labels`; CorpusError for a name that does not occur."""
        known = {spelling.clean(label): label for label in self.labels}
        wanted = tuple(dict.fromkeys(known.get(spelling.clean(label), label) for label in labels))
        unknown = [label for label in wanted if label not in self.labels]
        if unknown or not wanted:
            kind = "emotion" if self.labelling.scheme == "emotion" else "label"
            what = f"no {kind} called {', '.join(map(repr, unknown))}" if unknown else f"nothing without {kind}s"
            raise CorpusError(f"Corpus '{self.name}' has {what}. Choose from: {', '.join(self.labels)}.")
        return self.keeping([self.labelling(utterance) in wanted for utterance in self.utterances])

    def drawn(self, n_clips: int) -> "Corpus":
        """Keep so many utterances, drawn by a hash of speaker and file name: always the same ones.

        Raises:
          CorpusError: fewer than one clip, or more than there are.
        """
        if not 1 <= n_clips <= len(self.utterances):
            raise CorpusError(f"{n_clips} clips of '{self.name}' are asked for; expected 1 to {len(self.utterances)}.")
        lots = sorted(self.utterances, key=lambda utterance: hashlib.sha256(utterance.lot.encode()).digest())
        drawn = {utterance.path for utterance in lots[:n_clips]}
        return self.keeping([utterance.path in drawn for utterance in self.utterances])

    def keeping(self, kept: Sequence[bool], *notes: Note) -> "Corpus":
        """Keep the utterances where `kept` is true, and their labels; `notes` say why the others are left out."""
        utterances = tuple(itertools.compress(self.utterances, kept))
        there = {self.labelling(utterance) for utterance in utterances}
        labels = tuple(label for label in self.labels if label in there)
        return dataclasses.replace(self, utterances=utterances, labels=labels, notes=(*self.notes, *notes))
