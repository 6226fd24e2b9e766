"""What each clip of a corpus is, as its file says and as it was decoded from end to end; bad ones are told."""

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from jaxtyping import Float, Float32

from serjax.data import audio
from serjax.data.corpora import Corpus
from serjax.data.corpora.corpus import AudioSource, FileSource, Utterance, Window
from serjax.data.corpora.joined import JoinedSource
from serjax.data.notes import Note, gather
from serjax.errors import ConfigError

CLIPS_A_BLOCK = 64
COMPUTED = "computed"  # the format of a corpus that has no files
FULL_SCALE_DB = 0.01  # above it: 16-bit files reach 0 dB
LEFT_OUT = "Cannot be read, and is left out here"
OWN = ("silent", "loud")  # what is told of all clips, here
SILENT, TOO_LOUD, EQUAL = "Every sample is zero", "Peaks above full scale", "Same sound as another clip"


class Clip(NamedTuple):
    """A clip that can be read: how long it is, what its file is, how loud it is (None: silent, or not decoded whole).

    Peak and level (RMS) are in dB of full scale, of the mean of the channels. Clips of equal sound have equal `sound`.
    """

    seconds: float
    rate_hz: int
    channels: int
    format: str
    peak_db: float | None
    level_db: float | None
    sound: str | None
    notes: tuple[Note, ...] = ()


class Unreadable(NamedTuple):
    """A clip that cannot be read: why, as a code for programs and a sentence for people, and what to do."""

    path: str
    code: str
    problem: str
    advice: str


@dataclass(frozen=True, eq=False)
class Inventory:
    """The corpus without the clips that cannot be read, what each of its clips is, and those that cannot."""

    corpus: Corpus
    clips: tuple[Clip, ...]
    unreadable: tuple[Unreadable, ...]

    @cached_property
    def duration_s_N(self) -> Float[np.ndarray, " N"]:
        """How long each clip is."""
        return np.array([clip.seconds for clip in self.clips])

    @property
    def silent(self) -> tuple[str, ...]:
        """The paths of clips without any sound."""
        return tuple(u.path for u, clip in self._pairs if clip.sound is not None and clip.peak_db is None)

    @property
    def too_loud(self) -> dict[str, float]:
        """The peaks of clips that go beyond full scale, by path, in dB."""
        found = ((u.path, clip.peak_db) for u, clip in self._pairs)
        return {path: peak_db for path, peak_db in found if peak_db is not None and peak_db > FULL_SCALE_DB}

    @cached_property
    def equal(self) -> tuple[tuple[Utterance, ...], ...]:
        """The groups of clips of one sound, silent ones aside, whatever their files are."""
        groups: dict[str, list[Utterance]] = {}
        for utterance, clip in self._pairs:
            if clip.sound is not None and clip.peak_db is not None:
                groups.setdefault(clip.sound, []).append(utterance)
        return tuple(tuple(group) for group in groups.values() if len(group) > 1)

    @property
    def notes(self) -> tuple[Note, ...]:
        """All that is odd, a note a kind."""
        equal = ((u.path, _as_first(group[0], u)) for group in self.equal for u in group[1:])
        kinds = {
            ("unreadable", LEFT_OUT): ((bad.path, f"{bad.problem} [{bad.code}]") for bad in self.unreadable),
            ("silent", SILENT): ((path, "") for path in self.silent),
            ("too-loud", TOO_LOUD): ((path, f"{peak_db:+.1f} dB") for path, peak_db in self.too_loud.items()),
            ("equal", EQUAL): equal,
        }
        found = (Note(kind, what, tuple(clips)) for (kind, what), clips in kinds.items())
        odd = (note for clip in self.clips for note in clip.notes)
        return gather(note for note in (*found, *odd) if note.clips)

    def counts(self, what: str) -> dict[str, int]:
        """Count the clips of each `rate_hz`, `channels` or `format`, the most frequent first."""
        return dict(Counter(str(getattr(clip, what)) for clip in self.clips).most_common())

    @property
    def _pairs(self) -> zip:
        return zip(self.corpus.utterances, self.clips, strict=True)


def take_inventory(corpus: Corpus, window: Window, report: Callable[[int, int], None]) -> Inventory:
    """Decode every clip from end to end; of a corpus without files, the window. `report(done, total)` is called.

    Raises:
      ConfigError: no clip can be read.
    """
    looks: list[Clip | Unreadable] = []
    paths = [utterance.path for utterance in corpus.utterances]
    for start in range(0, len(paths), CLIPS_A_BLOCK):
        looks += _look(corpus.source, paths[start : start + CLIPS_A_BLOCK], window)
        report(len(looks), len(paths))
    bad = tuple(look for look in looks if isinstance(look, Unreadable))
    if len(bad) == len(looks):
        told = Note("unreadable", LEFT_OUT, tuple((b.path, f"{b.problem} [{b.code}]. {b.advice}") for b in bad)).line
        raise ConfigError(f"There is nothing to look at. {told}")
    readable = corpus.keeping([isinstance(look, Clip) for look in looks])
    return Inventory(readable, tuple(look for look in looks if isinstance(look, Clip)), bad)


