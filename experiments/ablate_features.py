"""The MFCC picture, one flag changed at a time: which of its sizes does a classifier's result rest on?

    python -m experiments.ablate_features --corpus ravdess --root RAVDESS --model logreg --seeds 5 \
        --out runs/ablate_features --results experiments/results/ablate_features.md

Which kinds of features (MFCC, mel, chroma, descriptors, all side by side) go with which model is the question of
experiments/features_models.py; this study stays with MFCC. The first row is the picture as the flags say; each other
one changes coefficients, mel bands, window, hop (with as many frames more, so that a clip is as long), rate or start.
Classifier, folds, normaliser rule and training are the same. Nothing but the epoch is chosen, on each fold's validation
speakers. Without arguments it runs on synthetic speech; finished rows are kept.
"""

from dataclasses import dataclass

from experiments.candidates import Candidate
from experiments.sweep import CandidateStudy, ablate, publish
from serjax.main import train_command
from serjax.study.frontends import Features
from serjax.study.overrides import BASE, Overrides, chain, vary, zipped


@dataclass(frozen=True)
class Config(CandidateStudy):
    """Every field of every section is a flag."""

    model: Candidate = "logreg"
    """The classifier."""


def run(config: Config) -> None:
    """Train what is not finished, then print and write the page."""
    page, base = config.page("ablate_features"), config.configure(config.model)
    publish(ablate(base, changes(config.features), page.out), page, ())


def changes(features: Features) -> Overrides:
    """Return the picture as it is, then one change at a time."""
    halved = zipped(vary("hop_length", features.hop_length // 2), vary("frames", 2 * features.frames))
    lower = zipped(
        vary("sample_rate", features.sample_rate // 2),
        vary("n_fft", features.n_fft // 2),
        vary("hop_length", features.hop_length // 2),
    )
    return chain(
        BASE,
        vary("n_mfcc", 13, 20, 40),
        vary("n_mels", 40, 64, 128),
        vary("n_fft", features.n_fft // 2),
        halved,
        lower,
        vary("offset", 0.0),
    )


if __name__ == "__main__":
    train_command(Config, run, __doc__)
