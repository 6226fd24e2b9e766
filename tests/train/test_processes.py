"""Processes: two of one device equal one of two, a death ends the other, all go on from what was saved."""

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from experiments import sweep as ablation_study
from serjax.folder import run_folder
from serjax.train import checkpoint, loop, processes
from serjax.train.checkpoint import CheckpointError, Checkpoints
from serjax.train.parallel import Layout
from serjax.train.processes import LostProcessError, ProcessesError, join_processes
from serjax.train.shares import Share
from tests.conftest import COMPILED
from tests.train import tiny

pytestmark = pytest.mark.slow

LOGREG = [
    "serjax.experiments.logreg",
    *("--synthetic-clips", "96", "--emotions", "happy", "sad", "--protocol", "speaker-5fold"),
    *("--frames", "20", "--epochs", "4", "--quiet"),
]
BETAS = [
    "experiments.ablate_vae",
    *("--synthetic-clips", "96", "--emotions", "happy", "sad", "--protocol", "speaker-5fold", "--frames", "20"),
    *("--hidden", "16", "--latent-dim", "8", "--widths", "16", "--latent-dims", "8", "--betas", "0.1", "1.0"),
    *("--epochs", "2", "--pretrain-epochs", "1", "--importance-samples", "2", "--quiet"),
]
FIGURES = ("uar", "uar_ci95", "war", "macro_f1", "per_fold", "confusion", "chosen_epochs")


AGREEING = """
import json, sys
from serjax.train import processes as p
rank, fails = int(sys.argv[2]), sys.argv[3:]
p.join_processes(sys.argv[1], 2, rank)
assert not (fails and rank == 0), "a fault of the program"
answers = [list(map(list, p.agree(bytes([0, rank, 255, 0])))), p.exchange(2**40 + rank, "é"), p.from_first(7 + rank)]
print(json.dumps([p.is_first(), *answers]))
"""


def free_address() -> str:
    """Return an address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


def run_python(*arguments: str) -> subprocess.Popen[str]:
    """Start Python from the checkout."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": Path(__file__).parents[2]}
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(COMPILED)}
    return subprocess.Popen([sys.executable, *arguments], env=environment, **options)


def start(
    n: int,
    out: Path,
    devices: int,
    *more: str,
    program: tuple[str, ...] = ("tests.train.worker",),
    own: dict[int, tuple[str, ...]] | None = None,
    address: str | None = None,
):
    """Start `n` processes that train together on so many devices each; `own` flags of some come last, and win."""
    address = address or free_address()
    command = ["-m", *program, "--out", str(out), "--devices", str(devices), *more]
    places = [["--coordinator", address, "--num-processes", str(n), "--process-id", str(i)] for i in range(n)]
    return [run_python(*command, *place, *(own or {}).get(i, ())) for i, place in enumerate(places)]


def finish(started) -> list[str]:
    """Wait for all; return what each printed."""
    printed = [process.communicate(timeout=300) for process in started]
    assert [process.returncode for process in started] == [0] * len(started), printed
    return [out for out, _ in printed]


def endings(started, within_s: float) -> list[tuple[int, str]]:
    """Wait for all; return exit code and messages of each."""
    until = time.monotonic() + within_s
    said = [process.communicate(timeout=until - time.monotonic())[1] for process in started]
    return [(process.returncode, " ".join(text.split())) for process, text in zip(started, said, strict=True)]


def check_survivor(code: int, said: str) -> None:
    """Assert that a process ended because another had: by a call that failed, which says so, or by JAX's abort."""
    assert code in (1, -signal.SIGABRT), said
    if code == 1:
        assert re.search(f"A call over all processes failed .*{processes.AGAIN}", said)
    else:
        assert "JAX distributed service detected fatal errors" in said


def results(out: Path, n: int) -> list[dict]:
    return [json.loads((out / f"result-{rank}.json").read_text()) for rank in range(n)]


def wait_for_checkpoint(out: Path, started) -> None:
    while all(process.poll() is None for process in started) and not list(out.glob("a/checkpoints/state/00000[2-6]")):
        time.sleep(0.02)


@pytest.fixture(scope="module")
def one_process(tmp_path_factory):
    """What one process with two devices gets."""
    out = tmp_path_factory.mktemp("one")
    finish(start(1, out, 2))
    return results(out, 1)[0]


def test_two_processes_equal_one_and_all_get_the_result(tmp_path, one_process):
    """Bit for bit: parameters, losses, epochs and the history, which is written once."""
    finish(start(2, tmp_path, 1))
    assert results(tmp_path, 2) == [one_process, one_process]


