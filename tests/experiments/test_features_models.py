"""The study of features × models, small: which cells there are, what each is given, and what the page says of them."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
import tyro

from experiments import features_models
from experiments.features_models import Budget, Config, Grid, Vae, complete, declare, results_page, run
from experiments.networks import Lstm, Mlp
from serjax.dsp import Chroma, Descriptors, LogMel, Mfcc, SideBySide
from serjax.errors import ConfigError
from serjax.evaluate.comparison import difference
from serjax.evaluate.predictions import read_predictions
from serjax.evaluate.statistics import holm
from serjax.experiments import vae_mfcc
from serjax.folder.finished import read_run
from serjax.folder.run_folder import RunFolderError
from serjax.study import problem
from serjax.study.flags import Data, Machine, SupervisedTraining
from serjax.study.frontends import PictureFeatures
from tests.conftest import leave_blank
from tests.results.test_comparison import predictions, write_run
from tests.study.stand_ins import noise

pytestmark = pytest.mark.slow

PICTURES = PictureFeatures(
    kinds=("mfcc", "descriptors"), sample_rate=8_000, n_mfcc=5, mfcc_bands=12, frames=12, n_fft=256, hop_length=128
)
SMALL = Config(
    grid=Grid(models=("logreg", "vae")),
    data=Data(synthetic_clips=96, emotions=("happy", "sad"), protocol="speaker-6fold"),
    features=PICTURES,
    training=Budget(epochs=2, pretrain_epochs=1, batch_size=16),
    machine=Machine(quiet=True, devices=1),
    vae=Vae(latent_dim=2, hidden=(4,)),
)
VERSIONS = {"python": "3", "jax": "0", "flax": "0", "serjax": "0"}
NAMES = ["mfcc-logreg", "mfcc-vae", "descriptors-logreg", "descriptors-vae", "all-logreg", "all-vae"]


def below(out: Path, config: Config = SMALL) -> Config:
    """The same study in a folder."""
    return replace(config, machine=replace(config.machine, out=out))


def make_up(config: Config, place: tuple[str, str]) -> None:
    """Write a cell as if it had been trained: cell n mistakes the first 5 n clips; compiling all would take minutes."""
    n = config.places.index(place)
    about = {"device": "none", "corpus_notes": [], "machine": "none", "versions": VERSIONS, "git": "0123"}
    about |= {"seconds": 60.0 * n, "n_parameters": 100 + n, "n_models": 2 if place[1] == "vae" else 1}
    write_run(config.out / "-".join(place), predictions(list(range(5 * n))), **about)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a study whose cells are made up."""
    out = tmp_path_factory.mktemp("grid") / "o"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features_models, "complete", make_up)
        run(below(out))
    return out


