"""One VAE per emotion on whitened vectors: which rows it sees, where it starts, and what it learns."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serjax.errors import ConfigError
from serjax.experiments import generative
from serjax.models.density.gaussian import fit_gaussians
from serjax.models.density.whitening import fit_whitening
from serjax.study.density.flags import Density, Supervectors, Vaes, VoiceFeatures
from serjax.study.density.study import DensityStudy
from serjax.study.density.system import Vectors, best_shrinkage, rows_of
from serjax.study.density.vae import VaeScores, VaeTraining
from serjax.study.flags import Data, Machine
from serjax.study.frontends import Features
from serjax.study.problem import Problem, load_problem
from serjax.study.stages import complete
from serjax.study.trainer import Request, Trainer, train_requests
from serjax.train.loop import Interrupted
from serjax.train.parallel import Layout
from serjax.train.record import History
from serjax.train.shares import Trained
from tests.study.test_stages import assert_same, stop_after_first_epoch

pytestmark = pytest.mark.slow

DATA = Data(synthetic_clips=192, emotions=("happy", "sad", "angry"), protocol="speaker-5fold")
SHRINKAGES = (0.9, 0.1)
DENSITY = Density(density="vae", shrinkages=SHRINKAGES)
VAES = Vaes(latent_dim=2, hidden=(8,), vae_epochs=3)
K, WIDTH, N_MEMBERS = 3, 6, 2


@pytest.fixture
def problem(no_sound: None, tmp_path: Path) -> Problem:
    problem = load_problem(DATA, Features(), tmp_path, lambda done, total: None)
    return replace(problem, cells=problem.cells[:2])


def vectors_of(problem: Problem) -> np.ndarray:
    """Give vectors, one per clip: their class is in the mean, under noise that only whitening takes away."""
    random, n_clips = np.random.default_rng(0), len(problem.truth_N)
    noise_ND = random.normal(size=(n_clips, WIDTH)) + 4 * random.normal(size=(n_clips, 1))
    return (noise_ND + np.eye(K, WIDTH)[problem.truth_N]).astype("f4")


class Maker:
    """Gives the members of a cell vectors of their own: turned, and of another width where it is asked for."""

    def __init__(self, problem: Problem, x_ND: np.ndarray, widths: tuple[int, ...] = (WIDTH, WIDTH)) -> None:
        self.problem, self.x_ND, self.widths = problem, x_ND, widths

    def __call__(self, kind: str, seed: int, rows: np.ndarray) -> Iterator[Vectors]:
        for number, width in enumerate(self.widths):
            x_ND = jnp.asarray(np.roll(self.x_ND, number, axis=1)[:, :width])
            train_MD = jnp.concatenate([x_ND[rows], 1.1 * x_ND[rows]])
            yield Vectors(x_ND, train_MD, jnp.asarray(np.tile(self.problem.truth_N[rows], 2)))


def train(
    problem: Problem, x_ND: np.ndarray, out: Path, vaes: Vaes = VAES, density: Density = DENSITY, **maker: object
) -> tuple[VaeScores, list[tuple[Request, Trained]]]:
    """Train all VAEs; return their scores, and what was asked for with what came of it."""
    out.mkdir()
    layout = Layout(tuple(jax.devices()[:1]))
    trainer = Trainer(layout, 99, 1e9, out / "checkpoints", History(out / "history.jsonl"), "x", lambda *_: None)
    training = VaeTraining(problem, trainer, Maker(problem, x_ND, **maker), density, vaes)
    stages, noted = training.train(("supervector",)), []
    request = next(stages)
    while True:
        noted.append((request, train_requests([request])[0]))
        try:
            request = stages.send(noted[-1][1])
        except StopIteration as end:
            return end.value, noted


def recall_of(scores_NK: np.ndarray, truth_N: np.ndarray, rows: np.ndarray) -> float:
    """Return the mean recall that scores reach on some clips."""
    right_n = scores_NK[rows].argmax(axis=1) == truth_N[rows]
    return float(np.mean([right_n[truth_N[rows] == k].mean() for k in range(K)]))


def clips_of(request: Request, rows: np.ndarray) -> set[int]:
    return set(request.problem.clip_M[rows].tolist())


def assert_same_models(first: list[tuple[Request, Trained]], second: list[tuple[Request, Trained]]) -> None:
    for (_, one), (_, other) in zip(first, second, strict=True):
        jax.tree.map(np.testing.assert_array_equal, one.params, other.params)


def test_poisoned_test_clips_leave_all_models_as_they_are(problem, tmp_path):
    problem = replace(problem, cells=problem.cells[:1])
    fold, x_ND = problem.cells[0].fold, vectors_of(problem)
    poisoned_ND, changed_ND = x_ND.copy(), x_ND.copy()
    poisoned_ND[fold.test] = 1e3
    changed_ND[fold.train[0]] += 1
    scores, models = train(problem, x_ND, tmp_path / "clean")
    poisoned, others = train(problem, poisoned_ND, tmp_path / "poisoned")
    assert_same_models(models, others)
    with pytest.raises(AssertionError):
        assert_same_models(models, train(problem, changed_ND, tmp_path / "changed")[1])
    found = [found("supervector", problem.cells[0], False, SHRINKAGES) for found in (scores, poisoned)]
    np.testing.assert_array_equal(found[0][0.1].scores_NK, found[1][0.1].scores_NK)  # of validation clips


def test_each_model_sees_the_clips_of_its_emotion_and_fold_alone(problem, tmp_path):
    _, requests = train(problem, vectors_of(problem), tmp_path / "o")
    assert [request.name for request, _ in requests] == ["supervector-0.9", "supervector-0.1", "supervector-refit"]
    for request, _ in requests:
        refit = request.name.endswith("refit")
        runs = iter(request.runs)
        for cell in problem.cells:
            for number in range(N_MEMBERS):
                for k, emotion in enumerate(problem.labels):
                    run, fold = next(runs), cell.fold
                    of_class = set(np.flatnonzero(problem.truth_N == k).tolist())
                    assert (run.fold, run.emotion) == (f"{fold.name} supervector {number}", emotion)
                    assert clips_of(request, run.train) == of_class & set(rows_of(fold, refit).tolist())
                    assert len(run.train) == 2 * len(clips_of(request, run.train))  # copies too
                    held_out = set() if refit else of_class & set(fold.validation.tolist())
                    assert clips_of(request, run.validation) == held_out


def test_refitting_takes_the_shrinkage_and_the_epochs_that_validation_chose(problem, tmp_path):
    scores, requests = train(
        problem, vectors_of(problem), tmp_path / "o", replace(VAES, learning_rate=0.1, vae_epochs=8)
    )
    tried, (refit, _), shares = dict(zip(SHRINKAGES, requests[:-1], strict=True)), requests[-1], set()
    per_cell, chosen = N_MEMBERS * K, []
    for c, cell in enumerate(problem.cells):
        of_shares = scores("supervector", cell, False, SHRINKAGES)
        best, reached = best_shrinkage(of_shares, problem.truth_N, cell.fold.validation)
        assert reached == pytest.approx(
            max(recall_of(said.scores_NK, problem.truth_N, cell.fold.validation) for said in of_shares.values())
        )
        assert set(scores.final["supervector", cell.seed, cell.fold.name]) == {best}
        shares.add(best)
        chosen += tried[best][1].epoch_R[c * per_cell :][:per_cell].tolist()
    assert [run.epochs for run in refit.runs] == chosen == list(scores.chosen_epochs.values())
    assert {run.decay_epochs for run in refit.runs} == {8}
    assert len(set(chosen)) > 1  # else the test shows nothing
    assert shares != {SHRINKAGES[0]}


def test_a_model_starts_at_the_mean_of_its_emotion(problem, tmp_path):
    """Untrained VAEs score as Gaussians with one covariance do: the squared distance to the whitened class mean."""
    nearly_none = replace(VAES, learning_rate=1e-12, vae_epochs=1)
    scores, _ = train(problem, vectors_of(problem), tmp_path / "o", nearly_none, replace(DENSITY, refit=False))
    cell = problem.cells[1]
    seen = np.concatenate([cell.fold.validation, cell.fold.test])
    expected = np.zeros((len(seen), K))
    for vectors in Maker(problem, vectors_of(problem))("supervector", 0, rows_of(cell.fold, False)):
        whiten = fit_whitening(vectors.train_MD, vectors.label_M, K, 0.9)
        gaussians = fit_gaussians(whiten(vectors.train_MD), vectors.label_M, K, 0.0, 0.9)
        expected += np.asarray(gaussians(whiten(vectors.x_ND[seen])))
    found = scores("supervector", cell, False, (0.9,))[0.9].scores_NK
    np.testing.assert_allclose(found[seen], expected, rtol=1e-5, atol=1e-5)
    assert not found[np.setdiff1d(np.arange(len(found)), seen)].any()


def test_what_a_narrow_member_is_padded_with_changes_nothing(problem, tmp_path):
    """Beside a wider one it has features of zeros, which it goes on to rebuild without error."""
    (request, trained), *_ = train(problem, vectors_of(problem), tmp_path / "o", widths=(WIDTH, WIDTH - 2))[1]
    last = trained.params["params"]["decoder"]["Dense_1"]
    narrow = np.array([run.fold.endswith(" 1") for run in request.runs])
    for weights_R in (last["kernel"], last["bias"]):
        assert not weights_R[narrow][..., -2:].any()
        assert weights_R[~narrow][..., -2:].all()


def test_they_learn_what_the_mean_of_an_emotion_does_not_tell(problem, tmp_path):
    """All classes have the same mean, and each its own pair of coefficients that go together."""
    random, truth_N = np.random.default_rng(1), problem.truth_N
    x_ND = random.normal(size=(len(truth_N), WIDTH))
    for k in range(K):
        is_class = truth_N == k
        x_ND[is_class, 2 * k] = x_ND[is_class, 2 * k + 1] = 3 * random.normal(size=is_class.sum())
    cells = problem.cells[:1]
    longer = Vaes(latent_dim=2, hidden=(16,), vae_epochs=100, learning_rate=1e-2, beta=0.1)
    shares = replace(DENSITY, shrinkages=(0.2,), refit=False)
    scores, _ = train(replace(problem, cells=cells), x_ND.astype("f4"), tmp_path / "o", longer, shares)
    test = cells[0].fold.test
    found = scores("supervector", cells[0], False, (0.2,))[0.2].scores_NK
    assert recall_of(found, truth_N, test) > 0.7


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"vaes": Vaes(latent_dim=0)}, "--latent-dim 0"),
        ({"vaes": Vaes(hidden=())}, "--hidden 0"),
        ({"vaes": Vaes(vae_epochs=0)}, "--vae-epochs 0"),
        ({"vaes": Vaes(beta=-1.0)}, "--beta -1.0"),
        ({"density": Density(density="vae", own=0.5)}, "--own goes with --density gaussian"),
    ],
)
def test_flags_that_make_no_sense_are_refused(changed, message):
    with pytest.raises(ConfigError, match=message):
        generative.Config(**changed).study().check()


def test_a_study_that_was_stopped_goes_on_to_the_same_end(no_sound, tmp_path, monkeypatch):
    whole, stopped = (study(tmp_path / name) for name in ("whole", "stopped"))
    complete([whole])
    with monkeypatch.context() as patch:
        stop_after_first_epoch(patch)
        with pytest.raises(Interrupted, match="epoch 1 of 3"):
            complete([stopped])
    complete([stopped])
    assert_same(stopped.flags.out, whole.flags.out)
    metrics = json.loads((whole.flags.out / "metrics.json").read_text())
    n_folds, n_backgrounds = 1, 2
    assert metrics["model"] == "vae densities"
    assert len(metrics["chosen_epochs"]) == n_folds * n_backgrounds * K
    assert "0/fold-1 supervector 1/sad" in metrics["chosen_epochs"]


def study(out: Path) -> DensityStudy:
    """Return a small study of clips of noise."""
    return generative.Config(
        data=replace(DATA, protocol="random-80-20"),
        features=VoiceFeatures(vectors=("supervector",), frames=20),
        background=Supervectors(components=2, backgrounds=2, background_frames=200, warps=(1.1,)),
        density=replace(DENSITY, axes=8),
        vaes=VAES,
        machine=Machine(out=out, quiet=True, devices=1),
    ).study()
