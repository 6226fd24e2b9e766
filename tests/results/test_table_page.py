"""A page of one table: what is written is what is read again, and a page is there whole or not at all."""

from pathlib import Path

import pytest

from serjax.results.page import read_content, write_files
from serjax.results.table_page import TablePage, markdown, print_page, write_page

MADE = {"command": "python -m a `b`", "machine": "one core", "git": "0123", "versions": {"python": "3"}}
ROWS = ({"model": "a|b", "UAR": 0.5, "difference": -0.125}, {"model": "c", "UAR": None, "difference": None})
PAGE = TablePage("Two of *them*", ROWS, "A note.", 9, MADE, ("difference",))


def test_the_page_by_hand() -> None:
    assert markdown(PAGE).splitlines() == [
        r"# Two of \*them\*",
        "",
        "`` python -m a `b` ``, 9 minutes, one core, git 0123.",
        "",
        "| model | UAR | difference |",
        "| --- | ---: | ---: |",
        r"| a\|b | 0.500 | −0.125 |",
        "| c | – | – |",
        "",
        "A note.",
    ]


def test_json_keeps_numbers_and_gives_the_page_again(tmp_path: Path) -> None:
    write_page(PAGE, tmp_path / "deep" / "page.md")
    content = read_content(tmp_path / "deep" / "page.json")
    assert content["rows"][0]["difference"] == -0.125
    assert TablePage(**content) == PAGE
    assert (tmp_path / "deep" / "page.md").read_text(encoding="utf-8") == markdown(PAGE)
    assert not (tmp_path / "deep" / "page.png").exists()


def test_the_printed_table_has_the_same_cells(capsys: pytest.CaptureFixture[str]) -> None:
    print_page(PAGE)
    printed = capsys.readouterr().out
    assert [line.split() for line in printed.splitlines() if "a|b" in line] == [
        ["│", "a|b", "│", "0.500", "│", "−0.125", "│"]
    ]


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    write_page(PAGE, path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_files(path, {"uar": float("nan")}, lambda _: "other")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
