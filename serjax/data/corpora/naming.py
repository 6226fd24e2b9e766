"""How the corpora name their files: enough to say which one a folder holds."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

_NAMES = {
    "RAVDESS": re.compile(r"03(-\d\d){6}"),
    "CREMA-D": re.compile(r"\d{4}_[A-Z]{3}_[A-Z]{3}_[A-Z]{1,2}"),
    "Emo-DB": re.compile(r"\d\d[ab]\d\d[A-Z][a-z]?"),
    "SAVEE": re.compile(r"([A-Z]{2}_)?(a|d|f|h|n|sa|su)\d\d"),
    "TESS": re.compile(r"(OAF|YAF|OA)_\w+_\w+", re.IGNORECASE),
}


class NamedAs(NamedTuple):
    """A corpus, and how many clips bear its names."""

    corpus: str
    n_clips: int


def named_as(paths: Sequence[str]) -> NamedAs | None:
    """Tell which corpus more than half of `paths` are named as in; None: no known one.

    >>> named_as(["AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1001_DFA_SAD_XX.wav", "hello.wav"])
    NamedAs(corpus='CREMA-D', n_clips=2)
    """
    stems = [PurePosixPath(path).stem for path in paths]
    for corpus, pattern in _NAMES.items():
        n_clips = sum(pattern.fullmatch(stem) is not None for stem in stems)
        if n_clips > len(stems) / 2:
            return NamedAs(corpus, n_clips)
    return None
