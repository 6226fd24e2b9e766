"""The generative classifier, taken apart: latent size × β × hidden width, one VAE per emotion or one for all.

Question: what does the result rest on? The sizes, the weight of the KL term, the score, or one VAE per emotion in place
of one that has the emotion as an input?

    python -m experiments.ablate_vae --corpus ravdess --root RAVDESS --out runs/ablate_vae \
        --results experiments/results/ablate_vae.md

One VAE per emotion for each combination; all else is the recipe of `serjax.experiments.vae_mfcc`. The first row is
that recipe. `--conditional-latent-dims` are tried with one conditional VAE per fold too, at the recipe's width and with
every β: rows `conditional=True,…`, whose partners are those of the same numbers. Both kinds see the clips of a large
emotion equally often; VAEs of their own see the few of a small one, such as RAVDESS's neutral, more often. A row of
either costs about as much. Every run is scored by reconstruction error, ELBO and importance-weighted bound; the table
compares `--score`, and a second one shows the UAR by each. β changes no shape: its values share a program, and stacks
where they fit. Each latent size, width and kind is a program of its own. Nothing but the epoch is chosen (and, by
`auto`, the score of a fold) on validation speakers: to pick a row by this table has seen the test speakers. Without
arguments it runs on synthetic speech; finished rows are kept.

On RAVDESS speech (experiments/results/ablate_vae.md: 60 rows, one seed, 36 minutes on 2 CPU cores) no combination is
shown to be better than the recipe. Codes of 2 numbers cost .08 to .11. Wide networks with codes of 32 or
more do not differ from the recipe beyond chance, nor do narrow ones with 4 to 32, at a fourth of the parameters. β
matters little except with large codes. One VAE that gets the emotion as an input does not differ beyond chance with a
code of 8, at a seventh of the parameters. With 128 it reaches .21 to .38: presumably it then copies a clip without
needing its emotion.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from experiments.sweep import Page, ablate, publish
from serjax.experiments import vae_mfcc
from serjax.figures.tables import TitledTable
from serjax.folder.finished import FinishedRun, read_result
from serjax.folder.manifest import METRICS
from serjax.main import train_command
from serjax.study.flags import Machine
from serjax.study.overrides import BASE, Overrides, chain, product, vary


@dataclass(frozen=True)
class Grid:
    """What is combined, each value with each of the others."""

    latent_dims: tuple[int, ...] = (2, 4, 8, 16, 32, 64, 128, 256)
    """Numbers in the code of a clip."""
    betas: tuple[float, ...] = (0.01, 0.1, 1.0)
    """Weights of the KL term in training."""
    widths: tuple[int, ...] = (64, 256)
    """Hidden units of encoder and decoder."""
    conditional_latent_dims: tuple[int, ...] = (2, 8, 32, 128)
    """Numbers in the code of a conditional VAE, at the recipe's width, each with every weight; none: no such rows."""

    @property
    def overrides(self) -> Overrides:
        """The recipe, then every combination, then one VAE for all emotions instead of one per emotion."""
        widths, betas = vary("hidden", *((width,) for width in self.widths)), vary("beta", *self.betas)
        conditional = vary("conditional", True), vary("latent_dim", *self.conditional_latent_dims), betas
        return chain(BASE, product(widths, vary("latent_dim", *self.latent_dims), betas), product(*conditional))


@dataclass(frozen=True)
class Config:
    """Every field of every section is a flag; those of the recipe are the first row."""

    results: Path | None = None
    """Write the page here too: NAME.md, with NAME.json and NAME.png beside it."""
    grid: Grid = field(default_factory=Grid)
    recipe: vae_mfcc.Config = field(default_factory=vae_mfcc.Config)


def run(config: Config) -> None:
    """Train what is not finished, then print and write the page."""
    recipe = config.recipe
    rows = replace(config, results=None, recipe=replace(recipe, machine=Machine()))
    page = Page.of("ablate_vae", recipe.data, recipe.machine, config.results, rows)
    runs = ablate(recipe, config.grid.overrides, page.out)
    publish(runs, page, (f"Compared by the score {recipe.classification.score}.",), more=(by_score(runs),))


def by_score(runs: Mapping[str, FinishedRun]) -> TitledTable:
    """Return the UAR of every run by every score."""
    found = {name: read_result(run.path / METRICS)["scores"] for name, run in runs.items()}
    names = tuple(next(iter(found.values())))
    rows = tuple((name, *(scores[score]["uar"] for score in names)) for name, scores in found.items())
    return TitledTable("UAR by score", ("run", *names), rows)


if __name__ == "__main__":
    train_command(Config, run, __doc__)
