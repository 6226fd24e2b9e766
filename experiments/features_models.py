"""Features × models, speaker-independent: which features with which model?

    python -m experiments.features_models --corpus ravdess --root RAVDESS --protocol speaker-6fold --out runs/grid \
        --results experiments/results/features_models.md

Every kind of picture alone, and all side by side in each frame, under every model: logistic regression, MLP, CNN, LSTM,
and one VAE per emotion as a generative classifier. All cells have the same clips, folds, seeds, normaliser rule and
augmentation, and each trains for as many epochs over the training clips. A VAE's epochs are cut in two: all emotions
together, then each alone, in as many steps as the largest emotion needs. RAVDESS's neutral then comes round twice. A
fold keeps its best epoch by its validation speakers, and a VAE's score; nothing else is chosen, no cell is tuned. The
reference that all cells are tested against, MFCC × logistic regression, was declared before any cell was run.

The VAE's form, β and rolls come from experiments/vae_recipe.py, which was developed on MFCC pictures of RAVDESS speech;
the other sizes were fixed by time alone. Logistic regression has a learning rate of its own: at the networks' .001, its
loss on training and validation rows of MFCC still fell at the last epoch of every fold. A fold of RAVDESS has 30 steps
per epoch, a cell has 7 200. On 2 CPU cores a CNN took 2 minutes (12 chroma) to 25 (102 features; other work beside),
VAEs took half a minute to 4 minutes, others 1.3 at most. Finished cells are kept; without arguments it runs on
synthetic speech.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

import tyro

from experiments.networks import Lstm, Mlp
from serjax.data.notes import Note
from serjax.errors import ConfigError
from serjax.escape import markdown, markdown_code
from serjax.experiments.cnn_mfcc import Model as Cnn
from serjax.experiments.logreg import Model as Linear
from serjax.figures.tables import say
from serjax.folder.finished import FinishedRun, read_result, read_run
from serjax.main import train_command
from serjax.models.pooling import Pooling
from serjax.models.vae import VAE
from serjax.provenance import provenance
from serjax.results.grid import GridPage, make_entries, print_page, write_page
from serjax.results.page import check_page
from serjax.study import stages
from serjax.study.fingerprint import default_out, fingerprint
from serjax.study.flags import Classification, Data, Machine, Model, Optimisation, SupervisedTraining, Training
from serjax.study.frontends import PictureFeatures, PictureKind
from serjax.study.generative.study import GenerativeStudy
from serjax.study.networks import NetworkFlags
from serjax.study.supervised import SupervisedConfig, SupervisedStudy
from serjax.train.processes import is_first

ModelName = Literal["logreg", "mlp", "cnn", "lstm", "vae"]
Place = tuple[str, ModelName]  # feature, model
ALL = "all"
POOLED: dict[Pooling, str] = {
    "flatten": "all frames in a row",
    "mean": "each feature's mean over the clip's frames",
    "statistics": "each feature's mean and standard deviation over the clip's frames",
    "attention": "an attended mean of the clip's frames",
}


@dataclass(frozen=True)
class Vae(Model):
    """One VAE per emotion."""

    beta: float = 0.1
    """Weight of the KL term in training; scores use 1."""


@dataclass(frozen=True)
class Budget(Optimisation):
    """How every cell is trained."""

    epochs: int = 40
    """Passes over the training clips of every model."""
    pretrain_epochs: int = 10
    """How many of these a VAE makes over all emotions, before one VAE per emotion goes on alone."""
    linear_rate: float = 1e-2
    """Learning rate of logistic regression, instead of the networks' `--learning-rate`."""

    def of_classifier(self, model: ModelName) -> SupervisedTraining:
        """Return what a classifier is trained by."""
        training = SupervisedTraining(**self._shared, epochs=self.epochs)
        return replace(training, learning_rate=self.linear_rate) if model == "logreg" else training

    def of_vae(self) -> Training:
        """Return what VAEs are trained by: the same passes, cut in two."""
        alone = self.epochs - self.pretrain_epochs
        return Training(**self._shared, epochs=alone, pretrain_epochs=self.pretrain_epochs)

    @property
    def _shared(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(Optimisation)}


@dataclass(frozen=True)
class Grid:
    """Which cells, and where the page goes. The rows are `--kinds`, each alone, and all of them side by side."""

    models: tuple[ModelName, ...] = ("logreg", "mlp", "cnn", "lstm", "vae")
    """The columns."""
    reference: str = "mfcc-logreg"
    """The cell that all others are tested against, FEATURES-MODEL."""
    results: Path | None = None
    """Write the page here too: NAME.md, with NAME.json and NAME.png beside it."""


