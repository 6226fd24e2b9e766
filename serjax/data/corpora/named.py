"""Corpora whose file names say everything: from a folder to utterances, and what the folder lacks of the corpus."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from serjax.data.corpora.corpus import Corpus, CorpusError, FileSource, Utterance
from serjax.data.corpora.defects import duplicate_notes, one_file_a_clip
from serjax.data.corpora.files import find_audio, show
from serjax.data.corpora.naming import named_as
from serjax.data.notes import Note


@dataclass(frozen=True)
class Named:
    """What is published about a corpus, and how its file names are read.

    Attributes:
      name: what `--corpus` takes.
      title: what people call it.
      example: the name of a file.
      parse: from a path to the utterance; None: the path is not named as in this corpus.
      n_clips: how many clips each emotion has, in the order of the labels.
      licence: under which the clips can be used.
      citation: what a paper on them cites.
    """

    name: str
    title: str
    example: str
    parse: Callable[[str], Utterance | None]
    n_clips: Mapping[str, int]
    licence: str
    citation: str

    @property
    def note(self) -> Note:
        """Whose the clips are, and how far the reader can be trusted."""
        known = f"{self.title} ({self.licence}; cite {self.citation})"
        return Note("untried", f"{known}: this reader has not yet been run on the real files, compare the counts")


def load_named(about: Named, root: Path | None) -> Corpus:
    """Find the clips of a corpus below `root`, at any depth, in any format that is read; one file for each clip.

    Raises:
      CorpusError: what `find_audio` raises; no file is named as in the corpus.
    """
    paths, left_notes = find_audio(root, about.name)
    assert root is not None  # find_audio has seen to it
    parsed = [utterance for path in paths if (utterance := about.parse(path))]
    if not parsed:
        raise CorpusError(wrong_root(about.name, root, paths, about.title, about.example))
    utterances, further_notes = one_file_a_clip(parsed)
    source = FileSource(root)
    return Corpus(
        name=about.name,
        utterances=utterances,
        source=source,
        labels=tuple(emotion for emotion in about.n_clips if any(u.emotion == emotion for u in utterances)),
        notes=(
            about.note,
            *left_notes,
            *further_notes,
            *other_names(paths, parsed, f"{about.title} clips"),
            *_lacking(utterances, about),
            *duplicate_notes(utterances, source),
        ),
    )


def other_names(paths: Sequence[str], parsed: Sequence[Utterance], clips: str) -> list[Note]:
    """Name the audio files that are not named as `clips` of the corpus."""
    others = sorted(set(paths) - {utterance.path for utterance in parsed})
    what = f"Left out, audio files that are not named as {clips}"
    return [Note("other-names", what, tuple((path, "") for path in others))] if others else []


def wrong_root(name: str, root: Path, paths: Sequence[str], title: str, example: str) -> str:
    """Say which corpus lies in `root` instead of the one called `title`, and what its files are named like."""
    wrong = f"{show(root)} is not the root of corpus '{name}'"
    if other := named_as(paths):
        holds = f"{other.n_clips} of its {len(paths)} clips are named as in {other.corpus} ({paths[0]})"
        return f"{wrong}: {holds}. Choose the root of {title}."
    return (
        f"{wrong}: none of its {len(paths)} audio files is named as in {title} ({paths[0]}). "
        f"Expected names such as {example}, which the official archive has."
    )


def _lacking(utterances: Sequence[Utterance], about: Named) -> list[Note]:
    there = Counter(utterance.emotion for utterance in utterances)
    differing = [f"{emotion} {there[emotion]} of {n}" for emotion, n in about.n_clips.items() if there[emotion] != n]
    counts = f"{len(utterances)} clips are there, {sum(about.n_clips.values())} are published"
    return [Note("incomplete", f"Counts differ: {counts} ({', '.join(differing)})")] if differing else []
