"""Happy against sad: does an autoencoder trained on happy speech reconstruct sad speech worse?

A course report trained an autoencoder and a VAE with a 128-d latent on the MFCCs of the 192 happy RAVDESS clips and
found losses of .0148 (happy) against .0193 (sad), and .0098 against .0235. It leaves open the scaling and the split,
and the happy clips it scored are probably those it trained on. Here: mean squared error an element after
scaling each coefficient to [0, 1] by its range over training rows; the same loss apart for training clips, held-out
clips and all 192; models see only their own emotion (no pretraining, no rolls), which is what the report did.

    python -m experiments.happy_sad --corpus ravdess --root RAVDESS --seeds 10 --out runs/happy-sad

Ten minutes on 2 CPU cores. Without arguments it runs on the synthetic corpus.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

from experiments.sweep import Page
from serjax.data.splits import Protocol
from serjax.errors import ConfigError
from serjax.figures.tables import interval, print_table
from serjax.folder.finished import read_result
from serjax.main import train_command
from serjax.models.autoencoder import Autoencoder
from serjax.models.vae import VAE
from serjax.results.page import write_table_page
from serjax.results.show import show
from serjax.study.flags import Classification, Data, Machine, Model, Training
from serjax.study.frontends import Features
from serjax.study.generative.study import GenerativeStudy
from serjax.study.stages import complete
from serjax.train.processes import is_first

EMOTIONS = ("happy", "sad")
PROTOCOLS: tuple[Protocol, ...] = ("random-80-20", "speaker-6fold")
REPORTED = {"ae_mfcc": (0.0148, 0.0193), "vae_mfcc": (0.0098, 0.0235)}
HEADER = ("model", "protocol", "happy, train", "happy, test", "happy, all", "sad, all", "sad / happy", "UAR", "95 %")
NOTES = """Loss: mean squared error an element, each coefficient divided by its range over training rows.
UAR: of the two-class classifier by reconstruction error on test clips, speaker-clustered interval."""
Row = tuple[str, ...]


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
    table = [row(experiment, *REPORTED[experiment]) for experiment in REPORTED]
    table += [measured(one) for one in studies]
    title = f"Reconstruction loss of models trained on happy clips: {config.data.corpus}, {config.data.seeds} seed(s)"
    print_table(title, HEADER, table)
    if config.results is not None and is_first():
        seconds = sum(float(metrics(one)["seconds"]) for one in studies)
        write_table_page(config.results, title, HEADER, table, NOTES, seconds)


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


def row(experiment: str, happy: float, sad: float) -> Row:
    """Return a reported row: which clips were scored is not stated, presumably all."""
    return (experiment, "as reported", "–", "–", f"{happy:.4f}", f"{sad:.4f}", f"{sad / happy:.2f}", "–", "–")


def measured(one: GenerativeStudy) -> Row:
    """Return the row of a finished study."""
    reconstruction = read_result(one.flags.out / "reconstruction.json")
    happy, sad = (reconstruction["labels"].index(emotion) for emotion in EMOTIONS)
    parts = {part: reconstruction["minmax"][part][happy] for part in ("train", "test", "all")}
    losses = (parts["train"][happy], parts["test"][happy], parts["all"][happy], parts["all"][sad])
    found = metrics(one)
    protocol = f"{one.data.protocol} (speakers shared)" if found["speakers_shared"] else str(one.data.protocol)
    ratio = f"{losses[3] / losses[2]:.2f}"
    score = (f"{found['uar']:.3f}", interval(found["uar_ci95"]) or "–")
    return (one.experiment, protocol, *(f"{loss:.4f}" for loss in losses), ratio, *score)


def metrics(one: GenerativeStudy) -> dict:
    """Return what a finished study wrote."""
    return read_result(one.flags.out / "metrics.json")


if __name__ == "__main__":
    train_command(Config, run, __doc__)
