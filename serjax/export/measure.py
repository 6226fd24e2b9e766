"""What a bundle knows of itself from held-out clips: temperature, unit, the threshold of p(x), how short clips may be.

All of it comes from validation rows, scored by systems that were not fitted to them. These scores are the run's stored
ones, and those of the exported recipe fitted to the training rows of each fold alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Float, Int

from serjax.bundle.about import Calibration, Listening, OutOfCorpus, TooShort
from serjax.bundle.bundle import N_TOGETHER, compiled
from serjax.bundle.densities import Densities
from serjax.bundle.scores import Weights
from serjax.bundle.systems import System
from serjax.data.corpora.corpus import Waveforms, Window
from serjax.evaluate.calibration import fit_temperature, log_posterior
from serjax.evaluate.metrics import confusion, uar
from serjax.evaluate.predictions import Predictions
from serjax.study.generative.classification import spread
from serjax.study.problem import Cell, Problem

CUTS_S = (0.5, 1.0, 1.5, 2.0)
TOLERATED = 0.05  # of UAR, by which a short clip may be worse than a whole one
QUANTILE = 0.01  # of validation clips that the mark of clips unlike training may hit


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Scores of held-out clips of all folds, one fold under the other: `[cut]`, the last one whole."""

    scores_CNK: Float[np.ndarray, "C N K"]
    evidence_N: Float[np.ndarray, " N"] | None
    truth_N: Int[np.ndarray, " N"]
    unit: float


def score_held_out(
    system: System, weights: Sequence[Weights], problem: Problem, cells: Sequence[Cell], listening: Listening
) -> HeldOut | None:
    """Score the test rows of each cell by its weights, cut to `CUTS_S` seconds and whole; None: there are none."""
    if not cells:
        return None
    parts: list[np.ndarray] = []
    evidence: list[np.ndarray] = []
    units: list[float] = []
    for cell, own in zip(cells, weights, strict=True):
        found = [_scored(system, own, block) for block in _read(system, problem, cell.fold.test, listening)]
        parts.append(np.concatenate([scores_CBK for scores_CBK, _ in found], axis=1))
        evidence += [evidence_B for _, evidence_B in found if evidence_B is not None]
        units.append(spread(parts[-1][-1].astype(np.float64)))
    evidence_N = np.concatenate(evidence) if evidence else None
    truth_N = np.concatenate([problem.truth_N[cell.fold.test] for cell in cells])
    return HeldOut(np.concatenate(parts, axis=1), evidence_N, truth_N, float(np.median(units)))


def calibrate(validation: Predictions | None, unit: float) -> Calibration:
    """Fit one temperature to all validation scores that the run stored."""
    if validation is None:
        return Calibration(unit, None, 0)
    return Calibration(
        unit, fit_temperature(log_posterior(validation.scores_NK), validation.truth), len(validation.truth)
    )


def find_threshold(system: System, validation: Predictions | None, held_out: HeldOut | None) -> OutOfCorpus | None:
    """Return below which evidence a clip is unlike training; None where a system has none, or nothing is held out.

    Of densities the run stored the same evidence for validation clips. Autoencoders store a bound of log p(x) in nats
    per clip, but a bundle goes by its score per valid element: there held-out clips say it, in that unit.
    """
    stored = validation.log_px_N if validation is not None and isinstance(system, Densities) else None
    evidence_N = stored if stored is not None or held_out is None else held_out.evidence_N
    if evidence_N is None:
        return None
    return OutOfCorpus(float(np.quantile(evidence_N, QUANTILE)), QUANTILE, len(evidence_N))


def find_shortest(held_out: HeldOut | None) -> TooShort | None:
    """Return the UAR by seconds heard, and the shortest cut whose UAR is not much below that of whole clips."""
    if held_out is None:
        return None
    *cut, whole = [_uar(held_out.truth_N, scores_NK) for scores_NK in held_out.scores_CNK]
    enough = [seconds for seconds, reached in zip(CUTS_S, cut, strict=True) if reached >= whole - TOLERATED]
    return TooShort(min(enough, default=None), tuple(zip(CUTS_S, cut, strict=True)), whole, len(held_out.truth_N))


def _read(
    system: System, problem: Problem, rows_n: Int[np.ndarray, " n"], listening: Listening
) -> Iterator[tuple[Waveforms, int]]:
    """Read the waveforms of some clips, as many at a time as a batch holds; with how many they are."""
    frontend, size = system.frontend, N_TOGETHER
    window = Window(frontend.sample_rate_hz, frontend.n_samples, listening.offset_s, listening.duration_s)
    paths = [problem.corpus.utterances[row].path for row in rows_n]
    for start in range(0, len(paths), size):
        block = problem.corpus.source.read(paths[start : start + size], window)
        n_clips = len(block.n_valid_B)
        more = size - n_clips
        values_BN = np.pad(block.values_BN, ((0, more), (0, 0)))
        yield Waveforms(values_BN, np.pad(block.n_valid_B, (0, more))), n_clips


def _scored(system: System, weights: Weights, block: tuple[Waveforms, int]) -> tuple[np.ndarray, np.ndarray | None]:
    """Score a block of clips cut to each length and whole; evidence is that of whole clips."""
    waveforms, n_clips = block
    score, rate_hz, scores = compiled(system), system.frontend.sample_rate_hz, []
    for cut_s in (*CUTS_S, np.inf):
        n_valid_B = np.minimum(waveforms.n_valid_B, cut_s * rate_hz).astype(np.int32)
        sounds_BN = np.arange(waveforms.values_BN.shape[1]) < n_valid_B[:, None]
        found = jax.device_get(score(weights, np.where(sounds_BN, waveforms.values_BN, 0.0), n_valid_B))
        scores.append(found.scores_SBK[0, :n_clips])
    return np.stack(scores), None if found.evidence_SB is None else found.evidence_SB[0, :n_clips]


def _uar(truth_N: Int[np.ndarray, " N"], scores_NK: Float[np.ndarray, "N K"]) -> float:
    return uar(confusion(truth_N.astype(np.int64), scores_NK.argmax(axis=1), scores_NK.shape[1]))
