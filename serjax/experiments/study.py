"""One generative study from flags to run folder: what `vae_mfcc` and `ae_mfcc` have in common."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import numpy as np

from serjax.data.feature_cache import default_cache_dir
from serjax.evaluate.predictions import write_predictions
from serjax.evaluate.summary import summarise
from serjax.experiments import figures
from serjax.experiments.classification import (
    Setting,
    class_column,
    classification_pictures,
    print_notes,
    write_leaks,
)
from serjax.experiments.config import (
    Classification,
    ConfigError,
    Data,
    Machine,
    Model,
    Training,
    check_positive,
    check_training,
)
from serjax.experiments.config import fingerprint as make_fingerprint
from serjax.experiments.display import Progresses, interval, print_table, say
from serjax.experiments.generative import Explained, Kind, Models, explain, make_objective, train_models
from serjax.experiments.manifest import FIGURES, METRICS, PREDICTIONS
from serjax.experiments.problem import FeatureFlags, Problem, load_problem
from serjax.experiments.results_page import read_result
from serjax.experiments.run_folder import RunFolder, provenance
from serjax.experiments.stages import Stages, complete
from serjax.experiments.trainer import Trainer
from serjax.experiments.verdict import Matrices, Verdict, judge, merge, over_seeds, reconstruction_matrices
from serjax.models.autoencoder import Autoencoder
from serjax.models.conditional_vae import ConditionalVAE
from serjax.train.parallel import Layout
from serjax.train.runs import Run

RECONSTRUCTION = "reconstruction.json"


@dataclass(frozen=True)
class Study:
    """A generative study: which kind of model, and everything its flags say."""

    experiment: str
    kind: Kind
    beta: float
    data: Data
    features: FeatureFlags
    model: Model
    training: Training
    classification: Classification
    machine: Machine

    @property
    def fingerprint(self) -> str:
        """Return the hash of all that the result depends on."""
        sections = (self.data, self.features, self.model, self.training, self.classification)
        return make_fingerprint(f"{self.name} beta={self.beta!r}", sections)

    @property
    def conditional(self) -> bool:
        """Return whether one model serves all emotions of a cell."""
        return self.kind is ConditionalVAE

    @property
    def name(self) -> str:
        """Return what titles call it."""
        return self.experiment + ", conditional" * self.conditional

    @property
    def out(self) -> Path:
        """Return the run folder."""
        return self.machine.out or Path("runs") / f"{self.experiment}-{self.data.corpus_name}-{self.fingerprint[:8]}"

    @property
    def problem_flags(self) -> Hashable:
        """Return the flags that decide clips, features and folds."""
        return (self.data, self.features, self.machine.cache)

    def check(self) -> None:
        """Raise ConfigError for a number that makes no sense."""
        check_flags(self)

    def load(self, shown: Progresses) -> Problem:
        """Read clips, features and folds."""
        cache = self.machine.cache or default_cache_dir()
        return load_problem(self.data, self.features, cache, shown.counter("features"))

    def compute(self, problem: Problem, folder: RunFolder, layout: Layout, shown: Progresses) -> Stages[None]:
        """Train, classify and write the run folder."""
        return _compute(self, problem, folder, layout, shown)


def run_study(study: Study) -> None:
    """Train, classify, write the run folder and print the tables; go on where an earlier call was stopped."""
    print_results(study, complete_study(study))


def complete_study(study: Study) -> RunFolder:
    """Train, classify and write the run folder, or what is missing of it; return it finished."""
    return complete([study])[0]


def check_flags(study: Study) -> None:
    """Raise ConfigError for a number that makes no sense."""
    check_training(study.training)
    if study.training.pretrain_epochs < 0:
        raise ConfigError(f"--pretrain-epochs {study.training.pretrain_epochs}: expected 0 or more.")
    score = study.classification.score
    if study.kind is Autoencoder and score in ("elbo", "iwae"):
        raise ConfigError(f"--score {score}: a plain autoencoder has no likelihood. Choose reconstruction, or auto.")
    if not 0 <= study.beta < math.inf:
        raise ConfigError(f"--beta {study.beta}: expected a number from 0 on, such as 1.")
    model = study.model
    for flag, value in {
        "--latent-dim": model.latent_dim,
        "--importance-samples": study.classification.importance_samples,
        "--stack-size": study.machine.stack_size,
        "--hidden": min(model.hidden, default=0),
    }.items():
        check_positive(flag, value)


def _compute(study: Study, problem: Problem, folder: RunFolder, layout: Layout, shown: Progresses) -> Stages[None]:
    sections = (study.data, study.features, study.model, study.training, study.classification, study.machine)
    folder.claim(sections, beta=study.beta, conditional=study.conditional)
    folder.meet(problem.digest())
    trainer = Trainer(
        objective=make_objective(study.kind, study.model, study.training, problem),
        training=study.training,
        layout=layout,
        stacking=study.machine.stacking,
        stack_size=study.machine.stack_size,
        save_every_s=study.machine.save_every,
        checkpoints=folder.path / "checkpoints",
        history=folder.history,
        fingerprint=study.fingerprint,
        report=shown.training,
    )
    selected = yield from train_models(problem, trainer, study.training, study.beta)
    refitted = None
    if study.training.refit:
        refitted = yield from train_models(problem, trainer, study.training, study.beta, selected)
    selecting, final = _explain(study, problem, selected, refitted, trainer)
    shown.update("scores", 1, 1)
    if not folder.writes:
        return
    verdict = judge(problem, refitted or selected, final, selecting, study.classification.class_prior)
    matrices = {
        scaling: reconstruction_matrices(problem, selected, selecting, scaling == "minmax")
        for scaling in ("standard", "minmax")
    }
    _write(study, folder, layout, problem, selected, final, verdict, matrices)


def _explain(
    study: Study, problem: Problem, selected: Models, refitted: Models | None, trainer: Trainer
) -> tuple[Explained, Explained]:
    """Return how the selected models explain validation clips, and the final ones test clips."""
    n_classes, n_samples = len(problem.labels), study.classification.importance_samples
    folds = [problem.cells[r // n_classes].fold for r in range(len(selected.runs))]
    if refitted is None:
        both = [np.concatenate([fold.validation, fold.test]) for fold in folds]
        explained = explain(problem, selected, both.__getitem__, n_samples, trainer)
        return explained, explained
    selecting = explain(problem, selected, lambda r: folds[r].validation, n_samples, trainer)
    return selecting, explain(problem, refitted, lambda r: folds[r].test, n_samples, trainer)


def _write(
    study: Study,
    folder: RunFolder,
    layout: Layout,
    problem: Problem,
    selected: Models,
    final: Explained,
    verdict: Verdict,
    matrices: Mapping[str, Mapping[int, Matrices]],
) -> None:
    """Write everything of the run folder: results, then pictures, then what makes it finished."""
    predictions = verdict.by_score[study.classification.score]
    title, drawn = f"{study.name} · {problem.title}", folder.path / FIGURES
    seen = tuple(dict.fromkeys(run.emotion for run in selected.trained_runs))
    history, frontend = folder.history.read(), study.features.frontend()
    write_predictions(predictions, folder.path / PREDICTIONS)
    write_leaks(folder, Setting.of(problem))
    folder.write_json(RECONSTRUCTION, reconstruction_content(problem, matrices))
    folder.write_json(METRICS, metrics_content(study, folder, layout, problem, selected, final, verdict))
    training = history, len(selected.trained_runs), seen, "loss / nats an element"
    folder.finish(
        {
            **classification_pictures(folder, predictions, title),
            "learning.png": partial(figures.draw_training, *training, title, drawn),
            "reconstruction_matrix.png": partial(
                figures.draw_reconstruction, over_seeds(matrices["standard"]), problem.labels, title, drawn
            ),
            "reconstructions.png": partial(figures.draw_examples, problem, selected, frontend, title, drawn),
            "latents.png": partial(figures.draw_latents, problem, selected, title, drawn),
        }
    )


def metrics_content(
    study: Study,
    folder: RunFolder,
    layout: Layout,
    problem: Problem,
    selected: Models,
    final: Explained,
    verdict: Verdict,
) -> dict[str, object]:
    """Return `metrics.json`: the figures of the chosen score on top, those of all scores below."""
    by_score = {name: summarise(p, problem.speakers_shared) for name, p in verdict.by_score.items()}
    n_parameters = sum(a[0].size for a in jax.tree.leaves(selected.trained.params))
    return {
        "experiment": study.experiment,
        "corpus": problem.corpus.name,
        "corpus_notes": [note.as_json() for note in problem.corpus.notes],
        "offset_s": problem.offset_s,
        "protocol": problem.protocol,
        "speakers_shared": problem.speakers_shared,
        "texts_shared": problem.texts_shared,
        "leak": problem.leak,
        "refit": study.training.refit,
        "labels": list(problem.labels),
        "told_apart": problem.told_apart,
        "title": problem.title,
        "score": study.classification.score,
        **by_score[study.classification.score],
        "scores": by_score,
        "chosen_scores": verdict.chosen,
        "validation_uar": verdict.validation_uar,
        "chosen_epochs": _by_run(selected.trained_runs, selected.trained.epoch_R.tolist()),
        "noise_variance": _by_cell(problem, final.variance_c),
        "n_parameters": int(n_parameters),
        "n_models": len(selected.trained_runs),
        "seconds": folder.seconds,
        "device": f"{len(layout.devices)} × {layout.devices[0].device_kind} ({layout.devices[0].platform})",
        **provenance(),
    }


def reconstruction_content(problem: Problem, matrices: Mapping[str, Mapping[int, Matrices]]) -> dict[str, object]:
    """Return `reconstruction.json`: matrices [vae emotion][clip emotion] of the models chosen on validation rows."""

    def of_all(by_seed: Mapping[int, Matrices]) -> dict[str, object]:
        return rows(over_seeds(by_seed)) | {"by_seed": {str(seed): rows(parts) for seed, parts in by_seed.items()}}

    def rows(parts: Matrices) -> dict[str, object]:
        return {**{part: matrix.rows() for part, matrix in parts.items()}, "all": merge(parts).rows()}

    return {
        "labels": list(problem.labels),
        "corpus": problem.corpus.name,
        "protocol": problem.protocol,
        "unit": "mean squared error a valid element, features divided by the standard deviation of training rows",
        **of_all(matrices["standard"]),
        "minmax": {
            "unit": "the same, each coefficient divided by its range (maximum − minimum) over training rows",
            **of_all(matrices["minmax"]),
        },
    }


def print_results(study: Study, folder: RunFolder) -> None:
    """Print the tables of a finished run folder."""
    metrics, reconstruction = (read_result(folder.path / name) for name in (METRICS, RECONSTRUCTION))
    where = metrics["title"]
    leak = " — SPEAKERS SHARED between train and test" if metrics["speakers_shared"] else ""
    fit = "trained again on train + validation" if metrics["refit"] else "trained on train"
    rows = []
    for name, s in metrics["scores"].items():
        marked = f"{name} *" if name == metrics["score"] else name
        reached = (s["uar"], s["uar_sd"], interval(s["uar_ci95"]), s["war"], s["macro_f1"], s["roc_auc"]["macro"])
        rows.append((marked, *reached))
    header = ("score (* classifies)", "UAR", "sd", "95 % interval", "WAR", "macro-F1", "ROC-AUC")
    print_table(f"{study.name}: {where}; {fit}{leak}", header, rows)
    per_class = [(n, c["precision"], c["recall"], c["f1"], c["support"]) for n, c in metrics["per_class"].items()]
    kind = class_column(metrics)
    print_table(f"By {kind}: {where}", (kind, "precision", "recall", "F1", "clips × seeds"), per_class)
    labels = reconstruction["labels"]
    matrix = [(f"model of {label}", *row) for label, row in zip(labels, reconstruction["test"], strict=True)]
    print_table(f"Mean reconstruction loss of test clips: {where}", ("", *labels), matrix)
    if len(labels) == 2:
        print_published(study, where, reconstruction)
    print_notes(metrics)
    say(f"Written to {folder.path} in {metrics['seconds']:.0f} s.")


def print_published(study: Study, where: str, reconstruction: dict) -> None:
    """Print the two-emotion table as it was published: one model, loss on its own clips and on the other's."""
    parts, labels = reconstruction["minmax"], reconstruction["labels"]
    rows = []
    for i, own in enumerate(labels):
        j = 1 - i
        inside, outside = parts["all"][i][i], parts["all"][i][j]
        cells = (parts["train"][i][i], parts["test"][i][i], inside, outside, outside / inside if inside else math.inf)
        rows.append((f"{study.kind.__name__} of {own}", *(f"{value:.4f}" for value in cells)))
    header = ("trained on", "own, train", "own, test", "own, all", "other, all", "other / own")
    print_table(f"Reconstruction loss, features scaled to [0, 1] on training rows: {where}", header, rows)


def _by_run(runs: Sequence[Run], values: list) -> dict[str, object]:
    return {f"{r.seed}/{r.fold}/{r.emotion}": value for r, value in zip(runs, values, strict=True)}


def _by_cell(problem: Problem, values_c: np.ndarray | None) -> dict[str, float] | None:
    if values_c is None:
        return None
    return {f"{cell.seed}/{cell.fold.name}": float(v) for cell, v in zip(problem.cells, values_c, strict=True)}
