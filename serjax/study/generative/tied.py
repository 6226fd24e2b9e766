"""A study of one tied VAE per cell, on pictures of all emotions: it classifies, and makes voices that can be heard."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

from serjax.data.feature_cache import default_cache_dir
from serjax.errors import ConfigError
from serjax.evaluate.predictions import Predictions, concatenate
from serjax.figures.training import draw_training
from serjax.models.tied_vae import TiedVAE
from serjax.study.checks import check_pictures, check_positive, check_stream, check_training
from serjax.study.fingerprint import StudyFlags
from serjax.study.flags import Data, Machine, Model, Optimisation
from serjax.study.frontends import MelFeatures
from serjax.study.generative.scores import compile_class_log_ratio
from serjax.study.generative.tied_start import LinearPath, silenced, with_paths
from serjax.study.generative.voices import draw_voices
from serjax.study.outcome import Facts, Outcome, predict
from serjax.study.problem import Problem, load_problem
from serjax.study.progress import Progresses
from serjax.study.runs import pooled_runs
from serjax.study.streamed import load_streamed
from serjax.study.trainer import Recipe, Request, Stages, Trainer, check_finite, fresh, pick
from serjax.train.objectives import ConditionalVaeObjective, PictureAugmentation
from serjax.train.pictures import PictureChanges
from serjax.train.runs import Run, stack_inputs
from serjax.train.shares import Trained
from serjax.train.state import gather_all
from serjax.train.waveforms import AugmentedFeatures


@dataclass(frozen=True)
class TiedModel(Model):
    """The autoencoder of all emotions."""

    class_dim: int | None = None
    """How many numbers of the code tell emotions apart; default: one less than there are emotions."""


@dataclass(frozen=True)
class TiedTraining(Optimisation):
    """How it is trained."""

    epochs: int = 60
    """Passes over the training clips; the best one on validation rows is kept."""
    beta: float = 1.0
    """Weight of the KL terms; 1: the bound of log p(x|emotion) itself."""


@dataclass(frozen=True, kw_only=True)
class TiedConfig:
    """The flags of an experiment with tied VAEs."""

    experiment: ClassVar[str]
    data: Data = field(default_factory=Data)
    features: MelFeatures = field(default_factory=MelFeatures)
    model: TiedModel = field(default_factory=TiedModel)
    training: TiedTraining = field(default_factory=TiedTraining)
    machine: Machine = field(default_factory=Machine)
    pictures: PictureChanges = field(default_factory=PictureChanges)

    def study(self) -> "TiedStudy":
        """Return the study that the flags say."""
        return TiedStudy(self.experiment, self)


@dataclass(frozen=True)
class TiedStudy:
    """A study of tied VAEs: its name, and everything its flags say."""

    experiment: str
    config: TiedConfig

    @property
    def flags(self) -> StudyFlags:
        """All that the flags say; changes of pictures that are off are no section, as before there were any."""
        config = self.config
        sections = {name: getattr(config, name) for name in ("data", "features", "model", "training")}
        sections["pictures"] = config.pictures if config.pictures.strengths else None
        problem = (config.data, config.features, config.machine.cache, config.machine.stream)
        return StudyFlags(self.experiment, sections, config.machine, problem)

    def check(self) -> None:
        """Raise ConfigError for a number that makes no sense."""
        model, training = self.config.model, self.config.training
        check_training(training)
        check_pictures(self.config.pictures, self.config.features.frontend())
        check_stream(self.config.machine, self.config.features.frontend(), in_memory={})
        check_positive("--latent-dim", model.latent_dim)
        check_positive("--hidden", min(model.hidden, default=0))
        check_positive("--stack-size", self.config.machine.stack_size)
        if model.class_dim is not None and not 1 <= model.class_dim <= model.latent_dim:
            raise ConfigError(f"--class-dim {model.class_dim}: expected 1 to --latent-dim, {model.latent_dim}.")
        if not 0 <= training.beta < np.inf:
            raise ConfigError(f"--beta {training.beta}: expected a number from 0 on, such as 1.")

    def load(self, shown: Progresses) -> Problem:
        """Read clips, features and folds."""
        config, report = self.config, shown.counter("features")
        if config.machine.stream:
            return load_streamed(config.data, config.features, config.machine, report)
        return load_problem(config.data, config.features, config.machine.cache or default_cache_dir(), report)

    def train(self, problem: Problem, trainer: Trainer) -> Stages[Outcome]:
        """Train a VAE per cell, score validation and test clips, and classify them."""
        training, network = self.config.training, self.network(problem)
        numbers = {"beta": training.beta, "pictures": self.config.pictures.strengths}
        runs = pooled_runs(problem, False, training, numbers, training.epochs, training.epochs)
        trained = yield self._request(problem, trainer, network, "train", runs)
        validates = len(problem.cells[0].fold.validation) > 0
        validation = classify(problem, trainer, network, runs, trained, "validation") if validates else None
        final, final_runs = trained, runs
        if training.refit:
            final_runs = pooled_runs(problem, True, training, numbers, trained.epoch_R, training.epochs)
            final = yield self._request(problem, trainer, network, "refit-train", final_runs)
        title, history = f"{self.experiment} · {problem.title}", trainer.history.read
        voices = partial(draw_voices, problem, network, pick(final.params, 0), final_runs[0])
        return Outcome(
            predictions=classify(problem, trainer, network, final_runs, final, "test"),
            facts=Facts(
                model=type(network).__name__,
                refit=training.refit,
                n_parameters=int(sum(array[0].size for array in jax.tree.leaves(final.params))),
                n_models=len(runs),
                device=trainer.layout.title,
                chosen_epochs={f"{r.seed}/{r.fold}": int(e) for r, e in zip(runs, trained.epoch_R, strict=True)},
            ),
            validation=validation,
            pictures={
                "learning.png": partial(draw_training, history, len(runs), ("all",), "loss / nats per element", title),
                "voices.png": partial(voices, self.config.features.frontend(), title),
            },
        )

    def network(self, problem: Problem) -> TiedVAE:
        """Return the model of a cell, for the pictures and classes of a problem."""
        model, n_classes = self.config.model, len(problem.labels)
        class_dim = model.class_dim or min(n_classes - 1, model.latent_dim)
        sizes = (*problem.x_NTC.shape[1:], model.latent_dim, model.hidden, model.architecture)
        return TiedVAE(*sizes, class_dim=class_dim, n_classes=n_classes)

    def _request(self, problem: Problem, trainer: Trainer, network: TiedVAE, name: str, runs: list[Run]) -> Request:
        training = self.config.training
        augmentation = PictureAugmentation.switched(training.roll_frames, training.noise)
        pictures, frontend = self.config.pictures, self.config.features.frontend()
        objective = ConditionalVaeObjective(network, augmentation, len(problem.labels), changes=pictures.switched)
        moved = AugmentedFeatures.of(pictures, frontend) if pictures.moves else None
        recipe = Recipe(objective, training, moved)
        fresh_of = fresh(runs, objective)

        def start(rows: range) -> dict[str, Any]:
            # A random last layer would stay: codes that carry nothing are drawn too, and sound as noise.
            return with_paths(silenced(fresh_of(rows)), [fit_path(problem, runs[r], network.class_dim) for r in rows])

        return Request(trainer, recipe, name, runs, start, problem)


def fit_path(problem: Problem, run: Run, n_dims: int) -> LinearPath:
    """Fit the linear part of a run's model to its training clips."""
    clips = problem.take(run.train)
    inputs = pick(stack_inputs([run]), 0)
    batch = gather_all(jax.device_put(clips), inputs, jnp.arange(len(run.train)))
    x_nD = np.asarray(batch.x_BTC).reshape(len(run.train), -1)
    return LinearPath.fit(x_nD, problem.truth_N[run.train], len(problem.labels), n_dims)


def classify(
    problem: Problem,
    trainer: Trainer,
    network: TiedVAE,
    runs: list[Run],
    trained: Trained,
    part: Literal["validation", "test"],
) -> Predictions:
    """Return what each cell's model says of its validation or test clips."""
    asked = [getattr(cell.fold, part) for cell in problem.cells]
    compiled = compile_class_log_ratio(network, trainer.layout.by_runs())
    ratios = trainer.evaluate_rows(compiled, runs, trained.params, problem, asked)
    ratio_RNK = np.zeros((len(runs), len(problem.truth_N), len(problem.labels)))
    for ratio_NK, rows, found in zip(ratio_RNK, asked, ratios, strict=True):
        ratio_NK[rows] = found
    check_finite(ratio_RNK, "log-likelihood ratios", runs, problem)
    cells = zip(problem.cells, ratio_RNK, asked, strict=True)
    return concatenate([predict(problem, cell, ratio_NK[rows], rows) for cell, ratio_NK, rows in cells])
