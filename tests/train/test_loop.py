"""The host loop: interrupted and resumed it ends bit for bit like one that was not; left-out state is noticed."""

import math
import os
import signal
import threading
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from serjax.train import loop, shares
from serjax.train.checkpoint import CheckpointError, Checkpoints
from serjax.train.loop import DivergedError, Interrupted, index_blocks, stop_requests, train_stack
from serjax.train.objectives import VaeObjective
from serjax.train.parallel import Layout
from serjax.train.shares import Share, Start, Trained
from tests.train import tiny

LAYOUT = Layout(tuple(jax.devices()[:2]))
SCHEDULE = tiny.SCHEDULE
RUNS = tiny.make_runs()
RUNS[1] = replace(RUNS[1], epochs=3)
FINGERPRINT = f"tiny-{index_blocks(RUNS, SCHEDULE).fingerprint()}"
TRACES = []


@dataclass(frozen=True)
class Counting(VaeObjective):
    """Notes every time that its loss is traced."""

    def loss(self, params, batch, key, hyper):
        TRACES.append(batch.x_BTC.shape)
        return super().loss(params, batch, key, hyper)


OBJECTIVE = Counting(tiny.OBJECTIVE.model, tiny.OBJECTIVE.augmentation)


class Killed(BaseException):
    """Stands for SIGKILL: nothing more is done."""


def train(stage, runs=RUNS, schedule=SCHEDULE):
    return train_stack(runs, tiny.make_params(runs), OBJECTIVE, tiny.DATASET, schedule, LAYOUT, stage)


@pytest.fixture(autouse=True)
def only_short_calls(monkeypatch):
    """Let no call seem long, however busy the machine is: of 5 epochs, calls end after 1, 3 and 5."""
    monkeypatch.setattr(loop, "CALL_S", math.inf)


def call_ends(first=0, last=5):
    """Return after which epochs the calls end that begin after `first`: the first has one, each later twice as many."""
    ends, length = [], 1
    while first < last:
        first = min(first + length, last)
        ends.append(first)
        length = min(2 * length, loop.MOST_EPOCHS)
    return ends