@dataclass(frozen=True, kw_only=True)
class Cell(SupervisedConfig):
    """The sections of a cell that is no VAE."""

    features: PictureFeatures
    model: NetworkFlags


@dataclass(frozen=True)
class Config:
    """Every field of every section is a flag; sizes carry their model's name."""

    grid: tyro.conf.OmitArgPrefixes[Grid] = field(default_factory=Grid)
    data: tyro.conf.OmitArgPrefixes[Data] = field(default_factory=Data)
    features: tyro.conf.OmitArgPrefixes[PictureFeatures] = field(
        default_factory=lambda: PictureFeatures(kinds=("mfcc", "mel", "chroma", "descriptors"))
    )
    training: tyro.conf.OmitArgPrefixes[Budget] = field(default_factory=Budget)
    machine: tyro.conf.OmitArgPrefixes[Machine] = field(default_factory=lambda: Machine(stack_size=16))
    logreg: Linear = field(default_factory=Linear)
    mlp: Mlp = field(default_factory=Mlp)
    cnn: Cnn = field(default_factory=lambda: Cnn(channels=(16, 32, 64), dense=(64,)))
    lstm: Lstm = field(default_factory=Lstm)
    vae: Vae = field(default_factory=Vae)

    @property
    def kinds(self) -> dict[str, tuple[PictureKind, ...]]:
        """The rows by name: which kinds of picture stand side by side in each."""
        alone: dict[str, tuple[PictureKind, ...]] = {kind: (kind,) for kind in self.features.kinds}
        return alone if len(alone) == 1 else alone | {ALL: self.features.kinds}

    @property
    def places(self) -> list[Place]:
        """The cells, row by row."""
        return [(feature, model) for feature in self.kinds for model in self.grid.models]

    @property
    def out(self) -> Path:
        """The folder of all cells' run folders."""
        cells = replace(self, grid=Grid(), machine=Machine())
        mark = fingerprint("features_models", {"cells": cells})
        return self.machine.out or default_out("features_models", self.data.corpus_name, mark)


def run(config: Config) -> None:
    """Train every cell that is not finished, then write and print the page."""
    check_flags(config)
    runs = dict(train(config))
    page = results_page(config, runs)
    if is_first():
        for path in filter(None, (config.out / "results.md", config.grid.results)):
            write_page(page, path)
    print_page(page)
    say(f"Written to {config.out}.")


def check_flags(config: Config) -> None:
    """Raise ConfigError for flags that make no sense, before anything is trained."""
    grid, training = config.grid, config.training
    config.features.frontend()
    if not grid.models or len(set(grid.models)) < len(grid.models):
        raise ConfigError(f"--models {' '.join(grid.models)}: expected one model at least, and each once.")
    names = ["-".join(place) for place in config.places]
    if grid.reference not in names:
        raise ConfigError(f"--reference {grid.reference}: expected one of the cells, {', '.join(names)}.")
    if not 0 <= training.pretrain_epochs < training.epochs:
        raise ConfigError(
            f"--pretrain-epochs {training.pretrain_epochs}: expected 0 or more, and less than --epochs "
            f"{training.epochs}, of which they are a part."
        )
    check_page(grid.results)
    for place in config.places:
        declare(config, place).check()


def train(config: Config) -> Iterator[tuple[Place, FinishedRun]]:
    """Train the cells one after another and yield each as it is read back from its folder."""
    for n, place in enumerate(config.places, 1):
        complete(config, place)
        found = read_run(config.out / "-".join(place))
        if not config.machine.quiet:
            say(f"{n} of {len(config.places)}: {' × '.join(place)}, {found.seconds / 60:.1f} min")
        yield place, found


def complete(config: Config, place: Place) -> None:
    """Train one cell in its run folder, unless it is finished."""
    stages.complete([declare(config, place)])


def declare(config: Config, place: Place) -> GenerativeStudy | SupervisedStudy:
    """Return one cell as a study with a run folder of its own."""
    feature, model = place
    name, training = "-".join(place), config.training
    features = replace(config.features, kinds=config.kinds[feature])
    machine = replace(config.machine, out=config.out / name)
    experiment = f"features_models/{name}"
    if model == "vae":
        sections = (config.vae, training.of_vae(), Classification(), machine)
        return GenerativeStudy(experiment, VAE, config.vae.beta, config.data, features, *sections)
    flags = getattr(config, model)
    cell = Cell(
        data=config.data, features=features, model=flags, training=training.of_classifier(model), machine=machine
    )
    return SupervisedStudy(experiment, cell)


