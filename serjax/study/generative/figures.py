"""The figures of a generative study: reconstructions and latent codes."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from serjax.dsp import Frontend, Mfcc
from serjax.evaluate.likelihood import decode_mean, latent_mean
from serjax.figures import generative as drawn
from serjax.figures.canvas import save
from serjax.figures.training import draw_training
from serjax.folder.manifest import Pictures
from serjax.study.generative.models import Models
from serjax.study.generative.reconstruction import Matrices, over_seeds
from serjax.study.problem import Problem
from serjax.study.trainer import pick
from serjax.train.record import Row
from serjax.train.runs import stack_inputs
from serjax.train.state import Dataset, gather_all

EXAMPLES = 4


def pictures(
    problem: Problem,
    models: Models,
    frontend: Frontend,
    matrices: Mapping[int, Matrices],
    history: Callable[[], list[Row]],
    title: str,
) -> Pictures:
    """Return the pictures of a generative study, by name.

    Args:
      problem: the clips.
      models: those chosen on validation rows.
      frontend: what the features are.
      matrices: the reconstruction matrices of each seed.
      history: returns the epochs of all runs; called when the learning curves are drawn.
      title: names study, corpus and protocol.
    """
    emotions = tuple(dict.fromkeys(run.emotion for run in models.trained_runs))
    training = history, len(models.trained_runs), emotions, "loss / nats per element"
    return {
        "learning.png": partial(draw_training, *training, title),
        "reconstruction_matrix.png": partial(draw_reconstruction, over_seeds(matrices), problem.labels, title),
        "reconstructions.png": partial(draw_examples, problem, models, frontend, title),
        "latents.png": partial(draw_latents, problem, models, title),
    }


def draw_reconstruction(matrices: Matrices, labels: tuple[str, ...], title: str, folder: Path) -> None:
    """Draw the reconstruction matrices of train, validation and test side by side."""
    parts = {part: matrix.mean() for part, matrix in matrices.items()}
    figure = drawn.reconstruction_matrices(parts, labels, title)
    save(figure, folder / "reconstruction_matrix.png")


def draw_examples(problem: Problem, models: Models, frontend: Frontend, title: str, folder: Path) -> None:
    """Draw test clips of the first cell beside what their own emotion's model makes of them."""
    shown = np.linspace(0, len(problem.labels) - 1, min(EXAMPLES, len(problem.labels))).astype(int)
    test = problem.cells[0].fold.test
    rows = [int(test[problem.truth_N[test] == k][0]) for k in shown if (problem.truth_N[test] == k).any()]
    pairs = [_reconstructed(models, int(problem.truth_N[row]), problem.take(np.array([row]))) for row in rows]
    figure = drawn.picture_pairs(
        np.stack([original for original, _ in pairs]),
        np.stack([output for _, output in pairs]),
        problem.mask_NT[rows] > 0,
        [f"{problem.labels[problem.truth_N[row]]} · {Path(problem.corpus.utterances[row].path).stem}" for row in rows],
        title,
        frame_s=frontend.hop_length / frontend.sample_rate_hz,
        feature="MFCC" if isinstance(frontend, Mfcc) else "feature",
    )
    save(figure, folder / "reconstructions.png")


def draw_latents(problem: Problem, models: Models, title: str, folder: Path) -> None:
    """Draw the latent means of the first cell's test clips under each emotion's model."""
    test = problem.cells[0].fold.test
    dataset = problem.take(test)
    means = {f"model of {label}": _latents(models, k, dataset) for k, label in enumerate(problem.labels)}
    figure = drawn.latent_means(means, problem.truth_N[test], problem.labels, title)
    save(figure, folder / "latents.png")


def _reconstructed(
    models: Models, run: int, clip: Dataset
) -> tuple[Float[np.ndarray, "T C"], Float[np.ndarray, "T C"]]:
    """Return a clip in normalised units, and its reconstruction by a model."""
    x_BTC = _normalised(models, run, clip)
    return np.asarray(x_BTC[0]), np.asarray(decode_mean(models.network, pick(models.params, run), x_BTC)[0])


def _latents(models: Models, run: int, clips: Dataset) -> Float[np.ndarray, "n Z"]:
    return np.asarray(latent_mean(models.network, pick(models.params, run), _normalised(models, run, clips)))


def _normalised(models: Models, run: int, clips: Dataset) -> jnp.ndarray:
    inputs = pick(stack_inputs([models.runs[run]]), 0)
    return gather_all(jax.device_put(clips), inputs, jnp.arange(len(clips.label_N))).x_BTC
