"""Happy against sad: does an autoencoder trained on happy speech reconstruct sad speech worse?

A course report trained an autoencoder and a VAE with a 128-d latent on the MFCCs of the 192 happy RAVDESS clips and
found losses of .0148 (happy) against .0193 (sad), and .0098 against .0235. It leaves open the scaling and the split,
and the happy clips it scored are probably those it trained on. Here: mean squared error an element after
scaling each coefficient to [0, 1] by its range over training rows; the same loss apart for training clips, held-out
clips and all 192; models see only their own emotion (no pretraining, no rolls), which is what the report did.

    python -m experiments.happy_sad --corpus ravdess --root RAVDESS --seeds 10 --out runs/happy-sad

Ten minutes on 2 CPU cores. Without arguments it runs on the synthetic corpus.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from experiments.sweep import Page
from serjax.data.splits import Protocol
from serjax.errors import ConfigError
from serjax.figures.tables import Cell, interval
from serjax.folder.finished import read_result
from serjax.folder.manifest import METRICS, RECONSTRUCTION
from serjax.main import train_command
from serjax.models.autoencoder import Autoencoder
from serjax.models.vae import VAE
from serjax.provenance import provenance
from serjax.results.reconstruction import loss_columns, losses_of
from serjax.results.show import show
from serjax.results.table_page import TablePage, print_page, write_page
from serjax.study.flags import Classification, Data, Machine, Model, Training
from serjax.study.frontends import Features
from serjax.study.generative.study import GenerativeStudy
from serjax.study.stages import complete
from serjax.train.processes import is_first

EMOTIONS = ("happy", "sad")
PROTOCOLS: tuple[Protocol, ...] = ("random-80-20", "speaker-6fold")
REPORTED = {"ae_mfcc": (0.0148, 0.0193), "vae_mfcc": (0.0098, 0.0235)}
HEADER = ("model", "protocol", *loss_columns(*EMOTIONS), "UAR", "95 %")
NOTES = """Loss: mean squared error an element, each coefficient divided by its range over training rows.
UAR: of the two-class classifier by reconstruction error on test clips, speaker-clustered interval."""


@dataclass(frozen=True)
class Config:
    """Every field of every section is a flag."""

    beta: float = 0.1
    """Weight of the VAE's KL term."""
    results: Path | None = None
    """Write the table to this Markdown file too, and its figures to a JSON file beside it."""
    data: Data = field(default_factory=lambda: Data(emotions=EMOTIONS))
    features: Features = field(default_factory=Features)
    model: Model = field(default_factory=Model)
    training: Training = field(
        default_factory=lambda: Training(epochs=150, pretrain_epochs=0, roll_frames=0, refit=False)
    )
    classification: Classification = field(default_factory=lambda: Classification(score="reconstruction"))
    machine: Machine = field(default_factory=Machine)


def run(config: Config) -> None:
    """Train both models under both protocols, then print and write the table."""
    check_flags(config)
    rows = replace(config, results=None, machine=Machine())
    out = Page.of("happy_sad", config.data, config.machine, config.results, rows).out
    studies = [study(config, experiment, protocol, out) for experiment in REPORTED for protocol in PROTOCOLS]
    for one in studies:
        complete([one])
        show(one.flags.out)
    page = page_of(config, studies)
    print_page(page)
    if config.results is not None and is_first():
        write_page(page, config.results)


def check_flags(config: Config) -> None:
    """Raise ConfigError for what is no flag of this table."""
    data = config.data
    if data.protocol is not None or data.emotions not in ((), EMOTIONS) or data.merge or data.labels != "emotion":
        raise ConfigError(
            f"--protocol, --emotions, --merge, --labels: the table is of {' and '.join(EMOTIONS)} under "
            f"{' and '.join(PROTOCOLS)}. Leave them out."
        )


def study(config: Config, experiment: str, protocol: Protocol, out: Path) -> GenerativeStudy:
    """Return one study: a kind of model under a protocol, in a folder of its own."""
    return GenerativeStudy(
        experiment=experiment,
        kind=VAE if experiment == "vae_mfcc" else Autoencoder,
        beta=config.beta if experiment == "vae_mfcc" else 0.0,
        data=replace(config.data, protocol=protocol, emotions=EMOTIONS),
        features=config.features,
        model=config.model,
        training=config.training,
        classification=config.classification,
        machine=replace(config.machine, out=out / f"{experiment}-{protocol}"),
    )


def page_of(config: Config, studies: Sequence[GenerativeStudy]) -> TablePage:
    """Return the page: the reported rows, then those of finished studies."""
    found = [read_result(one.flags.out / METRICS) for one in studies]
    rows = [reported(experiment, *losses) for experiment, losses in REPORTED.items()]
    rows += [measured(one, metrics) for one, metrics in zip(studies, found, strict=True)]
    data = config.data
    return TablePage(
        title=f"Reconstruction loss of models trained on happy clips: {data.corpus}, {data.seeds} seed(s)",
        rows=tuple(dict(zip(HEADER, row, strict=True)) for row in rows),
        notes=NOTES,
        minutes=round(sum(metrics["seconds"] for metrics in found) / 60),
        made=provenance(),
    )


def reported(experiment: str, happy: float, sad: float) -> tuple[Cell, ...]:
    """Return a reported row: which clips were scored is not stated, presumably all."""
    return (experiment, "as reported", None, None, f"{happy:.4f}", f"{sad:.4f}", f"{sad / happy:.2f}", None, None)


def measured(one: GenerativeStudy, metrics: Mapping[str, Any]) -> tuple[Cell, ...]:
    """Return the row of a finished study."""
    *losses, ratio = losses_of(read_result(one.flags.out / RECONSTRUCTION), EMOTIONS[0]).over_seeds.figures
    protocol = f"{one.data.protocol} (speakers shared)" if metrics["speakers_shared"] else one.data.protocol
    figures = (*(f"{loss:.4f}" for loss in losses), f"{ratio:.2f}")
    return (one.experiment, protocol, *figures, metrics["uar"], interval(metrics["uar_ci95"]))


if __name__ == "__main__":
    train_command(Config, run, __doc__)
