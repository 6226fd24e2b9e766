"""Classical models on one vector a clip: nearest neighbours, trees, boosting, SVM, MLP, logistic regression, k-means.

Question: how far do hand-made statistics of a clip and a model that is fitted in seconds get?

    python -m serjax.experiments.tabular --corpus ravdess --root RAVDESS --protocol speaker-6fold \
        --offset 0 --features stats26 --models logistic kmeans kmeans-raw

Eight emotions, new speakers: accuracy .42, .17 and .11 (chance .13), in seconds; 16 classes of 180 means, tuned: up to
.52 (experiments/results/five_reports.md).

A fold's models are fitted on all its rows that are not tested, validation rows included; `--tune N` searches for
hyper-parameters by cross-validation inside these rows. Several models get a run folder each, named as the model, below
the common one, which holds the figures of the model named first and in `metrics.json` a summary of all. `--votes
mlp+lightgbm "3*mlp+2*knn"` lets models of the call vote.
"""

from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import tyro

from serjax.data.feature_cache import default_cache_dir
from serjax.experiments import vote
from serjax.experiments.classification import print_comparison, print_notes, print_reports
from serjax.experiments.command import run_command
from serjax.experiments.config import ConfigError, Data, check_positive, fingerprint
from serjax.experiments.display import Progresses, progresses, say
from serjax.experiments.manifest import FIGURES, LEAKS, METRICS, PREDICTIONS, is_finished
from serjax.experiments.results_page import read_result
from serjax.experiments.run_folder import RunFolder, open_run_folder
from serjax.experiments.tables import Table, TableFeatures, load_table
from serjax.experiments.tabular_cells import Row, Searching, run_row
from serjax.files import copy
from serjax.models.classical import (
    Bagging,
    DecisionTree,
    KMeans,
    Knn,
    LightGbm,
    LogisticRegression,
    Mlp,
    OnComponents,
    RandomForest,
    Single,
    Svm,
    TwoStage,
    Weighable,
    XgBoost,
)

ModelName = Literal[
    "knn", "tree", "forest", "bagging", "lightgbm", "xgboost", "svm", "mlp", "logistic", "kmeans", "kmeans-raw"
]


@dataclass(frozen=True)
class Choice:
    """Which models, and what is done around them."""

    models: tuple[ModelName, ...] = ("logistic", "knn", "svm")
    """Models to compare. kmeans: clusters matched to emotions on training clips; kmeans-raw: cluster number against
    the emotion's place in the alphabet."""
    two_stage: bool = False
    """Beside each model one in two stages: gender first, then an emotion model of the predicted gender."""
    votes: tuple[str, ...] = ()
    """Soft votes of the models above: NAME+NAME or WEIGHT*NAME+WEIGHT*NAME."""


@dataclass(frozen=True)
class Fitting:
    """How each fold's models are fitted."""

    pca_variance: float | None = None
    """Fit on the principal components that hold this share of the variance, e.g. 0.95; default: on all features."""
    tune: int = 0
    """Trials of the search for hyper-parameters, repeated in each fold; 0: none."""
    inner_folds: int = 3
    """Folds of the cross-validation that a trial is judged by."""
    cv_folds: int = 0
    """Folds of a cross-validation inside each fold's training rows, with the hyper-parameters that were chosen, whose
    mean accuracy (`cv_war`) stands beside that on test rows; 0: none."""
    cv_seeds: int | None = None
    """Seeds, from 0, of which it is done; default: all."""
    class_weights: bool = False
    """Weigh clips by the inverse frequency of their class in training; knn, mlp and kmeans cannot."""


@dataclass(frozen=True)
class Output:
    """Where it goes; not part of the configuration's fingerprint."""

    out: Path | None = None
    """Run folder; default: runs/tabular-CORPUS-HASH. The same command goes on where it was stopped."""
    cache: Path | None = None
    """Folder of computed features; default: $SERJAX_CACHE, else the user's cache folder."""
    quiet: bool = False
    """No progress, only the result."""


@dataclass(frozen=True)
class Config:
    """Every field of every section is a flag; hyper-parameters carry their model's name."""

    data: tyro.conf.OmitArgPrefixes[Data] = field(default_factory=Data)
    features: tyro.conf.OmitArgPrefixes[TableFeatures] = field(default_factory=TableFeatures)
    choice: tyro.conf.OmitArgPrefixes[Choice] = field(default_factory=Choice)
    fitting: tyro.conf.OmitArgPrefixes[Fitting] = field(default_factory=Fitting)
    output: tyro.conf.OmitArgPrefixes[Output] = field(default_factory=Output)
    knn: Knn = field(default_factory=Knn)
    tree: DecisionTree = field(default_factory=DecisionTree)
    forest: RandomForest = field(default_factory=RandomForest)
    bagging: Bagging = field(default_factory=Bagging)
    lightgbm: LightGbm = field(default_factory=LightGbm)
    xgboost: XgBoost = field(default_factory=XgBoost)
    svm: Svm = field(default_factory=Svm)
    mlp: Mlp = field(default_factory=Mlp)
    logistic: LogisticRegression = field(default_factory=LogisticRegression)

    def model(self, name: ModelName) -> Single:
        """Return the model of a name, with its flags."""
        if name == "kmeans":
            return KMeans("matched")
        return KMeans("raw") if name == "kmeans-raw" else getattr(self, name)


