"""Pages about generative classifiers: whose clips a row is about, and what the curves compare."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments import generative_curves, generative_results, rewrite
from serjax.data.corpora import load_corpus
from serjax.errors import ConfigError
from serjax.evaluate.predictions import Predictions
from serjax.experiments import generative
from serjax.folder.finished import FinishedRun, read_run
from serjax.study.flags import Data, Machine
from tests.results.test_comparison import predictions, write_run


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """Return a run folder whose clips are the first ones of the synthetic corpus, those of women all mistaken."""
    found, corpus = predictions([]), load_corpus("synthetic")
    clips = corpus.utterances[: len(found.utterance)]
    wrong = np.array([clip.gender == "female" for clip in clips])
    table = replace(
        found,
        utterance=tuple(clip.path for clip in clips),
        speaker=tuple(clip.speaker for clip in clips),
        prediction=np.where(wrong, 1 - found.truth, found.truth),
    )
    write_run(tmp_path / "run", table, ece=0.05, corpus="synthetic")
    return tmp_path / "run"


def test_errors_are_those_of_the_clips_of_each_group(finished: Path) -> None:
    rows = [group.cells for group in generative_results.groups_of(read_run(finished), load_corpus("synthetic"))]
    reached = {row[:2]: row[3] for row in rows}
    assert {value: reached["gender", value] for value in ("female", "male")} == {"female": 0.0, "male": 1.0}
    speakers = {clip.speaker: clip.gender for clip in load_corpus("synthetic").utterances}
    assert {name: uar for (kind, name), uar in reached.items() if kind == "speaker"} == {
        name: float(gender == "male") for name, gender in speakers.items() if ("speaker", name) in reached
    }


def test_the_page_names_runs_and_the_corpus_must_be_theirs(finished: Path, tmp_path: Path) -> None:
    config = generative_results.Config(
        runs=(finished,), results=tmp_path / "page.md", machine=Machine(out=tmp_path / "out")
    )
    generative_results.run(config)
    content = json.loads((tmp_path / "page.json").read_text())
    assert content["runs"][0][0] == "run"
    assert content["groups"]
    assert "- run: `" in (tmp_path / "page.md").read_text()
    assert rewrite.render(tmp_path / "page.md") == (tmp_path / "page.md").read_text()
    with pytest.raises(ConfigError, match="--runs: expected folders of finished runs"):
        generative_results.run(replace(config, runs=()))


def test_each_number_of_speakers_compares_the_two_on_the_same_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gaussians mistake 4 clips, logistic regression 8."""
    noted: dict[str, generative.Config] = {}

    def train(configs: Mapping[str, generative.Config], out: Path) -> dict[str, FinishedRun]:
        noted.update(configs)
        runs = {}
        for name, config in configs.items():
            found: Predictions = predictions(list(range(8 if config.density.density == "logistic" else 4)))
            write_run(out / name, found)
            runs[name] = read_run(out / name)
        return runs

    monkeypatch.setattr(generative_curves, "train", train)
    config = generative_curves.Config(
        speakers=(2, 4),
        owns=(0.0, 1.0),
        results=tmp_path / "page.md",
        data=Data(seeds=2),
        machine=Machine(out=tmp_path / "out"),
    )
    generative_curves.run(config)
    of_four = [noted[name] for name in ("logistic, 4 speakers", "gaussian, 4 speakers")]
    assert [one.data.train_speakers for one in of_four] == [4, 4]
    assert replace(of_four[0], density=of_four[1].density) == of_four[1]
    assert not any(one.density.refit for one in noted.values())  # validation speakers are no training speakers
    rows = {row[0]: row for row in json.loads((tmp_path / "page.json").read_text())["rows"]}
    assert float(rows["gaussian, 2 speakers"][4]) > 0
    assert rows["logistic, 2 speakers"][4] is rows["own=1.0"][4] is None
    assert (tmp_path / "page.png").stat().st_size > 0
    assert rewrite.render(tmp_path / "page.md") == (tmp_path / "page.md").read_text()
