"""A killed experiment, started again with the same command, ends with bit-identical figures."""

import json
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

DATA = ["--synthetic-clips", "96", "--emotions", "happy", "sad", "angry", "--protocol", "speaker-5fold"]
MODEL = ["--hidden", "32", "--latent-dim", "8", "--importance-samples", "2"]
TRAINING = ["--epochs", "12", "--pretrain-epochs", "2", "--devices", "2", "--save-every", "0", "--quiet"]
pytestmark = pytest.mark.slow  # each command is a process that imports and compiles all

FIGURES = ("uar", "uar_ci95", "war", "macro_f1", "per_fold", "confusion", "scores", "chosen_epochs", "noise_variance")


def command(out: Path) -> list[str]:
    return [sys.executable, "-m", "serjax.experiments.vae_mfcc", *DATA, *MODEL, *TRAINING, "--out", str(out)]


def start(out: Path, words: list[str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(words or command(out), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(out: Path) -> dict[str, object]:
    process = start(out)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    metrics = json.loads((out / "metrics.json").read_text())
    return {name: metrics[name] for name in FIGURES}


@dataclass(frozen=True)
class Whole:
    """A run that nothing disturbed: where, what it found, and how many lines its history has."""

    out: Path
    figures: dict[str, object]
    n_lines: int


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    out = tmp_path_factory.mktemp("whole") / "o"
    return Whole(out, finish(out), n_lines(out))


def n_lines(out: Path) -> int:
    history = out / "history.jsonl"
    return len(history.read_bytes().splitlines()) if history.exists() else 0


@pytest.mark.parametrize("kills", [1, pytest.param(20, marks=pytest.mark.nightly)])
def test_sigkill_at_random_moments_changes_nothing(tmp_path, whole, kills):
    draw = random.Random(kills)
    codes = []
    for kill in range(kills):
        out, moment = tmp_path / f"killed-{kill}", draw.randrange(whole.n_lines)
        process = start(out)
        while process.poll() is None and n_lines(out) <= moment:
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.05))  # somewhere in the next call, or in what is saved after this one
        process.kill()
        process.communicate(timeout=60)
        codes.append(process.returncode)
        assert finish(out) == whole.figures, f"kill {kill}"
    assert codes.count(-signal.SIGKILL) > kills // 2  # most came before the end, else the test shows nothing


@pytest.mark.nightly
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_training_saves_and_the_same_command_goes_on(tmp_path, whole, how):
    out = tmp_path / "stopped"
    process = start(out)
    while process.poll() is None and not list(out.glob("checkpoints/train-0/state/0*")):
        time.sleep(0.01)
    process.send_signal(how)
    _, error = process.communicate(timeout=20)
    assert process.returncode == 128 + how
    assert "same command again" in " ".join(error.split())
    assert finish(out) == whole.figures


@pytest.mark.nightly
def test_a_large_network_in_training_answers_a_signal_within_ten_seconds(tmp_path):
    out = tmp_path / "vgg"
    model = ["--synthetic-clips", "96", "--size", "64", "--width", "0.25", "--epochs", "999", "--devices", "1"]
    process = start(out, [sys.executable, "-m", "serjax.experiments.vgg_mel", *model, "--quiet", "--out", str(out)])
    while process.poll() is None and n_lines(out) < 2:
        time.sleep(0.1)
    time.sleep(3)  # in the midst of a call
    process.send_signal(signal.SIGTERM)
    sent_s = time.monotonic()
    _, error = process.communicate(timeout=60)
    assert time.monotonic() - sent_s < 10
    assert process.returncode == 128 + signal.SIGTERM
    assert "same command again" in " ".join(error.split())


def test_a_finished_run_is_printed_not_trained(whole):
    stamp = (whole.out / "metrics.json").stat().st_mtime_ns
    assert finish(whole.out) == whole.figures
    assert (whole.out / "metrics.json").stat().st_mtime_ns == stamp
