"""The project's modules as they stand on the disk: read by `ast`, never imported."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]


def find_modules(root: Path, tops: Iterable[str]) -> dict[str, Path]:
    """Return the file of every module below some folders of `root`, by its dotted name."""
    files = [path for top in tops for path in sorted((root / top).rglob("*.py"))]
    return {module_name(path.relative_to(root)): path for path in files}


def module_name(path: Path) -> str:
    """Return the dotted name of a module; a package has that of its folder.

    >>> module_name(Path("serjax/data/__init__.py")), module_name(Path("serjax/data/labels.py"))
    ('serjax.data', 'serjax.data.labels')
    """
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def read_imports(modules: Mapping[str, Path]) -> dict[str, set[str]]:
    """Return which of the modules each of them imports, inside its functions too, but not for type checkers alone."""
    return {name: set(_imported(path, modules)) - {name} for name, path in modules.items()}


def _imported(path: Path, modules: Mapping[str, Path]) -> Iterator[str]:
    for node in _executed(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute here"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in modules else str(node.module) for name in inner]
        else:
            continue
        yield from (name for name in names if name in modules)


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """Give all nodes below one but what `if TYPE_CHECKING` guards."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            yield from (below for other in child.orelse for below in (other, *_executed(other)))
        else:
            yield child
            yield from _executed(child)
