"""Five folds of clips in the order of their paths, not shuffled, as a plain `KFold` of files read from a folder makes.

The first report does not say whether its folds were shuffled. On RAVDESS such folds are groups of actors, nearly: most
test speakers are new. What rows S1.1 and S1.2 of experiments/results/five_reports.md say of them is printed by

    python -m scripts.unshuffled_folds --corpus ravdess --root RAVDESS --emotions happy sad --features mel-means

with the flags of `serjax.experiments.tabular` for corpus, features and model (the first of `--models`; logistic).
"""

import numpy as np
from sklearn.model_selection import StratifiedKFold

from serjax.command import run_command
from serjax.data.feature_cache import default_cache_dir
from serjax.models.classical.fitting import fit
from serjax.study.progress import progresses
from serjax.study.tabular.flags import TabularConfig
from serjax.study.tabular.table import load_table

N_FOLDS = 5


def run(config: TabularConfig) -> None:
    """Print the accuracy of each fold, and their mean."""
    cache = config.output.cache or default_cache_dir()
    with progresses(config.output.quiet, config.output.log_json) as shown:
        table = load_table(config.data, config.features, cache, shown)
    x_ND, label_N = table.x_ND, table.alphabetical_N
    model, reached = config.model(config.choice.models[0]), []
    for train_n, test_m in StratifiedKFold(N_FOLDS).split(x_ND, label_N):
        fitted = fit(model, x_ND[train_n], label_N[train_n], seed=0)
        reached.append(float(np.mean(fitted.predict_proba(x_ND[test_m]).argmax(axis=1) == label_N[test_m])))
    print(f"Accuracy {np.mean(reached):.3f}, of the folds {' '.join(f'{value:.3f}' for value in reached)}")


if __name__ == "__main__":
    run_command(TabularConfig, run, __doc__, prefixes=True)
