"""What is odd about the data: gathered in one place, counted, printed in a line per kind, stored whole.

Readers of files, corpora and features say what they notice as `Note`s; a corpus carries them, cached features keep
them, `metrics.json` holds them all.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from serjax.errors import SerjaxError

N_EXAMPLES = 3  # clips that a line names


@dataclass(frozen=True)
class Note:
    """One kind of oddity, and the clips that have it.

    Attributes:
      kind: a word for programs, such as "silent"; notes of one kind and `what` are one note.
      what: a phrase for people, without a full stop: "Every sample is zero".
      clips: pairs (path, detail), such as ("a.wav", "12 bytes"); the detail may be empty. Notes on a corpus as a
        whole have none.
    """

    kind: str
    what: str
    clips: tuple[tuple[str, str], ...] = ()

    @property
    def line(self) -> str:
        """The note in one sentence: how many clips, and the first three of them.

        >>> Note("silent", "Every sample is zero", (("a.wav", ""), ("b.wav", ""))).line
        'Every sample is zero: 2 clips (a.wav, b.wav).'
        >>> Note("columns", "Columns of the table that are not used: age").line
        'Columns of the table that are not used: age.'
        """
        if not self.clips:
            return f"{self.what}."
        named = [f"{path}: {detail}" if detail else path for path, detail in self.clips[:N_EXAMPLES]]
        more = ", …" if len(self.clips) > N_EXAMPLES else ""
        count = f"{len(self.clips)} clip{'s' * (len(self.clips) > 1)}"
        return f"{self.what}: {count} ({', '.join(named)}{more})."

    def as_json(self) -> dict[str, object]:
        """Give the note as `metrics.json` and the cache keep it."""
        return {"kind": self.kind, "what": self.what, "n_clips": len(self.clips), "clips": dict(self.clips)}

    @classmethod
    def from_json(cls, content: Mapping[str, object]) -> "Note":
        """Read what `as_json` gave; SerjaxError if it is something else."""
        kind, what, clips = (content.get(name) for name in ("kind", "what", "clips"))
        if not (isinstance(kind, str) and isinstance(what, str) and isinstance(clips, dict)):
            raise SerjaxError(
                f"A note on a corpus has kind, what and clips; this has {', '.join(content) or 'nothing'}."
            )
        return cls(kind, what, tuple((str(path), str(detail)) for path, detail in clips.items()))


def gather(notes: Iterable[Note]) -> tuple[Note, ...]:
    """Join the notes of one kind and `what`, in the order in which they come first; each clip once.

    >>> gather([Note("silent", "Every sample is zero", ((name, ""),)) for name in "ab"])[0].line
    'Every sample is zero: 2 clips (a, b).'
    """
    found: dict[tuple[str, str], dict[str, str]] = {}
    for note in notes:
        found.setdefault((note.kind, note.what), {}).update(note.clips)
    return tuple(Note(kind, what, tuple(clips.items())) for (kind, what), clips in found.items())
