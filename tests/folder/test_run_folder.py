"""The run folder under other people's hands: what was changed is noticed, made again or told, and nothing leads out."""

import errno
import json
import os
import random
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from serjax.errors import ConfigError
from serjax.evaluate.predictions import PredictionsError
from serjax.files import StrangeFileError
from serjax.folder import manifest
from serjax.folder.finished import left_out, read_run
from serjax.folder.ownership import RunFolderError
from serjax.folder.run_folder import open_run_folder
from serjax.models.classical.specs import Knn
from serjax.signals import Interrupted
from serjax.study import writer
from serjax.study.kept_cells import KeptCell
from serjax.study.progress import progresses
from serjax.study.tabular import cells as tabular_cells
from serjax.study.tabular.cells import Row, Tuning
from tests.study.tiny_table import tiny_table, write_row

TABLE = tiny_table()
Harm = Callable[[Path], object]


def command(out: Path, mark: str = "mark") -> None:
    """Do what a command does: fit a model in two cells, or say that it is there."""
    with open_run_folder(out, "tabular/knn", mark) as folder, progresses(quiet=True) as shown:
        if not folder.finished:
            folder.claim({"knn": Knn()})
            folder.check_clips(TABLE.digest())
            write_row(Row("knn", "knn", Knn()), TABLE, folder, Tuning(0, 3, out / "journal"), shown)


def figures(out: Path) -> dict[str, object]:
    found = json.loads((out / "metrics.json").read_text())
    return {name: value for name, value in found.items() if name not in ("seconds", "command", "git")}


def content(out: Path) -> dict[str, bytes]:
    """Return what does not tell the time."""
    names = (
        "predictions.csv",
        "config.json",
        *(f"cells/{seed}-fold-1.{kind}" for seed in "01" for kind in ("csv", "json")),
    )
    return {name: (out / name).read_bytes() for name in names}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, to be copied before it is touched; its pictures are a few bytes each."""
    out = tmp_path_factory.mktemp("whole") / "o"
    with pytest.MonkeyPatch.context() as patch:
        sketch(patch)
        command(out)
    return out


def sketch(patch: pytest.MonkeyPatch) -> None:
    for name in ("confusion", "roc", "reliability"):
        patch.setattr(writer, f"draw_{name}", lambda *given, name=name: (given[-1] / f"{name}.png").write_text(name))


@pytest.fixture
def out(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    sketch(monkeypatch)
    return shutil.copytree(whole, tmp_path / "o")


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note the seed of every cell that is computed."""
    noted: list[int] = []
    fit_cell = tabular_cells.fit_cell

    def spy(row: Row, table: object, cell: tabular_cells.Cell, tuning: object) -> object:
        noted.append(cell.seed)
        return fit_cell(row, table, cell, tuning)  # type: ignore[arg-type]

    monkeypatch.setattr(tabular_cells, "fit_cell", spy)
    return noted


def flips(path: Path, n: int) -> list[bytes]:
    """Return the file with single bits flipped, at `n` places."""
    draw, there = random.Random(path.name), path.read_bytes()
    places = [draw.randrange(len(there)) for _ in range(n)]
    return [there[:p] + bytes([there[p] ^ 1 << draw.randrange(8)]) + there[p + 1 :] for p in places]


def write(text: bytes, path: Path) -> None:
    path.write_bytes(text)


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


HARMS: dict[str, Harm] = {
    **{repr(text): partial(write, text) for text in (b"", b"[]", b"null", b"\xff\0", b"[" * 100_000, b"{}")},
    "half": halve,
    "gone": Path.unlink,
}


def read_again(out: Path, expected: float) -> str:
    """Return why a run cannot be read; if it can, its figure is the expected one."""
    try:
        uar = read_run(out).uar
    except ConfigError as error:
        return str(error)
    assert uar == expected
    return ""


FILES = ("metrics.json", "predictions.csv", "clock.json", "manifest.json", "config.json", "figures/roc.png")


