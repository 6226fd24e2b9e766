"""What reading the clips of a corpus finds, whether their features are kept or not; and what follows from it."""

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32

from serjax.data.audio import AudioError
from serjax.data.corpora.corpus import Corpus
from serjax.data.notes import Note
from serjax.errors import ConfigError

T = TypeVar("T")


@runtime_checkable
class FoundOfClips(Protocol):
    """What reading the clips of a corpus has found: their features, or what is to be known of these."""

    @property
    def values_NTD(self) -> Float32[np.ndarray, "n T D"]:
        """The features of all clips, or of none where they are not kept."""

    @property
    def mask_NT(self) -> Bool[np.ndarray, "N T"]:
        """The frames that are centred inside a clip."""

    @property
    def notes(self) -> tuple[Note, ...]:
        """What is odd about the clips."""

    @property
    def errors(self) -> Mapping[str, AudioError]:
        """The clips that cannot be read, by path."""

    def differs(self) -> bool:
        """Whether two valid frames of any clips have other features."""

    def keeping(self: T, kept_N: Bool[np.ndarray, " N"]) -> T:
        """Return what was found of some of the clips."""

    def digests(self, silent_N: Bool[np.ndarray, " N"]) -> list[str]:
        """Return a hash of each clip's features, empty for silent ones."""


Found = TypeVar("Found", bound=FoundOfClips)


def leave_out(corpus: Corpus, tables: Sequence[Found], errors: Mapping[str, AudioError]) -> tuple[Corpus, list[Found]]:
    """Leave clips that cannot be read out of a corpus and what was found of them; a note names them all."""
    readable_N = np.array([utterance.path not in errors for utterance in corpus.utterances])
    note = Note(
        "unreadable",
        "Cannot be read and left out (--max-bad)",
        tuple((path, f"{error.problem} [{error.code}]") for path, error in errors.items()),
    )
    return corpus.keeping(readable_N.tolist(), note), [table.keeping(readable_N) for table in tables]


def check_differ(tables: Sequence[FoundOfClips]) -> None:
    """Raise ConfigError where all valid frames of all clips have the same features, as those of silence."""
    if not any(table.differs() for table in tables):
        raise ConfigError(
            "All clips have the same features in all frames, as silence has: there is nothing to tell them apart by. "
            "Look at the files, and at --offset and --duration."
        )
