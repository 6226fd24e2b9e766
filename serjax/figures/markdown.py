"""Pages of Markdown, their tables, lists and pictures; text that comes from data is no markup."""

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

from serjax import escape
from serjax.figures.tables import Cell, cell_text


class Code(str):
    """A cell of a table that Markdown shows as code, such as a flag."""


def markdown_page(title: str, *parts: str | None) -> str:
    """Return a page: its title, then its parts, an empty line between them.

    Args:
      title: plain text.
      parts: paragraphs, headings, tables, lists and pictures as Markdown; what is None or empty is left out.
    """
    return "\n\n".join([f"# {escape.markdown(title)}", *filter(None, parts)]) + "\n"


def markdown_section(heading: str, *parts: str | None) -> str:
    """Return a part of a page with a heading; `heading` and `parts` are Markdown."""
    return "\n\n".join([f"## {heading}", *filter(None, parts)])


def markdown_list(lines: Iterable[str]) -> str:
    """Return a list of lines that are Markdown."""
    return "\n".join(f"- {line}" for line in lines)


def markdown_facts(facts: Mapping[str, str]) -> str:
    """Return a list of named facts; names and texts are Markdown."""
    return markdown_list(f"{name}: {text}" for name, text in facts.items())


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
    if isinstance(cell, Code):
        return escape.markdown_code(cell).replace("|", r"\|")
    return escape.markdown(cell_text(cell))
