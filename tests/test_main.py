"""`python -m serjax` lists what there is and trains nothing; every command names itself as it is called."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import serjax
from serjax import __main__ as listing
from serjax import main
from serjax.data.corpora import CORPUS_NAMES, load_corpus
from serjax.errors import ConfigError
from serjax.study.flags import Machine
from serjax.study.stages import Study

ROOT = Path(__file__).parents[1]
EXPERIMENTS = sorted(path.stem for path in (ROOT / "serjax" / "experiments").glob("*.py") if path.stem != "__init__")
STUDIES = sorted(
    name.removesuffix("/__main__")
    for path in (ROOT / "experiments").rglob("*.py")
    if "__main__" in (name := path.relative_to(ROOT / "experiments").with_suffix("").as_posix())
    or "__main__" in path.read_text(encoding="utf-8")
)
SCRIPTS = ["bench_corpus", "bench_dsp", "bench_scaling", "bench_train", "unshuffled_folds", "write_synthetic"]
CALLS = """
import contextlib, io, json, runpy, sys
said = {}
for module in sys.argv[1:]:
    for flag in ("--help", "--no-such-flag"):
        out, err, sys.argv = io.StringIO(), io.StringIO(), ["", flag]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                runpy.run_module(module, run_name="__main__", alter_sys=True)
                code = None
            except SystemExit as stop:
                code = stop.code
        said[f"{module} {flag}"] = code, out.getvalue(), err.getvalue()
json.dump(said, sys.stdout)
"""


def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, from the checkout."""
    variables = {**os.environ, "PYTHONWARNINGS": "ignore", **environment}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT, env=variables)


def plain(text: str) -> str:
    """Put a text that was broken into lines on one."""
    return " ".join(text.split())


@pytest.fixture(scope="module")
def listed() -> subprocess.CompletedProcess[str]:
    """The list, and on standard error all modules that were imported for it."""
    return call("-X", "importtime", "-m", "serjax")


@pytest.mark.parametrize(
    ("package", "names"),
    [("serjax.experiments", EXPERIMENTS), ("experiments", STUDIES)],
    ids=["experiments", "studies"],
)
def test_every_command_is_listed_with_its_own_first_sentence(listed, package: str, names: list[str]) -> None:
    section = listed.stdout.partition(f"python -m {package}.NAME")[2].partition("\n\n")[0]
    assert re.findall(r"^  (\w+) ", section, re.MULTILINE) == names
    for name in names:
        path = ROOT.joinpath(*package.split("."), f"{name}.py")
        path = path if path.exists() else path.with_suffix("") / "__main__.py"
        summary = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").splitlines()[0]
        assert summary.endswith((".", "?"))
        assert f" {name} {summary} " in f"{plain(section)} "


def test_a_sentence_ends_at_a_mark_before_a_blank_and_with_its_paragraph() -> None:
    assert (
        listing.first_sentence("A net of 1.5 M weights: is\nit enough? Yes.") == "A net of 1.5 M weights: is it enough?"
    )
    assert listing.first_sentence("No mark\n\nAnother paragraph.") == "No mark"


def test_the_list_imports_nothing_that_it_lists_and_no_training(listed) -> None:
    loaded = {line.rpartition("|")[2].strip() for line in listed.stderr.splitlines() if line.startswith("import time:")}
    assert {"serjax.provenance", "jax"} <= loaded
    assert not {"flax", "optax", "orbax", "grain", "matplotlib", "sklearn"} & {name.split(".")[0] for name in loaded}
    ours = {
        name for name in loaded if re.match(r"(serjax\.(experiments|study|train|models|results)|experiments)\b", name)
    }
    assert not ours


def test_versions_and_devices_are_listed(listed) -> None:
    assert listed.returncode == 0
    assert f"  serjax            {serjax.__version__}\n" in listed.stdout
    assert re.search(r"\nDevices\n  cpu  \d+ × cpu\n", listed.stdout)


def test_corpora_are_all_those_that_can_be_named() -> None:
    assert tuple(listing.CORPORA)[: len(CORPUS_NAMES)] == CORPUS_NAMES
    clips = load_corpus("synthetic").utterances
    n_speakers, n_emotions = len({clip.speaker for clip in clips}), len({clip.emotion for clip in clips})
    assert f"{len(clips)} clips, {n_speakers} speakers, {n_emotions} emotions" in listing.CORPORA["synthetic"]


def test_where_jax_cannot_start_the_rest_is_listed_and_one_paragraph_says_why() -> None:
    found = call("-m", "serjax", JAX_PLATFORMS="abacus")
    assert found.returncode == 1
    assert "vae_mfcc" in found.stdout
    assert "crema-d-voted" in found.stdout
    assert "Devices" not in found.stdout
    assert "Traceback" not in found.stderr
    assert "abacus" in found.stderr
    assert "JAX_PLATFORMS=cpu" in found.stderr


def test_an_installed_package_lists_no_studies(monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "other.py").write_text('"""Not ours."""\nif __name__ == "__main__":\n    pass\n')
    monkeypatch.setattr(listing, "CHECKOUT", tmp_path)
    assert listing.studies() == {}
    (tmp_path / "pyproject.toml").touch()
    assert listing.studies() == {"other": "Not ours."}


@pytest.mark.parametrize(
    "modules",
    [
        ["serjax", *(f"serjax.experiments.{name}" for name in EXPERIMENTS)],
        [f"experiments.{name}" for name in STUDIES],
        [f"scripts.{name}" for name in SCRIPTS],
    ],
    ids=["experiments", "studies", "scripts"],
)
def test_usage_and_errors_name_the_module(modules: list[str]) -> None:
    result = call("-c", CALLS, *modules)
    assert result.returncode == 0, result.stderr
    said = json.loads(result.stdout)
    for module in modules:
        code, out, _ = said[f"{module} --help"]
        assert code == 0
        assert out.startswith(f"usage: python -m {module} ")
        code, out, err = said[f"{module} --no-such-flag"]
        assert code == 2
        assert f"python -m {module} --help" in plain(err.replace("│", " "))
        assert not re.search(r"\.py\b", out + err)


def test_processes_join_before_flags_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one process ends by an error of its flags, the others learn of it."""
    steps: list[object] = []
    monkeypatch.setattr("serjax.study.flags.join_processes", lambda *given: steps.append(given))

    class Config:
        machine = Machine(coordinator="node1:29500", num_processes=2, process_id=1)

        def study(self) -> Study:
            steps.append("study")
            raise ConfigError("a flag")

    with pytest.raises(ConfigError, match="a flag"):
        main.run(Config())
    assert steps == [("node1:29500", 2, 1), "study"]
