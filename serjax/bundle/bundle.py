"""A trained system that is ready: waveforms in, calibrated probabilities out."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import numpy as np
import soxr
from jaxtyping import Float, Num

from serjax.bundle.about import FINGERPRINTS, WEIGHTS, About, read_about
from serjax.bundle.content import content_of
from serjax.bundle.parts import BundleError
from serjax.bundle.scores import Scores, Weights
from serjax.bundle.systems import System, system_of
from serjax.data.audio import MAX_RATE_HZ, MIN_DURATION_S, MIN_RATE_HZ, RESAMPLER_TAIL_S
from serjax.data.fingerprint import fingerprint
from serjax.data.known import KnownRecordings
from serjax.data.recordings import HEARD
from serjax.evaluate.calibration import tempered
from serjax.files import digest
from serjax.models.weights import read_weights

N_TOGETHER = 16  # clips of a batch
Clip = Float[np.ndarray, " _"]


@dataclass(frozen=True)
class Answer:
    """What a bundle says of a clip.

    Args:
      probabilities: calibrated, by label.
      scores: of generative systems, each label's score (higher = explained better); None of networks.
      evidence: how well the clip is explained at all, None of networks.
      out_of_corpus: whether that is worse than all but 1 % of validation clips; None where it cannot be told.
      too_short: whether fewer seconds were heard than the bundle needs; None where that was not measured.
      heard_s: seconds that were heard.
      problem: why nothing of this counts; None where all is well.
    """

    probabilities: dict[str, float]
    scores: dict[str, float] | None
    evidence: float | None
    out_of_corpus: bool | None
    too_short: bool | None
    heard_s: float
    problem: str | None = None

    @property
    def label(self) -> str:
        """The likeliest label, the first of equals."""
        return max(self.probabilities, key=self.probabilities.__getitem__)


@dataclass(frozen=True, eq=False)
class Bundle:
    """A system, its weights, and what `bundle.json` says of it; call it with a waveform.

    `known` has the fingerprints of training clips, None where they are no recordings.
    """

    about: About
    system: System
    weights: Weights
    known: KnownRecordings | None = None

    @property
    def sample_rate_hz(self) -> int:
        """The sampling rate of the clips that `answers` takes."""
        return self.system.frontend.sample_rate_hz

    @property
    def n_samples(self) -> int:
        """How many samples of a clip are heard at most."""
        n_most, duration_s = self.system.frontend.n_samples, self.about.listening.duration_s
        return n_most if duration_s is None else min(n_most, round(duration_s * self.sample_rate_hz))

    def __call__(self, wav: Num[np.ndarray, "*_"], sr: int, offset_s: float | None = None) -> Answer:
        """Answer for one waveform.

        Args:
          wav: floating samples, full scale 1; `[N]`, or `[N, channels]` as soundfile reads, of which the mean is heard.
          sr: its sampling rate in Hz; it is resampled as files are.
          offset_s: seconds skipped at its start; default: as in training.

        Raises:
          BundleError: no floating samples, not finite, of a rate out of range, or no sound behind the offset.
        """
        offset_s = self.about.listening.offset_s if offset_s is None else offset_s
        answer = self.answers([self.clip(_mono(wav, sr), sr, offset_s)])[0]
        if answer.problem:
            raise BundleError(f"The part of the waveform that is heard {answer.problem}. Give one with sound.")
        return answer

    def in_training(self, wav_N: Clip, sr: int) -> bool | None:
        """Tell whether a recording is a training clip, or a copy of one: resampled, MP3, louder, trimmed.

        Args:
          wav_N: all of it from its start on; of a clip the first minute is compared, with copies 30 s.
          sr: its own sampling rate in Hz.

        Returns:
          None where the bundle knows no recordings.
        """
        if self.about.training.sha256 is None:
            return None
        if content_of(wav_N, sr) in self._contents:
            return True
        heard_N = wav_N[: round(HEARD.n_samples / HEARD.sample_rate_hz * sr)]
        return self.known is not None and self.known.has(fingerprint(heard_N, sr))

    @functools.cached_property
    def _contents(self) -> frozenset[str]:
        return frozenset(self.about.training.sha256 or ())

    def clip(self, wav_N: Clip, sr: int, offset_s: float) -> Clip:
        """Return the part of a waveform that is heard, at the rate of the front end, as `answers` takes it.

        Raises:
          BundleError: next to nothing is left behind the offset.
        """
        start = round(offset_s * sr)
        part_N = wav_N[start : start + round((self.n_samples / self.sample_rate_hz + RESAMPLER_TAIL_S) * sr)]
        if len(part_N) < MIN_DURATION_S * sr:
            raise BundleError(
                f"{len(wav_N) / sr:.3f} s of sound, of which the first {offset_s} s are skipped: expected "
                f"{MIN_DURATION_S} s more at least. Give a longer clip, or a smaller offset."
            )
        part_N = soxr.resample(part_N, sr, self.sample_rate_hz, quality="HQ") if sr != self.sample_rate_hz else part_N
        return part_N[: self.n_samples]

    def answers(self, clips: Sequence[Clip], n_together: int | None = None) -> list[Answer]:
        """Answer for clips at `sample_rate_hz`, of which no more than `n_samples` are heard.

        Args:
          clips: what `clip` returned of waveforms.
          n_together: clips in a batch, which is filled up with silence; default: one alone, else 16. Each number is
            one program to be compiled.
        """
        if not clips:
            return []
        size = n_together or (1 if len(clips) == 1 else N_TOGETHER)
        scored = [self._scored(clips[start : start + size], size) for start in range(0, len(clips), size)]
        scores_SNK = np.concatenate([scores_SBK for scores_SBK, _ in scored], axis=1)
        evidence_SN = None if scored[0][1] is None else np.concatenate([found for _, found in scored], axis=1)
        probability_NK = self.probabilities(scores_SNK)
        heard_s = [min(len(clip), self.n_samples) / self.sample_rate_hz for clip in clips]
        answers = [self._answer(probability_NK[n], scores_SNK, evidence_SN, n, heard_s[n]) for n in range(len(clips))]
        return [replace(answer, problem=_problem(clip, answer)) for clip, answer in zip(clips, answers, strict=True)]

    def probabilities(self, scores_SNK: Float[np.ndarray, "S N K"]) -> Float[np.ndarray, "N K"]:
        """Return calibrated probabilities from scores of each seed."""
        divisor = self.about.calibration.divisor
        return np.mean([np.exp(tempered(scores_NK, divisor)) for scores_NK in scores_SNK], axis=0)

    def _scored(self, clips: Sequence[Clip], size: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Score a batch of `size` clips; rows that fill it up are silence and left out."""
        wav_BN = np.zeros((size, self.system.frontend.n_samples), np.float32)
        n_valid_B = np.zeros(size, np.int32)
        for row, clip in enumerate(clips):
            n_valid_B[row] = min(len(clip), self.n_samples)
            wav_BN[row, : n_valid_B[row]] = clip[: n_valid_B[row]]
        found = jax.device_get(compiled(self.system)(self.weights, wav_BN, n_valid_B))
        evidence_SB = found.evidence_SB
        return found.scores_SBK[:, : len(clips)], None if evidence_SB is None else evidence_SB[:, : len(clips)]

    def _answer(
        self,
        probability_K: Float[np.ndarray, " K"],
        scores_SNK: np.ndarray,
        evidence_SN: np.ndarray | None,
        n: int,
        heard_s: float,
    ) -> Answer:
        about, labels = self.about, self.about.labels
        scores = evidence = out = None
        if evidence_SN is not None:
            scores = dict(zip(labels, scores_SNK[:, n].mean(axis=0).tolist(), strict=True))
            evidence = float(evidence_SN[:, n].mean())
            out = None if about.out_of_corpus is None else evidence < about.out_of_corpus.threshold
        short = None if about.too_short is None else heard_s < about.too_short.needed_s
        return Answer(dict(zip(labels, probability_K.tolist(), strict=True)), scores, evidence, out, short, heard_s)


