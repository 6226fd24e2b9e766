"""`docs/tour.md` follows one clip: its stops exist, a real run passes them in this order, and few files are needed.

The files of the trip are counted from the stops. A file counts if it holds a stop. It also counts if a stop, or a
helper in the stop's file, calls or constructs something in it, or hands it on. Type hints, exceptions and constants do
not count: a reader takes them at their name. What such a file calls further on does not count, unless it is a stop.

Nor do the files in `LEFT_OUT` count. No figure of `metrics.json` is meant to depend on them: it is the same on another
device, from the cache, or after a stop.
"""

import inspect
import re
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import pytest

from serjax.experiments.vae_mfcc import Config
from serjax.main import run
from serjax.study.flags import Data, Machine, Model, Training
from serjax.study.frontends import Features
from tests.calls import Place, Project
from tests.source import ROOT, module_name

LINK = re.compile(r"\[`(serjax/[\w/]+\.py): ([\w.]+)`\]\(\.\./(serjax/[\w/]+\.py)\)")
MOST_FILES = 40
MOST_OPENED = 58  # with what is left out, but for `figures` and `results`
MOST_ENTERED = 76  # of which a run enters a function before metrics.json is written
WRITTEN = Place("serjax.folder.run_folder", "RunFolder.finish")  # called when metrics.json is there
LEFT_OUT = {
    "serjax.provenance": "names commands and versions",
    "serjax.signals": "stops in order",
    "serjax.folder": "where files are written, and whether they are whole",
    "serjax.figures": "drawn after metrics.json",
    "serjax.results": "printed after metrics.json",
    "serjax.study.generative.figures": "drawn after metrics.json",
    "serjax.study.generative.reconstruction": "reconstruction.json",
    "serjax.study.checks": "refuses flags",
    "serjax.study.fingerprint": "tells configurations apart",
    "serjax.study.plan": "how many models are trained at a time",
    "serjax.study.progress": "what the terminal shows",
    "serjax.train.too_large": "refuses what memory does not hold",
    "serjax.train.parallel": "which device computes what",
    "serjax.train.processes": "several processes",
    "serjax.train.shares": "where training goes on after a stop",
    "serjax.data.feature_cache": "the same features from the disk",
    "serjax.data.notes": "what is odd about clips",
    "serjax.data.leaks": "what the parts of a fold share",
    "serjax.data.recordings": "which clips are copies",
}
PROJECT = Project.below(ROOT)


def read_stops(text: str) -> list[Place]:
    """Return the functions that the tour links to, in its order; a link shows the file that it leads to."""
    found = LINK.findall(text)
    assert all(shown == target for shown, _, target in found)
    return [Place(module_name(Path(path)), name) for path, name, _ in found]


STOPS = read_stops((ROOT / "docs/tour.md").read_text())


def opened(project: Project, stops: Sequence[Place]) -> set[str]:
    """Return the modules of the stops, and of what they call, construct or hand on; exceptions do not count."""
    looked_up = {found for stop in stops for found in project.look_ups(stop) if not found.name.endswith("Error")}
    return {place.module for place in {*stops, *looked_up}}


def is_left_out(module: str) -> bool:
    """Return whether a module, or the room that it stands in, changes no figure."""
    return any(module == name or module.startswith(f"{name}.") for name in LEFT_OUT)


def first_missed(passed: Sequence[Place], stops: Sequence[Place]) -> Place | None:
    """Return the first stop that was not passed after the one before it, None where all were."""
    coming = iter(passed)
    return next((stop for stop in stops if stop not in coming), None)


class Recorded(NamedTuple):
    """The stops in the order in which a run enters them, again and again, and the files it enters until it `ends`."""

    stops: list[Place]
    files: set[str]


def record(work: Callable[[], None], stops: Sequence[Place], ends: Place) -> Recorded:
    """Return what `work` enters, in whichever thread; what happens while a module is imported counts too."""
    places = {(str(PROJECT.modules[stop.module].path), stop.name): stop for stop in (*stops, ends)}
    package, passed, files, ended = str(ROOT / "serjax"), list[Place](), set[str](), False

    def note(frame: FrameType, event: str, _: object) -> None:
        nonlocal ended
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(package):
            return
        if (place := places.get((code.co_filename, code.co_qualname))) is not None:
            passed.append(place)
            ended = ended or place == ends
        if code.co_flags & inspect.CO_OPTIMIZED and not ended:  # a function, not the body of a class or module
            files.add(code.co_filename)

    before = sys.getprofile()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
        threading.setprofile(None)
    return Recorded(passed, files)


