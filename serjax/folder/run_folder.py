"""The run folder: claimed by one process and one configuration, written so that a reader never sees half a file."""

import dataclasses
import functools
import json
import logging
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from serjax.files import clear_unfinished, write_json
from serjax.folder import manifest
from serjax.folder.ownership import (
    CLOCK,
    CONFIG,
    RunFolderError,
    check,
    check_files,
    files_of,
    holds_results,
    locked,
    read_json,
)
from serjax.provenance import provenance
from serjax.train.processes import exchange, is_first
from serjax.train.record import History

MACHINE = "machine"  # the section of flags on which no result depends


class Clock:
    """How long a folder was worked on: it runs from the start, and stands still while others are worked on."""

    def __init__(self, earlier_s: float = 0.0) -> None:
        self._counted_s = earlier_s
        self._since_s: float | None = time.monotonic()

    @property
    def seconds(self) -> float:
        """What is counted so far."""
        return self._counted_s + (0.0 if self._since_s is None else time.monotonic() - self._since_s)

    def stop(self, work_s: float = 0.0) -> None:
        """Stand still, and count `work_s` that was done elsewhere."""
        self._counted_s, self._since_s = self.seconds + work_s, None

    def go(self) -> None:
        """Run again."""
        self._counted_s, self._since_s = self.seconds, time.monotonic()


@dataclass(frozen=True)
class RunFolder:
    """An open run folder; `open_run_folder` makes one. Of several processes only the first writes to it."""

    path: Path
    experiment: str
    fingerprint: str
    clock: Clock

    @functools.cached_property
    def history(self) -> History:
        """The training history; it knows which of its lines can be trusted."""
        return History(self.path / "history.jsonl")

    @property
    def writes(self) -> bool:
        """Whether this process writes: it is alone, or the first of several."""
        return is_first()

    @property
    def seconds(self) -> float:
        """Seconds that this command has worked on the folder, interrupted runs of it included."""
        return round(self.clock.seconds, 1)

    @property
    def claimed(self) -> bool:
        """Whether the folder is this configuration's already."""
        return (self.read_json(CONFIG) or {}).get("fingerprint") == self.fingerprint

    @property
    def finished(self) -> bool:
        """Whether all is there, and as it was written."""
        return manifest.is_finished(self.path)

    def finish(self, pictures: manifest.Pictures) -> None:
        """Draw `pictures`, each by its name below `figures`, and declare the folder finished.

        Metrics and predictions are written before: a picture that cannot be drawn is said and noted, no more.
        """
        if self.writes:
            manifest.finish(self.path, pictures)

    def claim(self, sections: Mapping[str, object]) -> None:
        """Write sections of flags and single flags, by name, to `config.json`, unless they are there.

        From then on the folder is this configuration's. They replace the claim of a command that failed before it
        computed anything, as one with a wrong value does, and what was changed since.

        Raises:
          RunFolderError: a flag is NaN or infinite.
        """
        if not self.writes:
            return
        kept = (self.read_json(CONFIG) or {}) if self.claimed else {}
        content = {
            "experiment": self.experiment,
            "fingerprint": self.fingerprint,
            "config": {name: _plain(section) for name, section in sections.items() if section is not None},
            **provenance(),
        }
        try:
            text = json.dumps(content, default=str, allow_nan=False)
        except ValueError:
            found = _numbers(content["config"])
            endless = sorted(f"{name} {value}" for name, value in found if not math.isfinite(value))
            raise RunFolderError(f"{', '.join(endless)}: expected finite numbers.") from None
        written = json.loads(text)
        if _determining(kept) != _determining(written) or CONFIG in manifest.changed(self.path):
            self.write_json(CONFIG, written | {name: kept[name] for name in ("plan",) if name in kept})

    def check_clips(self, digest: str) -> None:
        """Keep in `config.json` what the clips are, by a digest of features, labels and speakers.

        Raises:
          RunFolderError: it was begun with others: parts of its result would be of these, parts of those.
        """
        if not self.writes:
            return
        content = self.read_json(CONFIG) or {}
        begun = content.get("clips", digest)
        if begun != digest and holds_results(self.path):
            raise RunFolderError(
                f"{self.path} was begun with other clips, labels or features (digest {begun}, now {digest}). Put the "
                "corpus back as it was to go on, or begin anew by another --out."
            )
        if begun != digest:
            content.pop("plan", None)  # it is that of other clips
        self.write_json(CONFIG, content | {"clips": digest})

    @property
    def plan(self) -> dict | None:
        """How `config.json` says that the study is stacked, None where it does not."""
        plan = (self.read_json(CONFIG) or {}).get("plan")
        return plan if isinstance(plan, dict) else None

    def keep_plan(self, plan: dict[str, object]) -> None:
        """Write to `config.json`, beside what claims the folder, how the study is stacked."""
        if self.writes and self.plan != plan:
            self.write_json(CONFIG, (self.read_json(CONFIG) or {}) | {"plan": plan})

    def write_json(self, name: str, content: object) -> None:
        """Write a JSON file of the folder, whole or not at all."""
        if self.writes:
            write_json(self.path / name, content)

    def read_json(self, name: str) -> dict | None:
        """Return a JSON file of the folder, None where it is absent; where it is damaged too, with a word."""
        return read_json(self.path / name)


