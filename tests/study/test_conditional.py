"""One VAE for all emotions of a cell, told which one it hears: what is trained, on whose labels, how it classifies."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serjax.command import run_command
from serjax.data import Corpus
from serjax.data.feature_cache import Features
from serjax.dsp import Frontend
from serjax.errors import ConfigError
from serjax.experiments import ae_mfcc, vae_mfcc
from serjax.models import ConditionalVAE
from serjax.study import problem as problem_module
from serjax.study.flags import Classification, Data, Machine, Model, Training
from serjax.study.frontends import Features as FeatureFlags
from serjax.study.generative.models import Models, train_models
from serjax.study.generative.scores import Explained, explain
from serjax.study.generative.study import GenerativeStudy
from serjax.study.problem import Problem
from serjax.study.progress import progresses
from serjax.study.stages import complete
from serjax.study.trainer import Trainer, pick, train_requests
from serjax.train.loop import Interrupted
from serjax.train.parallel import Layout
from serjax.train.record import History
from serjax.train.shares import DivergedError
from tests.study.test_stages import assert_same, stop_after_first_epoch

pytestmark = pytest.mark.slow

LABELS = ("happy", "sad")
FLAGS = vae_mfcc.Config(
    beta=1.0,
    conditional=True,
    data=Data(synthetic_clips=96, emotions=LABELS, protocol="speaker-6fold"),
    features=FeatureFlags(sample_rate=8_000, n_mfcc=5, frames=6, n_fft=256, hop_length=128, n_mels=12),
    model=Model(latent_dim=2, hidden=(4,)),
    training=Training(epochs=20, pretrain_epochs=10, batch_size=8, learning_rate=0.1, roll_frames=1),
    classification=Classification(importance_samples=2),
    machine=Machine(quiet=True, devices=1),
)
N_CELLS, K, N_EPOCHS = 6, len(LABELS), 30


def levels(corpus: Corpus, frontend: Frontend, **_: object) -> Features:
    """Give features that nobody computed: noise about a level of the clip's emotion."""
    shape = (len(corpus.utterances), frontend.n_frames, frontend.n_features)
    level_N = np.array([1.0 if clip.emotion == "happy" else -1.0 for clip in corpus.utterances])
    values_NTD = level_N[:, None, None] + np.random.default_rng(0).normal(size=shape)
    return Features(values_NTD.astype(np.float32), np.ones(shape[:2], bool))


@pytest.fixture(autouse=True, scope="module")
def no_sound() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(problem_module, "load_features", levels)
        yield


def declared(out: Path, refit: bool = False, **flags: object) -> GenerativeStudy:
    config = replace(FLAGS, training=replace(FLAGS.training, refit=refit), **flags)
    return replace(config, machine=replace(config.machine, out=out)).study()


