"""How a stage is stacked: found once, kept in config.json, the same when the study goes on."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from serjax.errors import ConfigError
from serjax.folder.run_folder import RunFolderError
from serjax.study import plan, trainer
from serjax.study.generative.study import GenerativeStudy
from serjax.study.problem import Problem
from serjax.study.progress import Progresses
from serjax.study.stages import complete
from serjax.study.supervised import SupervisedStudy
from serjax.study.trainer import Request
from serjax.train.loop import Interrupted
from serjax.train.plan import Plan, Stack
from tests.study.test_stages import linear, stop_after_first_epoch, vae

pytestmark = pytest.mark.usefixtures("no_sound", "no_figures")


def plans_in(out: Path) -> dict:
    return json.loads((out / "config.json").read_text())["plan"]


def test_a_study_that_goes_on_cuts_its_stacks_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stacks: list[list[int]]
) -> None:
    monkeypatch.setattr(trainer, "EPOCHS_PER_CALL", 1)
    monkeypatch.setattr(plan, "fitting_runs", lambda *_: 4)
    study = linear(tmp_path / "out", 0.1)
    with monkeypatch.context() as patch:
        stop_after_first_epoch(patch)
        with pytest.raises(Interrupted):
            complete([study])
    assert stacks == [[3]]
    assert plans_in(study.flags.out) == {"train": {"stacking": "map", "stack_size": 4, "epochs_per_call": 1}}
    monkeypatch.setattr(plan, "fitting_runs", lambda *_: 6)  # more memory is free by now
    complete([study])
    assert stacks[1:] == [[3], [3], [6]]
    assert [kept["stack_size"] for kept in plans_in(study.flags.out).values()] == [4, 6]


def test_stacks_are_not_cut_otherwise_than_they_were_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan is kept as it was, so that the command without the flag goes on."""
    monkeypatch.setattr(trainer, "EPOCHS_PER_CALL", 1)
    with monkeypatch.context() as patch:
        stop_after_first_epoch(patch)
        with pytest.raises(Interrupted):
            complete([linear(tmp_path / "out", 0.1, stack_size=4)])
    with pytest.raises(ConfigError, match=r"--stack-size 3: the stage train of .*out was begun in stacks of 4"):
        complete([linear(tmp_path / "out", 0.1, stack_size=3)])
    assert plans_in(tmp_path / "out")["train"]["stack_size"] == 4
    complete([linear(tmp_path / "out", 0.1)])
    complete([linear(tmp_path / "whole", 0.1, stack_size=4)])
    out, whole = ((tmp_path / name / "predictions.csv").read_text() for name in ("out", "whole"))
    assert out == whole


@pytest.mark.parametrize(
    "kept",
    [{"stacking": "pmap"}, {"stacking": []}, {"stack_size": 0}, {"stack_size": True}, {"epochs_per_call": "4"}, {}],
)
def test_what_is_no_plan_is_made_anew(kept: dict[str, object]) -> None:
    whole = {"stacking": "map", "stack_size": 4}
    assert plan.plan_of(whole, 2) == Plan("map", 4, 2)
    assert plan.plan_of(whole | kept if kept else {}, 2) is None


def test_flags_that_are_given_are_not_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stacks: list[list[int]]
) -> None:
    def never(*_: object) -> int:
        raise AssertionError("asked for a plan")

    monkeypatch.setattr(plan, "fitting_runs", never)
    monkeypatch.setattr(plan, "faster_stacking", never)
    monkeypatch.setattr(plan, "MEASURED_FROM", 1)
    study = linear(tmp_path / "out", 0.1, stack_size=5, stacking="vmap")
    complete([study])
    assert stacks == [[3], [3], [3], [3]]
    assert plans_in(study.flags.out)["train"] == {"stacking": "vmap", "stack_size": 5, "epochs_per_call": 2}


@pytest.mark.parametrize("make", [linear, vae])
def test_a_folder_goes_on_with_the_clips_it_was_begun_with(
    make: Callable[[Path, float], GenerativeStudy | SupervisedStudy], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With others, what was trained before would stand beside what is trained now."""
    monkeypatch.setattr(trainer, "EPOCHS_PER_CALL", 1)
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


def test_a_large_network_trains_fewer_epochs_a_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results are those of longer calls; a study goes on with the calls that it was begun with."""
    complete([linear(tmp_path / "whole", 0.1)])
    study = linear(tmp_path / "out", 0.1)
    with monkeypatch.context() as patch:
        patch.setattr(plan, "call_epochs", lambda *_: 1)
        stop_after_first_epoch(patch)
        with pytest.raises(Interrupted, match="epoch 1 of 2"):
            complete([study])
    complete([study])
    assert [kept["epochs_per_call"] for kept in plans_in(study.flags.out).values()] == [1, 2]
    whole, out = ((tmp_path / name / "predictions.csv").read_text() for name in ("whole", "out"))
    assert whole == out


def test_long_stages_are_measured_once_for_all_studies_of_a_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stacks: list[list[int]]
) -> None:
    measured: list[int] = []
    told: list[str] = []
    used: list[str] = []
    train_requests = trainer.train_requests

    def measure(stack: Stack, n_steps: int) -> str:
        assert n_steps == 6 * 2 * stack.schedule.steps
        measured.append(len(stack.runs))
        return "vmap"

    def spy(requests: list[Request]) -> list:
        used.extend(request.trainer.layout.stacking for request in requests)
        return train_requests(requests)

    monkeypatch.setattr(plan, "MEASURED_FROM", 1)
    monkeypatch.setattr(plan, "faster_stacking", measure)
    monkeypatch.setattr("serjax.study.stages.train_requests", spy)
    monkeypatch.setattr(Progresses, "say", lambda self, text: told.append(text))
    studies = [linear(tmp_path / f"out-{rate}", rate) for rate in (0.1, 0.2)]
    complete(studies)
    assert [line.split(":")[0] for line in told] == ["train", "refit-train"]
    assert measured == [6, 6]  # train, refit-train: programs of different numbers of steps
    assert set(used) == {"vmap"}
    assert stacks == [[6], [6], [6], [6]]  # on CPU no more than 8 are batched
    assert all(kept["stacking"] == "vmap" for study in studies for kept in plans_in(study.flags.out).values())
