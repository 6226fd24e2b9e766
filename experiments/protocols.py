"""The price of each leak: how much of a figure comes from speakers or sentences that training has seen?

    python -m experiments.protocols --corpus ravdess --root RAVDESS --model logreg --seeds 5 --out runs/protocols \
        --results experiments/results/protocols.md

One classifier, the same clips, four ways to cut them: at random (test clips have speaker and sentence in common with
training), by speaker, by sentence (speakers shared), by both. Each tests every clip once per seed, so clips are paired.
What differs is what training has seen, and how much of it: speaker-text has the fewest training clips, which is part of
its price. The first row, by speaker, is the reference. Nothing but the epoch is chosen, on each fold's
validation rows. Without arguments it runs on synthetic speech; finished protocols are kept.
"""

from dataclasses import dataclass

from experiments.candidates import Candidate
from experiments.sweep import CandidateStudy, ablate, publish
from serjax.data.splits import Protocol, default_protocol
from serjax.errors import ConfigError
from serjax.main import train_command
from serjax.study.overrides import vary
from serjax.study.problem import labelled_corpus

LEAKS: tuple[Protocol, ...] = ("random-5fold", "text", "speaker-text")
NOTE = (
    "Rows differ in what training has in common with test clips: random-5fold speakers and sentences, text speakers, "
    "speaker-* sentences, speaker-text neither. They also differ in the number of training clips."
)


@dataclass(frozen=True)
class Config(CandidateStudy):
    """Every field of every section is a flag."""

    model: Candidate = "logreg"
    """The classifier."""
    protocols: tuple[Protocol, ...] = LEAKS
    """What is compared with the corpus's protocol by speaker."""


def run(config: Config) -> None:
    """Train what is not finished, then print and write the page.

    Raises:
      ConfigError: a protocol is chosen by `--protocol`.
    """
    if config.data.protocol is not None:
        raise ConfigError("--protocol is what this study compares: choose by --protocols.")
    page, base = config.page("protocols"), config.configure(config.model)
    reference = default_protocol(labelled_corpus(config.data))
    runs = ablate(base, vary("protocol", reference, *config.protocols), page.out)
    publish(runs, page, (NOTE,), anyway=True)


if __name__ == "__main__":
    train_command(Config, run, __doc__)
