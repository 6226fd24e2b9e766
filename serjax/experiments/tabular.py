"""Classical models on one vector per clip: nearest neighbours, trees, boosting, SVM, MLP, logistic regression, k-means.

Question: how far do hand-made statistics of a clip and a model that is fitted in seconds get?

    python -m serjax.experiments.tabular --corpus ravdess --root RAVDESS --protocol speaker-6fold \
        --offset 0 --features stats26 --models logistic kmeans kmeans-raw

Eight emotions, new speakers: accuracy .42, .17 and .11 (chance .13), in seconds; 16 classes of 180 means, tuned: up to
.52 (experiments/results/five_reports.md).

A fold's models are fitted to all rows that are not tested, validation rows included. `--tune N` searches for
hyper-parameters by cross-validation inside these rows. Each of several models gets a run folder, named as the model,
below the common one. The common one holds the figures of the model named first; its `metrics.json` has a summary of
all. `--votes mlp+lightgbm "3*mlp+2*knn"` lets models of the call vote.
"""

from dataclasses import dataclass

from serjax.command import run_command
from serjax.results.show import show_models
from serjax.study.tabular.flags import TabularConfig
from serjax.study.tabular.study import complete_tabular, folder_of


@dataclass(frozen=True)
class Config(TabularConfig):
    """Every field of every section is a flag; hyper-parameters carry their model's name."""


def run(config: Config) -> None:
    """Fit what the run folder lacks, write it, and print the tables."""
    show_models(complete_tabular(config), folder_of(config))


if __name__ == "__main__":
    run_command(Config, run, __doc__, prefixes=True)
