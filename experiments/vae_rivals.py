"""Rivals of the per-emotion VAEs: simple classifiers on the same MFCC pictures and the same folds.

Question: does one VAE per emotion tell emotions apart better than what costs minutes: one PCA per emotion (a
linear autoencoder), one Gaussian mixture per emotion, or logistic regression?

    python -m experiments.vae_rivals --corpus ravdess --root RAVDESS \
        --protocol speaker-6fold --run runs/vae --out runs/rivals --results experiments/results/vae_rivals.md

Each fold chooses a rival's setting by UAR on its own validation speakers, then (`--refit`) fits it again on train +
validation, as `serjax.experiments.vae_mfcc` does; `pca-5` is fixed and chooses nothing. Without arguments it runs on
the synthetic corpus. Figures: experiments/results/vae_rivals.md.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from serjax.command import run_command
from serjax.data.feature_cache import default_cache_dir
from serjax.data.notes import Note
from serjax.errors import ConfigError
from serjax.escape import markdown, markdown_code
from serjax.evaluate.comparison import Difference, difference
from serjax.evaluate.generative import classify
from serjax.evaluate.metrics import confusion, uar
from serjax.evaluate.predictions import concatenate, read_predictions
from serjax.figures.tables import say
from serjax.folder.finished import read_result
from serjax.folder.manifest import METRICS, PREDICTIONS, is_finished
from serjax.folder.run_folder import RunFolder, open_run_folder
from serjax.models.classical.packages import one_thread
from serjax.models.classical.pictures import Logistic, MixturePerClass, PcaPerClass, Recipe, fit
from serjax.provenance import provenance
from serjax.results.classifiers import Page, Row, print_page, rows_of_run, write_page
from serjax.results.page import check_page
from serjax.results.reached import adjusted, tested
from serjax.study import flags
from serjax.study.fingerprint import default_out, fingerprint
from serjax.study.flags import Data
from serjax.study.frontends import Features
from serjax.study.outcome import Facts, Outcome, Setting, predict
from serjax.study.problem import Cell, Problem, load_problem
from serjax.study.progress import Progresses, progresses
from serjax.study.writer import tell_leaks, write_outcome
from serjax.train.runs import fit_normaliser


@dataclass(frozen=True)
class Rival:
    """A kind of classifier and the settings it may choose from, the simplest first."""

    name: str
    about: str
    recipes: tuple[Recipe, ...]


RIVALS = (
    Rival("pca", "PCA per emotion", tuple(PcaPerClass(n) for n in (2, 5, 10, 20, 40))),
    Rival("pca-5", "PCA per emotion, 5 components, fixed", (PcaPerClass(5),)),
    Rival(
        "mixture",
        "Gaussian mixture per emotion, over frames",
        (*(MixturePerClass(n, "diag") for n in (8, 16, 32)), *(MixturePerClass(n, "full") for n in (2, 4, 8))),
    ),
    Rival(
        "logistic",
        "logistic regression",
        (*(Logistic(c, "moments") for c in (0.01, 0.1, 1.0)), *(Logistic(c, "picture") for c in (1e-5, 1e-4, 1e-3))),
    ),
)


@dataclass(frozen=True)
class Selection:
    """How a rival's setting is chosen."""

    refit: bool = False
    """Fit each fold again on train + validation speakers with what validation chose."""


@dataclass(frozen=True)
class Output(flags.Output):
    """What it is compared with and where results go; not part of the configuration's fingerprint."""

    run: Path | None = None
    """Run folder of the same corpus, protocol and features (serjax.experiments.vae_mfcc) to test the rivals against."""
    results: Path | None = None
    """Write the results page here too: NAME.md, with NAME.json and NAME.png beside it."""


@dataclass(frozen=True)
class Config:
    """Every field of every section is a flag."""

    data: Data = field(default_factory=Data)
    features: Features = field(default_factory=Features)
    selection: Selection = field(default_factory=Selection)
    output: Output = field(default_factory=Output)