@pytest.mark.parametrize("killed", [1, 0])
def test_a_death_ends_the_other_and_the_same_command_resumes(tmp_path, one_process, killed):
    """Also where the shares of the stack are left at different epochs."""
    started = start(2, tmp_path, 1, "--pause", "0.3")
    wait_for_checkpoint(tmp_path, started)
    started[killed].kill()
    codes = endings(started, 60)  # measured 0.1 to 4 s; JAX allows 30
    check_survivor(*codes[1 - killed])
    assert f"2 processes train together. {processes.AGAIN}" in codes[0][1]
    assert "train together" not in codes[1][1]
    assert not list(tmp_path.glob("result-*"))
    shutil.rmtree(max(tmp_path.glob("b/checkpoints/state/00000[1-8]")))
    finish(start(2, tmp_path, 1))
    assert results(tmp_path, 2) == [one_process, one_process]


@pytest.mark.nightly
def test_a_signal_to_one_stops_both_and_one_process_goes_on(tmp_path, one_process):
    started = start(2, tmp_path, 1, "--pause", "0.3")
    wait_for_checkpoint(tmp_path, started)
    started[1].terminate()
    errors = [" ".join(process.communicate(timeout=60)[1].split()) for process in started]
    assert [process.returncode for process in started] == [128 + signal.SIGTERM] * 2, errors
    assert all("Stopped by SIGTERM: saved after epoch" in error for error in errors)
    finish(start(1, tmp_path, 2))
    assert results(tmp_path, 1) == [one_process]


@pytest.mark.nightly
def test_another_number_of_devices_goes_on(tmp_path, one_process):
    """Each run is trained by one device, so not even rounding differs."""
    (started,) = start(1, tmp_path, 1, "--pause", "0.3")
    wait_for_checkpoint(tmp_path, [started])
    started.terminate()
    started.communicate(timeout=60)
    assert started.returncode == 128 + signal.SIGTERM
    finish(start(1, tmp_path, 3))
    assert results(tmp_path, 1) == [one_process]


@pytest.mark.nightly
def test_two_processes_share_batches_too(tmp_path, one_process):
    finish(start(1, tmp_path / "one", 2, "--shard", "data"))
    finish(start(2, tmp_path / "two", 1, "--shard", "data"))
    assert results(tmp_path / "two", 2) == results(tmp_path / "one", 1) * 2
    assert results(tmp_path / "two", 1)[0]["epoch"] == one_process["epoch"]


@pytest.mark.nightly
def test_an_experiment_on_two_processes_equals_it_on_one(tmp_path):
    """One run folder, written and printed once, with the figures of one process of two devices."""
    alone = finish(start(1, tmp_path / "one", 2, program=tuple(LOGREG)))
    both = finish(start(2, tmp_path / "two", 1, program=tuple(LOGREG)))
    one, two = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("one", "two"))
    assert {name: two[name] for name in FIGURES} == {name: one[name] for name in FIGURES}
    files = [{p.name for p in (tmp_path / name).rglob("*") if p.suffix in (".png", ".csv")} for name in ("one", "two")]
    assert files[0] == files[1] > {"predictions.csv"}
    for name in ("predictions.csv", "history.jsonl"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert ["UAR" in printed for printed in (*alone, *both)] == [True, True, False]


@pytest.mark.nightly
def test_studies_of_one_stack_on_two_processes_equal_them_on_one(tmp_path):
    """Two run folders and one page, each written once; started again, nothing is trained."""
    alone = finish(start(1, tmp_path / "one", 2, program=tuple(BETAS)))
    both = finish(start(2, tmp_path / "two", 1, program=tuple(BETAS)))
    for study in ("base", "hidden=16,latent_dim=8,beta=1.0"):
        one, two = (json.loads((tmp_path / name / study / "metrics.json").read_text()) for name in ("one", "two"))
        assert {name: two[name] for name in FIGURES} == {name: one[name] for name in FIGURES}
        for name in ("predictions.csv", "history.jsonl"):
            assert (tmp_path / "one" / study / name).read_bytes() == (tmp_path / "two" / study / name).read_bytes()
    assert (tmp_path / "two" / "results.md").read_text().count("## UAR by score") == 1
    assert ["UAR by score" in printed for printed in (*alone, *both)] == [True, True, False]
    written = (tmp_path / "two" / "base" / "metrics.json").read_bytes()
    finish(start(2, tmp_path / "two", 1, program=tuple(BETAS)))
    assert (tmp_path / "two" / "base" / "metrics.json").read_bytes() == written


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("node:1", 2, None), "--process-id missing: give all of --coordinator, --num-processes, --process-id"),
        ((None, None, 1), "--coordinator and --num-processes missing"),
        (("node", 2, 0), "--coordinator node: expected HOST:PORT"),
        (("node:x", 2, 0), "expected HOST:PORT"),
        (("node:1", 2, 2), "--process-id 2: expected 0 to 1"),
    ],
)
def test_flags_that_do_not_fit_together(flags, message):
    with pytest.raises(ProcessesError, match=message):
        join_processes(*flags)


