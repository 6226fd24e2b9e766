"""Files that are written whole or not at all, and where nobody else has said."""

import os
from pathlib import Path

import pytest

from serjax.files import clear_unfinished, copy, everything, replacing, write_text


def test_a_link_at_the_name_is_replaced_not_followed(tmp_path: Path) -> None:
    outside, path = tmp_path / "outside", tmp_path / "a.json"
    outside.write_text("theirs")
    for name in ("a.json", "a.json.unfinished", ".a.json.unfinished", f".a.json.{os.getpid()}.partial"):
        (tmp_path / name).symlink_to(outside)
    write_text(path, "ours")
    copy(path, tmp_path / "b.json")
    assert outside.read_text() == "theirs"
    assert [p.read_text() for p in (path, tmp_path / "b.json")] == ["ours", "ours"]
    assert not path.is_symlink()


def test_a_file_has_the_rights_of_a_new_one(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a", "")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "old")

    def killed() -> None:
        with replacing(tmp_path / "a") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed()
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a", "old")]


def test_line_ends_stay(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "x\ny\r\nä")
    assert (tmp_path / "a").read_bytes() == "x\ny\r\nä".encode()


def test_what_a_kill_left_is_found_under_any_name_it_has_had(tmp_path: Path) -> None:
    for name in (".ab.unfinished", "clock.json.unfinished", ".confusion.png.17.partial", "notes.partial", "a.csv"):
        (tmp_path / name).write_text("")
    (tmp_path / "000006.unfinished" / "arrays").mkdir(parents=True)
    for path in list(everything(tmp_path)):
        clear_unfinished(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "notes.partial"]
