"""Fit a run's system again to all its rows, and write it as a bundle that needs neither the run nor its clips.

    python -m serjax.export runs/vae_mfcc-ravdess-01234567 my_bundle

The bundle keeps weights, labels, front end, calibration, figures of the run, hashes and fingerprints of training clips.
To use it: `python -m serjax.predict my_bundle clip.wav`. Each fold is fitted once more, to measure on its validation
clips how short a clip may be and which clips are unlike training.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from serjax.bundle.about import CARD, PROGRAM, About, Listening, Training
from serjax.bundle.bundle import Bundle
from serjax.bundle.content import content_of_file
from serjax.bundle.folder import check_free, write_bundle
from serjax.bundle.programs import keep_programs, write_program
from serjax.command import run_command
from serjax.data.corpora.corpus import AudioSource, Corpus, FileSource
from serjax.data.corpora.joined import JoinedSource
from serjax.data.feature_cache import default_cache_dir
from serjax.data.known import KnownRecordings
from serjax.export.card import model_card, run_facts
from serjax.export.measure import calibrate, find_shortest, find_threshold, score_held_out
from serjax.export.rebuild import ExportedRun, read_exported
from serjax.export.refit import Refitted, cells_to_fit, of_seeds, refit, with_cells
from serjax.files import write_text
from serjax.folder.run_folder import Clock, RunFolder
from serjax.provenance import versions
from serjax.study.checks import check_positive
from serjax.study.flags import Data
from serjax.study.problem import Cell, Problem, Report, fingerprints_of
from serjax.study.progress import Progresses, progresses
from serjax.study.stages import lay_out, make_trainer


@dataclass(frozen=True)
class Config:
    """What is exported, and to where."""

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of a finished run."""
    bundle: Annotated[Path, tyro.conf.Positional]
    """New folder, or that of an earlier bundle."""
    seeds: int = 1
    """Systems of so many seeds, whose probabilities are averaged."""
    root: Path | None = None
    """Folder of the corpus, where it has moved since the run."""
    quiet: bool = False
    """No progress, only the result."""


def export(config: Config) -> None:
    """Fit, measure and write.

    Raises:
      BundleError: the run cannot be exported, or the bundle's folder holds something else.
      ConfigError: the run is not finished, or was changed.
    """
    check_positive("--seeds", config.seeds)
    check_free(config.bundle)
    run = read_exported(config.run, config.root)
    run.study.check()
    keep_programs()
    layout = lay_out(run.study.flags.machine)
    with progresses(config.quiet) as shown, tempfile.TemporaryDirectory() as work:
        problem = run.study.load(shown)
        if problem.digest() != run.config.get("clips"):
            shown.say("Clips or features differ in some bit from those of the run, whose figures are kept.")
        problem = with_cells(problem, cells_to_fit(problem, config.seeds))
        flags = run.study.flags
        trainer = make_trainer(
            flags, RunFolder(Path(work), flags.experiment, flags.fingerprint, Clock()), layout, shown
        )
        refitted = refit(run, problem, trainer)
        bundle = measured(run, problem, refitted, config.seeds, shown)
    bundle = write_bundle(bundle, config.bundle)
    write_program(bundle, config.bundle / PROGRAM)
    write_text(config.bundle / CARD, model_card(bundle.about))
    print(f"{config.bundle}: {bundle.about.training.n_clips} clips, {len(bundle.about.labels)} labels.")
    print(f"Use it: python -m serjax.predict {config.bundle} CLIP.wav")


def measured(run: ExportedRun, problem: Problem, refitted: Refitted, n_seeds: int, shown: Progresses) -> Bundle:
    """Return the system fitted to all rows, with what held-out clips say of it."""
    data = run.study.flags.sections["data"]
    assert isinstance(data, Data)
    offset_s = min(window["offset_s"] for window in problem.windows.values())
    listening = Listening(offset_s, data.duration)
    folds: tuple[Cell, ...] = problem.cells[n_seeds:]
    shown.say(f"Measuring on the validation clips of {len(folds)} folds …")
    held_out = score_held_out(refitted.system, refitted.weights[n_seeds:], problem, folds, listening)
    unit = refitted.unit or (1.0 if held_out is None else held_out.unit)
    about = About(
        labels=problem.labels,
        system=refitted.system.describe(),
        listening=listening,
        calibration=calibrate(run.finished.validation, unit),
        training=Training(len(problem.truth_N), content_hashes(problem.corpus)),
        weights_sha256="",
        out_of_corpus=find_threshold(refitted.system, run.finished.validation, held_out),
        too_short=find_shortest(held_out),
        run=run_facts(run, problem),
        refit={**refitted.chosen, "seeds": n_seeds},
        versions=versions(),
    )
    known = known_recordings(problem, data, run.study.flags.machine.cache, shown.counter("fingerprints"))
    return Bundle(about, refitted.system, of_seeds(refitted.weights[:n_seeds]), known)


def content_hashes(corpus: Corpus) -> tuple[str, ...] | None:
    """Return the content of each file with training clips; None where clips are no files."""
    files = {_file_of(corpus.source, clip.path) for clip in corpus.utterances}
    return None if None in files else tuple(sorted({content_of_file(file) for file in files if file}))


def known_recordings(problem: Problem, data: Data, cache: Path | None, report: Report) -> KnownRecordings | None:
    """Return the fingerprints of training clips, which the run has computed; None where clips are no recordings."""
    prints = fingerprints_of(problem.corpus, data, cache or default_cache_dir(), report)
    return KnownRecordings.of(prints) if prints else None


def _file_of(source: AudioSource, path: str) -> Path | None:
    match source:
        case FileSource():
            return source.file(path)
        case JoinedSource():
            name, _, inner = path.partition("/")
            return _file_of(source.parts[name], inner)
    return None


if __name__ == "__main__":
    run_command(Config, export, __doc__)
