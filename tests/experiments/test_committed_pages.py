"""Committed pages are what the present code writes from the JSON files beside them."""

import json
import re
import shutil
from pathlib import Path

import pytest

from experiments import ablate_augmentation, ablate_vae, rewrite
from serjax.errors import ConfigError
from serjax.experiments import two_stage

PAGES = rewrite.committed()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_page_is_what_its_json_gives(page: Path) -> None:
    assert page.read_bytes() == rewrite.render(page).encode()


def test_no_page_is_left_out() -> None:
    names = {path.stem for path in rewrite.RESULTS.glob("*.md")} - set(rewrite.OTHERS)
    assert {page.stem for page in PAGES} == names
    assert len(names) == 16


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pictures_of_a_page_are_there(page: Path) -> None:
    pictures = re.findall(r"!\[[^]]*\]\(([^)]*)\)", page.read_text(encoding="utf-8"))
    assert len(pictures) == page.with_suffix(".png").exists()
    assert all((page.parent / name).exists() for name in pictures)


def content(name: str) -> dict:
    return json.loads((rewrite.RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def test_what_pages_say_is_what_their_studies_would_say_today() -> None:
    assert [tuple(row) for row in content("two_stage")["rows"]] == [two_stage.HEADER] * 2
    assert content("two_stage")["notes"] == two_stage.NOTES
    assert content("ablate_augmentation")["notes"][:1] == list(ablate_augmentation.NOTES["logreg"])
    (below,) = content("ablate_vae")["more"]
    assert len(below["rows"]) == len(content("ablate_vae")["rows"]) == 60
    assert len(ablate_vae.Grid().overrides) == 61  # one is the recipe itself


def test_only_a_page_that_differs_is_written_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    same, changed = (tmp_path / f"{name}.md" for name in ("seeds", "two_stage"))
    for path in (same, changed):
        for suffix in (".md", ".json"):
            shutil.copyfile(rewrite.RESULTS / f"{path.stem}{suffix}", path.with_suffix(suffix))
    changed.write_text("by hand")
    rewrite.run(rewrite.Config((same, changed)))
    assert capsys.readouterr().out == f"Written to {changed}.\n"
    assert changed.read_bytes() == (rewrite.RESULTS / "two_stage.md").read_bytes()


def test_a_page_without_json_cannot_be_written_again(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"page\.json is not there"):
        rewrite.run(rewrite.Config((tmp_path / "page.md",)))
    with pytest.raises(ConfigError, match="expected the name of a Markdown file"):
        rewrite.run(rewrite.Config((tmp_path / "page.json",)))
