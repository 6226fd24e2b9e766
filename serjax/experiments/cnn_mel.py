"""A 2-D convolutional network on mel pictures.

Question: do local patterns of time and frequency tell more than statistics over time?

    python -m serjax.experiments.cnn_mel --corpus ravdess --root RAVDESS --emotions happy sad --protocol speaker-6fold

Happy against sad, the first report's row S1.4: accuracy .78 on new speakers, .88 on known ones (reported .53); the
command took 16 minutes on 2 CPU cores (experiments/results/five_reports.md). The third report's CNN on CREMA-D is row
S3.1.
"""

from dataclasses import dataclass, field

from serjax.experiments.augmentation import Augmentation
from serjax.experiments.cnn_mfcc import Model
from serjax.experiments.command import run_command
from serjax.experiments.config import Data, Machine, SupervisedTraining
from serjax.experiments.feature_flags import MelFeatures
from serjax.experiments.supervised import run_supervised


@dataclass(frozen=True)
class Config:
    """Every field of every section is a flag."""

    data: Data = field(default_factory=Data)
    features: MelFeatures = field(default_factory=MelFeatures)
    model: Model = field(default_factory=Model)
    training: SupervisedTraining = field(default_factory=SupervisedTraining)
    machine: Machine = field(default_factory=Machine)
    augmentation: Augmentation = field(default_factory=Augmentation)


def run(config: Config) -> None:
    """Run the experiment."""
    run_supervised("cnn_mel", config)


if __name__ == "__main__":
    run_command(Config, run, __doc__)
