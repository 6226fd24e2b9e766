"""Wrong use of an experiment: one clear paragraph on standard error, exit code 2, nothing left behind."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import soundfile

from serjax import command, provenance, signals
from serjax.command import run_command
from serjax.experiments import vae_mfcc
from serjax.folder.run_folder import open_run_folder
from serjax.main import main
from serjax.train.loop import DivergedError, Interrupted


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *flags: str) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["vae_mfcc", "--quiet", *flags])
    with pytest.raises(SystemExit) as stop:
        main(vae_mfcc.Config, "")
    return int(stop.value.code or 0), " ".join(capsys.readouterr().err.split())


def ravdess_folder(root: Path, names: list[str]) -> Path:
    for name in names:
        path = root / f"Actor_{name[-2:]}" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        wav = np.random.default_rng(len(str(path))).normal(0, 0.1, 22_050)
        soundfile.write(path, wav, 22_050)
    return root


def test_unknown_corpus(capsys, monkeypatch, tmp_path):
    code, error = run(capsys, monkeypatch, "--corpus", "ravdes", "--out", str(tmp_path / "o"))
    assert code == 2
    assert "'ravdes'" in error
    assert "ravdess-song" in error


def test_empty_root(capsys, monkeypatch, tmp_path):
    (tmp_path / "empty").mkdir()
    flags = ("--corpus", "ravdess", "--root", str(tmp_path / "empty"), "--out", str(tmp_path / "o"))
    code, error = run(capsys, monkeypatch, *flags)
    assert code == 2
    assert str(tmp_path / "empty") in error


def test_root_missing(capsys, monkeypatch, tmp_path):
    code, error = run(capsys, monkeypatch, "--corpus", "ravdess", "--out", str(tmp_path / "o"))
    assert code == 2
    assert "--root" in error


def test_root_of_the_wrong_corpus(capsys, monkeypatch, tmp_path):
    root = tmp_path / "crema"
    root.mkdir()
    soundfile.write(root / "1001_DFA_ANG_XX.wav", np.zeros(16_000), 16_000)
    code, error = run(capsys, monkeypatch, "--corpus", "ravdess", "--root", str(root), "--out", str(tmp_path / "o"))
    assert code == 2
    assert "1001_DFA_ANG_XX" in error


def test_training_rows_without_a_class(capsys, monkeypatch, tmp_path):
    names = [f"03-01-0{e}-01-01-01-0{actor}" for actor in (1, 2, 3, 4) for e in (3, 4)]
    names += ["03-01-05-01-01-01-01"]  # angry by actor 1 alone
    root = ravdess_folder(tmp_path / "r", names)
    flags = ("--corpus", "ravdess", "--root", str(root), "--protocol", "loso", "--out", str(tmp_path / "o"))
    code, error = run(capsys, monkeypatch, *flags)
    assert code == 2
    assert "angry" in error


def test_unknown_emotion_lists_the_known(capsys, monkeypatch, tmp_path):
    flags = ("--synthetic-clips", "48", "--emotions", "happy", "bored", "--out", str(tmp_path / "o"))
    code, error = run(capsys, monkeypatch, *flags)
    assert code == 2
    assert "'bored'" in error
    assert "surprised" in error


def test_output_folder_of_another_configuration(capsys, monkeypatch, tmp_path):
    with open_run_folder(tmp_path / "o", "vae_mfcc", "0123456789abcdef") as folder:
        folder.claim({})
        folder.write_json("metrics.json", {})
    code, error = run(capsys, monkeypatch, "--out", str(tmp_path / "o"))
    assert code == 2
    assert "another configuration" in error
    assert str(tmp_path / "o") in error
    assert (tmp_path / "o" / "config.json").exists()


def test_output_folder_in_use(capsys, monkeypatch, tmp_path):
    with open_run_folder(tmp_path / "o", "vae_mfcc", "0123456789abcdef"):
        code, error = run(capsys, monkeypatch, "--out", str(tmp_path / "o"))
    assert code == 2
    assert "in use" in error


def test_a_wrong_command_claims_no_folder(capsys, monkeypatch, tmp_path):
    run(capsys, monkeypatch, "--corpus", "ravdess", "--out", str(tmp_path / "o"))
    assert sorted(os.listdir(tmp_path / "o")) == [".lock"]


def test_output_folder_with_foreign_files_is_left_alone(capsys, monkeypatch, tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    code, error = run(capsys, monkeypatch, "--out", str(tmp_path))
    assert code == 2
    assert "thesis.tex" in error
    assert sorted(os.listdir(tmp_path)) == [".lock", "thesis.tex"]


def test_what_a_file_manager_left_in_the_output_folder_is_nothing(tmp_path):
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._config.json"):
        (tmp_path / name).write_text("x")
    for fingerprint in ("0123456789abcdef", "another"):  # the second takes over an empty claim of the first
        with open_run_folder(tmp_path, "vae_mfcc", fingerprint) as folder:
            folder.claim({})
            assert folder.claimed


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_no_write_permission(capsys, monkeypatch, tmp_path):
    tmp_path.chmod(0o500)
    code, error = run(capsys, monkeypatch, "--out", str(tmp_path / "o"))
    assert code == 2
    assert str(tmp_path / "o") in error


def test_output_folder_below_a_file(capsys, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    code, error = run(capsys, monkeypatch, "--out", str(tmp_path / "file" / "o"))
    assert code == 2
    assert "cannot be written" in error


@pytest.mark.parametrize("flag", ["--epochs", "--batch-size", "--learning-rate", "--latent-dim", "--seeds"])
def test_numbers_that_make_no_sense(capsys, monkeypatch, tmp_path, flag):
    code, error = run(capsys, monkeypatch, flag, "0", "--out", str(tmp_path / "o"))
    assert code == 2
    assert flag in error


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--frames", "0"), "--frames 0 cannot be: give a whole number of at least 2"),
        (("--sample-rate", "-1"), "--sample-rate -1 cannot be"),
        (("--n-mfcc", "40", "--n-mels", "20"), "--n-mfcc 40 exceeds --n-mels 20"),
    ],
)
def test_frames_that_make_no_sense_are_told_as_flags_at_once(capsys, monkeypatch, tmp_path, flags, says):
    code, error = run(capsys, monkeypatch, *flags, "--out", str(tmp_path / "o"))
    assert code == 2
    assert says in error.replace("│ ", "")
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("flag", ["--learning-rate", "--clip-norm"])
def test_infinite_numbers_are_refused_before_anything_is_written(capsys, monkeypatch, tmp_path, flag):
    code, error = run(capsys, monkeypatch, flag, "inf", "--out", str(tmp_path / "o"))
    assert code == 2
    assert f"{flag} inf: expected a number above 0, not infinite" in error
    assert not (tmp_path / "o").exists()


def test_too_many_devices(capsys, monkeypatch, tmp_path):
    code, error = run(capsys, monkeypatch, "--devices", "9", "--out", str(tmp_path / "o"))
    assert code == 2
    assert "at most 8" in error


def test_an_unknown_flag_points_to_help_that_can_be_run(capsys, monkeypatch):
    monkeypatch.setattr(command, "program", lambda: ["python", "-m", "serjax.experiments.vae_mfcc"])
    code, error = run(capsys, monkeypatch, "--epoch-count", "3")
    assert code == 2
    assert "run python -m serjax.experiments.vae_mfcc --help" in error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DivergedError("nan"), 1),
        (Interrupted(15, "saved"), 143),
        (KeyboardInterrupt(), 130),
        (OSError(28, "full"), 1),
        (MemoryError("8 GiB"), 1),
    ],
)
def test_exit_codes_of_what_is_not_wrong_use(capsys, monkeypatch, error, code):
    def fail(config: vae_mfcc.Config) -> None:
        raise error

    monkeypatch.setattr(sys, "argv", ["vae_mfcc"])
    with pytest.raises(SystemExit) as stop:
        run_command(vae_mfcc.Config, fail, "")
    assert stop.value.code == code
    assert capsys.readouterr().err.strip()


@pytest.mark.parametrize("answers", [True, False])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_signal_at_any_time_is_answered_by_a_line(capsys, monkeypatch, answers):
    """In what nothing collects signals, such as planning and drawing; or where the exception is swallowed."""
    ended = []

    def end_now(code: int) -> NoReturn:
        ended.append(code)
        raise SystemExit  # of the thread that it is called in

    monkeypatch.setattr(signals, "GRACE_S", 5.0 if answers else 0.1)
    monkeypatch.setattr(command, "end_now", end_now)

    def work(config: vae_mfcc.Config) -> None:
        with contextlib.suppress(*() if answers else (Interrupted,)):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        while not ended:
            time.sleep(0.01)

    monkeypatch.setattr(sys, "argv", ["vae_mfcc"])
    with pytest.raises(SystemExit) as stop:
        run_command(vae_mfcc.Config, work, "")
    said = "Stopped by SIGTERM. Give" if answers else "Stopped by SIGTERM within a long computation"
    assert said in " ".join(capsys.readouterr().err.split())
    assert (stop.value.code, ended) == ((143, []) if answers else (0, [143]))


def test_what_an_encoding_lacks_is_written_as_its_code_point_and_a_closed_stream_is_none(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii", write_through=True))
    monkeypatch.setattr(sys, "stderr", None)
    command._prepare_streams()
    print("×–")
    assert written.getvalue() == b"\\xd7\\u2013\n"
    assert not sys.stderr.isatty()
    sys.stderr.close()


@pytest.mark.slow
def test_a_reader_that_has_read_enough_is_no_error():
    command = [sys.executable, "-m", "serjax.experiments.vae_mfcc", "--help"]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert writer.stdout is not None
    writer.stdout.close()
    assert (writer.communicate()[1], writer.returncode) == (b"", 141)


def test_the_commit_is_that_of_the_checkout_that_runs():
    git = ("git", "-C", str(Path(__file__).parents[1]), "rev-parse", "--short=12", "HEAD")
    asked = subprocess.run(git, capture_output=True, text=True, check=False)
    commit = str(provenance.provenance()["git"])
    assert commit.removesuffix("-dirty") == (asked.stdout.strip() if asked.returncode == 0 else "None")


def test_the_commit_is_that_of_the_source_and_results_do_not_make_it_dirty(tmp_path, monkeypatch):
    source = tmp_path / "serjax" / "__init__.py"
    result = tmp_path / "experiments" / "results" / "page.md"
    for path in (source, result):
        path.parent.mkdir(parents=True)
        path.write_text("1")
    assert commit(source, monkeypatch) is None
    git = ("git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e@example.org")
    for arguments in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "first")):
        subprocess.run([*git, *arguments], check=True)
    clean = commit(source, monkeypatch)
    assert clean is not None
    result.write_text("2")
    assert commit(source, monkeypatch) == clean
    source.write_text("2")
    assert commit(source, monkeypatch) == f"{clean}-dirty"
    installed = tmp_path / ".venv" / "serjax" / "__init__.py"
    installed.parent.mkdir(parents=True)
    assert commit(installed, monkeypatch) is None


def commit(source: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setattr(provenance, "PACKAGE", source.parent)
    return provenance.provenance()["git"]
