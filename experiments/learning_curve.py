"""Accuracy against the number of training speakers: would more speakers help?

    python -m experiments.learning_curve --corpus ravdess --root RAVDESS --model logreg --seeds 5 \
        --speakers 1 2 4 8 12 --out runs/learning_curve --results experiments/results/learning_curve.md

Test and validation speakers of each fold stay. Of its training speakers so many are kept, women and men in turn, drawn
anew by each seed. Those of a smaller number are among those of a larger one. Fewer speakers have more passes, so that
all numbers take about as many steps. The largest has `--epochs` (default: the experiment's own). The pretraining of
vae_mfcc keeps its own number of epochs, and so has fewer steps. The first row has all training speakers and `--epochs`
passes, so a few more steps (a third, of RAVDESS's 16 against 12); it is the reference. Nothing but the epoch is chosen,
on each fold's validation speakers. Without arguments it runs on synthetic speech; finished rows are kept.
"""

from dataclasses import dataclass

from experiments.candidates import Candidate
from experiments.sweep import CandidateStudy, ablate, publish
from serjax.errors import ConfigError
from serjax.main import train_command
from serjax.study.overrides import BASE, Overrides, chain, vary, zipped

NOTE = (
    "train_speakers: training speakers kept in each fold, drawn by seed, all with about as many steps; base: all "
    "speakers, as many passes as the largest number has."
)


@dataclass(frozen=True)
class Config(CandidateStudy):
    """Every field of every section is a flag."""

    model: Candidate = "logreg"
    """The classifier."""
    speakers: tuple[int, ...] = (2, 4, 8)
    """Numbers of training speakers."""
    epochs: int | None = None
    """Passes over the training clips of the largest number; default: as the experiment has them."""


def run(config: Config) -> None:
    """Train what is not finished, then print and write the page."""
    page, base = config.page("learning_curve"), config.configure(config.model)
    runs = ablate(base, curve(config.speakers, base.training.epochs), page.out)
    publish(runs, page, (NOTE,))


def curve(speakers: tuple[int, ...], epochs: int) -> Overrides:
    """Return all speakers, then each number, the largest first, with as many passes as make its steps about equal.

    Raises:
      ConfigError: no number, or one below 1.
    """
    if not speakers or min(speakers) < 1:
        raise ConfigError(f"--speakers {' '.join(map(str, speakers))}: expected numbers from 1.")
    falling = sorted(set(speakers), reverse=True)
    passes = [-(-epochs * falling[0] // n) for n in falling]
    return chain(BASE, zipped(vary("train_speakers", *falling), vary("epochs", *passes)))


if __name__ == "__main__":
    train_command(Config, run, __doc__)
