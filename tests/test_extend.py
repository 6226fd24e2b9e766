"""The worked examples of `docs/extend.md` run as they stand there."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from serjax.data.splits import split_corpus
from serjax.study.flags import Data, Machine

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/extend.md").read_text(encoding="utf-8"), re.M | re.S)
MOST_LINES = 60
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
SMALL = Data(synthetic_clips=96, protocol="random-80-20")


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> ModuleType:
    """Save a block of the page as a module and import it, as its reader would."""
    number, name = request.param
    path = tmp_path / f"{name}.py"
    path.write_text(BLOCKS[number], encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


def test_examples_are_short() -> None:
    assert [len(block.splitlines()) <= MOST_LINES for block in BLOCKS] == [True] * 3


@pytest.mark.parametrize("example", [(0, "mine")], indirect=True)
def test_the_corpus_is_read(example: ModuleType, tmp_path: Path) -> None:
    names = [f"{s}_{e}_{n:02}.wav" for s in ("anna", "ben") for e in ("angry", "happy", "sad") for n in (1, 2)]
    for name in (*names, "notes_of_anna.wav"):
        soundfile.write(tmp_path / name, np.sin(np.arange(8_000) * 0.05 * len(name)), 16_000)
    corpus = example.load_mine(tmp_path)
    assert [(u.path, u.emotion, u.speaker) for u in corpus.utterances] == [(n, *n.split("_")[1::-1]) for n in names]
    assert len(split_corpus(corpus, "random-5fold", selecting=False).folds) == 5


@pytest.mark.slow
def test_the_model_is_trained(tmp_path: Path) -> None:
    (tmp_path / "loudest.py").write_text(BLOCKS[1], encoding="utf-8")
    flags = ["--synthetic-clips", "96", "--protocol", "random-80-20", "--epochs", "20", "--out", "run", "--width", "40"]
    subprocess.run([sys.executable, "loudest.py", *flags], cwd=tmp_path, env=ENVIRONMENT, check=True)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["experiment"] == "loudest"
    assert metrics["n_parameters"] == 20 * 40 + 40 + 40 * 8 + 8
    assert metrics["uar"] > 0.2  # chance .125


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("example", [(2, "rates")], indirect=True)
def test_the_study_writes_its_page(example: ModuleType, tmp_path: Path) -> None:
    example.run(example.Config(epochs=1, data=SMALL, machine=Machine(out=tmp_path / "rates", quiet=True)))
    page = (tmp_path / "rates" / "results.md").read_text()
    assert re.findall(r"^\| (base|learning_rate=[\d.]+) \|", page, re.M)[:3] == [
        "base",
        "learning_rate=0.01",
        "learning_rate=0.1",
    ]
