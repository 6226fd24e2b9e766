"""A page of results as files: Markdown, and beside it the same as JSON and as a picture."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from serjax.errors import ConfigError
from serjax.figures import canvas as plots
from serjax.files import write_json, write_text


def check_page(path: Path | None) -> None:
    """Raise ConfigError for a name that a page cannot have, before anything is trained for it."""
    if path is not None and path.suffix != ".md":
        raise ConfigError(f"--results {path}: expected the name of a Markdown file, NAME.md.")


def write_files(path: Path, content: object, markdown: Callable[[str], str], figure: Figure | None = None) -> None:
    """Write a page, each file whole or not at all: NAME.json, NAME.png, and last NAME.md.

    Args:
      path: NAME.md; its folder is made.
      content: what JSON keeps, enough to write the page again.
      markdown: gives the page, told the file name of its picture.
      figure: the picture; None: the page has none.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = path.with_suffix(".png")
    write_json(path.with_suffix(".json"), content)
    if figure is not None:
        plots.save(figure, picture)
    write_text(path, markdown(picture.name))


def read_content(path: Path) -> dict[str, Any]:
    """Return what the JSON file of a page holds, its lists as tuples: fields of frozen dataclasses."""
    return _tuples(json.loads(path.read_bytes()))


def _tuples(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _tuples(value) for name, value in content.items()}
    return tuple(map(_tuples, content)) if isinstance(content, list) else content