def test_what_every_process_gives_reaches_all_whole():
    """Zeros at the end, numbers beyond 32 bits, letters beyond ASCII."""
    address = free_address()
    printed = finish([run_python("-c", AGREEING, address, str(rank)) for rank in range(2)])
    answers = [[[0, 0, 255, 0], [0, 1, 255, 0]], [[2**40, "é"], [2**40 + 1, "é"]], 7]
    assert [json.loads(text.splitlines()[-1]) for text in printed] == [[True, *answers], [False, *answers]]


def test_an_error_that_nobody_catches_ends_the_process_at_once():
    """JAX would wait for the others first, for hours: here until the test's time is over."""
    address = free_address()
    started = [run_python("-c", AGREEING, address, str(rank), "fail") for rank in range(2)]
    (code, said), other = endings(started, 40)
    assert (code, "AssertionError: a fault of the program" in said) == (1, True)
    check_survivor(*other)


@pytest.mark.parametrize("wrong", [0, 1])
def test_flags_that_are_wrong_in_one_process_end_both(tmp_path, wrong):
    """The other is told by JAX: at once of process 0, else as soon as no heartbeat came."""
    started = start(2, tmp_path / "o", 1, program=tuple(LOGREG), own={wrong: ("--epochs", "0")})
    codes = endings(started, 90)
    assert (codes[wrong][0], "--epochs 0" in codes[wrong][1]) == (2, True)
    check_survivor(*codes[1 - wrong])
    assert not (tmp_path / "o").exists()


