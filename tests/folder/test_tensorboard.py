"""Event files hold what the history holds, run by run, as TensorBoard's format says."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import masked_crc32c

from serjax.errors import SerjaxError
from serjax.folder.tensorboard import EventFiles
from serjax.study.stages import complete
from serjax.train.loop import Interrupted
from tests.study.fixtures import no_sound
from tests.study.test_stages import linear, stop_after_first_epoch

__all__ = ["no_sound"]


def events(path: Path) -> Iterator[Event]:
    """Read an event file, with its checksums."""
    content = path.read_bytes()
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        event = content[12 : 12 + length]
        checksums = struct.pack("<I", masked_crc32c(content[:8])), struct.pack("<I", masked_crc32c(event))
        assert (content[8:12], content[12 + length : 16 + length]) == checksums
        content = content[16 + length :]
        yield Event.FromString(event)


def test_names_of_runs_stay_inside_the_folder(tmp_path: Path) -> None:
    run = {"stage": "../train", "seed": 0, "fold": "speaker-../x", "epoch": 1}
    EventFiles(tmp_path / "in").append([{**run, "loss": float("nan")}, {**run, "epoch": 2, "loss": 0.25}])
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    (file,) = (path for path in tmp_path.rglob("*tfevents*"))
    assert file.parent.name == "0-speaker-..%2Fx"
    head, first, second = events(file)
    assert head.file_version == "brain.Event:2"
    assert [first.step, second.step] == [1, 2]
    assert [(value.tag, value.simple_value) for value in second.summary.value] == [("loss", 0.25)]


@pytest.mark.slow
@pytest.mark.usefixtures("no_sound", "no_figures")
def test_a_stopped_run_that_goes_on_has_the_epochs_of_its_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = linear(tmp_path / "o", 0.1, tensorboard=True)
    with monkeypatch.context() as patch:
        stop_after_first_epoch(patch)
        with pytest.raises(Interrupted):
            complete([study])
    complete([study])
    lines = [json.loads(line) for line in (tmp_path / "o" / "history.jsonl").read_text().splitlines()]
    files = sorted((tmp_path / "o" / "tensorboard").glob("*/*/events.out.tfevents.*"))
    assert len(files) == len({(line["stage"], line["seed"], line["fold"]) for line in lines}) == 12
    for file in files:
        own = [line for line in lines if (line["stage"], f"0-{line['fold']}-all") == file.parts[-3:-1]]
        _, *told = events(file)
        assert [event.step for event in told] == [line["epoch"] for line in own] == [1, 2]
        for event, line in zip(told, own, strict=True):
            values = {value.tag: value.simple_value for value in event.summary.value}
            assert values["loss"] == pytest.approx(line["loss"])
            assert values.keys() == line.keys() - {"stage", "seed", "fold", "emotion", "epoch"}


def test_without_the_package_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", None)
    with pytest.raises(SerjaxError, match=r'pip install "serjax\[tensorboard\]"'):
        complete([linear(tmp_path / "o", 0.1, tensorboard=True)])
    assert not list(tmp_path.iterdir())