def _look(source: AudioSource, paths: Sequence[str], window: Window) -> list[Clip | Unreadable]:
    if isinstance(source, JoinedSource):
        looks: dict[int, Clip | Unreadable] = {}
        for name, rows in source.rows(paths).items():
            inner = [paths[row].partition("/")[2] for row in rows]
            looks |= zip(rows, _look(source.parts[name], inner, window), strict=True)
        return [_called(looks[row], path) for row, path in enumerate(paths)]
    if not isinstance(source, FileSource):
        waves = source.read(paths, window)
        shown = zip(waves.values_BN, waves.n_valid_B, strict=True)
        return [_clip(wav[:n], window.sample_rate_hz, 1, COMPUTED) for wav, n in shown]
    with ThreadPoolExecutor(source.n_threads) as pool:
        return list(pool.map(lambda path: _look_at_file(source, path, window), paths))


def _called(look: Clip | Unreadable, path: str) -> Clip | Unreadable:
    """Give what was seen of a clip the path that the clip has in a joined corpus."""
    if isinstance(look, Unreadable):
        return look._replace(path=path)
    notes = tuple(replace(note, clips=tuple((path, said) for _, said in note.clips)) for note in look.notes)
    return look._replace(notes=notes)


def _look_at_file(source: FileSource, path: str, window: Window) -> Clip | Unreadable:
    header = _header(source.file(path))
    rate_hz = window.sample_rate_hz if header is None else header.rate_hz
    try:
        wav, odd = source.decode(path, rate_hz)
    except audio.AudioError as error:
        if error.code == "too-long" and header is not None:
            return _long_clip(source, path, window, header)
        return Unreadable(path, error.code, error.problem, error.advice)
    channels, kind = (1, "unknown") if header is None else (header.channels, header.format)
    notes = tuple(Note(of, what, ((path, detail),)) for of, what, detail in odd if of not in OWN)
    return _clip(wav, rate_hz, channels, kind)._replace(notes=notes)


def _long_clip(source: FileSource, path: str, window: Window, header: "_Header") -> Clip | Unreadable:
    """Look at a clip that is too long to be decoded in one piece: its window must be readable."""
    try:
        source.decode(path, window.sample_rate_hz, n_samples=window.n_samples)
    except audio.AudioError as error:
        return Unreadable(path, error.code, error.problem, error.advice)
    note = Note("long", "Too long to be decoded whole: length as the header says, no peak", ((path, ""),))
    seconds = source.segment(path).lasts_s(header.frames / header.rate_hz)
    return Clip(seconds, header.rate_hz, header.channels, header.format, None, None, None, (note,))


def _clip(wav: Float32[np.ndarray, " N"], rate_hz: int, channels: int, kind: str) -> Clip:
    power = float(np.square(wav, dtype=np.float64).mean()) if len(wav) else 0.0
    peak = float(np.abs(wav).max(initial=0.0))
    peak_db, level_db = (20 * math.log10(peak), 10 * math.log10(power)) if peak and power else (None, None)
    sound = hashlib.sha256(np.int64(rate_hz).tobytes() + np.ascontiguousarray(wav).tobytes()).hexdigest()
    return Clip(len(wav) / rate_hz, rate_hz, channels, kind, peak_db, level_db, sound)


class _Header(NamedTuple):
    rate_hz: int
    channels: int
    format: str
    frames: int


def _header(path: Path) -> _Header | None:
    """Return what a file says of itself; None for one that cannot be opened as sound, or says what cannot be."""
    if not path.is_file():  # opening a FIFO would wait for ever
        return None
    try:
        with path.open("rb") as file, soundfile.SoundFile(file.fileno(), closefd=False) as sound:
            header = _Header(sound.samplerate, sound.channels, f"{sound.format} {sound.subtype}", sound.frames)
    except (OSError, soundfile.LibsndfileError):
        return None
    return header if audio.MIN_RATE_HZ <= header.rate_hz <= audio.MAX_RATE_HZ else None


def _as_first(first: Utterance, other: Utterance) -> str:
    """Say which clip has the same sound, and whether the two contradict each other."""
    unlike = [name for name in ("emotion", "speaker") if getattr(first, name) != getattr(other, name)]
    return f"as {first.path}" + (f", of another {' and '.join(unlike)}" if unlike else "")