def read(out: Path, name: str) -> dict:
    return json.loads((out / name).read_text())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a study that was trained alone, and again for the epochs chosen."""
    out = tmp_path_factory.mktemp("conditional") / "o"
    complete([declared(out, refit=True)])
    return out


def test_there_is_one_model_a_cell_and_it_tells_emotions_apart(finished: Path) -> None:
    metrics = read(finished, "metrics.json")
    assert metrics["n_models"] == N_CELLS
    assert set(metrics["chosen_epochs"]) == {f"0/fold-{n}/all" for n in range(1, 1 + N_CELLS)}
    assert set(metrics["noise_variance"]) == {f"0/fold-{n}" for n in range(1, 1 + N_CELLS)}
    model = ConditionalVAE(6, 5, latent_dim=2, hidden=(4,))
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 6, 5)), jnp.zeros((1, 2)), jnp.zeros((1, K)))
    assert metrics["n_parameters"] == sum(leaf.size for leaf in jax.tree.leaves(shapes))
    assert set(metrics["scores"]) == {"reconstruction", "elbo", "iwae", "auto"}
    assert min(score["uar"] for score in metrics["scores"].values()) > 0.9
    assert read(finished, "config.json")["config"]["conditional"] is True
    matrix = np.array(read(finished, "reconstruction.json")["test"])
    assert (np.diag(matrix) < matrix[::-1].diagonal()).all()
    names = "confusion latents learning reconstruction_matrix reconstructions reliability roc"
    assert sorted(path.name for path in (finished / "figures").iterdir()) == [f"{name}.png" for name in names.split()]


def test_it_makes_the_passes_of_both_stages_and_refits_for_those_chosen(finished: Path) -> None:
    rows = [json.loads(line) for line in (finished / "history.jsonl").read_text().splitlines()]
    assert {row["emotion"] for row in rows} == {"all"}
    last = {(row["stage"], row["fold"]): row["epoch"] for row in rows}
    assert {stage for stage, _ in last} == {"train-0", "refit-train-0"}
    chosen = read(finished, "metrics.json")["chosen_epochs"]
    assert min(chosen.values()) < N_EPOCHS
    for name, epoch in chosen.items():
        fold = name.split("/")[1]
        assert (last["train-0", fold], last["refit-train-0", fold]) == (N_EPOCHS, epoch)


def test_several_betas_are_one_stack_and_each_is_what_it_is_alone(
    finished: Path, tmp_path: Path, stacks: list[list[int]]
) -> None:
    betas = (0.1, FLAGS.beta)
    complete([declared(tmp_path / f"{beta}", refit=True, beta=beta) for beta in betas])
    assert stacks == [[N_CELLS] * 2] * 2  # train, refit-train
    assert_same(tmp_path / f"{FLAGS.beta}", finished)


def test_one_that_was_stopped_goes_on(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = declared(tmp_path / "o", refit=True)
    with monkeypatch.context() as patch:
        stop_after_first_epoch(patch)
        with pytest.raises(Interrupted, match=f"epoch 1 of {N_EPOCHS}"):
            complete([study])
    complete([study])
    assert_same(study.flags.out, finished)


def trained(problem: Problem, out: Path) -> tuple[Trainer, Models]:
    """Train the models of a problem's cells, without refitting."""
    out.mkdir()
    study = FLAGS.study()
    layout = Layout(tuple(jax.devices()[:1]))
    places = (99, 1e9, out / "checkpoints", History(out / "history.jsonl"), "x", lambda *_: None)
    trainer = Trainer(layout, *places)
    stages = train_models(problem, trainer, study.recipe(problem), study.numbers)
    request = next(stages)
    assert [run.train.tolist() for run in request.runs] == [cell.fold.train.tolist() for cell in problem.cells]
    with pytest.raises(StopIteration) as stop:
        stages.send(train_requests([request])[0])
    return trainer, stop.value.value