def test_another_out_is_an_error_of_all(tmp_path):
    started = start(2, tmp_path / "a", 1, own={1: ("--out", str(tmp_path / "b"))})
    for code, said in endings(started, 40):
        assert (code, "Process 1 has another --out than process 0" in said) == (2, True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("twice", ["0", "1"])
def test_a_number_that_two_processes_have_is_an_error_of_the_second(tmp_path, twice):
    started = start(2, tmp_path, 1, own=dict.fromkeys(range(2), ("--process-id", twice)))
    while all(process.poll() is None for process in started):
        time.sleep(0.02)
    for process in started:  # the first waits for the one that is missing
        process.kill()
    ((code, said),) = [ending for ending in endings(started, 10) if ending[0] != -signal.SIGKILL]
    assert code == 2
    assert f"--process-id {twice}: another process of this host has this number" in said


def test_a_port_in_use_is_an_error_at_once(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        (first,) = start(1, tmp_path, 1, own={0: ("--num-processes", "2")}, address=address)
        ((code, said),) = endings([first], 40)
    assert (code, f"--coordinator {address}: process 0 cannot listen there" in said) == (2, True)


@pytest.fixture
def asked(monkeypatch):
    """What `jax.distributed.initialize` was asked for, which does nothing."""
    given: list[tuple[tuple, dict]] = []
    monkeypatch.setattr(processes.jax.distributed, "initialize", lambda *a, **k: given.append((a, k)))
    monkeypatch.setattr(processes.jax.distributed, "is_initialized", lambda: bool(given))
    monkeypatch.setattr(processes.jax.config, "update", lambda *a: None)
    monkeypatch.setattr(processes, "_claimed", [])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    return given


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "192.0.2.1", "no-such-host.invalid"])
def test_process_0_says_at_once_where_it_cannot_listen(asked, host):
    """A port in use, and an address of another machine; JAX is not asked, and the number is free again."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        for _ in range(2):
            with pytest.raises(ProcessesError, match=rf"--coordinator {host}:{port}: process 0 cannot listen there"):
                join_processes(f"{host}:{port}", 2, 0)
    assert asked == []


@pytest.mark.parametrize("rank", [0, 1])
def test_the_service_listens_at_the_address_that_was_given_alone(asked, rank):
    address = free_address()
    join_processes(address, 2, rank)
    ((arguments, options),) = asked
    assert arguments == (address, 2, rank)
    assert options["coordinator_bind_address"] == (None if rank else address)
    assert options["heartbeat_timeout_seconds"] == 30


@pytest.mark.parametrize(
    ("tasks", "flags", "joins"), [("2", (None,) * 3, 1), ("1", (None,) * 3, 0), ("2", (None, 1, None), 0)]
)
def test_a_slurm_step_of_several_tasks_is_found_once(monkeypatch, asked, tasks, flags, joins):
    for name in processes.SLURM:
        monkeypatch.setenv(name, "0")
    monkeypatch.setenv("SLURM_NTASKS", tasks)
    join_processes(*flags)
    join_processes(*flags)
    assert [arguments for arguments, _ in asked] == [(None, None, None)] * joins


def test_others_that_do_not_come():
    late = "from serjax.train import processes as p; p.JOIN_S = 2; p.join_processes('127.0.0.1:9', 2, 1)"
    ((code, said),) = endings([run_python("-c", late)], 60)
    assert (code, "they did not come). Start all of them" in said) == (1, True)


def test_processes_that_train_different_things_say_so(monkeypatch):
    monkeypatch.setattr(processes, "agree", lambda content: [content, content, b"of another"])
    with pytest.raises(ProcessesError, match="Process 2 has another configuration than process 0: give all the same"):
        processes.check_same("configuration", "a")


def test_processes_that_stack_other_shares_say_so(monkeypatch, tmp_path):
    """Compared at once: one by one, a process with fewer would train while the others still compare."""
    runs = tiny.make_runs(2)
    shares = [Share([run], {}, tiny.make_stage(tmp_path / name)) for name, run in zip("ab", runs, strict=True)]
    own = [f"tiny-{loop.index_blocks([run], tiny.SCHEDULE).fingerprint()}" for run in runs]
    monkeypatch.setattr(processes, "agree", lambda content: [content, hashlib.sha256(own[0].encode()).digest()])
    with pytest.raises(ProcessesError, match="Process 1 has another configuration or corpus than process 0"):
        loop.train_shares(shares, tiny.OBJECTIVE, tiny.DATASET, tiny.SCHEDULE, Layout(tuple(jax.devices()[:1])))


def test_a_checkpoint_that_only_process_0_sees(monkeypatch, tmp_path):
    tree = {"a": np.arange(3.0)}
    Checkpoints(tmp_path / "there", "x").save(7, tree, {"epoch": 7})
    monkeypatch.setattr(checkpoint, "is_first", lambda: False)
    monkeypatch.setattr(checkpoint, "from_first", lambda value: 7)
    number, found, progress = Checkpoints(tmp_path / "there", "x").load(tree)
    assert (number, progress["epoch"]) == (7, 7)
    np.testing.assert_array_equal(found["a"], tree["a"])
    Checkpoints(tmp_path / "here", "x").save(7, tree, {})
    assert not (tmp_path / "here").exists()  # only the first writes
    with pytest.raises(CheckpointError, match=r"Process 0 has read .*000007.*folder that all processes share"):
        Checkpoints(tmp_path / "here", "x").load(tree)


def test_the_others_leave_the_run_folder_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(run_folder, "is_first", lambda: False)
    with run_folder.open_run_folder(tmp_path / "o", "logreg", "x") as folder:
        folder.claim({})
        folder.write_json("metrics.json", {})
        assert not folder.writes
    assert not (tmp_path / "o").exists()


def test_the_others_write_no_page(monkeypatch, tmp_path):
    page = ablation_study.Page(tmp_path / "o", tmp_path / "page.md")
    assert page.files == [tmp_path / "o" / "results.md", tmp_path / "page.md"]
    monkeypatch.setattr(ablation_study, "is_first", lambda: False)
    assert page.files == []


def test_who_is_alone_is_first_and_agrees_with_himself():
    assert processes.is_first()
    assert processes.agree(b"abc") == [b"abc"]
    assert processes.exchange(3, "a") == [[3, "a"]]
    assert processes.from_first(-1) == -1
    with pytest.raises(SystemExit, match="2"):
        processes.leave(2)
    with pytest.raises(ValueError, match="256 bytes to agree on: expected at most 255"):
        processes.agree(bytes(256))


def test_only_calls_that_memory_did_not_fail_are_taken_for_a_loss(monkeypatch):
    with pytest.raises(ValueError, match=r"^alone$"), processes.collective():
        raise ValueError("alone")
    monkeypatch.setattr(processes.jax.distributed, "is_initialized", lambda: True)
    said = r"failed \(ValueError: Connection closed by peer\)\. If a process dies"
    with pytest.raises(LostProcessError, match=said), processes.collective():
        raise ValueError("Connection closed by peer\nand where")
    with pytest.raises(RuntimeError, match="RESOURCE_EXHAUSTED"), processes.collective():
        raise RuntimeError("RESOURCE_EXHAUSTED: out of memory")
