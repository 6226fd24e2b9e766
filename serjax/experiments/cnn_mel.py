"""A 2-D convolutional network on mel pictures.

Question: do local patterns of time and frequency tell more than statistics over time?

    python -m serjax.experiments.cnn_mel --corpus ravdess --root RAVDESS --emotions happy sad --protocol speaker-6fold

Happy against sad, the first report's row S1.4: accuracy .78 on new speakers, .88 on known ones (reported .53); the
command took 16 minutes on 2 CPU cores (experiments/results/five_reports.md). The third report's CNN on CREMA-D is row
S3.1.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from serjax.experiments.cnn_mfcc import Model
from serjax.main import main
from serjax.study.flags import RunsPerDevice
from serjax.study.frontends import MelFeatures
from serjax.study.supervised import SupervisedConfig


@dataclass(frozen=True)
class Config(SupervisedConfig):
    """Every field of every section is a flag."""

    experiment: ClassVar[str] = "cnn_mel"
    runs_per_device: ClassVar[RunsPerDevice] = RunsPerDevice(map=1, vmap=8)
    features: MelFeatures = field(default_factory=MelFeatures)
    model: Model = field(default_factory=Model)


if __name__ == "__main__":
    main(Config, __doc__)
