"""The studies in `experiments/` that train VAEs: their rows, tests and pages, on a few synthetic clips."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from experiments import vae_recipe
from serjax.errors import ConfigError
from serjax.experiments import ae_mfcc, two_stage, vae_mfcc
from serjax.main import run
from serjax.study.flags import Classification, Data, Machine, Model, Training
from tests.results.test_comparison import predictions, write_run

DATA = Data(synthetic_clips=48, emotions=("happy", "sad"), protocol="speaker-5fold")
MODEL = Model(latent_dim=4, hidden=(8,))
TRAINING = Training(epochs=2, pretrain_epochs=1, batch_size=8)


def test_a_change_that_loses_has_a_negative_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = {name: vae_recipe.CHANGES[name] for name in (vae_recipe.DEFAULT, "beta-1")}
    monkeypatch.setattr(vae_recipe, "CHANGES", few)
    about = {"score": "elbo", "validation_uar": 0.5, "machine": "", "versions": {}, "git": None}
    for name, wrong in zip(few, ([], list(range(8))), strict=True):
        write_run(tmp_path / name, predictions(wrong), **about)
    reference, changed = vae_recipe.results_page(tmp_path).rows
    assert (reference.difference, changed.difference) == (None, -1 / 8)


@pytest.mark.parametrize("name", vae_recipe.CHANGES)
def test_every_row_but_the_default_changes_the_recipe(name):
    default = vae_mfcc.Config()
    changed = vae_recipe.CHANGES[name].of(default)
    assert (asdict(changed) == asdict(default)) == (name == vae_recipe.DEFAULT)


@pytest.mark.slow
def test_the_recipe_page_tests_each_row_against_the_default(tmp_path: Path, monkeypatch, capsys):
    few = {name: vae_recipe.CHANGES[name] for name in (vae_recipe.DEFAULT, "beta-1")}
    monkeypatch.setattr(vae_recipe, "CHANGES", few)
    machine = Machine(out=tmp_path / "o", quiet=True, devices=1)
    recipe = vae_mfcc.Config(
        data=DATA,
        model=MODEL,
        training=TRAINING,
        classification=Classification(score="reconstruction"),
        machine=machine,
    )
    config = vae_recipe.Config(results=tmp_path / "page.md", recipe=recipe)
    vae_recipe.run(config)
    page = json.loads((tmp_path / "page.json").read_text())
    assert [row["name"] for row in page["rows"]] == list(few)
    assert [row["p_value"] is None for row in page["rows"]] == [True, False]
    flags = json.loads((tmp_path / "o" / "beta-1" / "config.json").read_text())["config"]
    assert (flags["beta"], flags["training"]["roll_frames"]) == (1.0, 8)
    finished = (tmp_path / "o" / "default" / "metrics.json").stat().st_mtime_ns
    validation = json.loads((tmp_path / "o" / "default" / "metrics.json").read_text())["validation_uar"]
    assert f"val {validation:.3f}" in (tmp_path / "page.md").read_text()
    vae_recipe.run(config)
    assert (tmp_path / "o" / "default" / "metrics.json").stat().st_mtime_ns == finished


@pytest.mark.parametrize(
    "run",
    [
        lambda **page: vae_recipe.run(vae_recipe.Config(**page)),
        lambda **page: two_stage.run(two_stage.Config(**page)),
    ],
)
def test_a_page_that_is_no_markdown_is_told_before_anything_is_trained(run):
    with pytest.raises(ConfigError, match=r"--results page.json: expected the name of a Markdown file"):
        run(results=Path("page.json"))


@pytest.mark.parametrize("score", ["elbo", "iwae"])
def test_an_autoencoder_has_no_likelihood(score, tmp_path):
    flags = ae_mfcc.Config(classification=Classification(score=score), machine=Machine(out=tmp_path / "o"))
    with pytest.raises(ConfigError, match=f"--score {score}: a plain autoencoder has no likelihood"):
        run(flags)
    assert not (tmp_path / "o").exists()