@pytest.fixture(scope="module")
def page(finished: Path) -> dict:
    """Return the finished study's page."""
    return json.loads((finished / "results.json").read_text())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of two cells that were trained."""
    out = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(problem, "load_features", noise)
        patch.setattr("serjax.folder.manifest.draw", leave_blank)
        complete(below(out), ("all", "logreg"))
        complete(below(out), ("descriptors", "vae"))
    return out


def test_cells_differ_in_features_and_model_alone(trained: Path) -> None:
    found = [read_run(trained / name) for name in ("all-logreg", "descriptors-vae")]
    tested = [tuple(zip(p.utterance, p.fold, p.seed.tolist(), strict=True)) for p in (f.predictions for f in found)]
    assert tested[0] == tested[1]
    assert len(set(tested[0])) > 0
    flags = [{name: value for name, value in f.settings.items() if name.split(".")[0] == "data"} for f in found]
    assert flags[0] == flags[1]
    assert [json.loads(f.settings["features.kinds"]) for f in found] == [
        ["mfcc", "descriptors"],
        ["descriptors"],
    ]


def test_all_is_every_kind_side_by_side_and_a_vae_is_one_an_emotion(trained: Path) -> None:
    linear, vae = (read_run(trained / name) for name in ("all-logreg", "descriptors-vae"))
    assert (linear.experiment, vae.experiment) == ("features_models/all-logreg", "features_models/descriptors-vae")
    assert linear.n_parameters == 2 * (2 * (5 + 6)) + 2  # mean and sd of 5 + 6 features, to 2 emotions
    metrics = json.loads((vae.path / "metrics.json").read_text())
    assert vae.n_parameters == 2 * metrics["n_parameters"]
    assert json.loads((linear.path / "metrics.json").read_text())["device"] == metrics["device"] == "1 × cpu (cpu)"
    flags = {name: json.loads(value) for name, value in vae.settings.items()}
    assert (flags["training.epochs"], flags["training.pretrain_epochs"], flags["beta"]) == (1, 1, 0.1)


def test_a_trained_cell_is_not_trained_again(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("serjax.study.supervised.SupervisedStudy.train", refuse)
    monkeypatch.setattr("serjax.study.generative.study.GenerativeStudy.train", refuse)
    complete(below(trained), ("all", "logreg"))
    complete(below(trained), ("descriptors", "vae"))
    other = replace(SMALL, training=replace(SMALL.training, linear_rate=1.0))
    with pytest.raises(RunFolderError, match="another configuration"):
        complete(below(trained, other), ("all", "logreg"))


def test_the_page_shows_what_the_runs_reached(finished: Path, page: dict) -> None:
    assert [f"{entry['feature']}-{entry['model']}" for entry in page["entries"]] == NAMES
    assert [entry["run"]["seconds"] for entry in page["entries"]] == [0, 60, 120, 180, 240, 300]
    assert [entry["run"]["n_parameters"] for entry in page["entries"]] == [100, 202, 102, 206, 104, 210]
    for name, entry in zip(NAMES, page["entries"], strict=True):
        metrics = json.loads((finished / name / "metrics.json").read_text())
        assert (entry["run"]["mean"], entry["war"]) == pytest.approx((metrics["uar"], metrics["war"]))
        assert entry["run"]["interval"] == pytest.approx(metrics["uar_ci95"])


def test_every_cell_is_tested_against_the_reference_and_adjusted_for_their_number(finished: Path, page: dict) -> None:
    reference, *others = (read_predictions(finished / name / "predictions.csv") for name in NAMES)
    expected = [difference(reference, other, "uar", speakers_shared=False) for other in others]
    first, *rest = (entry["run"] for entry in page["entries"])
    assert (first["difference"], first["p_value"], first["p_holm"]) == (None, None, None)
    assert [entry["difference"] for entry in rest] == pytest.approx([delta.difference for delta in expected])
    assert [entry["p_value"] for entry in rest] == [delta.p_value for delta in expected]
    assert [entry["p_holm"] for entry in rest] == pytest.approx(holm([delta.p_value for delta in expected]))
    assert len({entry["difference"] for entry in rest}) == len(rest)


def test_another_reference_may_be_named(finished: Path, page: dict) -> None:
    config = below(finished, replace(SMALL, grid=replace(SMALL.grid, reference="all-vae")))
    runs = {place: read_run(finished / "-".join(place)) for place in config.places}
    other = results_page(config, runs)
    assert other.reference == "all × vae"
    by_name = {f"{entry.feature}-{entry.model}": entry for entry in other.entries}
    assert by_name["all-vae"].run.difference is None
    assert by_name["mfcc-logreg"].run.difference == pytest.approx(-page["entries"][-1]["run"]["difference"])


def test_the_page_is_written_and_printed(finished: Path, capsys: pytest.CaptureFixture, monkeypatch) -> None:
    monkeypatch.setattr(features_models, "complete", lambda *_: None)
    written = (finished / "results.md").read_text()
    run(below(finished, replace(SMALL, grid=replace(SMALL.grid, results=finished.parent / "page.md"))))
    printed = capsys.readouterr().out
    assert (finished / "results.md").read_text() == written
    assert (finished.parent / "page.md").read_text() == written.replace("(results.png)", "(page.png)")
    assert (finished.parent / "page.png").read_bytes() == (finished / "results.png").read_bytes()
    for text in (printed, written):
        assert "descriptors × vae" in text
        assert "Differences are to the reference; p: all predictions of a speaker swapped" in text
    assert "| mfcc | 1.000 (1.000 – 1.000) | 0.922 (" in written
    assert "- logreg: each feature's mean and standard deviation over the clip's frames; linear" in written
    assert "mfcc 5, descriptors 6; all: these 11 side by side; 12 frames per clip" in written
    assert "2 epochs over the training clips (VAEs: 1 of them" in written


def test_stars_mark_differences_that_are_shown(finished: Path, page: dict) -> None:
    p_values = [entry["run"]["p_holm"] for entry in page["entries"]]
    shown = [p is not None and p < 0.05 for p in p_values]
    assert True in shown
    assert False in shown[1:]
    grid = (finished / "results.md").read_text().split("## Against")[0]
    assert grid.count(") *") == sum(shown)


def test_all_models_train_for_as_many_passes_by_the_same_flags() -> None:
    budget = Budget(epochs=9, pretrain_epochs=4, batch_size=7, learning_rate=0.5, noise=0.25, refit=True)
    classifier, vae = asdict(budget.of_classifier("cnn")), asdict(budget.of_vae())
    assert (classifier["epochs"], vae["epochs"], vae["pretrain_epochs"]) == (9, 5, 4)
    shared = {"batch_size": 7, "learning_rate": 0.5, "noise": 0.25, "refit": True}
    assert shared.items() <= classifier.items()
    assert shared.items() <= vae.items()
    only = {"epochs", "pretrain_epochs", "keep", "class_weights", "balanced_sampling", "weights", "pca_variance"}
    only |= {"ema", "rolled_copies"}
    assert {k: v for k, v in classifier.items() if k not in only} == {k: v for k, v in vae.items() if k not in only}
    linear = asdict(budget.of_classifier("logreg"))
    assert {k: v for k, v in linear.items() if v != classifier[k]} == {"learning_rate": 0.01}
    assert classifier["class_weights"] == SupervisedTraining().class_weights


def test_the_declared_grid_is_five_by_five_on_synthetic_speech() -> None:
    config = tyro.cli(Config, args=[])
    assert config.places == [
        (feature, model)
        for feature in ("mfcc", "mel", "chroma", "descriptors", "all")
        for model in ("logreg", "mlp", "cnn", "lstm", "vae")
    ]
    assert (config.grid.reference, config.data.corpus) == ("mfcc-logreg", "synthetic")
    plain = vae_mfcc.Config()
    assert config.features.one("mfcc") == plain.features.frontend()
    assert (config.vae.beta, config.vae.latent_dim) == (plain.beta, plain.model.latent_dim)


def test_sizes_are_flags_of_their_model() -> None:
    args = ["--kinds", "mel", "--models", "lstm", "--reference", "mel-lstm", "--lstm.hidden", "3", "5", "--epochs", "8"]
    config = tyro.cli(Config, args=[*args, "--mlp.hidden", "7"])
    assert config.places == [("mel", "lstm")]
    assert (config.lstm.hidden, config.mlp.hidden, config.training.epochs) == ((3, 5), (7,), 8)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"grid": Grid(reference="mfcc-svm")}, "--reference mfcc-svm: expected one of the cells, mfcc-logreg"),
        ({"grid": Grid(models=())}, "--models : expected one model at least"),
        ({"grid": Grid(models=("mlp", "mlp"))}, "--models mlp mlp: expected one model at least, and each once"),
        ({"grid": Grid(results=Path("page.txt"))}, "--results page.txt: expected the name of a Markdown file"),
        ({"features": PictureFeatures(kinds=())}, "--kinds : expected one kind at least"),
        ({"features": PictureFeatures(kinds=("mel", "mel"))}, "--kinds mel mel: expected"),
        ({"vae": Vae(latent_dim=0)}, "--latent-dim 0: expected"),
        ({"training": Budget(epochs=4, pretrain_epochs=4)}, "--pretrain-epochs 4: expected 0 or more, and less"),
    ],
)
def test_flags_that_make_no_sense_are_refused_before_anything_runs(change: dict, told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=told):
        run(below(tmp_path / "o", replace(SMALL, **change)))
    assert not (tmp_path / "o").exists()


def test_pictures_are_what_their_kinds_say() -> None:
    framing = {"sample_rate_hz": 8_000, "frames": 12, "n_fft": 256, "hop_length": 128}
    mfcc, descriptors = Mfcc(**framing, n_mfcc=5, n_mels=12), Descriptors(**framing)
    assert PICTURES.frontend() == SideBySide.of(mfcc, descriptors)
    assert replace(PICTURES, kinds=("mel",), n_mels=9).frontend() == LogMel(**framing, n_mels=9)
    assert replace(PICTURES, kinds=("chroma",)).frontend() == Chroma(**framing)


@pytest.mark.parametrize("flags", [Mlp(hidden=(7,), dropout=0.5), Lstm(hidden=(4, 3), dense=(), pooling="last")])
def test_networks_are_what_their_flags_say(flags: Mlp | Lstm) -> None:
    model = flags.build(3)
    assert {f: getattr(model, f) for f in asdict(flags)} == {f: getattr(flags, f) for f in asdict(flags)}
    picture, mask = jnp.zeros((2, 6, 5)), jnp.ones((2, 6))
    variables = jax.eval_shape(model.init, jax.random.key(0), picture, mask)
    assert jax.eval_shape(model.apply, variables, picture, mask).shape == (2, 3)


@pytest.mark.parametrize("name", ["logreg", "mlp", "cnn", "lstm"])
def test_each_column_is_its_model(name: str, tmp_path: Path) -> None:
    config = declare(below(tmp_path), ("all", name)).config
    assert config.model == getattr(SMALL, name)
    assert config.features == PICTURES
    assert config.machine.out == tmp_path / f"all-{name}"
