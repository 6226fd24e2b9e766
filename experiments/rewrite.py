"""Write pages of results again from the JSON files beside them, when the way pages are written changes.

    python -m experiments.rewrite experiments/results/seeds.md experiments/results/vae_recipe.md

Nothing is trained and no figure changes: a page's JSON file holds all that is on the page. Without arguments all pages
of experiments/results are written, but that of `experiments.five_reports`, which writes its own. Pictures stay.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from experiments import generative_curves, generative_results, leaky_numbers
from serjax.command import run_command
from serjax.errors import ConfigError
from serjax.figures.tables import say
from serjax.files import write_text
from serjax.results import classifiers, comparison_table, grid, table_page
from serjax.results.page import check_page, read_content

RESULTS = Path(__file__).parent / "results"
OTHERS = ("five_reports",)


@dataclass(frozen=True)
class Config:
    """Which pages."""

    pages: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    """Markdown files, NAME.md with NAME.json beside each; default: all of experiments/results."""


def run(config: Config) -> None:
    """Write each page whose text is no longer what its JSON file gives."""
    for path in config.pages or committed():
        check_page(path)
        text = render(path)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)
            say(f"Written to {path}.")


def committed() -> list[Path]:
    """Return the committed pages that are written from JSON."""
    return sorted(path.with_suffix(".md") for path in RESULTS.glob("*.json") if path.stem not in OTHERS)


def render(path: Path) -> str:
    """Return the text of a page, NAME.md, from NAME.json.

    Raises:
      ConfigError: there is no NAME.json.
    """
    source = path.with_suffix(".json")
    if not source.exists():
        raise ConfigError(f"{source} is not there: a page is written again from the JSON file beside it.")
    return markdown_of(read_content(source), path.with_suffix(".png").name)


def markdown_of(content: Mapping[str, Any], picture: str) -> str:
    """Return the page of any kind: the fields tell which it is."""
    if "entries" in content:
        return grid.markdown(grid.page_of(content), picture)
    if "settings" in content:
        return comparison_table.markdown(comparison_table.table_of(content), picture)
    if "n_classes" in content:
        return classifiers.markdown(classifiers.page_of(content), picture)
    if "groups" in content:
        return generative_results.markdown(content, picture)
    if "rungs" in content:
        return leaky_numbers.markdown(content, picture)
    if "header" in content:
        return generative_curves.markdown(content, picture)
    return table_page.markdown(table_page.TablePage(**content))


if __name__ == "__main__":
    run_command(Config, run, __doc__)