def outcome(trained: Trained):
    return trained.params, trained.epoch_R, trained.loss_R


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return outcome and history of a training that nothing interrupts, and the epochs it reported."""
    stage, epochs = tiny.make_stage(tmp_path_factory.mktemp("whole")), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "CALL_S", math.inf)
        trained = train(replace(stage, report=lambda epoch, loss: epochs.append((epoch, loss))))
    return outcome(trained), stage.history.path.read_text(), epochs, stage


@pytest.mark.slow
def test_a_stack_whose_runs_have_all_lost_patience_is_finished(tmp_path):
    """It reports its last epoch, has the history of those that were trained, and goes on from a checkpoint as ever."""
    runs = [replace(run, epochs=50, decay_epochs=50, learning_rate=0.3, patience=2) for run in RUNS]
    stage, reported = tiny.make_stage(tmp_path / "whole", save_every_s=1e9), []
    trained = train(replace(stage, report=lambda epoch, loss: reported.append(epoch)), runs)
    rows = stage.history.read()
    stops = [max(row["epoch"] for row in rows if row["emotion"] == f"emotion{r}") for r in range(3)]
    assert stops == [best + 2 for best in trained.epoch_R]
    assert len(rows) == sum(stops)
    assert max(stops) < 48
    assert reported == [*(epoch for epoch in call_ends(last=50) if epoch < max(stops)), 50]
    again = tiny.make_stage(tmp_path / "again", save_every_s=1e9)
    with pytest.raises(Interrupted):
        train(replace(again, report=at_epoch(1, send(signal.SIGTERM))), runs)
    assert tiny.leaves_equal(outcome(train(again, runs)), outcome(trained))
    assert again.history.path.read_text() == stage.history.path.read_text()


def at_epoch(epoch, act):
    return lambda now, loss: act() if now == epoch else None


def send(signum):
    return lambda: os.kill(os.getpid(), signum)


def kill():
    raise Killed


def test_an_uninterrupted_training_writes_every_run_and_epoch_once(whole):
    (_, epoch_R, loss_R), _, epochs, stage = whole
    rows = stage.history.read()
    expected = [(e, r) for e in range(1, 6) for r, run in enumerate(RUNS) if e <= run.epochs]
    assert [(row["epoch"], row["emotion"]) for row in rows] == [(e, f"emotion{r}") for e, r in expected]
    assert {"stage", "seed", "fold", "loss", "kl", "squared_error", "gradient_norm", "validation_loss"} < set(rows[0])
    for r in range(3):
        losses = [row["validation_loss"] for row in rows if row["emotion"] == f"emotion{r}"]
        assert epoch_R[r] == 1 + int(np.argmin(losses))
        assert loss_R[r] == pytest.approx(min(losses), rel=1e-5)
    assert [epoch for epoch, _ in epochs] == call_ends() == [1, 3, 5]
    last = [row["loss"] for row in rows if row["epoch"] == 5]
    assert epochs[-1][1] == pytest.approx(np.mean(last), rel=1e-5)


def test_how_long_calls_are_changes_nothing(whole, tmp_path, monkeypatch):
    """Parameters, losses, best epochs and history, bit for bit."""
    monkeypatch.setattr(loop, "CALL_S", 0.0)
    stage, epochs = tiny.make_stage(tmp_path), []
    trained = train(replace(stage, report=lambda epoch, loss: epochs.append(epoch)))
    assert epochs == [1, 2, 3, 4, 5]
    assert tiny.leaves_equal(outcome(trained), whole[0])
    assert stage.history.path.read_text() == whole[1]


def test_calls_double_as_long_as_the_next_should_be_short(monkeypatch):
    monkeypatch.setattr(loop, "CALL_S", 5.0)
    calls = {(1, 2.4): 2, (4, 2.4): 8, (4, 2.6): 4, (1, 60.0): 1}
    assert {call: loop._next_length(*call) for call in calls} == calls
    assert loop._next_length(loop.MOST_EPOCHS, 0.1) == loop.MOST_EPOCHS


def test_process_0_says_how_long_calls_are(tmp_path, monkeypatch):
    """By its clock; with another length each process would wait for the others for ever."""
    monkeypatch.setattr(loop, "exchange", lambda *own: [[0, 0, 1], list(own)])
    epochs = []
    train(replace(tiny.make_stage(tmp_path), report=lambda epoch, loss: epochs.append(epoch)))
    assert epochs == [1, 2, 3, 4, 5]


def test_refused_steps_stop_a_training_however_long_calls_are(tmp_path):
    """A run that has too many at the end of an epoch, and none at the end of the call."""
    rejected_RE = np.array([[0, 0, 0], [3, 4, 0]], np.float32)
    folder = Checkpoints(tmp_path, "x")
    share = Share(RUNS[:2], tiny.make_params(RUNS[:2]), tiny.make_stage(tmp_path))
    stack = [Start(share, 0, tiny.make_state(RUNS[:2]), None, folder, folder)]
    with pytest.raises(DivergedError, match="emotion1 gave 4 non-finite"):
        loop._stop_if_diverged(rejected_RE, stack, SCHEDULE)
    loop._stop_if_diverged(rejected_RE[:, ::2], stack, SCHEDULE)


def test_a_finished_training_is_not_trained_again(whole):
    trained, history, _, stage = whole
    again = train(replace(stage, report=lambda epoch, loss: pytest.fail("trained again")))
    assert tiny.leaves_equal(outcome(again), trained)
    assert stage.history.path.read_text() == history
    assert sorted(path.name for path in stage.folder.iterdir()) == ["best"]


@pytest.mark.parametrize(
    ("signum", "epoch"), [(signal.SIGINT, 1), (signal.SIGTERM, 3), (signal.SIGTERM, 5), (signal.SIGINT, 5)]
)
def test_a_signal_saves_and_the_same_call_goes_on(whole, tmp_path, signum, epoch):
    stage = tiny.make_stage(tmp_path, save_every_s=1e9)
    with pytest.raises(Interrupted, match=f"{signal.Signals(signum).name}: saved after epoch {epoch} of 5") as caught:
        train(replace(stage, report=at_epoch(epoch, send(signum))))
    assert caught.value.signum == signum
    epochs = []
    trained = train(replace(stage, report=lambda now, loss: epochs.append(now)))
    assert epochs == call_ends(epoch)
    assert tiny.leaves_equal(outcome(trained), whole[0])
    assert stage.history.path.read_text() == whole[1]


@pytest.mark.parametrize(("save_every_s", "saved"), [(0.0, 1), (1e9, 0)])
def test_a_kill_goes_back_to_what_was_saved(whole, tmp_path, save_every_s, saved):
    """Killed after the history of epoch 3 was written and before its checkpoint; the lines are not written twice."""
    stage = tiny.make_stage(tmp_path, save_every_s=save_every_s)
    with pytest.raises(Killed):
        train(replace(stage, report=at_epoch(3, kill)))
    assert max(row["epoch"] for row in stage.history.read()) == 3
    with stage.history.path.open("a") as file:
        file.write('{"stage": "train", "se')  # and a line cut short
    epochs = []
    trained = train(replace(stage, report=lambda now, loss: epochs.append(now)))
    assert epochs == call_ends(saved)
    assert tiny.leaves_equal(outcome(trained), whole[0])
    assert stage.history.path.read_text() == whole[1]


def test_a_damaged_checkpoint_costs_time_not_the_result(whole, tmp_path):
    stage = tiny.make_stage(tmp_path)
    with pytest.raises(Killed):
        train(replace(stage, report=at_epoch(5, kill)))
    newest = max(stage.folder.glob("state/0*"))
    assert newest.name == "000003"
    (newest / "progress.json").write_text("{}")
    epochs = []
    trained = train(replace(stage, report=lambda now, loss: epochs.append(now)))
    assert epochs == call_ends(1)
    assert tiny.leaves_equal(outcome(trained), whole[0])
    assert stage.history.path.read_text() == whole[1]


def test_a_signal_while_the_last_epoch_is_saved_is_not_lost(whole, tmp_path, monkeypatch):
    """No call follows that would answer it."""
    checkpoint = shares.save

    def save(stack, state_R, epoch, iterator):
        checkpoint(stack, state_R, epoch, iterator)
        if epoch == 5:
            send(signal.SIGTERM)()

    stage = tiny.make_stage(tmp_path, save_every_s=0.0)
    with monkeypatch.context() as patch:
        patch.setattr(shares, "save", save)
        with pytest.raises(Interrupted, match="SIGTERM: saved after epoch 5 of 5"):
            train(stage)
    trained = train(replace(stage, report=lambda epoch, loss: pytest.fail("trained again")))
    assert tiny.leaves_equal(outcome(trained), whole[0])


def nothing(state, progress):
    return state, progress


def without_key(state, progress):
    return replace(state, key_data=state.key_data + np.uint32(1)), progress


def without_optimizer(state, progress):
    return replace(state, opt_state=tiny.make_state(RUNS).opt_state), progress


@pytest.mark.parametrize("forget", [nothing, without_key, without_optimizer])
def test_a_resume_that_leaves_something_out_ends_differently(whole, tmp_path, forget):
    """Negative controls: the comparison of bits notices each of them (and not the honest round trip)."""
    stage = tiny.make_stage(tmp_path, save_every_s=1e9)
    with pytest.raises(Interrupted):
        train(replace(stage, report=at_epoch(1, send(signal.SIGTERM))))
    checkpoints = Checkpoints(stage.folder / "state", FINGERPRINT)
    number, state, progress = checkpoints.load(tiny.make_state(RUNS))
    checkpoints.save(number, *forget(jax.tree.map(jnp.asarray, state), progress))
    trained = train(stage)
    assert tiny.leaves_equal(outcome(trained), whole[0]) == (forget is nothing)


@pytest.mark.parametrize("iterator", [None, [], "x", {}, {"next_index": 0}, {"next_index": True}, {"next_index": 9}])
def test_an_index_stream_that_stands_elsewhere_is_refused(tmp_path, iterator):
    stage = tiny.make_stage(tmp_path)
    Checkpoints(stage.folder / "state", FINGERPRINT).save(4, tiny.make_state(RUNS), {"iterator": iterator})
    with pytest.raises(CheckpointError, match=r"epoch 4 says that the index stream is at .*expected {'next_index': 4}"):
        train(stage)


@pytest.mark.parametrize(
    ("runs", "schedule"),
    [
        ([replace(RUNS[0], train=np.arange(1, 16)), *RUNS[1:]], SCHEDULE),
        ([replace(RUNS[0], seed=7), *RUNS[1:]], SCHEDULE),
        (RUNS, replace(SCHEDULE, batch_size=5)),
    ],
    ids=["rows", "seed", "batch size"],
)
def test_a_checkpoint_of_another_stream_is_refused(tmp_path, runs, schedule):
    stage = tiny.make_stage(tmp_path)
    with pytest.raises(Interrupted):
        train(replace(stage, report=at_epoch(1, send(signal.SIGTERM))))
    with pytest.raises(CheckpointError, match="another configuration, corpus or index stream"):
        train(stage, runs, schedule)


def test_a_signal_while_it_is_decided_whether_to_save_is_not_lost(whole, tmp_path, monkeypatch):
    """It comes just after the loop has found no request: the next call answers it, and what it says was saved is."""
    clock, sent = loop.time.monotonic, []

    def monotonic():
        if len(sent) == 3:  # those before are when training starts, and how long a call takes
            send(signal.SIGTERM)()
        sent.append(True)
        return clock()

    monkeypatch.setattr(loop.time, "monotonic", monotonic)
    stage = tiny.make_stage(tmp_path, save_every_s=1e9)
    with pytest.raises(Interrupted, match="saved after epoch 3"):
        train(stage)
    assert [path.name for path in (stage.folder / "state").iterdir()] == ["000003"]
    assert tiny.leaves_equal(outcome(train(stage)), whole[0])


def test_a_second_interrupt_stops_at_once_and_handlers_come_back():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with stop_requests() as requests:
        send(signal.SIGINT)()
        assert requests == [signal.SIGINT]
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_outside_the_main_thread_signals_are_left_alone():
    seen = []

    def work():
        with stop_requests() as requests:
            seen.append(list(requests))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [[]]


def test_non_finite_losses_in_a_row_stop_the_training(tmp_path):
    """Run 1 never gets a finite batch: six refusals in the first two epochs, four are allowed."""
    broken = replace(RUNS[1], shift_C=np.full(tiny.C, np.nan, np.float32))
    stage = tiny.make_stage(tmp_path)
    with pytest.raises(DivergedError, match=r"emotion1.*gave 6 non-finite.*lower --learning-rate") as caught:
        train(stage, [RUNS[0], broken, RUNS[2]])
    assert caught.value.exit_code == 1
    rows = stage.history.read()
    assert {row["loss"] for row in rows if row["emotion"] == "emotion1"} == {None}
    assert all(row["loss"] is not None for row in rows if row["emotion"] != "emotion1")


def test_stacks_of_equal_shapes_are_compiled_once(whole, tmp_path):
    """All trainings of this file, and one of other rows, seeds and numbers, share one trace of the loss."""
    n_traces = len(TRACES)
    assert n_traces > 0
    others = [replace(run, seed=5, beta=2.0, learning_rate=1e-4, train=run.train + 20) for run in RUNS]
    trained = train(tiny.make_stage(tmp_path), others)
    assert len(TRACES) == n_traces
    assert not tiny.leaves_equal(trained.params, whole[0][0])


@pytest.mark.parametrize("validated", [True, False])
def test_a_run_that_ends_without_a_finite_loss_is_an_error_that_names_it(tmp_path, validated):
    """Refused steps are fewer than are allowed; with validation rows, and where there are none."""
    stage, patient = tiny.make_stage(tmp_path), replace(SCHEDULE, max_rejected=99, clip_norm=None)
    broken = replace(RUNS[1], learning_rate=1e12)
    runs = [RUNS[0], broken if validated else replace(broken, validation=broken.validation[:0]), RUNS[2]]
    for _ in range(2):  # the second time from what was saved
        with pytest.raises(
            DivergedError, match=r"seed 1, fold fold0, emotion emotion1 diverged: .* not finite.*--learn"
        ):
            train(stage, runs, patient)


def test_a_last_validation_loss_that_is_not_finite_is_an_error(tmp_path):
    """Training rows are fine, one of the validation rows is not."""
    x_NTC = tiny.DATASET.x_NTC.at[RUNS[0].validation[0]].set(jnp.inf)
    spoilt = replace(tiny.DATASET, x_NTC=x_NTC)
    with pytest.raises(DivergedError, match="emotion emotion0 diverged"):
        train_stack(RUNS, tiny.make_params(RUNS), OBJECTIVE, spoilt, SCHEDULE, LAYOUT, tiny.make_stage(tmp_path))


def test_a_run_without_validation_rows_that_ends_well_is_none(tmp_path):
    trained = train(tiny.make_stage(tmp_path), [replace(RUNS[0], validation=RUNS[0].validation[:0]), *RUNS[1:]])
    assert trained.epoch_R[0] == 5