def load_bundle(path: str | Path) -> Bundle:
    """Load what `python -m serjax.export RUN BUNDLE` made; no training data is needed.

    >>> load_bundle("no-such-folder")
    Traceback (most recent call last):
    serjax.bundle.parts.BundleError: no-such-folder/bundle.json cannot be read (No such file or directory). Give ...

    Raises:
      BundleError: the folder is no bundle, or a file of it is damaged or of another one.
    """
    folder = Path(path)
    about = read_about(folder)
    weights, known = _checked(folder / WEIGHTS, about.weights_sha256), None
    if about.training.fingerprints_sha256 is not None:
        file = _checked(folder / FINGERPRINTS, about.training.fingerprints_sha256)
        known = KnownRecordings.from_bytes(file.read_bytes())
    return Bundle(about, system_of(about.system), jax.device_put(read_weights(weights)), known)


def _checked(file: Path, sha256: str) -> Path:
    """Return a file of a bundle that is the one which `bundle.json` names."""
    if not file.is_file() or digest(file) != sha256:
        how = "is not the file that bundle.json belongs to" if file.is_file() else "is not there"
        raise BundleError(f"{file} {how}. Copy the bundle again, or export the run again.")
    return file


@functools.cache
def compiled(system: System) -> Callable[[Weights, np.ndarray, np.ndarray], Scores]:
    """Compile the scores of a system, once for each size of batch."""
    return jax.jit(system.scores)


def _problem(clip: Clip, answer: Answer) -> str | None:
    """Say why an answer does not count: there was nothing to hear, or numbers came out that are none."""
    if not clip.any():
        return "is digital silence"
    evidence = 0.0 if answer.evidence is None else answer.evidence
    finite = np.isfinite([*answer.probabilities.values(), evidence]).all()
    return None if finite else "gives scores that are not finite"


def _mono(wav: Num[np.ndarray, "*_"], sr: int) -> Clip:
    """Return the mean of the channels as float32."""
    wav = np.asarray(wav)
    if wav.dtype.kind != "f" or wav.ndim not in (1, 2) or not wav.size:
        raise BundleError(
            f"A waveform of type {wav.dtype} and shape {wav.shape}: expected floating samples [N] or [N, channels], "
            "full scale 1. Divide 16-bit integers by 32768."
        )
    if not MIN_RATE_HZ <= sr <= MAX_RATE_HZ:
        raise BundleError(f"A sampling rate of {sr} Hz: expected {MIN_RATE_HZ} to {MAX_RATE_HZ}.")
    mono_N = np.asarray(wav if wav.ndim == 1 else wav.mean(axis=1), np.float32)
    if not np.isfinite(mono_N).all():
        raise BundleError("The waveform holds NaN or infinite samples. Read the file again.")
    return mono_N