def explained(problem: Problem, trainer: Trainer, models: Models) -> Explained:
    return explain(problem, models, lambda r: problem.cells[r // K].fold.test, 2, trainer)


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    with progresses(quiet=True) as shown:
        return declared(tmp_path_factory.mktemp("none")).load(shown)


@pytest.fixture(scope="module")
def as_it_is(problem: Problem, tmp_path_factory: pytest.TempPathFactory) -> tuple[Trainer, Models]:
    return trained(problem, tmp_path_factory.mktemp("as-it-is") / "o")


@pytest.fixture(scope="module")
def explanation(problem: Problem, as_it_is: tuple[Trainer, Models]) -> tuple[Models, Explained]:
    return as_it_is[1], explained(problem, *as_it_is)


def test_scores_that_are_not_finite_are_an_error_that_names_the_model(
    problem: Problem, as_it_is: tuple[Trainer, Models]
) -> None:
    """A weight that overflows; and samples of the posterior that do, of a clip that is asked for."""
    trainer, models = as_it_is
    params = jax.tree.map(np.array, models.params)
    jax.tree.leaves(params)[-1][3] = np.inf
    with pytest.raises(DivergedError, match=r"reconstruction errors of .* under the model of .* emotion sad\."):
        explained(problem, trainer, replace(models, params=params))
    evaluate_rows = trainer.evaluate_rows

    def overflowing(*given: object) -> list:
        found = evaluate_rows(*given)
        found[3].kl_M[-1] = np.inf
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "evaluate_rows", lambda self, *given: overflowing(*given))
        with pytest.raises(DivergedError, match=r"ELBOs of 1 of .* under the model of .* emotion sad\."):
            explained(problem, trainer, models)


def test_labels_of_test_clips_have_no_say(
    problem: Problem, explanation: tuple[Models, Explained], tmp_path: Path
) -> None:
    """With those of fold 1 swapped, its model is the same bit for bit; other folds train on these clips."""
    clips, test = list(problem.corpus.utterances), problem.cells[0].fold.test
    for row, other in zip(test, np.roll(test, 1), strict=True):
        clips[row] = replace(clips[row], emotion=problem.corpus.utterances[other].emotion)
    swapped = replace(problem, corpus=replace(problem.corpus, utterances=tuple(clips)))
    assert (swapped.truth_N != problem.truth_N)[test].any()
    trainer, models = trained(swapped, tmp_path / "o")
    leaves = [zip(*map(jax.tree.leaves, (explanation[0].params, models.params)), strict=True) for _ in models.runs]
    same_R = [all(np.array_equal(a[r], b[r]) for a, b in pairs) for r, pairs in enumerate(leaves)]
    assert same_R == [True] * K + [False] * (N_CELLS - 1) * K
    found = explained(swapped, trainer, models)
    for ours, theirs in ((found.error_RN, explanation[1].error_RN), (found.elbo_RN, explanation[1].elbo_RN)):
        np.testing.assert_array_equal(ours[:K, test], theirs[:K, test])


def test_run_k_of_a_cell_is_its_model_told_emotion_k(problem: Problem, explanation: tuple[Models, Explained]) -> None:
    models, found = explanation
    model = ConditionalVAE(6, 5, latent_dim=2, hidden=(4,))
    for c, k in ((0, 0), (0, 1), (4, 1)):
        run, unbound = models.runs[c * K + k], pick(models.trained.params, c)
        assert (run.fold, run.emotion) == (problem.cells[c].fold.name, LABELS[k])
        assert run.train.tolist() == [n for n in problem.cells[c].fold.train if problem.truth_N[n] == k]
        x_NTC = jnp.asarray((problem.x_NTC - run.shift_C) / run.scale_C)
        class_NK = jnp.tile(jnp.eye(K)[k], (len(x_NTC), 1))
        mean_NZ = model.apply(unbound, x_NTC, class_NK, method="encode")[0]
        error_N = jnp.mean((model.apply(unbound, mean_NZ, class_NK, method="decode") - x_NTC) ** 2, axis=(1, 2))
        np.testing.assert_allclose(found.error_RN[c * K + k], error_N, rtol=1e-5)
    assert np.abs(found.error_RN[0] - found.error_RN[1]).min() > 1e-4


def test_one_vae_for_all_emotions_has_another_fingerprint() -> None:
    config = vae_mfcc.Config()
    assert config.study().flags.fingerprint == vae_mfcc.Config(beta=0.1).study().flags.fingerprint
    assert replace(config, conditional=True).study().flags.fingerprint != config.study().flags.fingerprint


def test_it_is_a_flag_of_the_vae_alone(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    seen: list[object] = []
    for module, code in ((vae_mfcc, 0), (ae_mfcc, 2)):
        monkeypatch.setattr(sys, "argv", [module.__name__, "--conditional"])
        with pytest.raises(SystemExit) as stop:
            run_command(module.Config, seen.append, "")
        assert stop.value.code == code
    assert seen == [vae_mfcc.Config(conditional=True)]


def test_passes_cannot_be_fewer_than_none(tmp_path: Path) -> None:
    study = declared(tmp_path)
    with pytest.raises(ConfigError, match="--pretrain-epochs -3"):
        replace(study, training=replace(study.training, pretrain_epochs=-3)).check()
