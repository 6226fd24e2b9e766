"""Studies that differ in numbers of a run are one stack and one program, and leave what each leaves alone."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from serjax.experiments import dense_stats, logreg
from serjax.study.augmentation import Augmentation
from serjax.study.flags import Machine
from serjax.study.frontends import ClipFeatures
from serjax.study.overrides import apply, product, vary
from serjax.study.stages import complete
from serjax.study.supervised import SupervisedStudy
from serjax.train.loop import Interrupted
from tests.study.test_stages import DATA, FEATURES, TRAINING, assert_same

pytestmark = [pytest.mark.usefixtures("no_sound"), pytest.mark.slow]

DENSE = dense_stats.Config(
    data=replace(DATA, offset=0.0),
    features=ClipFeatures("stats26", 8_000),
    model=dense_stats.Model(hidden=(6,)),
    training=TRAINING,
)
LINEAR = logreg.Config(data=DATA, features=FEATURES, training=replace(TRAINING, refit=True))


def declare(config: dense_stats.Config | logreg.Config, out: Path) -> SupervisedStudy:
    machine = Machine(out=out, quiet=True, devices=1)
    return replace(config, machine=machine).study()


def scores(out: Path) -> str:
    return (out / "predictions.csv").read_text()


def test_dropout_and_weight_decay_are_numbers_of_a_run(
    tmp_path: Path, stacks: list[list[int]], traces: list[object]
) -> None:
    overrides = product(vary("dropout", 0.0, 0.5), vary("weight_decay", None, 3.0))
    studies = {name: declare(config, tmp_path / name) for name, config in apply(DENSE, overrides).items()}
    complete(list(studies.values()))
    assert stacks == [[6, 6, 6, 6]]
    n_traces = len(traces)
    others = apply(DENSE, product(vary("dropout", 0.1, 0.7), vary("weight_decay", 0.1, 1.0)))
    complete([declare(config, tmp_path / "others" / name) for name, config in others.items()])
    assert stacks[1:] == stacks[:1]
    assert len(traces) == n_traces
    for name, study in studies.items():
        complete([declare(study.config, tmp_path / "alone" / name)])
        assert_same(tmp_path / name, tmp_path / "alone" / name)
    assert len({scores(tmp_path / name) for name in studies}) == 4


def test_patience_is_a_number_of_a_run(tmp_path: Path, stacks: list[list[int]]) -> None:
    """A stopped run is judged by its best epoch, as every run is; its refit is as long as that."""
    long = replace(LINEAR, training=replace(LINEAR.training, epochs=12, learning_rate=3.0))
    studies = {name: declare(config, tmp_path / name) for name, config in apply(long, vary("patience", 1, 4)).items()}
    complete(list(studies.values()))
    assert stacks == [[6, 6], [6, 6]]  # train, refit
    for name, study in studies.items():
        complete([declare(study.config, tmp_path / "alone" / name)])
        assert_same(tmp_path / name, tmp_path / "alone" / name)
    lines = [len((tmp_path / name / "history.jsonl").read_text().splitlines()) for name in studies]
    assert lines[0] < lines[1]


def test_strengths_of_augmentation_are_numbers_of_a_run(tmp_path: Path, stacks: list[list[int]]) -> None:
    """Of what is on: a study without noise is another program, in which none is drawn."""
    overrides = product(vary("roll_frames", 1, 3), vary("training.noise", 0.1, 2.0, 0.0))
    studies = {name: declare(config, tmp_path / name) for name, config in apply(LINEAR, overrides).items()}
    complete(list(studies.values()))
    assert sorted(stacks) == [[6, 6], [6, 6], [6, 6, 6, 6], [6, 6, 6, 6]]  # without and with noise, train and refit
    loud = list(studies)[4]
    complete([declare(studies[loud].config, tmp_path / "alone")])
    assert_same(tmp_path / loud, tmp_path / "alone")
    assert len({scores(tmp_path / name) for name in studies}) == 5  # of the mean over frames rolls alone change nothing


@pytest.mark.slow
def test_strengths_of_waveforms_are_numbers_of_a_run(tmp_path: Path, stacks: list[list[int]]) -> None:
    """Of what is on: a pick from noise and shift is another program than one from noise."""
    loud = replace(LINEAR, augmentation=Augmentation(picks=1, pitch_semitones=0.0))
    overrides = product(vary("noise_share", 0.1, 2.0), vary("shift_samples", 0, 90, 900))
    studies = {name: declare(config, tmp_path / name) for name, config in apply(loud, overrides).items()}
    complete(list(studies.values()))
    assert sorted(stacks) == [[6, 6], [6, 6], [6, 6, 6, 6], [6, 6, 6, 6]]  # without and with shift, train and refit
    last = list(studies)[-1]
    complete([declare(studies[last].config, tmp_path / "alone")])
    assert_same(tmp_path / last, tmp_path / "alone")
    assert len({scores(tmp_path / name) for name in studies}) == 6


def test_no_weight_decay_is_one_of_zero(tmp_path: Path) -> None:
    """A flag that is not given does not count in the fingerprint: what was trained before there was one stays."""
    configs = apply(LINEAR, vary("weight_decay", None, 0.0))
    plain, zero = (declare(config, tmp_path / name) for name, config in configs.items())
    complete([plain, zero])
    assert scores(plain.flags.out) == scores(zero.flags.out)
    assert plain.flags.fingerprint != zero.flags.fingerprint


def test_studies_of_several_epochs_share_a_stack(tmp_path: Path, stacks: list[list[int]], traces: list[object]) -> None:
    """Each along a curve of its own length; a refit keeps that of its study, however early it stops."""
    studies = [declare(config, tmp_path / name) for name, config in apply(LINEAR, vary("epochs", 2, 4, 3)).items()]
    complete(studies)
    assert stacks == [[6, 6, 6], [6, 6, 6]]  # train, refit-train
    n_traces = len(traces)
    more = apply(LINEAR, vary("epochs", 5, 1, 6))
    complete([declare(config, tmp_path / "more" / name) for name, config in more.items()])
    assert len(traces) == n_traces
    for study in studies:
        complete([declare(study.config, tmp_path / "alone" / study.flags.out.name)])
        assert_same(study.flags.out, tmp_path / "alone" / study.flags.out.name)


def test_a_study_that_was_done_before_its_stack_was_stopped_goes_on_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serjax.train.loop.CALL_S", 0.0)  # calls of one epoch each
    short, long = (declare(config, tmp_path / name) for name, config in apply(LINEAR, vary("epochs", 1, 3)).items())

    def report(self: object, stage: str, done: int, *_: object) -> None:
        if done == 2 * 6:  # the second epoch of the longer one's six runs
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr("serjax.study.progress.Progresses.training", report)
        with pytest.raises(Interrupted, match="epoch 2 of 3"):
            complete([short, long])
    complete([short])
    complete([short, long])
    for study in (short, long):
        complete([declare(study.config, tmp_path / "alone" / study.flags.out.name)])
        assert_same(study.flags.out, tmp_path / "alone" / study.flags.out.name)