def run(config: Config) -> None:
    """Fit what the run folder lacks, write it, and print the tables."""
    check_flags(config)
    rows, out = rows_of(config), folder_of(config)
    with progresses(config.output.quiet) as shown:
        if is_finished(out):
            shown.say(f"{out} is finished: the corpus is not read again.")
        if len(rows) == 1:
            places = {rows[0].name: out}
            _run_row(config, rows[0], out, out, Loader(config, shown))
        else:
            places = _run_several(config, rows, out, shown)
    found = {name: read_result(place / METRICS) for name, place in places.items()}
    print_comparison(found)
    print_reports(found)
    print_notes(next(iter(found.values())))
    say(f"Written to {out}.")


def fingerprint_of(config: Config) -> str:
    """Return the hash of all that the result depends on: of the models, only those that are fitted."""
    named = [(row.name, asdict(row.model)) for row in rows_of(config)]
    return fingerprint(f"tabular {named!r} {config.choice.votes!r}", (config.data, config.features, config.fitting))


def folder_of(config: Config) -> Path:
    """Return the run folder."""
    default = Path("runs") / f"tabular-{config.data.corpus_name}-{fingerprint_of(config)[:8]}"
    return config.output.out or default


def check_flags(config: Config) -> None:
    """Raise ConfigError for what makes no sense."""
    choice, fitting = config.choice, config.fitting
    if not choice.models or len(set(choice.models)) < len(choice.models):
        raise ConfigError(f"--models {' '.join(choice.models)}: expected at least one model, and each once.")
    if fitting.tune < 0:
        raise ConfigError(f"--tune {fitting.tune}: expected a number of trials, or 0 for none.")
    if fitting.tune:
        check_positive("--inner-folds", fitting.inner_folds)
    check_positive("--cv-seeds", fitting.cv_seeds)
    if fitting.cv_folds < 0 or fitting.cv_folds == 1:
        raise ConfigError(f"--cv-folds {fitting.cv_folds}: expected a number of folds from 2, or 0 for none.")
    unable = [name for name in choice.models if not isinstance(config.model(name), Weighable)]
    if fitting.class_weights and unable:
        raise ConfigError(
            f"--class-weights: of --models {' '.join(choice.models)}, {', '.join(unable)} cannot weigh clips by class. "
            "Leave out the flag, or these models."
        )
    for text in choice.votes:
        vote.parse(text, choice.models)


def rows_of(config: Config) -> tuple[Row, ...]:
    """Return what is fitted: each model, and beside it the one in two stages."""
    rows: list[Row] = []
    for name in config.choice.models:
        single, share = config.model(name), config.fitting.pca_variance
        model = single if share is None else OnComponents(single, share)
        weighted = config.fitting.class_weights
        rows.append(Row(name, name, model, weighted))
        if config.choice.two_stage:
            rows.append(Row(f"two-stage-{name}", name, TwoStage(model, model), weighted))
    return tuple(rows)


class Loader:
    """Loads the table when it is first asked for: a finished run needs none."""

    def __init__(self, config: Config, shown: Progresses) -> None:
        self.config, self.shown = config, shown
        self.table: Table | None = None

    def __call__(self) -> Table:
        """Return the table."""
        if self.table is None:
            cache = self.config.output.cache or default_cache_dir()
            self.table = load_table(self.config.data, self.config.features, cache, self.shown)
        return self.table


def _run_several(config: Config, rows: tuple[Row, ...], out: Path, shown: Progresses) -> dict[str, Path]:
    """Fill a folder with one run folder for each row and vote; return where they are."""
    load = Loader(config, shown)
    places = {row.name: out / row.name for row in rows}
    ballots = {f"vote-{text.replace('*', 'x')}": vote.parse(text, config.choice.models) for text in config.choice.votes}
    with open_run_folder(out, "tabular", fingerprint_of(config)) as folder:
        if not folder.claimed:
            load()  # what is wrong with the data is said before the folder is claimed
            folder.claim((config.data, config.features, config.choice, config.fitting))
        if not all(map(is_finished, places.values())):
            folder.meet(load().digest())  # what is there already must be of the same clips
        for row in rows:
            _run_row(config, row, out / row.name, out / row.single, load)
        for name, ballot in ballots.items():
            vote.write_vote([places[member] for member, _ in ballot], [weight for _, weight in ballot], out / name)
            places[name] = out / name
        if not folder.finished:
            _put_first_on_top(folder, places)
    return places


def _put_first_on_top(folder: RunFolder, places: dict[str, Path]) -> None:
    """Make the common folder a run folder too: that of the model named first, with a summary of all."""
    first, *_ = places.values()
    for name in (PREDICTIONS, LEAKS):
        copy(first / name, folder.path / name)
    found = {name: read_result(place / METRICS) for name, place in places.items()}
    kept = ("uar", "uar_sd", "uar_ci95", "war", "macro_f1", "train_war", "cv_war")
    models = {name: {key: metrics.get(key) for key in kept} for name, metrics in found.items()}
    folder.write_json(METRICS, {**read_result(first / METRICS), "models": models})
    pictures = [(first / FIGURES / name, folder.path / FIGURES / name) for name in ("confusion.png", "roc.png")]
    folder.finish({source.name: partial(copy, source, target) for source, target in pictures})


def _run_row(config: Config, row: Row, out: Path, studies: Path, load: Loader) -> None:
    sections = (config.data, config.features, config.fitting)
    mark = fingerprint(f"tabular/{row.name} {type(row.model).__name__}", (*sections, row.model))
    with open_run_folder(out, f"tabular/{row.name}", mark) as folder:
        if not folder.finished:
            table = load()
            folder.claim((*sections, row.model))
            folder.meet(table.digest())
            fitting, journal = config.fitting, studies / "tuning.journal"
            searching = Searching(fitting.tune, fitting.inner_folds, journal, fitting.cv_folds, fitting.cv_seeds)
            run_row(row, table, folder, searching, load.shown)


if __name__ == "__main__":
    run_command(Config, run, __doc__, prefixes=True)
