"""Docstrings have one dialect: the names of sections, their order and indentation, and what public functions raise."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = sorted(path for package in ("serjax", "experiments", "scripts") for path in (ROOT / package).rglob("*.py"))
SECTIONS = ["Attributes", "Args", "Returns", "Yields", "Raises", "Warns"]  # in this order


def faults(source: str) -> Iterator[str]:
    """Yield what is wrong with the docstrings of a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
            yield from wrong_sections(text.splitlines())
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                first, _, rest = text.partition("\n")
                listed = re.findall(r"^ {2}(\w+): ", rest.partition("\nRaises:\n")[2], re.MULTILINE)
                named = {*listed, *re.findall(r"\w+", first), "NotImplementedError"}  # which a subclass replaces
                yield from (f"{node.name}: {error}" for error in set(raised(node.body)) - named)


def wrong_sections(lines: list[str]) -> Iterator[str]:
    """Yield headings that are unknown, out of order, or without items indented by 2; and sources inside a paragraph."""
    headings = {n: line[:-1] for n, line in enumerate(lines) if re.fullmatch(r"[A-Z]\w*:", line)}
    names = [name for name in headings.values() if name in SECTIONS]
    yield from (name for name in headings.values() if name not in SECTIONS)
    yield from [] if names == sorted(names, key=SECTIONS.index) else names
    yield from (name for n, name in headings.items() if not re.match(" {2}[^ ]", "".join(lines[n + 1 : n + 2])))
    yield from (line for line in lines if re.search(r"\S +Sources?: |^(Sources|References?): ", line))


def raised(body: list[ast.stmt]) -> Iterator[str]:
    """Yield the classes of errors that a body raises and does not catch; functions inside are not looked into."""
    for node in body:
        match node:
            case ast.Raise(exc=ast.Call(func=error)) | ast.Raise(exc=ast.expr() as error):
                yield from re.findall(r"\b[A-Z]\w*$", ast.unparse(error))
            case ast.Try(body=tried, handlers=handlers):
                caught = {word for one in handlers if one.type for word in re.findall(r"\w+", ast.unparse(one.type))}
                yield from set(raised(tried)) - caught
                yield from raised([*node.orelse, *node.finalbody, *(n for one in handlers for n in one.body)])
            case ast.stmt() if not isinstance(node, ast.FunctionDef | ast.ClassDef):
                inner = [*ast.iter_child_nodes(node), *(n for case in getattr(node, "cases", ()) for n in case.body)]
                yield from raised([n for n in inner if isinstance(n, ast.stmt)])


def test_docstrings_have_one_dialect() -> None:
    found = {path.relative_to(ROOT).as_posix(): list(faults(path.read_text(encoding="utf-8"))) for path in FILES}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_faults_are_found() -> None:
    start, good = 'def run():\n    """Run.\n\n    ', "Raises:\n      BadError: always."
    for text, wrong in {
        good: [],
        good.replace("      ", "        "): ["Raises", "run: BadError"],
        good.replace("Raises", "Throws"): ["Throws", "run: BadError"],
        f"{good} Source: it.": ["  BadError: always. Source: it."],
        f"{good}\n\n    Args:\n      x: it.": ["Raises", "Args"],
    }.items():
        assert list(faults(f'{start}{text}\n    """\n    if wrong:\n        raise errors.BadError("no")')) == wrong
