r"""Gender first, then emotion by a model of that gender, beside one model for all: the fourth report's future work.

Question: is it worth telling genders apart first? At test the predicted gender chooses the emotion model, so that its
errors count. Both are fitted to the same rows, by the code of `tabular`, with all its flags:

    python -m serjax.experiments.two_stage --corpus ravdess-all --root RAVDESS --offset 0 --features stats180 \
        --protocol speaker-6fold --models logistic mlp --results experiments/results/two_stage.md

The last table has the difference of each pair and its paired test over speakers, as `compare` makes them.

On RAVDESS speech and song (experiments/results/two_stage.md, 7 minutes on 2 CPU cores) the gender is right
for 95 % of new speakers' clips. No gain is shown: the MLP stays at .51, logistic regression loses .03 (p .25).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import tyro

from serjax.command import run_command
from serjax.errors import ConfigError
from serjax.evaluate.comparison import Difference, difference
from serjax.figures.tables import Cell, p_text, signed_interval
from serjax.folder.finished import FinishedRun, read_result, read_run
from serjax.folder.manifest import METRICS
from serjax.provenance import provenance
from serjax.results.page import check_page
from serjax.results.reached import Reached, adjusted, tested
from serjax.results.show import show_models
from serjax.results.table_page import TablePage, print_page, write_page
from serjax.study.fingerprint import default_out
from serjax.study.tabular.flags import Choice, TabularConfig
from serjax.study.tabular.study import complete_tabular, fingerprint_of

HEADER = ("model", "UAR, one stage", "UAR, two stages", "difference", "95 % interval", "p (Holm)", "gender right")
NOTES = "Difference: two stages minus one; its interval and paired test go over speakers, one p-value per model."


@dataclass(frozen=True)
class Config(TabularConfig):
    """Every field of every section is a flag; hyper-parameters carry their model's name."""

    choice: tyro.conf.OmitArgPrefixes[Choice] = field(
        default_factory=lambda: Choice(models=("logistic", "mlp"), two_stage=True)
    )
    results: Path | None = None
    """Write the last table to this Markdown file too, and a JSON file beside it."""


def run(config: Config) -> None:
    """Fit both what the run folder lacks, write it, and print the tables.

    Raises:
      ConfigError: `--no-two-stage` leaves nothing to compare, or `--results` is no page.
    """
    check_page(config.results)
    if not config.choice.two_stage:
        raise ConfigError("--no-two-stage: this study compares two stages with one. Leave it out, or run tabular.")
    out = folder_of(config)
    show_models(complete_tabular(replace(config, output=replace(config.output, out=out))), out)
    page = page_of({name: (out / name, out / f"two-stage-{name}") for name in config.choice.models})
    print_page(page)
    if config.results is not None:
        write_page(page, config.results)


def folder_of(config: Config) -> Path:
    """Return the run folder."""
    return config.output.out or default_out("two_stage", config.data.corpus_name, fingerprint_of(config))


def page_of(places: Mapping[str, tuple[Path, Path]]) -> TablePage:
    """Return a row for each model: its runs in one stage and in two, and what lies between them."""
    pairs = {name: (read_run(one), read_run(two)) for name, (one, two) in places.items()}
    rows = adjusted([tested(Reached(name=name, mean=two.uar), compare(one, two)) for name, (one, two) in pairs.items()])
    gender_wars = [read_result(two.path / METRICS)["gender_war"] for _, two in pairs.values()]
    one, _ = next(iter(pairs.values()))
    return TablePage(
        title=f"Two stages against one: {read_result(one.path / METRICS)['title']}",
        rows=tuple(
            dict(zip(HEADER, cells(one, row, gender_war), strict=True))
            for (one, _), row, gender_war in zip(pairs.values(), rows, gender_wars, strict=True)
        ),
        notes=NOTES,
        minutes=round(sum(run.seconds for pair in pairs.values() for run in pair) / 60),
        made=provenance(),
        differences=("difference",),
    )


def cells(one: FinishedRun, two: Reached, gender_war: float) -> tuple[Cell, ...]:
    """Return a row of the table: a model in one stage, and in two."""
    spread, p_holm = signed_interval(two.difference_interval), p_text(two.p_holm)
    return two.name, one.uar, two.mean, two.difference, spread, p_holm, gender_war


def compare(one: FinishedRun, two: FinishedRun) -> Difference:
    """Return by how much two stages are better, over the same clips."""
    return difference(one.predictions, two.predictions, "uar", speakers_shared=one.speakers_shared)


if __name__ == "__main__":
    run_command(Config, run, __doc__, prefixes=True)
