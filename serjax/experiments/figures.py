"""The figures of a run folder: of every classification and training, and those of a generative study."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from serjax.dsp import Frontend, Mfcc
from serjax.evaluate import plots, plots_generative
from serjax.evaluate.likelihood import decode_mean, latent_mean
from serjax.evaluate.predictions import Predictions
from serjax.experiments.generative import Models
from serjax.experiments.problem import Problem
from serjax.experiments.trainer import pick
from serjax.experiments.verdict import Matrices
from serjax.train.record import Row, check_whole
from serjax.train.runs import stack_inputs
from serjax.train.state import gather

EXAMPLES = 4


def draw_confusion(predictions: Predictions, title: str, folder: Path) -> None:
    """Draw the confusion matrix of the test predictions."""
    plots.save(plots.confusion_matrix(predictions.confusion(), predictions.labels, title), folder / "confusion.png")


def draw_roc(predictions: Predictions, title: str, folder: Path) -> None:
    """Draw the ROC curves of the test predictions."""
    truth_N, labels = predictions.truth, predictions.labels
    plots.save(plots.roc_curves(truth_N, predictions.scores_NK, labels, title), folder / "roc.png")


def draw_training(
    history: list[Row], n_runs: int, labels: tuple[str, ...], loss: str, title: str, folder: Path
) -> None:
    """Draw the learning curves of the stage in which epochs are chosen, by emotion; `loss` names it and its unit.

    Raises:
      HistoryError: epochs of the `n_runs` runs are missing.
    """
    rows = [row for row in history if str(row["stage"]).startswith("train-")]
    check_whole(rows, n_runs)
    runs = sorted({(str(row["emotion"]), str(row["seed"]), str(row["fold"])) for row in rows})
    place = {run: r for r, run in enumerate(runs)}
    n_epochs = max(int(row["epoch"] or 0) for row in rows)
    curves = {name: np.full((len(runs), n_epochs), np.nan) for name in ("loss", "validation_loss")}
    for row in rows:
        r = place[str(row["emotion"]), str(row["seed"]), str(row["fold"])]
        for name, curve_RE in curves.items():
            value = row[name]
            curve_RE[r, int(row["epoch"] or 0) - 1] = np.nan if value is None else float(value)
    group_R = np.array([labels.index(emotion) for emotion, _, _ in runs])
    figure = plots.learning_curves(
        np.arange(1, n_epochs + 1),
        curves["loss"],
        curves["validation_loss"] if np.isfinite(curves["validation_loss"]).any() else None,
        group_R,
        labels,
        loss,
        title,
    )
    plots.save(figure, folder / "learning.png")


def draw_reconstruction(matrices: Matrices, labels: tuple[str, ...], title: str, folder: Path) -> None:
    """Draw the reconstruction matrices of train, validation and test side by side."""
    parts = {part: matrix.mean() for part, matrix in matrices.items()}
    figure = plots_generative.reconstruction_matrices(parts, labels, title)
    plots.save(figure, folder / "reconstruction_matrix.png")


def draw_examples(problem: Problem, models: Models, frontend: Frontend, title: str, folder: Path) -> None:
    """Draw test clips of the first cell beside what their own emotion's model makes of them."""
    shown = np.linspace(0, len(problem.labels) - 1, min(EXAMPLES, len(problem.labels))).astype(int)
    test = problem.cells[0].fold.test
    rows = [int(test[problem.truth_N[test] == k][0]) for k in shown if (problem.truth_N[test] == k).any()]
    pairs = [_reconstructed(problem, models, row) for row in rows]
    figure = plots_generative.picture_pairs(
        np.stack([original for original, _ in pairs]),
        np.stack([output for _, output in pairs]),
        problem.mask_NT[rows] > 0,
        [f"{problem.labels[problem.truth_N[row]]} · {Path(problem.corpus.utterances[row].path).stem}" for row in rows],
        title,
        frame_s=frontend.hop_length / frontend.sample_rate_hz,
        feature="MFCC" if isinstance(frontend, Mfcc) else "feature",
    )
    plots.save(figure, folder / "reconstructions.png")


def draw_latents(problem: Problem, models: Models, title: str, folder: Path) -> None:
    """Draw the latent means of the first cell's test clips under each emotion's model."""
    test = problem.cells[0].fold.test
    means = {f"model of {label}": _latents(problem, models, k, test) for k, label in enumerate(problem.labels)}
    figure = plots_generative.latent_means(means, problem.truth_N[test], problem.labels, title)
    plots.save(figure, folder / "latents.png")


def _reconstructed(
    problem: Problem, models: Models, row: int
) -> tuple[Float[np.ndarray, "T C"], Float[np.ndarray, "T C"]]:
    """Return a clip in normalised units, and its reconstruction by its own emotion's model of the first cell."""
    k = int(problem.truth_N[row])
    x_BTC = _normalised(problem, models, k, np.array([row]))
    return np.asarray(x_BTC[0]), np.asarray(decode_mean(models.network, pick(models.params, k), x_BTC)[0])


def _latents(problem: Problem, models: Models, run: int, rows: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n Z"]:
    params = pick(models.params, run)
    return np.asarray(latent_mean(models.network, params, _normalised(problem, models, run, rows)))


def _normalised(problem: Problem, models: Models, run: int, rows: Int[np.ndarray, " n"]) -> jnp.ndarray:
    inputs = pick(stack_inputs([models.runs[run]]), 0)
    return gather(problem.dataset, inputs, jnp.asarray(rows), jnp.ones(len(rows))).x_BTC