def run(config: Config) -> None:
    """Fit the rivals that the run folder lacks, then write and print the results page."""
    output, sections = config.output, sections_of(config)
    check_page(output.results)
    if output.run is not None:
        rows_of_run(output.run)  # tell before minutes of fitting that there is nothing to compare with
    mark = fingerprint("vae_rivals", sections)
    out = output.out or default_out("vae_rivals", config.data.corpus_name, mark)
    with open_run_folder(out, "vae_rivals", mark) as folder:
        missing = [rival for rival in RIVALS if not is_finished(folder.path / rival.name)]
        if missing:
            with progresses(output.quiet, output.log_json) as shown, one_thread():
                fit_rivals(config, folder, missing, shown)
        page = results_page(folder, output.run)
        for path in filter(None, (folder.path / "results.md", output.results)):
            write_page(page, path)
        print_page(page)
        say(f"Written to {folder.path}.")


def sections_of(config: Config) -> dict[str, object]:
    """Return the flags that the results depend on, and what each rival may choose from."""
    rivals = {rival.name: [vars(recipe) for recipe in rival.recipes] for rival in RIVALS}
    return {"data": config.data, "features": config.features, "selection": config.selection, "rivals": rivals}


def fit_rivals(config: Config, folder: RunFolder, rivals: list[Rival], shown: Progresses) -> None:
    """Fit, test and write each of `rivals` into a folder of its own."""
    cache = config.output.cache or default_cache_dir()
    problem, sections = (
        load_problem(config.data, config.features, cache, shown.counter("features"), shown.counter("fingerprints")),
        sections_of(config),
    )
    tell_leaks(problem, shown.say)
    folder.claim(sections)
    folder.check_clips(problem.digest())
    for rival in rivals:
        experiment = f"vae_rivals/{rival.name}"
        with open_run_folder(folder.path / rival.name, experiment, fingerprint(experiment, sections)) as own:
            own.claim(sections)
            write_outcome(own, Setting.of(problem), classify_by(problem, rival, config.selection.refit, shown))


def classify_by(problem: Problem, rival: Rival, refit: bool, shown: Progresses) -> Outcome:
    """Return what a rival says of the test and validation clips of all cells, and what each cell chose."""
    test, validation, chosen = [], [], {}
    for n, cell in enumerate(problem.cells):
        fold = cell.fold
        recipe, validation_NK = choose(problem, cell, rival.recipes)
        train = np.sort(np.concatenate([fold.train, fold.validation])) if refit else fold.train
        test.append(predict(problem, cell, scores(problem, recipe, train, fold.test, cell.seed)))
        validation.append(predict(problem, cell, validation_NK, fold.validation))
        if len(rival.recipes) > 1:
            chosen[f"{cell.seed}/{fold.name}"] = str(recipe)
        shown.update(rival.name, n + 1, len(problem.cells))
    facts = Facts(model=rival.name, refit=refit, n_parameters=None, n_models=None, chosen=chosen)
    return Outcome(concatenate(test), facts, concatenate(validation))


def choose(problem: Problem, cell: Cell, recipes: tuple[Recipe, ...]) -> tuple[Recipe, Float[np.ndarray, "m K"]]:
    """Return the recipe that, fitted to the cell's training rows, has the highest UAR on its validation rows.

    The first of equals, with its scores of the validation rows; test rows are not looked at.
    """
    rows, n_classes = cell.fold.validation, len(problem.labels)
    found = [scores(problem, recipe, cell.fold.train, rows, cell.seed) for recipe in recipes]
    reached = [uar(confusion(problem.truth_N[rows], classify(scores_NK), n_classes)) for scores_NK in found]
    best = int(np.argmax(reached))
    return recipes[best], found[best]


def scores(
    problem: Problem, recipe: Recipe, train: Int[np.ndarray, " n"], rows: Int[np.ndarray, " m"], seed: int
) -> Float[np.ndarray, "m K"]:
    """Return the scores of `rows` under a recipe; it and the normaliser are fitted to the rows `train` alone."""
    shift_C, scale_C = fit_normaliser(problem.x_NTC, problem.mask_NT, train)

    def pictures(rows: Int[np.ndarray, " r"]) -> Float[np.ndarray, "r T C"]:
        return (problem.x_NTC[rows] - shift_C) / scale_C * problem.mask_NT[rows][..., None]

    mask_NT = problem.mask_NT > 0
    scorer = fit(recipe, pictures(train), mask_NT[train], problem.truth_N[train], len(problem.labels), seed)
    return scorer(pictures(rows), mask_NT[rows])


