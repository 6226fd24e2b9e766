"""What a study's flags say, and the fingerprint that tells two configurations apart."""

import dataclasses
import hashlib
import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from serjax.data.audio import file_digest
from serjax.data.corpora import CORPUS_NAMES
from serjax.study.flags import Data, Machine, RunsPerDevice


@dataclass(frozen=True)
class StudyFlags:
    """All that the flags of a study say.

    Args:
      experiment: the name of the command.
      sections: what the result depends on, by name: sections of flags, and single flags.
      machine: where and how loudly it runs; no result depends on it.
      problem: the flags that decide clips, features and folds; studies with equal ones share them in memory.
      runs_per_device: how many models a device trains at a time where `machine` does not say it.
    """

    experiment: str
    sections: Mapping[str, object]
    machine: Machine
    problem: Hashable
    runs_per_device: RunsPerDevice = field(default_factory=RunsPerDevice)

    @cached_property
    def fingerprint(self) -> str:
        """The hash of all that the result depends on."""
        return fingerprint(self.experiment, self.sections)

    @property
    def out(self) -> Path:
        """The run folder."""
        data = self.sections["data"]
        assert isinstance(data, Data)
        return self.machine.out or default_out(self.experiment, data.corpus_name, self.fingerprint)


def default_out(experiment: str, corpus: str, mark: str) -> Path:
    """Return the run folder of a configuration where none is named.

    >>> default_out("vae_mfcc", "ravdess", "0123456789abcdef").as_posix()
    'runs/vae_mfcc-ravdess-01234567'
    """
    return Path("runs") / f"{experiment}-{corpus}-{mark[:8]}"


def fingerprint(experiment: str, sections: Mapping[str, object]) -> str:
    """Return 16 hex digits that differ whenever a field of a section differs.

    Sections and fields count by name and value, whatever their classes are called. Files count by what is in them, the
    CSV of a corpus too; other paths as absolute. A flag that is not given (None) does not count: a run from before
    there was such a flag stays what it was.
    """
    text = json.dumps([experiment, _given(sections)], sort_keys=True, default=_content)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _given(section: Mapping[str, object]) -> dict[str, object]:
    return {name: _plain(name, value) for name, value in section.items() if value is not None}


def _plain(name: str, value: object) -> object:
    """Return a section as names and values; a corpus as a path where it is none of those that have a name."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return _given(value)
    if name == "corpus" and isinstance(value, tuple):
        return [_plain(name, corpus) for corpus in value]
    is_path = name in ("corpus", "test_corpus") and value not in CORPUS_NAMES
    return Path(value) if is_path and isinstance(value, str) else value


def _content(value: object) -> str:
    if not isinstance(value, Path):
        return str(value)
    return file_digest(value) if value.is_file() else str(value.resolve())
