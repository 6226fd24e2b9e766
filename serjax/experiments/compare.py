"""Compare finished runs: one table, each run against the first over the same clips.

What differs: the mean over seeds, with an interval over speakers and a paired permutation test (all predictions of a
speaker swapped together, 10 000 permutations), p-values adjusted for their number (Holm).

    python -m serjax.experiments.compare runs/a runs/b runs/c --metric uar --out table.md --plot table.png
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from serjax.command import run_command
from serjax.errors import ConfigError
from serjax.evaluate.metrics import Metric
from serjax.figures import canvas as plots
from serjax.figures.tables import say
from serjax.folder.finished import read_run
from serjax.results.comparison import make_table, runs_among
from serjax.results.comparison_table import check_suffix, draw, print_comparison, write_table


@dataclass(frozen=True)
class Config:
    """Which runs, and where the table goes."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of finished runs; the others are compared with the first."""
    metric: Metric = "uar"
    """What is compared: unweighted average recall, accuracy (weighted average recall), or macro-F1."""
    out: Path | None = None
    """Write the table here: .md, .csv, .tex (booktabs) or .json."""
    plot: Path | None = None
    """Draw a forest plot here, .png: means and differences with their intervals."""
    anyway: bool = False
    """Also compare runs of different corpora, labels, protocols or clips; the table says so, unpaired rows lack p."""


def run(config: Config) -> None:
    """Read, compare, write, print."""
    check_flags(config)
    table = make_table([read_run(path) for path in runs_among(config.runs)], config.metric, config.anyway)
    written = []  # before anything is printed: `… | head` may end the command
    if config.out is not None:
        write_table(table, config.out)
        written.append(config.out)
    if config.plot is not None:
        config.plot.parent.mkdir(parents=True, exist_ok=True)
        plots.save(draw(table), config.plot)
        written.append(config.plot)
    print_comparison(table)
    for path in written:
        say(f"Written to {path}.")


def check_flags(config: Config) -> None:
    """Raise ConfigError for flags that make no sense, before anything is computed."""
    if not config.runs:
        raise ConfigError("No run is given: expected the folders of finished runs.")
    places = [path.resolve() for path in config.runs]
    twice = [path for n, path in enumerate(config.runs) if places[n] in places[:n]]
    if twice:
        raise ConfigError(f"{twice[0]} is given twice: give each run once.")
    if config.out is not None:
        check_suffix(config.out)
    if config.plot is not None and config.plot.suffix != ".png":
        raise ConfigError(f"--plot {config.plot}: expected a name that ends in .png.")


if __name__ == "__main__":
    run_command(Config, run, __doc__)