def results_page(config: Config, runs: dict[Place, FinishedRun]) -> GridPage:
    """Return the page of finished cells."""
    reference = next(place for place in runs if "-".join(place) == config.grid.reference)
    entries, notes = make_entries(runs, reference)
    metrics = read_result(runs[reference].path / "metrics.json")
    n_seeds = config.data.seeds
    where = f"{metrics['corpus']}, {metrics['protocol']}, {n_seeds} seed{'s' * (n_seeds > 1)}"
    return GridPage(
        title=f"Features × models · {where}",
        about=about(config, metrics),
        features=tuple(config.kinds),
        models=config.grid.models,
        entries=entries,
        reference=" × ".join(reference),
        n_labels=len(metrics["labels"]),
        sees=sees(config),
        notes=notes,
        made=made(metrics, runs),
    )


def about(config: Config, metrics: dict) -> str:
    """Return the paragraph above the tables."""
    features, training = config.features, config.training
    shared = " **Test speakers occur in training.**" if metrics["speakers_shared"] else ""
    refit = " and is trained again on train + validation for that many" if training.refit else ""
    counts = {kind: features.one(kind).n_features for kind in features.kinds}
    sizes = ", ".join(f"{kind} {count}" for kind, count in counts.items())
    return (
        f"Corpus {metrics['corpus']}, protocol {metrics['protocol']}, {len(metrics['labels'])} classes.{shared} "
        f"Features per frame: {sizes}; {ALL}: these {sum(counts.values())} side by side; {features.frames} frames per "
        "clip. Every cell has the same clips and folds, features normalised by mean and standard deviation over "
        f"training rows, rolls of up to {training.roll_frames} frames, a learning rate of {training.learning_rate:g} "
        f"(logreg: {training.linear_rate:g}), and {training.epochs} epochs over the training clips (VAEs: "
        f"{training.pretrain_epochs} of them over all emotions together, then each alone, in as many steps as the "
        f"largest emotion needs). A fold keeps its best epoch by validation speakers{refit}, and a VAE's score; "
        "nothing else is chosen here; the VAE's form, β and rolls, and logistic regression's rate, come from MFCC of "
        "RAVDESS speech. The reference was declared beforehand."
    )


def sees(config: Config) -> dict[str, str]:
    """Return what each model is given of a clip, and its sizes."""
    widths = {
        "mlp": config.mlp.hidden,
        "cnn": config.cnn.channels,
        "lstm": config.lstm.hidden,
        "vae": config.vae.hidden,
    }
    size = {name: ", ".join(map(str, width)) for name, width in widths.items()}
    said = {
        "logreg": f"{POOLED[config.logreg.pooling]}; linear",
        "mlp": f"{POOLED[config.mlp.pooling]}; dense layers of {size['mlp']}",
        "cnn": (
            f"the picture as an image; 3 × 3 convolutions of {size['cnn']} channels, each halved in time and features. "
            "Neighbours among chroma and descriptors, and where two kinds meet, are neighbours by convention only"
        ),
        "lstm": f"the frames in their order; {config.lstm.kind} of {size['lstm']}, its states pooled over the clip",
        "vae": (
            f"the whole picture, padding included as zeros; one VAE per emotion, hidden {size['vae']}, latent "
            f"{config.vae.latent_dim}; the emotion whose VAE explains the clip best (score chosen per fold)"
        ),
    }
    return {name: said[name] for name in config.grid.models}


def made(metrics: dict, runs: dict[Place, FinishedRun]) -> dict[str, str]:
    """Return how the page was made."""
    minutes = sum(run.seconds for run in runs.values()) / 60
    return {
        "command": markdown_code(str(provenance()["command"])),
        "time": f"{minutes:.0f} minutes for {len(runs)} cells on {metrics['device']} ({metrics['machine']})",
        "versions": ", ".join(f"{name} {metrics['versions'][name]}" for name in ("python", "jax", "flax", "serjax")),
        "git": str(metrics["git"]),
    } | {f"corpus note {n}": markdown(Note.from_json(note).line) for n, note in enumerate(metrics["corpus_notes"], 1)}


if __name__ == "__main__":
    train_command(Config, run, __doc__, prefixes=True)
