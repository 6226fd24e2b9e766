"""One plain autoencoder per emotion: the VAE experiment without a distribution over codes.

Question: does the reconstruction error of a deterministic autoencoder tell emotions apart as well as a VAE's?

    python -m serjax.experiments.ae_mfcc --corpus ravdess --root RAVDESS --emotions happy sad --epochs 150 \
        --pretrain-epochs 0 --roll-frames 0 --score reconstruction --protocol speaker-6fold

Happy against sad, the first report's row S1.5: accuracy .69 on new speakers, in a minute on 2 CPU cores
(experiments/results/five_reports.md).
"""

from dataclasses import dataclass, field
from typing import ClassVar

from serjax.main import main
from serjax.models.autoencoder import Autoencoder
from serjax.study.flags import Classification
from serjax.study.generative.study import GenerativeConfig, GenerativeStudy


@dataclass(frozen=True)
class Config(GenerativeConfig):
    """Every field of every section is a flag."""

    experiment: ClassVar[str] = "ae_mfcc"
    classification: Classification = field(default_factory=lambda: Classification(score="reconstruction"))

    def study(self) -> GenerativeStudy:
        """Return the study that the flags say."""
        return self.study_of(Autoencoder, beta=0.0)


if __name__ == "__main__":
    main(Config, __doc__)
