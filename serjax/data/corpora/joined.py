"""Several corpora as one: people and paths bear the corpus's name, labels are those of all, each keeps its offset."""

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from serjax.data import audio
from serjax.data.corpora import spelling
from serjax.data.corpora.corpus import AudioSource, Corpus, CorpusError, Utterance, Waveforms, Window, clip_name
from serjax.data.notes import Note, gather

LabelMap = Mapping[str, Mapping[str, str | None]]  # corpus → its emotion → label; None: leave its clips out
EXAMPLE = '{"ravdess": {"calm": "neutral", "neutral": "neutral"}, "crema-d": {"neutral": "neutral"}}'


@dataclass(frozen=True)
class JoinedSource:
    """The sound of several corpora: of `NAME/PATH` that of PATH in the part NAME, from the part's own offset on."""

    parts: Mapping[str, AudioSource]
    offsets_s: Mapping[str, float]

    def read(self, paths: Sequence[str], window: Window) -> Waveforms:
        """Give the windows of the clips at `paths`, in their order; UnreadableClips names all that have none."""
        values_BN = np.zeros((len(paths), window.n_samples), np.float32)
        n_valid_B = np.zeros(len(paths), np.int32)
        notes: list[Note] = []
        errors: dict[str, audio.AudioError] = {}
        for name, rows in self.rows(paths).items():
            inner = [paths[row].partition("/")[2] for row in rows]
            try:
                read = self.parts[name].read(inner, replace(window, offset_s=window.offset_s + self.offsets_s[name]))
            except audio.UnreadableClips as unreadable:
                bad = [(Path(name, error.path), error) for error in unreadable.errors]
                errors |= {p.as_posix(): audio.AudioError(e.code, p, e.problem, e.advice) for p, e in bad}
                continue
            values_BN[rows], n_valid_B[rows] = read.values_BN, read.n_valid_B
            notes += [_renamed(note, name) for note in read.notes]
        if errors:
            raise audio.UnreadableClips(tuple(errors[path] for path in paths if path in errors))
        return Waveforms(values_BN, n_valid_B, gather(notes))

    def digest(self, path: str) -> str:
        """Give the sha256 (hex) of all that determines the sound of `path`, its offset included."""
        name, _, inner = path.partition("/")
        return hashlib.sha256(repr((self.parts[name].digest(inner), self.offsets_s[name])).encode()).hexdigest()

    def rows(self, paths: Sequence[str]) -> dict[str, list[int]]:
        """Return the places of each part's paths among `paths`."""
        found: dict[str, list[int]] = {}
        for row, path in enumerate(paths):
            found.setdefault(path.partition("/")[0], []).append(row)
        return found


def join(trained: Sequence[Corpus], tested: Corpus | None = None) -> Corpus:
    """Put corpora together, with the labels that all of them have; clips of other labels are left out, with a note.

    The paths of a part begin with its name, its speakers with the corpus that they are people of: an actor of RAVDESS
    is one person in speech and song. Genders are written one way.

    Args:
      trained: two corpora or more, one where there is a `tested` one. The published folds of a single one are kept.
      tested: the corpus whose people are the test of the protocol `cross-corpus`.

    Raises:
      CorpusError: two corpora of one name; a clip in both; fewer than two labels in common; people of the tested
        corpus who are among the others.
    """
    parts = [*trained, *([tested] if tested else [])]
    names = [part.name for part in parts]
    if twice := [name for name, n in Counter(names).items() if n > 1]:
        raise CorpusError(f"Two of the corpora are called '{twice[0]}'. Give each once, or rename a table or folder.")
    _check_twice(parts)
    parts = _in_common(parts)
    utterances = sorted((_prefixed(u, part.name) for part in parts for u in part.utterances), key=lambda u: u.path)
    folds = {name: _prefixed_groups(groups, parts[0]) for name, groups in trained[0].published_folds.items()}
    people = tuple(sorted({_speaker(u) for u in parts[-1].utterances})) if tested else ()
    if shared := set(people) & {_speaker(u) for part in parts[: len(trained)] for u in part.utterances}:
        raise CorpusError(
            f"{sorted(shared)[0]} and {len(shared) - 1} more people are in the test corpus '{names[-1]}' and in the "
            "others: it would be no test on other people. Choose another test corpus."
        )
    return Corpus(
        name=f"{'+'.join(names[: len(trained)])}{f' to {names[-1]}' if tested else ''}",
        utterances=tuple(utterances),
        source=JoinedSource({part.name: part.source for part in parts}, {part.name: part.offset_s for part in parts}),
        labels=tuple(dict.fromkeys(label for part in parts for label in part.labels)),
        published_folds={**(folds if len(trained) == 1 else {}), **({"cross-corpus": (people,)} if tested else {})},
        notes=tuple(_renamed(note, part.name) for part in parts for note in part.notes),
        offsets_s={part.name: part.offset_s for part in parts},
    )


