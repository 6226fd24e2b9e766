"""What a bundle says of itself: `bundle.json` as frozen dataclasses, checked when it is read."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serjax.bundle.parts import BundleError

FORMAT = 2  # of bundle.json; another number is another form
BUNDLE, WEIGHTS, CARD, PROGRAM = "bundle.json", "weights.safetensors", "README.md", "program.stablehlo"
FINGERPRINTS = "fingerprints.safetensors"


@dataclass(frozen=True)
class Listening:
    """Which part of a clip is heard: from `offset_s` on, at most `duration_s` and what the front end takes."""

    offset_s: float
    duration_s: float | None


@dataclass(frozen=True)
class Calibration:
    """How scores become probabilities: softmax(score / unit / temperature), then the mean over seeds.

    `temperature` is fitted to `n_clips` validation clips, as scored by models that did not see them; None: to none.
    """

    unit: float
    temperature: float | None
    n_clips: int

    @property
    def divisor(self) -> float:
        """By what scores are divided."""
        return self.unit * (self.temperature or 1.0)


@dataclass(frozen=True)
class OutOfCorpus:
    """Clips that are explained worse than `threshold` are unlike training: all but `quantile` of validation clips."""

    threshold: float
    quantile: float
    n_clips: int


@dataclass(frozen=True)
class TooShort:
    """The UAR of validation clips cut to so many seconds, and whole; the shortest cut that reaches nearly as much.

    `shortest_s` is None where no cut does; `uar` has pairs of seconds, rising, and UAR.
    """

    shortest_s: float | None
    uar: tuple[tuple[float, float], ...]
    uar_whole: float
    n_clips: int

    @property
    def needed_s(self) -> float:
        """Below so many seconds a clip is too short: the longest cut, if none was enough."""
        return self.uar[-1][0] if self.shortest_s is None else self.shortest_s


@dataclass(frozen=True)
class Training:
    """Which recordings it was trained on: sha256 of what decodes from each (`serjax.bundle.content`).

    `fingerprints_sha256` is that of `fingerprints.safetensors`, which tells copies. None: the clips are no recordings.
    """

    n_clips: int
    sha256: tuple[str, ...] | None
    fingerprints_sha256: str | None = None


@dataclass(frozen=True)
class About:
    """All of `bundle.json`.

    Args:
      labels: the classes, in the order of scores.
      system: the system without its weights, see `serjax.bundle.systems`.
      listening: which part of a clip is heard.
      calibration: how scores become probabilities.
      training: what it was trained on.
      weights_sha256: of `weights.safetensors`.
      out_of_corpus: where to mark clips unlike training; None for systems that cannot tell.
      too_short: how UAR falls with shorter clips; None where no validation clip was left to measure it.
      run: protocol, figures and flags of the run that was exported.
      refit: what was chosen for the refit on all rows.
      versions: of Python and libraries that made it.
    """

    labels: tuple[str, ...]
    system: dict[str, Any]
    listening: Listening
    calibration: Calibration
    training: Training
    weights_sha256: str
    out_of_corpus: OutOfCorpus | None = None
    too_short: TooShort | None = None
    run: dict[str, Any] = field(default_factory=dict)
    refit: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def as_json(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {"format": FORMAT, **dataclasses.asdict(self)}


SECTIONS = {
    "listening": Listening,
    "calibration": Calibration,
    "training": Training,
    "out_of_corpus": OutOfCorpus,
    "too_short": TooShort,
}


def read_about(folder: Path) -> About:
    """Read `bundle.json`.

    Raises:
      BundleError: there is none, it is damaged, or it is of another format.
    """
    path = folder / BUNDLE
    try:
        content = json.loads(path.read_bytes())
        if content["format"] != FORMAT:
            raise ValueError(f"it has format {content['format']}, this version reads {FORMAT}")
        given = {name: value for name, value in content.items() if name != "format"} | {
            "labels": tuple(content["labels"])
        }
        for name, section in SECTIONS.items():
            fields = content[name]
            given[name] = fields and section(**{name: _tuples(value) for name, value in fields.items()})
        return About(**given)
    except OSError as error:
        raise BundleError(
            f"{path} cannot be read ({error.strerror}). Give a folder that `python -m serjax.export RUN BUNDLE` made."
        ) from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleError(f"{path} is no bundle of this version ({error}). Export the run again.") from error


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
