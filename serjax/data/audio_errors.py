"""What is wrong with an audio file: a word for programs, a problem and a way out for people."""

import os
from pathlib import Path
from typing import Literal

from serjax.errors import SerjaxError

CONVERT = "Convert it: ffmpeg -i IN OUT.wav."

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


class AudioWarning(UserWarning):
    """An audio file is usable but not as it should be."""


class AudioError(SerjaxError):
    """An audio file cannot be used: `code` says why for programs, `problem` and `advice` for people."""

    def __init__(self, code: AudioCode, path: Path, problem: str, advice: str) -> None:
        super().__init__(code, path, problem, advice)
        self.code, self.path, self.problem, self.advice = code, path, problem, advice

    def __str__(self) -> str:
        return f"{printable(self.path)}: {self.problem}. {self.advice} [{self.code}]"


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
