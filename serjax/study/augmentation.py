"""The flags of waveform augmentation, and which values of them make sense."""

from dataclasses import dataclass, replace

import numpy as np

from serjax.data.corpora.corpus import Waveforms
from serjax.data.features import BLOCK
from serjax.data.splits import Protocol
from serjax.dsp import Frontend
from serjax.errors import ConfigError
from serjax.study.flags import Data
from serjax.study.problem import Problem, Report, window_of
from serjax.train.waveforms import WaveformAugmentation

SPEAKERS_SHARED: tuple[Protocol, ...] = ("random-80-20", "random-5fold")


@dataclass(frozen=True)
class Augmentation(WaveformAugmentation):
    """Random changes of the waveform: of training clips in the train step, or of copies made before the split."""

    copies_before_split: int = 0
    """A LEAK, to repeat a report that has it: each clip becomes so many changed copies before the split; 0: off."""

    @property
    def in_train_step(self) -> bool:
        """Whether the train step changes the waveforms of training clips."""
        return self.picks > 0 and not self.copies_before_split

    @property
    def run_numbers(self) -> dict[str, float | int]:
        """The strengths that are numbers of a run, where the train step changes waveforms."""
        return {"noise_share": self.noise_share, "shift_samples": self.shift_samples} if self.in_train_step else {}

    @property
    def recipe(self) -> WaveformAugmentation:
        """The changes of one clip, wherever they are made."""
        return WaveformAugmentation(
            self.picks, self.noise_share, self.pitch_semitones, self.stretch_rate, self.shift_samples
        )


def check_augmentation(augmentation: Augmentation, protocol: Protocol | None) -> None:
    """Raise ConfigError for flags that make no sense."""
    for name in ("picks", "noise_share", "stretch_rate", "shift_samples", "copies_before_split"):
        if not 0 <= (value := getattr(augmentation, name)) < float("inf"):
            raise ConfigError(f"--{name.replace('_', '-')} {value}: expected a number from 0.")
    if not -24 <= augmentation.pitch_semitones <= 24:
        raise ConfigError(f"--pitch-semitones {augmentation.pitch_semitones}: expected -24 to 24.")
    if augmentation.stretch_rate and not 0.25 <= augmentation.stretch_rate <= 4:
        raise ConfigError(f"--stretch-rate {augmentation.stretch_rate}: expected 0 (none) or 0.25 to 4.")
    if augmentation.picks and len(augmentation.changes()) == 1:
        raise ConfigError(
            f"--picks {augmentation.picks} has nothing to pick from: give --noise-share, --pitch-semitones, "
            "--stretch-rate or --shift-samples a value other than 0, or leave --picks out."
        )
    if augmentation.copies_before_split:
        _check_copies(augmentation, protocol)


def _check_copies(augmentation: Augmentation, protocol: Protocol | None) -> None:
    n_copies = augmentation.copies_before_split
    if protocol not in SPEAKERS_SHARED:
        raise ConfigError(
            f"--copies-before-split {n_copies} puts copies of a recording on both sides of the split; it repeats "
            f"reports that did so, under --protocol {' or '.join(SPEAKERS_SHARED)} (here: {protocol or 'default'}). "
            "For any other protocol give --picks alone: training clips are then changed in the train step."
        )
    if not augmentation.picks:
        raise ConfigError(
            f"--copies-before-split {n_copies} makes equal copies without --picks: give it, e.g. --picks 2."
        )


def with_waveforms(
    problem: Problem, data: Data, frontend: Frontend, report: Report = lambda done, total: None
) -> Problem:
    """Read the samples too that the features were computed from: 4 bytes each, 317 MB for 1440 clips of 2.5 s."""
    window = window_of(problem.corpus, data, frontend)
    paths = [utterance.path for utterance in problem.corpus.utterances]
    values_BN, n_valid_B = np.empty((len(paths), window.n_samples), np.float32), np.empty(len(paths), np.int32)
    for start in range(0, len(paths), BLOCK):
        rows = slice(start, start + BLOCK)
        values_BN[rows], n_valid_B[rows], _ = problem.corpus.source.read(paths[rows], window)
        report(min(start + BLOCK, len(paths)), len(paths))
    return replace(problem, waveforms=Waveforms(values_BN, n_valid_B))
