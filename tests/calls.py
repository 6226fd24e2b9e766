"""What a function calls, constructs or hands on: followed by name through the files, nothing is imported."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from tests.source import find_modules

Definition = ast.FunctionDef | ast.ClassDef


class Place(NamedTuple):
    """A function, a class, or a method as `Class.method`."""

    module: str
    name: str


@dataclass(frozen=True)
class Module:
    """What a file defines and imports."""

    path: Path

    @cached_property
    def tree(self) -> ast.Module:
        """The file, parsed."""
        return ast.parse(self.path.read_text())

    @cached_property
    def definitions(self) -> dict[str, Definition]:
        """Functions and classes by name."""
        return {node.name: node for node in self.tree.body if isinstance(node, Definition)}

    @cached_property
    def imported(self) -> dict[str, tuple[str, str]]:
        """The module and the name behind every imported name, also of imports inside functions."""
        found = [node for node in ast.walk(self.tree) if isinstance(node, ast.ImportFrom)]
        return {a.asname or a.name: (str(node.module), a.name) for node in found for a in node.names}


@dataclass(frozen=True)
class Project:
    """All modules, by their dotted names."""

    modules: Mapping[str, Module]

    @classmethod
    def below(cls, root: Path) -> "Project":
        """Read the package `serjax` below a folder."""
        return cls({name: Module(path) for name, path in find_modules(root, ["serjax"]).items()})

    def defines(self, place: Place) -> bool:
        """Return whether there is such a function, class or method, inherited ones not counted."""
        return place.module in self.modules and self.definition(place) is not None

    def definition(self, place: Place) -> Definition | None:
        """Return the node of a function, class or method, None where the module has no such thing."""
        outer, _, method = place.name.partition(".")
        node = self.modules[place.module].definitions.get(outer)
        if not method or node is None:
            return node
        return next((n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == method), None)

    def find(self, module: str, name: str) -> Place | None:
        """Return what a name means in a module, None for what is no function or class of the project."""
        if module not in self.modules:
            return None
        own = self.modules[module]
        if name in own.definitions:
            return Place(module, name)
        return self.find(*own.imported[name]) if name in own.imported else None

    def find_method(self, owner: Place, name: str) -> Place | None:
        """Return where the method or property of a class is written, in itself or in a class that it builds on."""
        node = self.definition(owner)
        method = Place(owner.module, f"{owner.name}.{name}")
        if not isinstance(node, ast.ClassDef) or self.defines(method):
            return method if isinstance(node, ast.ClassDef) else None
        bases = [self.find(owner.module, base.id) for base in node.bases if isinstance(base, ast.Name)]
        found = (self.find_method(base, name) for base in bases if base is not None)
        return next((place for place in found if place is not None), None)

    def calls(self, place: Place) -> set[Place]:
        """Return what a function calls, constructs or hands on; of a class, what making one does.

        Names in type hints, `raise`, `except` and `isinstance` do not count. Of a parameter or `self` a method or
        property counts where the class is known.
        """
        node = self.definition(place)
        if isinstance(node, ast.ClassDef):
            making = (self.find_method(place, name) for name in ("__init__", "__post_init__"))
            return {method for method in making if method is not None}
        if node is None:
            return set()
        used, known = _Used(node), self._parameters(place, node)
        named = {self.find(place.module, name) for name in used.names if name not in known}
        methods = {self.find_method(known[owner], name) for owner, name in used.attributes if owner in known}
        inner = {
            self.find(".".join(self.modules[place.module].imported[owner]), name)
            for owner, name in used.attributes
            if owner in self.modules[place.module].imported
        }
        return {found for found in named | methods | inner if found is not None} - {place}

    def _parameters(self, place: Place, node: ast.FunctionDef) -> dict[str, Place]:
        """Return the class of `self` and of each parameter whose type hint is a class of the project."""
        hints = [(arg.arg, arg.annotation) for arg in [*node.args.args, *node.args.kwonlyargs]]
        known = {name: self.find(place.module, hint.id) for name, hint in hints if isinstance(hint, ast.Name)}
        owner, _, method = place.name.partition(".")
        own = {"self": Place(place.module, owner)} if method else {}
        return own | {name: found for name, found in known.items() if found is not None}

    def look_ups(self, place: Place) -> set[Place]:
        """Return what a function and its helpers in the same file call or construct of other files."""
        reached, waiting = {place}, [place]
        while waiting:
            there = waiting.pop()
            if there.module == place.module:
                new = self.calls(there) - reached
                reached |= new
                waiting.extend(new)
        return {found for found in reached if found.module != place.module}


class _Used(ast.NodeVisitor):
    """The names that the body of a function reads, and the attributes that it takes of names."""

    def __init__(self, function: ast.FunctionDef) -> None:
        self.names: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.visit_FunctionDef(function)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for part in _executed_parts(node):
            self.visit(part)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.visit(node.body)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Raise(self, node: ast.Raise) -> None:
        pass

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        for part in node.body:
            self.visit(part)

    def visit_MatchClass(self, node: ast.MatchClass) -> None:
        pass

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            self.visit(node.args[0])
        else:
            self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.names.add(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name):
            self.attributes.add((node.value.id, node.attr))
        self.generic_visit(node)


def _executed_parts(node: ast.FunctionDef) -> Iterator[ast.AST]:
    """Give defaults and body of a function, not its type hints and decorators."""
    yield from node.args.defaults
    yield from (default for default in node.args.kw_defaults if default is not None)
    yield from node.body