def results_page(folder: RunFolder, run: Path | None) -> Page:
    """Return the page: the rows of `run` by score, if given, then the rivals, each tested against what `run` chose."""
    found = {rival.name: read_result(folder.path / rival.name / METRICS) for rival in RIVALS}
    first = found[RIVALS[0].name]
    rows: tuple[Row, ...] = ()
    if run is not None:
        check_same_problem(run, folder, first)
        rows = rows_of_run(run)
    for rival in RIVALS:
        row = Row.of(rival.name, rival.about, found[rival.name], found[rival.name]["chosen"])
        if run is not None:
            row = tested(row, _test(run, folder.path / rival.name, first["speakers_shared"]))
        rows += (row,)
    return Page(
        title=f"Rivals of the per-emotion VAEs · {first['title'].rpartition(', ')[0]}",  # without seeds: rows differ
        about=_about(first),
        rows=adjusted(rows),
        n_classes=len(first["labels"]),
        reference=None if run is None else rows[0].name,
        made=_made(found, run),
    )


def check_same_problem(run: Path, folder: RunFolder, rival: dict) -> None:
    """Raise ConfigError unless a run is finished and has the rivals' corpus, protocol, features and refitting."""
    theirs, ours = read_result(run / METRICS), rival
    for name in ("corpus", "protocol", "refit", "offset_s"):
        if theirs[name] != ours[name]:
            raise ConfigError(f"--run {run} has {name} {theirs[name]}, the rivals have {ours[name]}: give the same.")
    theirs, ours = read_result(run / "config.json")["config"], read_result(folder.path / "config.json")["config"]
    for section, name in [("data", "duration"), *(("features", name) for name in ours["features"])]:
        if theirs[section][name] != ours[section][name]:
            raise ConfigError(
                f"--run {run} has --{name.replace('_', '-')} {theirs[section][name]}, the rivals have "
                f"{ours[section][name]}: they compare on the same features only."
            )


def _test(run: Path, rival: Path, speakers_shared: bool) -> Difference:
    first, second = (read_predictions(folder / PREDICTIONS) for folder in (run, rival))
    return difference(first, second, "uar", speakers_shared=speakers_shared)


def _about(rival: dict) -> str:
    fitted = "fitted again on train + validation" if rival["refit"] else "fitted on train"
    shared = " **Test speakers occur in training.**" if rival["speakers_shared"] else ""
    return (
        f"Corpus {rival['corpus']}, protocol {rival['protocol']}, {len(rival['labels'])} emotions.{shared} All rows "
        "use the same MFCC pictures, folds and normaliser rule (mean and standard deviation of each coefficient over "
        "training rows). Where a row chooses (table below), each fold does so by UAR on its own validation rows; "
        f"models are {fitted}. A VAE keeps its best validation epoch; the rest of its recipe "
        "is the same in all folds. Intervals: "
        "bootstrap over speakers, 2 000 resamples. p: all predictions of a speaker swapped together, 10 000 "
        "permutations; Holm over the rivals."
    )


def _made(found: dict[str, dict], run: Path | None) -> dict[str, str]:
    first = found[RIVALS[0].name]
    made = {
        "command": markdown_code(str(provenance()["command"])),
        "rivals": "; ".join(f"{n} {f['seconds'] / 60:.1f} min" for n, f in found.items()) + f" ({first['machine']})",
        "settings": "; ".join(f"{rival.name}: {' / '.join(map(str, rival.recipes))}" for rival in RIVALS),
        "versions": ", ".join(f"{n} {first['versions'][n]}" for n in ("python", "scikit-learn", "numpy", "serjax")),
        "git": str(first["git"]),
    }
    if run is not None:
        theirs = read_result(run / METRICS)
        made["compared run"] = (
            f"{markdown_code(theirs['command'])}, {theirs['seconds'] / 60:.1f} min, git {theirs['git']}"
        )
    return made | {
        f"corpus note {n}": markdown(Note.from_json(note).line) for n, note in enumerate(first["corpus_notes"], 1)
    }


if __name__ == "__main__":
    run_command(Config, run, __doc__)
