"""The order of the house: which room may import which, what a command is, how large files and rooms may grow."""

import ast
import fnmatch
import graphlib
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.source import ROOT, find_modules, read_imports

# From the bottom upwards. A module imports from its own room and from lower lines, never from a neighbour on its line.
LAYERS = (
    ("serjax.errors", "serjax.escape", "serjax.signals", "serjax.xla"),
    ("serjax", "serjax.files"),  # `serjax` itself is the `__init__.py` of the package alone
    ("serjax.provenance",),
    ("serjax.command", "serjax.dsp"),
    ("serjax.models", "serjax.data"),
    ("serjax.train",),
    ("serjax.evaluate",),
    ("serjax.folder", "serjax.figures", "serjax.bundle"),
    ("serjax.study",),
    ("serjax.results", "serjax.explore", "serjax.predict"),
    ("serjax.main", "serjax.export"),
    ("serjax.experiments", "serjax.__main__"),
    ("experiments", "scripts"),
)
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
TOPS = ("serjax", "experiments", "scripts")
COMMANDS = "serjax.experiments"
MOST_LINES = 300
MOST_MODULES = 20
LARGE_ROOMS = {"serjax/dsp": 26, "serjax/models": 25, "serjax/experiments": 24}
MODULES = find_modules(ROOT, TOPS)
IMPORTS = read_imports(MODULES)
Imports = Mapping[str, set[str]]


def room_of(module: str) -> str:
    """Return the room of a module: the line of `LAYERS` with the longest beginning of its name."""
    top, *inner = module.split(".")
    return ".".join([top, *inner[:1]]) if top == "serjax" else top


def upward_imports(imports: Imports) -> list[str]:
    """Return the imports from a room that stands above or on the same line, and rooms that stand nowhere."""
    unknown = [f"{module}: no layer" for module in imports if room_of(module) not in LEVEL]
    pairs = [(module, other) for module, others in imports.items() for other in sorted(others)]
    return unknown + [f"{module} imports {other}" for module, other in pairs if not _may_import(module, other)]


def _may_import(module: str, other: str) -> bool:
    here, there = room_of(module), room_of(other)
    return here == there or here not in LEVEL or there not in LEVEL or LEVEL[there] < LEVEL[here]


def circles(imports: Imports) -> list[str]:
    """Return a circle of modules, if there is one."""
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        return [" → ".join(error.args[1])]
    return []


def importers_of_commands(imports: Imports) -> list[str]:
    """Return the modules that import commands and stand neither among them nor in `experiments` or `scripts`."""
    using = [module for module, others in imports.items() if any(room_of(other) == COMMANDS for other in others)]
    return [module for module in using if room_of(module) not in (COMMANDS, "experiments", "scripts")]


def deep_commands(imports: Imports) -> list[str]:
    """Return the commands that import a command which imports another."""
    own = {
        module: {other for other in others if other.startswith(f"{COMMANDS}.")} for module, others in imports.items()
    }
    return [module for module in imports if room_of(module) == COMMANDS and any(own[other] for other in own[module])]


def incomplete_commands(modules: Mapping[str, Path]) -> list[str]:
    """Return what modules of `serjax.experiments` lack of a command: `Config`, a `__main__` block, how to call it."""
    lacking = []
    for module, path in modules.items():
        if not module.startswith(f"{COMMANDS}."):
            continue
        tree = ast.parse(path.read_text())
        if not any(isinstance(node, ast.ClassDef) and node.name == "Config" for node in tree.body):
            lacking.append(f"{module}: no class Config")
        if not has_main_block(tree):
            lacking.append(f"{module}: no __main__ block")
        if not says_how(tree, module):
            lacking.append(f"{module}: its docstring lacks `python -m {module}`")
    return lacking


def silent_studies(modules: Mapping[str, Path]) -> list[str]:
    """Return the runnable modules of the top-level `experiments` whose docstring does not say how to run them."""
    trees = {name: ast.parse(path.read_text()) for name, path in modules.items() if room_of(name) == "experiments"}
    runnable = [name for name, tree in trees.items() if has_main_block(tree)]
    return [name for name in runnable if not says_how(trees[name], name.removesuffix(".__main__"))]


