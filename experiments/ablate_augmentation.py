"""Augmentation, one kind at a time: what is each worth to a classifier?

    python -m experiments.ablate_augmentation --corpus ravdess --root RAVDESS --model cnn_mfcc --seeds 5 \
        --out runs/ablate_augmentation --results experiments/results/ablate_augmentation.md

The first row has none. Then pictures are rolled in time or get noise, or waveforms are changed before their features
are computed: noise, pitch, tempo, shift, or two picks per clip among these and none, as the fifth report has it. All of
it happens in the train step, on training clips alone. All else is the same; changed waveforms cost a front end per
step, so these rows take longest. Nothing but the epoch is chosen, on each fold's validation speakers. Without arguments
it runs on synthetic speech; finished rows are kept.

For logistic regression nothing of it is shown to help (experiments/results/ablate_augmentation.md, one seed): noise on
waveforms costs .025 (p .02, Holm .19). A network takes hours: rows of changed waveforms took 2 to 15 minutes for a
linear model on 2 CPU cores that other work shared.
"""

from dataclasses import dataclass

from experiments.candidates import SupervisedCandidate
from experiments.sweep import CandidateStudy, ablate, publish
from serjax.main import train_command
from serjax.study.overrides import Overrides, chain, product, vary

NOTES: dict[str, tuple[str, ...]] = {
    "logreg": ("Rolls change nothing here: logistic regression sees the mean and the standard deviation of frames.",)
}


@dataclass(frozen=True)
class Config(CandidateStudy):
    """Every field of every section is a flag."""

    model: SupervisedCandidate = "logreg"
    """The classifier."""
    waveforms: bool = True
    """Also rows in which waveforms are changed; they take longest."""


def run(config: Config) -> None:
    """Train what is not finished, then print and write the page."""
    page, base = config.page("ablate_augmentation"), config.configure(config.model)
    publish(ablate(base, changes(config.waveforms), page.out), page, NOTES.get(config.model, ()))


def changes(waveforms: bool) -> Overrides:
    """Return no augmentation, then one kind at a time, and waveforms by any two."""
    still = vary("roll_frames", 0)
    pictures = chain(still, vary("roll_frames", 8, 16), product(still, vary("training.noise", 0.1, 0.3)))
    if not waveforms:
        return pictures
    kinds = {"noise_share": 0.035, "pitch_semitones": 2.0, "stretch_rate": 0.9, "shift_samples": 2_000}
    off = {name: type(value)(0) for name, value in kinds.items()}
    one_a_row = [
        product(still, vary("picks", 1), *(vary(n, kinds[n] if n == kind else off[n]) for n in kinds)) for kind in kinds
    ]
    any_two = product(still, vary("picks", 2), *(vary(n, value) for n, value in kinds.items()))
    return chain(pictures, *one_a_row, any_two)


if __name__ == "__main__":
    train_command(Config, run, __doc__)
