"""One plain autoencoder an emotion: the VAE experiment without a distribution over codes.

Question: is the reconstruction error of a deterministic autoencoder as good a witness as a VAE's?

    python -m serjax.experiments.ae_mfcc --corpus ravdess --root RAVDESS --emotions happy sad --epochs 150 \
        --pretrain-epochs 0 --roll-frames 0 --score reconstruction --protocol speaker-6fold

Happy against sad, the first report's row S1.5: accuracy .69 on new speakers, in a minute on 2 CPU cores
(experiments/results/five_reports.md).
"""

from dataclasses import dataclass, field

from serjax.experiments.command import run_command
from serjax.experiments.config import Classification, Data, Machine, Model, Training
from serjax.experiments.feature_flags import Features
from serjax.experiments.study import Study, run_study
from serjax.models.autoencoder import Autoencoder


@dataclass(frozen=True)
class Config:
    """Every field of every section is a flag."""

    data: Data = field(default_factory=Data)
    features: Features = field(default_factory=Features)
    model: Model = field(default_factory=Model)
    training: Training = field(default_factory=Training)
    classification: Classification = field(default_factory=lambda: Classification(score="reconstruction"))
    machine: Machine = field(default_factory=Machine)


def run(config: Config) -> None:
    """Run the experiment."""
    sections = (config.data, config.features, config.model, config.training, config.classification, config.machine)
    run_study(Study("ae_mfcc", Autoencoder, 0.0, *sections))


if __name__ == "__main__":
    run_command(Config, run, __doc__)