@pytest.mark.parametrize("name", FILES)
def test_a_harmed_file_is_an_error_to_readers_and_made_again_by_its_command(
    whole: Path, out: Path, name: str, fitted: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    """Never wrong figures, never a traceback."""
    expected = json.loads((whole / "metrics.json").read_text())["uar"]
    for harm in (*HARMS.values(), *(partial(write, text) for text in flips(out / name, 20))):
        harm(out / name)
        said = read_again(out, expected)
        assert name == "manifest.json" or (name in said) == (name not in ("clock.json", "figures/roc.png"))
        assert manifest.is_finished(out) == (name == "clock.json") or name == "manifest.json"
        shutil.copyfile(whole / name, out / name)
    halve(out / name)
    if name == "config.json":
        with pytest.raises(RunFolderError, match=r"config.json is not .* Choose another --out"):
            command(out)
        return
    command(out)
    assert f"{name} changed since" in caplog.text or f"{name} is damaged" in caplog.text
    assert read_run(out).uar == expected
    assert (figures(out), content(out)) == (figures(whole), content(whole))
    assert (out / "figures" / "roc.png").read_text() == "roc"
    assert not fitted


@pytest.mark.parametrize("name", ["0-fold-1.csv", "1-fold-1.json"])
def test_a_cell_is_read_again_as_it_was_written_or_computed_anew(
    whole: Path, out: Path, name: str, fitted: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    path, seed = out / "cells" / name, int(name[0])
    cell = TABLE.problem.cells[seed]
    kept = KeptCell(path.parent, path.stem, f"mark {TABLE.digest()}")
    assert kept.read(TABLE.problem, cell) is not None
    for harm in (*HARMS.values(), *(partial(write, text) for text in flips(path, 60))):
        harm(path)
        assert kept.read(TABLE.problem, cell) is None
        assert "1.json changed since: computed anew" in caplog.text
        shutil.copyfile(whole / "cells" / name, path)
    path.write_text("\n".join(path.read_text().split("\n")[:-4]) + "\n")  # its last three lines are lost
    (out / "metrics.json").unlink()
    command(out)
    assert fitted == [seed]
    assert (figures(out), content(out)) == (figures(whole), content(whole))


def test_the_cell_of_another_fold_or_folder_does_not_count(
    whole: Path, out: Path, tmp_path: Path, fitted: list[int]
) -> None:
    for kind in ("csv", "json"):
        shutil.copyfile(out / f"cells/0-fold-1.{kind}", out / f"cells/1-fold-1.{kind}")
    (out / "manifest.json").unlink()
    command(out)
    assert fitted == [1]
    assert content(out) == content(whole)
    (tmp_path / "other").mkdir()
    shutil.copyfile(out / "config.json", tmp_path / "other" / "config.json")
    command(tmp_path / "other", "other mark")
    shutil.rmtree(tmp_path / "other" / "cells")
    shutil.copytree(out / "cells", tmp_path / "other" / "cells")
    (tmp_path / "other" / "manifest.json").unlink()
    command(tmp_path / "other", "other mark")
    assert fitted == [1, 0, 1, 0, 1]


def test_results_are_written_before_the_first_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[str]] = []

    def draw(*given: object) -> None:
        seen.append({path.name for path in (tmp_path / "o").iterdir()})

    for name in ("draw_confusion", "draw_roc", "draw_reliability"):
        monkeypatch.setattr(writer, name, draw)
    command(tmp_path / "o")
    assert len(seen) == 3
    for there in seen:
        assert {"metrics.json", "predictions.csv"} <= there
        assert "manifest.json" not in there


def test_a_picture_that_fails_is_a_note(
    out: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of an earlier try nothing stays: it might show something else."""

    def fail(*given: object) -> None:
        raise ValueError("\n$a$\n^ Expected end of text")

    monkeypatch.setattr(writer, "draw_roc", fail)
    (out / "manifest.json").unlink()
    command(out)
    written = json.loads((out / "manifest.json").read_text())
    assert written["figures_failed"] == {"roc.png": "ValueError: $a$ ^ Expected end of text"}
    assert "roc.png could not be drawn (ValueError: $a$" in caplog.text
    assert sorted(path.name for path in (out / "figures").iterdir()) == ["confusion.png", "reliability.png"]
    assert manifest.is_finished(out)


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left"), Interrupted(signal.SIGTERM, "drawing"), KeyboardInterrupt(), SystemExit()],
)
def test_what_is_no_failure_of_a_picture_ends_the_command(
    whole: Path, out: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, fitted: list[int]
) -> None:
    def stop(*given: object) -> None:
        raise error

    (out / "manifest.json").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(writer, "draw_roc", stop)
        with pytest.raises(type(error)):
            command(out)
    assert not manifest.is_finished(out)
    command(out)
    assert (figures(out), content(out), fitted) == (figures(whole), content(whole), [])


@pytest.mark.parametrize(
    "name", [".lock", "clock.json", "history.jsonl", "metrics.json", "figures", "cells", "checkpoints"]
)
@pytest.mark.parametrize("kind", ["link", "link to nothing", "pipe"])
def test_nothing_is_written_or_read_through_what_leads_out(out: Path, tmp_path: Path, name: str, kind: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir() if name in ("figures", "cells", "checkpoints") else outside.write_text("theirs")
    path = out / name
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(outside if kind == "link" else tmp_path / "nothing")
    (out / "manifest.json").unlink()
    with pytest.raises(StrangeFileError, match=f"{name} is (a link to|neither a file nor a folder).* choose another"):
        command(out)
    assert not (tmp_path / "nothing").exists()
    assert not list(outside.iterdir()) if outside.is_dir() else outside.read_text() == "theirs"


@pytest.mark.parametrize("name", ["metrics.json", "clock.json", "figures", "cells"])
def test_a_folder_in_place_of_a_file_is_told_and_the_other_way_round(out: Path, name: str) -> None:
    path = out / name
    if path.is_dir():
        shutil.rmtree(path)
        path.write_text("")
    else:
        path.unlink()
        path.mkdir()
    with pytest.raises(RunFolderError, match=f"{name} is a (file|folder), expected a (file|folder): remove it"):
        command(out)


def test_what_killed_writers_left_goes_at_the_next_start_of_this_run_alone(out: Path) -> None:
    left = [out / name for name in (".ab.unfinished", "clock.json.unfinished", "figures/.roc.png.9.partial")]
    left.append(out / "cells" / ".cd.unfinished")
    others = out / "knn" / ".ef.unfinished"
    others.parent.mkdir()
    for path in (*left, others):
        path.write_text("half")
    command(out)
    assert not any(path.exists() for path in left)
    assert others.exists()


@pytest.mark.parametrize("seconds", ["1e999", "NaN", "-1", '"5"', "[]", "null"])
def test_a_clock_that_is_none_begins_anew(out: Path, seconds: str, caplog: pytest.LogCaptureFixture) -> None:
    (out / "clock.json").write_text(f'{{"seconds": {seconds}}}')
    command(out)
    assert "clock.json is damaged: the seconds before are not counted" in caplog.text
    assert 0 <= json.loads((out / "clock.json").read_text())["seconds"] < 60


def test_a_configuration_that_was_changed_is_written_anew(whole: Path, out: Path) -> None:
    begun = json.loads((out / "config.json").read_text())
    begun["config"]["knn"]["n_neighbors"] += 1
    begun["plan"], begun["clips"] = [], 7
    (out / "config.json").write_text(json.dumps(begun))
    command(out)
    now, before = (json.loads((place / "config.json").read_text()) for place in (out, whole))
    assert (now["config"], now["clips"]) == (before["config"], before["clips"])
    with open_run_folder(out, "tabular/knn", "mark") as folder:
        assert folder.plan is None
        folder.keep_plan({"stack_size": 3})
        assert folder.plan == {"stack_size": 3}


def test_folders_of_hidden_files_are_empty(tmp_path: Path) -> None:
    for name in (".DS_Store", ".nfs0001"):
        (tmp_path / name).write_text("junk")
    command(tmp_path)
    assert manifest.is_finished(tmp_path)


def test_a_manifest_names_files_of_a_run_folder_alone(out: Path) -> None:
    """Nothing else is opened, whatever somebody writes there."""
    for name in ("/etc/passwd", "../o/metrics.json", "figures/../../x", "checkpoints/a"):
        (out / "manifest.json").write_text(json.dumps({"files": {"metrics.json": "", name: ""}}))
        assert manifest.read(out) is None


def test_what_is_no_run_is_told(out: Path, tmp_path: Path) -> None:
    for name in ("explored", "failed", "begun", "parent"):
        (tmp_path / name).mkdir()
        if name != "parent":
            shutil.copyfile(out / "config.json", tmp_path / name / "config.json")
    (tmp_path / "failed" / ".lock").write_text("")
    (tmp_path / "failed" / "clock.json").write_text('{"seconds": 1}')
    (tmp_path / "explored" / "summary.json").write_text("{}")
    (tmp_path / "begun" / "history.jsonl").write_text("{}")
    (tmp_path / "file").write_text("")
    told = {path.name: left_out(path) for path in tmp_path.iterdir()} | {"absent": left_out(tmp_path / "absent")}
    assert {name: why for name, why in told.items() if why} == {
        "explored": "it is an exploration of a corpus, no run",
        "failed": "its command failed before it computed anything",
        "parent": "it is no run folder: it has no config.json",
        "file": "it is a file, no run folder",
    }


@pytest.mark.parametrize("harm", ["score_a,score_a", "0," + "9" * 30])
def test_tables_of_predictions_that_contradict_themselves_are_told(out: Path, harm: str) -> None:
    text = (out / "predictions.csv").read_text()
    text = (
        text.replace("score_sad,score_happy", "score_sad,score_sad")
        if "score" in harm
        else text.replace(",0,", f",{harm[2:]},")
    )
    (out / "predictions.csv").write_text(text)
    manifest.finish(out, {})
    with pytest.raises(PredictionsError, match=r"predictions.csv.*damaged, write it again"):
        read_run(out)
