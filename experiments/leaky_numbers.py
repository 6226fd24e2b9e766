"""From .90 to the truth: the same systems under a ladder of protocols, beside the published figures of each rung.

Question: how much of a published figure comes from known speakers, how much from choices on test clips?

    python -m experiments.leaky_numbers --corpus ravdess --root RAVDESS --out runs/leaky \
        --results experiments/results/leaky_numbers.md

A CNN on log-mel pictures, the small residual LSTM and the classifier by densities. Each has a small grid of settings:
learning rate and dropout of networks, shrinkage of densities. Rungs differ in folds and in what chooses epoch and
setting; all rows train on the same clips in the end. Rungs 1, 3 and 4 LOOK AT TEST CLIPS, on purpose; rung 5 is the
result. Densities have no epochs: test clips choose their shrinkage. Without arguments it runs on synthetic speech.

RAVDESS speech, eight emotions, 20 epochs of networks: random folds give the classifier by densities .79 for .64, the
residual LSTM .70 for .44 and the CNN .55 for .48. What test clips choose adds nothing that stands out (−.04 to +.01),
because these grids are small.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from experiments.chosen_on_test import ChosenOnTest, best_in_each_fold, best_of_all
from experiments.sweep import Page
from serjax.data.splits import Protocol, default_protocol
from serjax.errors import ConfigError
from serjax.escape import markdown as escaped
from serjax.escape import markdown_code
from serjax.evaluate.predictions import Predictions
from serjax.evaluate.statistics import Estimate, estimate
from serjax.experiments import cnn_logmel, generative, reslstm
from serjax.figures.comparison import Curve, curves
from serjax.figures.markdown import markdown_image, markdown_list, markdown_page, markdown_section, markdown_table
from serjax.figures.tables import interval, print_table, say, signed
from serjax.folder.finished import FinishedRun, read_run
from serjax.main import train_command
from serjax.provenance import provenance
from serjax.results.page import write_files
from serjax.study.density.flags import Density, Supervectors
from serjax.study.flags import Data, Machine, SupervisedTraining
from serjax.study.overrides import Overrides, apply, product, vary
from serjax.study.problem import labelled_corpus
from serjax.study.stages import Study, complete

System = Literal["cnn", "reslstm", "generative"]
Network = cnn_logmel.Config | reslstm.Config
HEADER = ("system", "rung", "UAR", "sd", "95 % interval", "− rung 5")
RUNGS = (
    "random folds; test folds choose epoch and setting",
    "random folds; validation clips choose",
    "folds by speaker; test folds choose the epoch",
    "folds by speaker; mean of test folds chooses the setting",
    "folds by speaker; validation speakers choose: the result",
)
N_RANDOM = 2  # rungs of random folds
TIMNET = "github.com/Jiaxin-Ye/TIM-Net_SER, README"
SERNET = "github.com/AryaAftab/LIGHT-SERNET, train.py"
RESLSTM = "github.com/Mak-Sim/ResLSTM-SER, train.ipynb"
PUBLISHED = (
    (
        "TIM-Net",
        "UAR .900",
        "RAVDESS, ten random folds; corrected by its authors, who had kept the best epoch",
        2,
        TIMNET,
    ),
    ("GM-TCNet", "UAR .828", "as TIM-Net, corrected by the same authors", 2, TIMNET),
    ("CPAC", "UAR .813", "as TIM-Net, corrected by the same authors", 2, TIMNET),
    (
        *("Light-SERNet", "accuracy ≈ .94", "EMO-DB, folds by speaker; the epoch that is best on the test speaker", 3),
        "github.com/AryaAftab/LIGHT-SERNET, train.py",
    ),
    (
        *("ResLSTM-SA-h64", "UAR .623", "RAVDESS, five folds by speaker; 100 trials maximise the UAR of test folds", 4),
        "github.com/Mak-Sim/ResLSTM-SER, train.ipynb",
    ),
)
PUBLISHED_HEADER = ("published", "figure", "how", "rung", "source")


@dataclass(frozen=True)
class Row:
    """What a system reaches on a rung, from 1."""

    system: str
    rung: int
    reached: Estimate


@dataclass(frozen=True)
class Config:
    """Every field of every section is a flag."""

    systems: tuple[System, ...] = get_args(System)
    """Which systems climb down the ladder."""
    epochs: int = 20
    """Passes over the training clips, of networks."""
    rates: tuple[float, ...] = (1e-3, 3e-3)
    """Learning rates of the grid of networks; rung 3 has the first."""
    dropouts: tuple[float, ...] = (0.3,)
    """Dropouts of the grid of networks; rung 3 has the first."""
    channels: tuple[int, ...] = (16, 32, 64, 64)
    """Channels of the CNN's convolutions."""
    shrinkages: tuple[float, ...] = (0.1, 0.2, 0.4)
    """Grid of densities: shares of the identity in the within-class covariance."""
    backgrounds: int = 1
    """Background models of densities; the system of the README has 3."""
    refit: bool = True
    """Train on validation clips too, once they have chosen; rungs of test choice train on them at once."""
    results: Path | None = None
    """Write the page here too: NAME.md, with NAME.json and NAME.png beside it."""
    data: Data = field(default_factory=Data)
    machine: Machine = field(default_factory=Machine)

    def on_test(self, network: Network) -> ChosenOnTest:
        """Return the study of a network that chooses its epoch on test rows."""
        once = replace(network, training=replace(network.training, refit=False))
        return ChosenOnTest(once.study(), self.refit)

    @property
    def grid(self) -> Overrides:
        """Every setting of a network."""
        return product(vary("learning_rate", *self.rates), vary("model.dropout", *self.dropouts))

    def network(self, system: System, protocol: Protocol) -> dict[str, Network]:
        """Return the settings of a network by name."""
        data, machine = replace(self.data, protocol=protocol), self.machine
        training = SupervisedTraining(epochs=self.epochs, refit=self.refit)
        if system == "reslstm":
            whole = replace(data, offset=0.0)  # as published
            base = reslstm.Config(data=whole, machine=machine, training=replace(training, roll_frames=0))
            return dict(apply(base, self.grid))
        own = cnn_logmel.Config()
        cnn = replace(
            own,
            data=data,
            machine=machine,
            model=replace(own.model, channels=self.channels),
            training=replace(own.training, keep=None, epochs=self.epochs, refit=self.refit),
        )
        return dict(apply(cnn, self.grid))

    def densities(self, protocol: Protocol) -> dict[str, generative.Config]:
        """Return the settings of the classifier by densities by name."""
        base = generative.Config(
            data=replace(self.data, protocol=protocol),
            background=Supervectors(backgrounds=self.backgrounds),
            density=Density(refit=self.refit),
            machine=self.machine,
        )
        return apply(base, vary("shrinkages", *((share,) for share in self.shrinkages)))


