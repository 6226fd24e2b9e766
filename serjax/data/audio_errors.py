"""What is wrong or odd about an audio file: a word for programs, a phrase and a way out for people."""

import os
from collections import Counter
from pathlib import Path
from typing import Literal, NamedTuple

from serjax.errors import SerjaxError

CONVERT = "Convert it: ffmpeg -i IN OUT.wav."
N_SHOWN = 20  # unreadable clips that a message names

AudioCode = Literal[
    "missing",
    "not-a-file",
    "format",
    "damaged",
    "truncated",
    "mangled",
    "empty",
    "offset",
    "too-short",
    "too-long",
    "rate",
    "channels",
    "non-finite",
    "implausible",
    "anti-phase",
]


class AudioError(SerjaxError):
    """An audio file cannot be used: `code` says why for programs, `problem` and `advice` for people."""

    def __init__(self, code: AudioCode, path: Path, problem: str, advice: str) -> None:
        super().__init__(code, path, problem, advice)
        self.code, self.path, self.problem, self.advice = code, path, problem, advice

    def __str__(self) -> str:
        return f"{printable(self.path)}: {self.problem}. {self.advice} [{self.code}]"


class UnreadableClips(SerjaxError):  # noqa: N818
    """Clips cannot be read: `errors` has one `AudioError` for each, in the order in which they were asked for.

    `way_out` says what else can be done than to repair them.
    """

    def __init__(self, errors: tuple[AudioError, ...], way_out: str = "") -> None:
        super().__init__(errors, way_out)
        self.errors, self.way_out = errors, way_out

    def __str__(self) -> str:
        count = "1 clip cannot be read" if len(self.errors) == 1 else f"{len(self.errors)} clips cannot be read"
        lines = [f"  {printable(error.path)}: {error.problem} [{error.code}]" for error in self.errors[:N_SHOWN]]
        rest = Counter(error.code for error in self.errors[N_SHOWN:])
        if rest:
            codes = ", ".join(f"{n} {code}" for code, n in rest.most_common())
            lines.append(f"  and {rest.total()} more ({codes})")
        advice = dict.fromkeys(f"[{error.code}] {error.advice}" for error in self.errors)
        return "\n".join([f"{count}:", *lines, *advice, *filter(None, [self.way_out])])


class Oddity(NamedTuple):
    """What is odd about a usable file: `what` is the same for all files of a kind, `detail` is this one's."""

    kind: str
    what: str
    detail: str = ""


def truncated(path: Path, found: str) -> AudioError:
    """Make the error of a file that ends too early; `found` says how much there is."""
    advice = "Copy or download it again; if this is all there is, write it anew (ffmpeg -i IN OUT.wav)."
    return AudioError("truncated", path, f"is cut off: {found}", advice)


def printable(path: Path) -> str:
    r"""Write a path so that any terminal and any UTF-8 file takes it, whatever bytes and control characters it has.

    >>> print(printable(Path("a\n\x1b[31m.wav")))
    a\n\x1b[31m.wav
    """
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