def tiny(folder: Path) -> Config:
    """Return flags of a run of seconds: two emotions, one fold, few and small pictures."""
    return Config(
        data=Data(synthetic_clips=96, emotions=("happy", "sad"), protocol="random-80-20"),
        features=Features(sample_rate=8000, frames=8, n_fft=256, hop_length=128, n_mfcc=4, n_mels=8),
        model=Model(latent_dim=2, hidden=(4,)),
        training=Training(epochs=1, pretrain_epochs=1),
        machine=Machine(out=folder / "run", cache=folder / "cache", devices=1, quiet=True),
    )


def test_the_tour_has_about_fifteen_stops_each_on_a_function_that_exists():
    assert 12 <= len(STOPS) <= 18
    assert [stop for stop in STOPS if not PROJECT.defines(stop)] == []
    assert len((ROOT / "docs/tour.md").read_text().splitlines()) <= 120


@pytest.mark.usefixtures("no_figures")
def test_a_clip_passes_the_stops_in_their_order(tmp_path: Path):
    recorded = record(lambda: run(tiny(tmp_path)), STOPS, ends=WRITTEN)
    assert WRITTEN in recorded.stops
    assert first_missed(recorded.stops, STOPS) is None
    assert (tmp_path / "run/metrics.json").is_file()
    assert {str(PROJECT.modules[stop.module].path) for stop in STOPS} <= recorded.files
    assert len(recorded.files) <= MOST_ENTERED


def test_a_stop_out_of_order_is_found():
    a, b, c = (Place("serjax.main", name) for name in "abc")
    assert first_missed([a, b, a, c], [a, b, c]) is None
    assert first_missed([a, c, b], [a, b, c]) == c
    assert first_missed([a, b], [a, c, b]) == c


def test_the_trip_takes_few_files():
    files = opened(PROJECT, STOPS)
    assert len(sorted(module for module in files if not is_left_out(module))) <= MOST_FILES
    assert len(sorted(module for module in files if not module.startswith(("serjax.figures", "serjax.results")))) <= (
        MOST_OPENED
    )


def test_what_is_left_out_of_the_trip_is_there():
    known = {*PROJECT.modules}
    assert [name for name in LEFT_OUT if name not in known] == []


@pytest.fixture
def made(tmp_path: Path) -> Project:
    """A project of a stop, what it calls, and what it only names."""
    files = {
        "stop.py": """
            from serjax import deep
            from serjax.a import Made, Hinted, Caught, hand_on, LIMIT
            from serjax.b import Base
            from serjax.e import Odd

            class Stop(Base):
                def go(self, given: Hinted, other: "Odd") -> Odd:
                    try:
                        return _helper(given.used(), self.inherited())
                    except Caught:
                        raise Odd(LIMIT)

            def _helper(one, two):
                return deep.inner(map(hand_on, [one, two]))
            """,
        "a.py": "LIMIT = 1\nclass Made: ...\nclass Hinted:\n    def used(self): ...\n"
        "class Caught(Exception): ...\ndef hand_on(x): ...\n",
        "b.py": "from serjax.c import far\nclass Base:\n    def inherited(self): return far()\n",
        "c.py": "def far(): ...\n",
        "deep.py": "def inner(x): ...\n",
        "e.py": "class Odd: ...\n",
    }
    (tmp_path / "serjax").mkdir()
    for name, text in files.items():
        (tmp_path / "serjax" / name).write_text(_dedented(text))
    return Project.below(tmp_path)


def _dedented(text: str) -> str:
    return "\n".join(line.removeprefix(" " * 12) for line in text.split("\n"))


def test_what_is_called_is_followed_and_what_is_only_named_is_not(made: Project):
    stop = Place("serjax.stop", "Stop.go")
    assert made.look_ups(stop) == {
        Place("serjax.a", "Hinted.used"),
        Place("serjax.a", "hand_on"),
        Place("serjax.b", "Base.inherited"),
        Place("serjax.deep", "inner"),
    }
    assert opened(made, [stop]) == {"serjax.stop", "serjax.a", "serjax.b", "serjax.deep"}


def test_a_stop_that_does_not_exist_is_found(made: Project):
    assert made.defines(Place("serjax.a", "Hinted.used"))
    assert not made.defines(Place("serjax.a", "Hinted.gone"))
    assert not made.defines(Place("serjax.gone", "f"))