def run(config: Config) -> None:
    """Train what is not finished, then print and write the page.

    Raises:
      ConfigError: a protocol is given, or the corpus has too few speakers for folds by speaker.
    """
    if config.data.protocol is not None:
        raise ConfigError("--protocol is what this study compares: leave it out.")
    rows_of = replace(config, results=None, machine=Machine())
    page = Page.of("leaky_numbers", config.data, config.machine, config.results, rows_of)
    speakers = default_protocol(labelled_corpus(config.data))
    if speakers == "random-5fold":
        raise ConfigError(
            "The corpus has too few speakers for folds by speaker: choose one of three speakers at least."
        )
    rows = [
        Row(system, n, estimate(found, "uar", speakers_shared=n <= N_RANDOM))
        for system in config.systems
        for n, found in enumerate(ladder(config, system, speakers, page.out / system), 1)
    ]
    title = f"From random folds to new speakers · {config.data.corpus_name}, {speakers}"
    print_table(title, HEADER, cells(rows))
    figure = curves([("rung: 1, 2 random folds; 5 the result", _curves(config.systems, rows))], "UAR", None, title)
    content = {"title": title, "rungs": RUNGS, "cells": cells(rows), "published": PUBLISHED, "made": provenance()}
    for path in page.files:
        write_files(path, content, lambda picture: markdown(content, picture), figure)
    say(f"Written to {page.out}.")


def ladder(config: Config, system: System, speakers: Protocol, out: Path) -> tuple[Predictions, ...]:
    """Return the test predictions of a system on each rung, the leakiest first."""
    honest: list[Predictions] = []
    leaky: list[Predictions] = []
    for protocol in ("random-5fold", speakers):
        settings = config.densities(protocol) if system == "generative" else config.network(system, protocol)
        runs = finish({name: _placed(one, out / protocol / name).study() for name, one in settings.items()})
        tested = [one.predictions for one in runs]
        honest.append(best_in_each_fold(tested, [one.validation for one in runs if one.validation]))
        if system != "generative":
            tried = list(config.network(system, protocol).items())[: None if protocol == "random-5fold" else 1]
            wrapped = {name: config.on_test(_placed(one, out / f"{protocol}-on-test" / name)) for name, one in tried}
            on_test = [one.predictions for one in finish(wrapped)]
            leaky.append(best_in_each_fold(on_test, on_test))
        else:
            leaky.append(best_in_each_fold(tested, tested))
    return leaky[0], honest[0], leaky[1], best_of_all(tested), honest[1]


def finish(studies: Mapping[str, Study]) -> list[FinishedRun]:
    """Train what is not finished of some studies side by side, and read all back."""
    return [read_run(folder.path) for folder in complete(list(studies.values()))]


def cells(rows: Sequence[Row]) -> list[tuple[str | float | None, ...]]:
    """Return the rows as they are read."""
    last = {row.system: row.reached.mean for row in rows}
    return [
        (
            *(row.system, f"{row.rung} {RUNGS[row.rung - 1]}", row.reached.mean, row.reached.sd),
            *(interval(row.reached.interval), signed(row.reached.mean - last[row.system])),
        )
        for row in rows
    ]


def markdown(content: Mapping[str, Any], picture: str) -> str:
    """Return the page."""
    made = content["made"]
    notes = (
        "All rows of a system train on the same clips in the end, and test every clip once per seed.",
        "**Rungs 1, 3 and 4 look at test clips on purpose: they are no results.** Rung 5 is.",
        "On rung 3 networks have the first setting of the grid. Densities have no epochs: on rungs 1 and 3 each test "
        "fold chooses their setting.",
        "Where speakers are shared between train and test there is no interval over speakers.",
        f"Command: {markdown_code(made['command'])}; {made['machine']}; git {made['git']}.",
    )
    published = [tuple(escaped(str(cell)) for cell in row) for row in content["published"]]
    return markdown_page(
        content["title"],
        markdown_table(HEADER, content["cells"]),
        markdown_image(content["title"], picture),
        markdown_list(notes),
        markdown_section(
            "Published figures, by the rung they were made on", markdown_table(PUBLISHED_HEADER, published)
        ),
    )


def _curves(systems: Sequence[System], rows: Sequence[Row]) -> list[Curve]:
    own = {system: [row for row in rows if row.system == system] for system in systems}
    return [
        Curve(
            name,
            tuple(row.rung for row in found),
            tuple(row.reached.mean for row in found),
            tuple(row.reached.interval for row in found),
        )
        for name, found in own.items()
    ]


def _placed(config: Any, out: Path) -> Any:
    return replace(config, machine=replace(config.machine, out=out))


if __name__ == "__main__":
    train_command(Config, run, __doc__)