def read_label_map(file: Path) -> LabelMap:
    """Read a JSON file such as `EXAMPLE`; CorpusError if it cannot be read, or is something else."""
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise CorpusError(
            f"--label-map {file} cannot be read as JSON: {error}. Give a file such as {EXAMPLE}."
        ) from error
    whole = isinstance(content, dict) and all(isinstance(part, dict) for part in content.values())
    if not whole or not all(label is None or label for part in content.values() for label in part.values()):
        raise CorpusError(f"--label-map {file} does not map emotions of corpora to labels; expected such as {EXAMPLE}.")
    if not all(isinstance(label, str | None) for part in content.values() for label in part.values()):
        raise CorpusError(f"--label-map {file} has a label that is no text; expected such as {EXAMPLE}.")
    return content


def with_labels(corpus: Corpus, labels: LabelMap) -> Corpus:
    """Give a corpus the labels of a map; clips of an emotion that is not in it are left out, with a note.

    Raises:
      CorpusError: the map has not this corpus, an emotion that the corpus has not, or nothing for it.
    """
    if corpus.name not in labels:
        raise CorpusError(
            f"--label-map has nothing on '{corpus.name}', but on {', '.join(labels) or 'nothing'}. Add it."
        )
    new = labels[corpus.name]
    if unknown := [emotion for emotion in new if emotion not in corpus.labels]:
        raise CorpusError(
            f"--label-map: corpus '{corpus.name}' has no emotion {unknown[0]!r}. Choose from: "
            f"{', '.join(corpus.labels)}."
        )
    kept = corpus.only([emotion for emotion in corpus.labels if new.get(emotion)])
    utterances = tuple(replace(u, emotion=spelling.clean(new[u.emotion] or "")) for u in kept.utterances)
    order = dict.fromkeys(spelling.clean(new[emotion] or "") for emotion in kept.labels)
    notes = (*corpus.notes, *_left_out(corpus, kept.labels))
    return dataclasses.replace(kept, utterances=utterances, labels=tuple(order), notes=notes)


def _in_common(parts: Sequence[Corpus]) -> list[Corpus]:
    common = [label for label in parts[0].labels if all(label in part.labels for part in parts)]
    if len(common) < 2:
        there = "; ".join(f"{part.name}: {', '.join(part.labels)}" for part in parts)
        raise CorpusError(
            f"The corpora have {len(common)} emotions in common ({there}). Two are needed: say which are one with "
            f"--label-map FILE.json, such as {EXAMPLE}."
        )
    kept = [part.only(common) for part in parts]
    return [replace(new, notes=(*new.notes, *_left_out(old, common))) for old, new in zip(parts, kept, strict=True)]


def _left_out(corpus: Corpus, kept: Sequence[str]) -> list[Note]:
    n_clips = Counter(u.emotion for u in corpus.utterances if u.emotion not in kept)
    told = ", ".join(f"{n_clips[label]} {label}" for label in corpus.labels if n_clips[label])
    return (
        [Note("labels", f"Left out, clips of emotions that not all corpora have or the label map leaves out: {told}")]
        if told
        else []
    )


def _check_twice(parts: Sequence[Corpus]) -> None:
    """Refuse a clip that is in two parts, such as intended and voted emotions of CREMA-D."""
    first: dict[tuple[str, str, str], str] = {}
    for part in parts:
        for utterance in part.utterances:
            clip = utterance.corpus, utterance.speaker, clip_name(utterance.path)
            if first.setdefault(clip, part.name) != part.name:
                raise CorpusError(
                    f"{utterance.path} is a clip of '{first[clip]}' and of '{part.name}': joined, it would be there "
                    "twice. Choose one of the two."
                )


def _prefixed(utterance: Utterance, name: str) -> Utterance:
    gender = utterance.gender and spelling.gender(utterance.gender)
    return replace(utterance, path=f"{name}/{utterance.path}", speaker=_speaker(utterance), gender=gender, split=None)


def _speaker(utterance: Utterance) -> str:
    return f"{utterance.corpus}:{utterance.speaker}"


def _prefixed_groups(groups: Sequence[Sequence[str]], part: Corpus) -> tuple[tuple[str, ...], ...]:
    people = {utterance.speaker: _speaker(utterance) for utterance in part.utterances}
    return tuple(tuple(people[speaker] for speaker in group if speaker in people) for group in groups)


def _renamed(note: Note, name: str) -> Note:
    """Say of which part a note is: in its paths, else in words."""
    if not note.clips:
        return replace(note, what=f"{name}: {note.what}")
    return replace(note, clips=tuple((f"{name}/{path}", detail) for path, detail in note.clips))
