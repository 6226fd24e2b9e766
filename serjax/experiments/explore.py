"""Look at a corpus before modelling it: counts, durations, waveforms, spectra, per-frame curves, 26 features.

Question: what is in it, what is missing, and what would a model be misled by?

It goes on where clips cannot be read, and lists them all, with what to do; as it lists silent, too loud and equal ones.

Writes pictures, a feature table with labels (`features.csv`), `summary.json` and one self-contained `index.html`.

    python -m serjax.experiments.explore --corpus ravdess --root RAVDESS --out runs/explore
"""

from dataclasses import dataclass

from serjax.command import run_command
from serjax.explore.exploration import run
from serjax.explore.flags import ExploreConfig


@dataclass(frozen=True)
class Config(ExploreConfig):
    """Every field of every section is a flag."""


if __name__ == "__main__":
    run_command(Config, run, __doc__)