def _determining(content: dict) -> object:
    """Return what a `config.json` says of the flags on which results depend: all but those of the machine."""
    config = content.get("config")
    return {k: v for k, v in config.items() if k != MACHINE} if isinstance(config, dict) else None


def _plain(section: object) -> object:
    """Return a section of flags as a dictionary, a mapping of sections likewise, a single flag as it is."""
    if isinstance(section, Mapping):
        return {name: _plain(value) for name, value in section.items()}
    is_section = dataclasses.is_dataclass(section) and not isinstance(section, type)
    return dataclasses.asdict(section) if is_section else section  # type: ignore[call-overload]


def _numbers(sections: object, name: str = "") -> Iterator[tuple[str, float]]:
    """Give every number of the sections with its section and name."""
    if isinstance(sections, dict):
        for inner, value in sections.items():
            yield from _numbers(value, f"{name} {inner}".strip())
    elif isinstance(sections, float):
        yield name, sections


@contextmanager
def open_run_folder(path: Path, experiment: str, fingerprint: str) -> Iterator[RunFolder]:
    """Make and lock the folder, and check that it is free or this configuration's; `RunFolder.claim` makes it so.

    Several processes open it together: the first does all this, and none goes on before the first has closed it.

    Raises:
      RunFolderError: the folder cannot be written, holds another configuration or foreign files, or is in use.
    """
    if not is_first():
        exchange()
        yield RunFolder(path, experiment, fingerprint, Clock())
        exchange()
        return
    check_files(path)
    with locked(path):
        check(path, fingerprint)
        for left in files_of(path):
            clear_unfinished(left)
        clock = path / CLOCK
        folder = RunFolder(path, experiment, fingerprint, Clock())
        if folder.claimed and clock.exists():
            folder = replace(folder, clock=Clock(_earlier_s(clock)))
        if harmed := manifest.changed(path):
            logging.getLogger(__name__).warning(f"{path}: {', '.join(harmed)} changed since: made again.")
        exchange()
        try:
            yield folder
        finally:
            if folder.claimed:
                write_json(clock, {"seconds": folder.seconds})
    exchange()


def _earlier_s(clock: Path) -> float:
    """Return the seconds that a clock has counted, 0 where it is damaged."""
    counted = (read_json(clock) or {"seconds": 0}).get("seconds")
    if isinstance(counted, int | float) and 0 <= counted < math.inf:
        return float(counted)
    logging.getLogger(__name__).warning(f"{clock} is damaged: the seconds before are not counted.")
    return 0.0
