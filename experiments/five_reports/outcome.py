"""What one side of a row reached: read from its run folder, as JSON and back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from experiments.five_reports.commands import ON_PAGE, published_command
from experiments.five_reports.row import SIDES, Losses, Row, Side
from serjax.errors import ConfigError
from serjax.evaluate.metrics import measure
from serjax.evaluate.predictions import read_predictions
from serjax.evaluate.statistics import estimate, seed_counts
from serjax.folder.finished import read_result
from serjax.folder.manifest import METRICS, PREDICTIONS, RECONSTRUCTION
from serjax.results import reconstruction
from serjax.results.reconstruction import losses_of


@dataclass(frozen=True)
class Outcome:
    """What one side of a row reached; what an older version did not write down is None.

    Args:
      war: accuracy, mean over seeds.
      uar: mean recall of the classes, mean over seeds.
      sd: standard deviation of the WAR over seeds.
      uar_sd: that of the UAR.
      ci95: bootstrap interval of the WAR over speakers.
      uar_ci95: that of the UAR.
      roc_auc: one-vs-rest area, mean over classes.
      train_war: accuracy on training rows.
      cv_war: accuracy in a cross-validation inside the training rows.
      losses: losses of the model of happy clips, `[happy, sad]`, for training, test and all clips.
      protocol: how clips were split.
      seeds: how many there were.
      minutes: those of its own command, of a vote without its members.
      command: the command, as the page gives it.
      git: the commit that ran.
      n_clips: clips that were tested, each once or more.
      n_speakers: speakers of these clips.
      losses_sd: deviations of `losses` over seeds, and under `ratio` that of sad / happy over all clips.
      f1: F1 of each class, of all seeds' test clips together, where classes are shown.
      confusion: matrix [truth][prediction] of the same clips, in the order of the classes.
      war_by_seed: accuracy of each seed.
      members: of a vote, the UAR of each row that voted.
      dealt_by_path: clips were split, drawn or copied by their paths, as is done no more.
      n_tested: clips that were tested under each seed.
    """

    war: float
    uar: float
    sd: float | None
    uar_sd: float | None
    ci95: tuple[float, float] | None
    uar_ci95: tuple[float, float] | None
    roc_auc: float | None
    train_war: float | None
    cv_war: float | None
    losses: dict[str, list[float]] | None
    protocol: str
    seeds: int
    minutes: float
    command: str
    git: str | None
    n_clips: int | None = None
    n_speakers: int | None = None
    losses_sd: dict[str, list[float]] | None = None
    f1: dict[str, float | None] | None = None
    confusion: list[list[int]] | None = None
    war_by_seed: list[float] | None = None
    members: dict[str, float] | None = None
    dealt_by_path: bool = False
    n_tested: int | None = None


RowOutcomes = Mapping[Side, Outcome]
Outcomes = Mapping[str, RowOutcomes]  # by the number of the row


def read_outcome(row: Row, folder: Path, shown: str) -> Outcome:
    """Read what a side of a row reached from its run folder.

    Args:
      row: the row.
      folder: the run folder of the side.
      shown: the command that is to be shown for it.

    Raises:
      ConfigError: the run folder is not finished or broken.
    """
    metrics = read_result(folder / METRICS)
    predictions = read_predictions(folder / PREDICTIONS)
    shared = metrics["speakers_shared"]
    war, uar = (estimate(predictions, name, speakers_shared=shared) for name in ("war", "uar"))
    counts_RKK = seed_counts(predictions).sum(axis=1)
    shows_classes = row.also.shows_classes
    of_happy = None
    if isinstance(row.reported, Losses):
        of_happy = losses_of(read_result(folder / RECONSTRUCTION), "happy")
    return Outcome(
        war=war.mean,
        uar=uar.mean,
        sd=war.sd,
        uar_sd=uar.sd,
        ci95=war.interval,
        uar_ci95=uar.interval,
        roc_auc=metrics["roc_auc"]["macro"],
        train_war=metrics["train_war"],
        cv_war=metrics["cv_war"],
        losses=None if of_happy is None else as_lists(of_happy.over_seeds),
        protocol=metrics["protocol"],
        seeds=len(counts_RKK),
        minutes=round(metrics["seconds"] / 60, 1),
        command=shown,
        git=metrics["git"],
        n_clips=len(set(predictions.utterance)),
        n_speakers=len(set(predictions.speaker)),
        n_tested=len(predictions.utterance) // len(counts_RKK),
        losses_sd=None if of_happy is None else of_happy.sd(),
        f1={label: metrics["per_class"][label]["f1"] for label in metrics["labels"]} if shows_classes else None,
        confusion=metrics["confusion"] if shows_classes else None,
        war_by_seed=measure("war", counts_RKK).tolist(),
        members=_members_uar(row, metrics) if row.members else None,
    )


def as_json(row: Row, outcomes: RowOutcomes, made_up: bool = False) -> dict[str, object]:
    """Return what the file of results says of a row; of made-up clips without the command of its published size."""
    reported = asdict(row.reported) if isinstance(row.reported, Losses) else row.reported
    return {
        "about": row.about,
        "reported": reported,
        "beside": asdict(row.also),
        **{side: asdict(outcomes[side]) if side in outcomes else None for side in SIDES},
        "leak": row.same.leak,
        "minutes": round(sum(outcome.minutes for outcome in outcomes.values()), 1),
        "command": {side: outcome.command for side, outcome in outcomes.items()},
        "deviations": row.remark,
        "published_size": None if made_up else published_command(row, ON_PAGE),
    }


def from_json(content: Mapping[str, object]) -> Outcome:
    """Return an outcome from what `asdict` made of it, read back from JSON.

    Raises:
      ConfigError: a field is missing or unknown.
    """
    bounds = {name: tuple(pair) for name in ("ci95", "uar_ci95") if isinstance(pair := content.get(name), list)}
    try:
        outcome = Outcome(**{**content, **bounds})  # type: ignore[arg-type]
    except TypeError as error:
        raise ConfigError(f"this is no outcome of a row: {error}") from None
    return outcome


def _members_uar(row: Row, metrics: Mapping) -> dict[str, float]:
    """Return the UAR that each member of a vote had when it voted."""
    return {name: member["uar"] for name, member in zip(row.members, metrics["members"], strict=True)}


def as_lists(losses: reconstruction.Losses) -> dict[str, list[float]]:
    """Return `[happy, sad]` of training clips, test clips and all clips."""
    return {part: list(getattr(losses, part)) for part in ("train", "test", "all")}
