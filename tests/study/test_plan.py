"""How models are stacked: as flags say, else as config.json says, else by constants; the same when a study goes on."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jax
import pytest

from serjax.errors import ConfigError
from serjax.experiments import cnn_mel, cnn_mfcc, mobilenet_mel, vgg_mel
from serjax.folder.run_folder import RunFolderError, open_run_folder
from serjax.study import plan
from serjax.study.flags import Machine, RunsPerDevice
from serjax.study.generative.study import GenerativeStudy
from serjax.study.plan import Plan, make_plan, runs_per_device, usual_stacking
from serjax.study.problem import Problem
from serjax.study.stages import complete
from serjax.study.supervised import SupervisedConfig, SupervisedStudy
from serjax.train.loop import Interrupted
from serjax.train.parallel import Layout
from tests.study.test_stages import linear, stop_after_first_epoch, vae

pytestmark = pytest.mark.usefixtures("no_sound")
LAYOUT = Layout(tuple(jax.devices()[:2]))
MOST = RunsPerDevice(map=3, vmap=100)


def plan_in(out: Path) -> dict:
    return json.loads((out / "config.json").read_text())["plan"]


def settled(path: Path, kept: object = None, layout: Layout = LAYOUT, **flags: object) -> Plan:
    """Return the plan of a study on two devices, whose `config.json` holds the plan `kept`; it is kept in turn."""
    with open_run_folder(path, "x", "mark") as folder:
        folder.claim({})
        if kept is not None:
            folder.write_json("config.json", folder.read_json("config.json") | {"plan": kept})
        found = make_plan(Machine(**flags), layout, MOST, folder)
        assert folder.plan == {"stacking": found.stacking, "stack_size": found.stack_size}
    return found


def test_runs_per_device_are_three_constants() -> None:
    most = RunsPerDevice()
    assert [runs_per_device("map", platform, most) for platform in ("cpu", "gpu", "tpu")] == [24, 24, 24]
    assert [runs_per_device("vmap", platform, most) for platform in ("cpu", "gpu", "tpu")] == [8, 512, 512]
    assert [usual_stacking(platform) for platform in ("cpu", "gpu", "tpu")] == ["map", "vmap", "vmap"]


@pytest.mark.parametrize(
    ("config", "most"),
    [(vgg_mel.Config, (1, 1)), (mobilenet_mel.Config, (1, 2)), (cnn_mel.Config, (1, 8)), (cnn_mfcc.Config, (24, 512))],
)
def test_networks_on_large_pictures_have_their_own(config: type[SupervisedConfig], most: tuple[int, int]) -> None:
    found = config().study().flags.runs_per_device
    assert (found.map, found.vmap) == most
    assert runs_per_device("vmap", "cpu", found) == min(8, most[1])


def test_flags_come_before_what_is_kept_and_that_before_constants(tmp_path: Path) -> None:
    kept = {"stacking": "vmap", "stack_size": 5}
    assert settled(tmp_path / "a") == Plan("map", 6)
    assert settled(tmp_path / "b", stacking="vmap") == Plan("vmap", 16)  # on CPU no more than 8 are batched
    assert settled(tmp_path / "c", layout=replace(LAYOUT, shard="data")) == Plan("map", 3)
    assert settled(tmp_path / "d", kept) == Plan("vmap", 5)
    assert settled(tmp_path / "e", kept, stacking="map") == Plan("map", 5)
    assert settled(tmp_path / "f", kept, stack_size=7) == Plan("vmap", 7)
    assert settled(tmp_path / "f") == Plan("vmap", 7)


@pytest.mark.parametrize("wrong", [{"stacking": "pmap"}, {"stacking": []}, {"stack_size": 0}, {"stack_size": True}])
def test_what_is_no_plan_is_made_anew(tmp_path: Path, wrong: dict[str, object]) -> None:
    assert settled(tmp_path, {"stacking": "vmap", "stack_size": 5} | wrong) == Plan("map", 6)
    assert settled(tmp_path, {"train": {"stacking": "vmap", "stack_size": 5}}) == Plan("map", 6)  # of older versions


def test_process_0_says_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "exchange", lambda *own: [["vmap", 9], list(own)])
    assert settled(tmp_path) == Plan("vmap", 9)


@pytest.mark.slow
def test_a_study_that_goes_on_cuts_its_stacks_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stacks: list[list[int]]
) -> None:
    monkeypatch.setattr(plan, "runs_per_device", lambda *_: 4)
    study = linear(tmp_path / "out", 0.1)
    with monkeypatch.context() as patch:
        stop_after_first_epoch(patch)
        with pytest.raises(Interrupted):
            complete([study])
    assert stacks == [[3]]
    assert plan_in(study.flags.out) == {"stacking": "map", "stack_size": 4}
    monkeypatch.setattr(plan, "runs_per_device", lambda *_: 6)
    complete([study])
    assert stacks[1:] == [[3], [3], [3], [3]]
    assert plan_in(study.flags.out) == {"stacking": "map", "stack_size": 4}


@pytest.mark.slow
def test_stacks_are_not_cut_otherwise_than_they_were_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan is kept as it was, so that the command without the flag goes on; by map results are those of any."""
    with monkeypatch.context() as patch:
        stop_after_first_epoch(patch)
        with pytest.raises(Interrupted):
            complete([linear(tmp_path / "out", 0.1, stack_size=4)])
    with pytest.raises(ConfigError, match=r"--stack-size 3: .*out was begun in stacks of 4"):
        complete([linear(tmp_path / "out", 0.1, stack_size=3)])
    assert plan_in(tmp_path / "out")["stack_size"] == 4
    complete([linear(tmp_path / "out", 0.1)])
    complete([linear(tmp_path / "whole", 0.1, stack_size=99)])
    out, whole = ((tmp_path / name / "predictions.csv").read_text() for name in ("out", "whole"))
    assert out == whole


@pytest.mark.slow
@pytest.mark.parametrize("make", [linear, vae])
def test_a_folder_goes_on_with_the_clips_it_was_begun_with(
    make: Callable[[Path, float], GenerativeStudy | SupervisedStudy], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With others, what was trained before would stand beside what is trained now."""
    study = make(tmp_path / "out", 0.1)
    with monkeypatch.context() as patch:
        stop_after_first_epoch(patch)
        with pytest.raises(Interrupted):
            complete([study])
    with monkeypatch.context() as patch:
        patch.setattr(Problem, "digest", lambda self: "another")
        with pytest.raises(RunFolderError, match=r"begun with other clips, labels or features .* another --out"):
            complete([study])
    complete([study])
    assert (study.flags.out / "metrics.json").exists()
