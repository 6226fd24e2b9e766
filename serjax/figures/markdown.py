"""Tables and pictures as Markdown; text that comes from data is no markup."""

from collections.abc import Sequence
from urllib.parse import quote

from serjax import escape
from serjax.figures.tables import Cell


class Code(str):
    """A cell of a table that Markdown shows as code, such as a flag."""


def markdown_table(header: tuple[str, ...], rows: Sequence[tuple[Cell, ...]]) -> str:
    """Return a Markdown table, all columns but the first to the right; what is in the cells is no markup."""
    header_line, *lines = (tuple(map(_markdown_cell, row)) for row in (header, *rows))
    lines = [header_line, ("---", *("---:" for _ in header[1:])), *lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def markdown_image(text: str, file: str) -> str:
    """Return what shows a picture beside the page; `text` is read where it cannot be shown."""
    text = text.replace("[", "(").replace("]", ")")  # there even an escaped one ends it in some readers
    return f"![{escape.markdown(text)}]({quote(file.encode('utf-8', 'surrogateescape'))})"


def _markdown_cell(cell: Cell) -> str:
    return escape.markdown_code(cell).replace("|", r"\|") if isinstance(cell, Code) else escape.markdown(_text(cell))


def _text(cell: Cell) -> str:
    if cell is None:
        return "–"
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)
