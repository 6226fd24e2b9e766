"""Classical models on one vector per clip, from flags to run folders."""

import functools
from collections.abc import Callable
from functools import partial
from pathlib import Path

from serjax.data.feature_cache import default_cache_dir
from serjax.errors import ConfigError
from serjax.files import copy
from serjax.folder.finished import read_result
from serjax.folder.manifest import FIGURES, LEAKS, METRICS, PREDICTIONS, VALIDATION, is_finished
from serjax.folder.run_folder import RunFolder, open_run_folder
from serjax.models.classical.specs import OnComponents, Weighable
from serjax.models.classical.two_stage import TwoStage
from serjax.study import vote
from serjax.study.checks import check_positive
from serjax.study.fingerprint import default_out, fingerprint
from serjax.study.outcome import Setting
from serjax.study.progress import Progresses, progresses
from serjax.study.tabular.cells import Row, Tuning, run_row
from serjax.study.tabular.flags import TabularConfig
from serjax.study.tabular.table import Table, load_table
from serjax.study.writer import tell_leaks, write_leaks, write_outcome


def complete_tabular(config: TabularConfig) -> dict[str, Path]:
    """Fit what the run folder lacks and write it; return the run folder of each model and vote by its name."""
    check_flags(config)
    rows, out = rows_of(config), folder_of(config)
    with progresses(config.output.quiet, config.output.log_json) as shown:
        if is_finished(out):
            shown.say(f"{out} is finished: the corpus is not read again.")
        if len(rows) > 1:
            return _run_several(config, rows, out, shown)
        _run_row(config, rows[0], out, out, _loader(config, shown), shown)
        return {rows[0].name: out}


def fingerprint_of(config: TabularConfig) -> str:
    """Return the hash of all that the result depends on: of the models, only those that are fitted."""
    models = {row.name: row.model for row in rows_of(config)}
    return fingerprint("tabular", {**_sections(config), "models": models, "votes": config.choice.votes})


def folder_of(config: TabularConfig) -> Path:
    """Return the run folder."""
    return config.output.out or default_out("tabular", config.data.corpus_name, fingerprint_of(config))


def check_flags(config: TabularConfig) -> None:
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


def rows_of(config: TabularConfig) -> tuple[Row, ...]:
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


def _run_several(config: TabularConfig, rows: tuple[Row, ...], out: Path, shown: Progresses) -> dict[str, Path]:
    """Fill a folder with one run folder for each row and vote; return where they are."""
    load = _loader(config, shown)
    places = {row.name: out / row.name for row in rows}
    ballots = {f"vote-{text.replace('*', 'x')}": vote.parse(text, config.choice.models) for text in config.choice.votes}
    with open_run_folder(out, "tabular", fingerprint_of(config)) as folder:
        if not folder.claimed:
            load()  # what is wrong with the data is said before the folder is claimed
            folder.claim({**_sections(config), "choice": config.choice})
        if not all(map(is_finished, places.values())):
            folder.check_clips(load().digest())  # what is there already must be of the same clips
        for row in rows:
            _run_row(config, row, out / row.name, out / row.single, load, shown)
        for name, ballot in ballots.items():
            vote.write_vote([places[member] for member, _ in ballot], [weight for _, weight in ballot], out / name)
            places[name] = out / name
        if not folder.finished:
            _put_first_on_top(folder, places)
    return places


def _put_first_on_top(folder: RunFolder, places: dict[str, Path]) -> None:
    """Make the common folder a run folder too: that of the model named first, with a summary of all."""
    first, *_ = places.values()
    for name in (PREDICTIONS, VALIDATION, LEAKS):
        if (first / name).exists():
            copy(first / name, folder.path / name)
    found = {name: read_result(place / METRICS) for name, place in places.items()}
    kept = ("uar", "uar_sd", "uar_ci95", "war", "macro_f1", "train_war", "cv_war")
    models = {name: {key: metrics.get(key) for key in kept} for name, metrics in found.items()}
    folder.write_json(METRICS, {**read_result(first / METRICS), "models": models})
    pictures = ("confusion.png", "roc.png", "reliability.png")
    folder.finish({name: partial(_copy_picture, first / FIGURES / name) for name in pictures})


def _copy_picture(source: Path, folder: Path) -> None:
    copy(source, folder / source.name)


def _loader(config: TabularConfig, shown: Progresses) -> Callable[[], Table]:
    """Return what loads the table when it is first asked for: a finished run needs none."""
    cache = config.output.cache or default_cache_dir()

    @functools.cache
    def load() -> Table:
        table = load_table(config.data, config.features, cache, shown)
        tell_leaks(table.problem, shown.say)
        return table

    return load


def _run_row(
    config: TabularConfig, row: Row, out: Path, studies: Path, load: Callable[[], Table], shown: Progresses
) -> None:
    sections = {**_sections(config), row.single: row.model}
    experiment = f"tabular/{row.name}"
    with open_run_folder(out, experiment, fingerprint(experiment, sections)) as folder:
        if not folder.finished:
            table = load()
            folder.claim(sections)
            folder.check_clips(table.digest())
            write_leaks(folder, Setting.of(table.problem))
            fitting, journal = config.fitting, studies / "tuning.journal"
            tuning = Tuning(fitting.tune, fitting.inner_folds, journal, fitting.cv_folds, fitting.cv_seeds)
            outcome = run_row(row, table, folder, tuning, shown)
            write_outcome(folder, Setting.of(table.problem), outcome)


def _sections(config: TabularConfig) -> dict[str, object]:
    """Return the flags that the results of all models depend on."""
    return {"data": config.data, "features": config.features, "fitting": config.fitting}