def has_main_block(tree: ast.Module) -> bool:
    """Return whether a module does something when it is run."""
    return any(isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'" for node in tree.body)


def says_how(tree: ast.Module, module: str) -> bool:
    """Return whether the docstring holds the module's own command."""
    return re.search(rf"python -m {re.escape(module)}(?![\w.])", ast.get_docstring(tree) or "") is not None


def long_modules(modules: Mapping[str, Path]) -> list[str]:
    """Return the modules of more than `MOST_LINES` lines."""
    lines = {name: len(path.read_text().splitlines()) for name, path in modules.items()}
    return [f"{name}: {n} lines" for name, n in lines.items() if n > MOST_LINES]


def full_rooms(modules: Mapping[str, Path], root: Path) -> list[str]:
    """Return the folders that hold more modules than they may, `__init__.py` not counted."""
    paths = [path for path in modules.values() if path.name != "__init__.py"]
    held = Counter(path.parent.relative_to(root).as_posix() for path in paths)
    return [f"{room}: {n} modules" for room, n in held.items() if n > LARGE_ROOMS.get(room, MOST_MODULES)]


def folders_in_the_wheel(root: Path) -> list[str]:
    """Return the top-level folders of Python files that `packages.find` takes into the wheel."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["packages"]["find"]["include"]
    folders = sorted(path.name for path in root.iterdir() if path.is_dir() and any(path.rglob("*.py")))
    return [name for name in folders if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]


def loaded_by(modules: list[str]) -> set[str]:
    """Return the names of all top-level packages that importing the modules loads, in a fresh interpreter."""
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_no_room_imports_one_above_or_beside_it():
    assert upward_imports(IMPORTS) == []


def test_no_modules_import_one_another_in_a_circle():
    assert circles(IMPORTS) == []


def test_commands_are_imported_by_studies_and_scripts_alone():
    assert importers_of_commands(IMPORTS) == []


def test_commands_have_two_import_levels_at_most():
    assert deep_commands(IMPORTS) == []


def test_every_module_of_the_commands_is_a_command():
    assert incomplete_commands(MODULES) == []


def test_every_runnable_study_says_how_it_is_run():
    assert silent_studies(MODULES) == []


def test_modules_are_short():
    assert long_modules(MODULES) == []


def test_rooms_are_not_crowded():
    assert full_rooms(MODULES, ROOT) == []


def test_the_wheel_holds_the_package_alone():
    assert folders_in_the_wheel(ROOT) == ["serjax"]


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        (["serjax.command"], {"jax", "flax"}),
        (["serjax.results.comparison"], {"flax", "orbax"}),
        (sorted(name for name in MODULES if name.startswith("serjax.study.tabular")), {"orbax", "grain"}),
    ],
    ids=["command", "comparison", "tabular"],
)
def test_what_needs_no_training_loads_none_of_it(modules: list[str], absent: set[str]):
    loaded = loaded_by(modules)
    assert "serjax" in loaded
    assert not absent & loaded


def made_tree(root: Path, files: Mapping[str, str]) -> dict[str, Path]:
    """Write modules below `root`; return them by name."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return find_modules(root, TOPS)


def test_an_import_upwards_is_found_inside_a_function_too(tmp_path: Path):
    files = {
        "serjax/train/loop.py": "def late():\n    from serjax.study import stages\n",
        "serjax/study/stages.py": "from serjax.train import loop\n",
    }
    imports = read_imports(made_tree(tmp_path, files))
    assert upward_imports(imports) == ["serjax.train.loop imports serjax.study.stages"]
    assert circles(imports) != []


def test_neighbours_on_one_line_may_not_import_one_another(tmp_path: Path):
    files = {"serjax/results/show.py": "import serjax.explore.page\n", "serjax/explore/page.py": ""}
    found = upward_imports(read_imports(made_tree(tmp_path, files)))
    assert found == ["serjax.results.show imports serjax.explore.page"]


def test_a_room_without_a_layer_is_found(tmp_path: Path):
    imports = read_imports(made_tree(tmp_path, {"serjax/utils.py": ""}))
    assert upward_imports(imports) == ["serjax.utils: no layer"]


def test_imports_for_type_checkers_do_not_count(tmp_path: Path):
    guarded = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from serjax.study import stages\n"
    files = {"serjax/dsp/mel.py": guarded, "serjax/study/stages.py": "from serjax.dsp import mel\n"}
    imports = read_imports(made_tree(tmp_path, files))
    assert upward_imports(imports) == []
    assert circles(imports) == []


def test_a_circle_inside_a_room_is_found(tmp_path: Path):
    files = {"serjax/data/a.py": "from serjax.data.b import f\n", "serjax/data/b.py": "from serjax.data.a import g\n"}
    imports = read_imports(made_tree(tmp_path, files))
    assert upward_imports(imports) == []
    [circle] = circles(imports)
    assert {"serjax.data.a", "serjax.data.b"} == set(circle.split(" → "))


def test_what_imports_a_command_from_below_is_found(tmp_path: Path):
    files = {
        "serjax/results/show.py": "from serjax.experiments.logreg import Config\n",
        "serjax/experiments/logreg.py": "",
        "serjax/experiments/rnn.py": "from serjax.experiments import logreg\n",
        "experiments/seeds.py": "from serjax.experiments import rnn\n",
    }
    assert importers_of_commands(read_imports(made_tree(tmp_path, files))) == ["serjax.results.show"]


def test_a_third_import_level_of_commands_is_found(tmp_path: Path):
    files = {
        "serjax/experiments/a.py": "from serjax.experiments.b import Config\n",
        "serjax/experiments/b.py": "from serjax.experiments.c import Config\n",
        "serjax/experiments/c.py": "",
    }
    assert deep_commands(read_imports(made_tree(tmp_path, files))) == ["serjax.experiments.a"]


def test_what_a_command_lacks_is_found(tmp_path: Path):
    docstring = '"""Q?\n\n    python -m serjax.experiments.a --seeds 3\n"""\n'
    whole = f'{docstring}\nclass Config: ...\n\nif __name__ == "__main__":\n    ...\n'
    files = {
        "serjax/experiments/a.py": whole,
        "serjax/experiments/b.py": '"""Q? `python -m serjax.experiments.bc`"""\n',
    }
    assert incomplete_commands(made_tree(tmp_path, files)) == [
        "serjax.experiments.b: no class Config",
        "serjax.experiments.b: no __main__ block",
        "serjax.experiments.b: its docstring lacks `python -m serjax.experiments.b`",
    ]


def test_a_study_that_does_not_say_how_it_is_run_is_found(tmp_path: Path):
    main = 'if __name__ == "__main__":\n    ...\n'
    files = {
        "experiments/seeds.py": f'"""Q?\n\n    python -m experiments.seeds --seeds 3\n"""\n{main}',
        "experiments/table/__main__.py": f'"""`python -m experiments.table`"""\n{main}',
        "experiments/sweep.py": '"""Not run."""\n',
        "experiments/vae.py": f'"""Q?\n\n    python experiments/vae.py\n"""\n{main}',
    }
    assert silent_studies(made_tree(tmp_path, files)) == ["experiments.vae"]


def test_long_modules_and_crowded_rooms_are_found(tmp_path: Path):
    crowd = {f"serjax/study/m{n}.py": "" for n in range(MOST_MODULES + 1)}
    files = {
        **crowd,
        "serjax/study/__init__.py": "",
        "serjax/data/long.py": "a = 1\n" * (MOST_LINES + 1),
        "serjax/data/fits.py": "a = 1\n" * MOST_LINES,
    }
    modules = made_tree(tmp_path, files)
    assert long_modules(modules) == ["serjax.data.long: 301 lines"]
    assert full_rooms(modules, tmp_path) == ["serjax/study: 21 modules"]


def test_a_folder_that_slips_into_the_wheel_is_found(tmp_path: Path):
    made_tree(tmp_path, {"serjax/errors.py": "", "experiments/seeds.py": ""})
    (tmp_path / "pyproject.toml").write_text('[tool.setuptools.packages.find]\ninclude = ["serjax*", "exp*"]\n')
    assert folders_in_the_wheel(tmp_path) == ["experiments", "serjax"]


def test_a_library_that_a_module_loads_is_found():
    assert "numpy" in loaded_by(["numpy.linalg"])
