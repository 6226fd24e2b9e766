"""Documents and lab notes name files, modules and commands that there are."""

import ast
import re
from pathlib import Path

import pytest

from scripts.sentences import PAGES, long_sentences

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "experiments" / "README.md"]
DOCUMENTS += sorted((ROOT / "docs").glob("*.md"))
PACKAGES = ("serjax", "experiments", "scripts")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
RUN_BLOCK = re.compile(r"^```python\n.*?^```", re.MULTILINE | re.DOTALL)  # those of extend.md are run by test_extend.py
LINK = re.compile(r"\]\(([^)\s]+)\)")
MODULE = re.compile(r"python -m ((?:serjax|experiments|scripts)(?:\.[a-z]\w*)*)(?![\w.]*[A-Z])")
DOTTED = re.compile(r"(?<![\w./])serjax(?:\.(?!__)\w+)+")
FILE = re.compile(r"(?<![\w./-])(?:serjax|experiments|scripts|tests|docs)/[\w./-]*\w\.(?:py|md|npz|json|sbatch)\b")


def broken_links(text: str, folder: Path) -> list[str]:
    """Return the links of a Markdown text in `folder` that lead to no file, or to no heading of it."""
    broken = []
    for link in LINK.findall(text):
        place, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        path = folder / place if place else None
        target = (
            text if path is None else path.read_text(encoding="utf-8") if path.suffix == ".md" and path.exists() else ""
        )
        if (path is not None and not path.exists()) or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


def anchors(text: str) -> set[str]:
    """Return the names by which headings can be linked to, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def unknown_names(text: str) -> list[str]:
    """Return the modules, commands and files of the project that a text names and that are not there."""
    commands = [name for name in MODULE.findall(text) if not is_command(name)]
    dotted = [name for name in DOTTED.findall(text) if not re.search(r"\.[A-Z]+$", name) and not is_defined(name)]
    return (
        commands + dotted + [name for name in FILE.findall(text) if "NAME" not in name and not (ROOT / name).exists()]
    )


def is_command(name: str) -> bool:
    """Tell whether `python -m NAME` runs something."""
    path = ROOT.joinpath(*name.split("."))
    module = path.with_suffix(".py")
    return (path / "__main__.py").exists() or (module.exists() and 'if __name__ == "__main__":' in module.read_text())


def is_defined(name: str) -> bool:
    """Tell whether a dotted name is a module, or is bound in one; what a class has is not looked at."""
    parts = name.split(".")
    for n in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:n])
        source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if source.exists():
            return n == len(parts) or parts[n] in bound(ast.parse(source.read_text(encoding="utf-8")))
    return False


def bound(tree: ast.Module) -> set[str]:
    """Return the names that a module defines, assigns or imports at its top level."""
    names: set[str] = set()
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names |= {alias.asname or alias.name for alias in aliases}
            case ast.Assign() | ast.AnnAssign():
                names |= {
                    one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)
                }
    return names


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_documents_lead_to_what_is_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert broken_links(text, path.parent) == []
    assert unknown_names(RUN_BLOCK.sub("", text) if path.name == "extend.md" else text) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_sentences_are_short(path: Path) -> None:
    assert long_sentences(path.read_text(encoding="utf-8")) == []


def test_long_sentences_are_found_in_prose_alone() -> None:
    prose, code = "Word " * 36 + "ends. Short.", "```\n" + "word " * 40 + "\n```\n| " + "cell " * 40 + "|\n"
    assert long_sentences(code + "# " + "head " * 40) == []
    assert [line.partition(":")[0] for line in long_sentences(f"{code}\n- {prose}")] == ["37 words"]


def test_the_map_has_every_page() -> None:
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert pages <= set(LINK.findall((ROOT / "docs/index.md").read_text(encoding="utf-8")))


def test_sources_name_what_is_there() -> None:
    found = {path.relative_to(ROOT).as_posix(): unknown_names(path.read_text(encoding="utf-8")) for path in SOURCES}
    assert {name: unknown for name, unknown in found.items() if unknown} == {}


NO_STUDIES = {"rewrite"}  # writes pages of others again


def test_every_study_has_its_line_and_every_page_is_linked() -> None:
    text = (ROOT / "experiments" / "README.md").read_text(encoding="utf-8")
    studies = {path.stem for path in (ROOT / "experiments").glob("*.py") if is_command(f"experiments.{path.stem}")}
    studies |= {path.parent.name for path in (ROOT / "experiments").glob("*/__main__.py")}
    assert set(re.findall(r"^\| `python -m experiments\.(\w+)`", text, re.MULTILINE)) == studies - NO_STUDIES
    pages = {f"results/{path.name}" for path in (ROOT / "experiments" / "results").glob("*.md")}
    assert pages == set(LINK.findall(text))


def test_what_is_not_there_is_found(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("# A heading, with marks!\n")
    good = "[a](page.md) [b](page.md#a-heading-with-marks) [c](https://example.org/x)"
    assert broken_links(good, tmp_path) == []
    assert broken_links("[a](gone.md) [b](page.md#gone) [c](#gone)", tmp_path) == ["gone.md", "page.md#gone", "#gone"]
    assert unknown_names("`python -m serjax.experiments.NAME`, `python -m serjax.experiments.vae_mfcc`") == []
    gone = ["serjax.main", "serjax.experiments.config", "serjax.evaluate.plots.draw", "experiments/gone.py"]
    text = "`python -m serjax.main` `serjax.experiments.config` `serjax.evaluate.plots.draw` experiments/gone.py"
    assert unknown_names(text) == gone
    assert unknown_names("`serjax.dsp.mfcc` `serjax.models.VAE` `serjax.data.labels` README.md") == []
