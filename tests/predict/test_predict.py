"""`python -m serjax.predict`: a row for every file, exit codes, marks, timelines; what it does not load."""

import csv
import io
import json
import subprocess
import sys
import types

import numpy as np
import pytest
import soundfile

from serjax.errors import ConfigError
from serjax.predict.__main__ import Config, SomeFailedError, predict
from serjax.predict.inputs import InputError, files_of
from serjax.predict.microphone import MicrophoneError
from tests.export.made import EMOTIONS, RATE_HZ
from tests.source import ROOT


def answered(capsys, config):
    predict(config)
    return json.loads(capsys.readouterr().out)


def test_rows_are_those_of_the_bundle_in_order(vae, capsys):
    """37 files: more than two batches, one of them three times."""
    paths = [*vae.clips, vae.clips[3], vae.clips[3]]
    rows = answered(capsys, Config(vae.folder, tuple(map(str, paths)), format="json"))
    assert [row["path"] for row in rows] == list(map(str, paths))
    for row, path in list(zip(rows, paths, strict=True))[::5]:
        answer = vae.bundle(*soundfile.read(path, dtype="float32"))
        assert row["probabilities"] == pytest.approx(answer.probabilities, abs=1e-5)
        assert row["scores"] == pytest.approx(answer.scores, rel=1e-5)
        assert (row["label"], row["in_training"], row["code"]) == (answer.label, True, None)


def test_every_bad_file_has_a_row_and_the_exit_code_says_so(vae, tmp_path, capsys):
    (tmp_path / "text.wav").write_text("no sound")
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE_HZ), RATE_HZ)
    soundfile.write(tmp_path / "short.wav", np.zeros(1_000), RATE_HZ)
    soundfile.write(tmp_path / "new.wav", np.random.default_rng(0).normal(0, 0.1, 2 * RATE_HZ), RATE_HZ)
    with pytest.raises(SomeFailedError, match="4 of 5 have no answer") as raised:
        predict(Config(vae.folder, (str(tmp_path), str(tmp_path / "gone.wav")), format="csv"))
    assert raised.value.exit_code == 3
    rows = {row["path"].rpartition("/")[2]: row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    assert {name: row["code"] for name, row in rows.items()} == {
        "new.wav": "",
        "silent.wav": "no-sound",
        "short.wav": "too-short",
        "text.wav": "format",
        "gone.wav": "missing",
    }
    assert all(row["problem"] and row["advice"] for name, row in rows.items() if name != "new.wav")
    assert rows["new.wav"]["in_training"] == "False"
    assert sum(float(rows["new.wav"][f"p_{label}"]) for label in EMOTIONS) == pytest.approx(1)


def test_files_come_from_folders_tables_and_standard_input(tmp_path, monkeypatch):
    for name in ("b.wav", "a.FLAC", ".hidden.wav", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "list.csv").write_text("emotion,path\nsad,b.wav\nsad,sub/c.wav\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("x.wav\n\ny z.wav\n"))
    found = [str(path) for path in files_of([str(tmp_path), str(tmp_path / "list.csv"), "-"])]
    inside = [str(tmp_path / name) for name in ("a.FLAC", "b.wav", "b.wav", "sub/c.wav")]
    assert found == [*inside, "x.wav", "y z.wav"]
    (tmp_path / "list.csv").write_text("file\nb.wav\n")
    with pytest.raises(InputError, match=r"columns \[.file.\]; expected one called path"):
        list(files_of([str(tmp_path / "list.csv")]))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="There is no audio in"):
        list(files_of([str(tmp_path / "empty")]))


def test_a_timeline_hears_each_window_where_it_is(vae, tmp_path, capsys):
    """Clips one behind another, each as long as a window: a window is the clip that stands there."""
    wavs = [soundfile.read(path, dtype="float32")[0] for path in vae.clips[:4]]
    soundfile.write(tmp_path / "long.wav", np.concatenate(wavs), RATE_HZ)
    config = Config(vae.folder, (str(tmp_path / "long.wav"),), format="json", window=1.5, hop=1.5, out=tmp_path / "out")
    rows = answered(capsys, config)
    assert [row["start_s"] for row in rows] == [0.0, 1.5, 3.0, 4.5]
    for row, wav in zip(rows, wavs, strict=True):
        assert row["probabilities"] == pytest.approx(vae.bundle(wav, RATE_HZ, 0.0).probabilities, abs=1e-4)
    with (tmp_path / "out" / "long.wav.timeline.csv").open() as file:
        assert [float(row["start_s"]) for row in csv.DictReader(file)] == [0.0, 1.5, 3.0, 4.5]
    assert (tmp_path / "out" / "long.wav.timeline.png").read_bytes().startswith(b"\x89PNG")


def test_long_files_are_read_part_by_part(vae, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("serjax.predict.timeline.PART_S", 2.0)
    wav = np.concatenate([soundfile.read(path, dtype="float32")[0] for path in vae.clips[:5]])
    soundfile.write(tmp_path / "long.wav", wav, RATE_HZ)
    one = Config(vae.folder, (str(tmp_path / "long.wav"),), format="json", window=1.0, hop=0.5, out=tmp_path)
    cut = answered(capsys, one)
    monkeypatch.undo()
    whole = answered(capsys, one)
    assert [row["start_s"] for row in cut] == [row["start_s"] for row in whole] == [n / 2 for n in range(15)]
    for a, b in zip(cut, whole, strict=True):
        assert a["probabilities"] == pytest.approx(b["probabilities"], abs=1e-4)


def test_flags_that_make_no_sense_are_refused(vae):
    for flags, says in (
        ({"paths": ()}, "Give either audio files"),
        ({"offset": -1.0}, "--offset -1.0"),
        ({"window": 0.0}, "--window 0.0"),
        ({"window": 3.0, "hop": 0.0}, "--hop 0.0"),
        ({"window": 3.0, "offset": 0.0}, "--offset goes without --window"),
    ):
        with pytest.raises(ConfigError, match=says):
            predict(Config(**{"bundle": vae.folder, "paths": ("a.wav",), **flags}))


def test_it_loads_no_trainer(vae):
    """A fresh interpreter answers, and has neither orbax, grain nor a study in it."""
    code = (
        "import sys, soundfile, serjax, serjax.predict.__main__;"
        f"print(serjax.load_bundle({str(vae.folder)!r})(*soundfile.read({str(vae.clips[0])!r})).label);"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    label, loaded = done.stdout.split("\n")[:2]
    assert label in EMOTIONS
    names = set(loaded.split())
    assert not {"orbax", "grain", "sklearn", "matplotlib", "serjax.study", "serjax.train.loop"} & names
    assert "serjax.predict.hearing" in names


def test_a_microphone_gives_a_row_per_window_until_interrupted(vae, capsys, monkeypatch):
    """Four seconds of a clip over and over: windows of 2 s, a second apart, the same as those of the samples."""
    heard = np.tile(soundfile.read(vae.clips[0], dtype="float32")[0], 9)
    rate_hz, place = vae.bundle.sample_rate_hz, [0]

    class Stream:
        def __init__(self, **how: object) -> None:
            assert how == {"samplerate": rate_hz, "channels": 1, "dtype": "float32"}

        def __enter__(self) -> "Stream":
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def read(self, n: int) -> tuple[np.ndarray, bool]:
            if place[0] > 3 * rate_hz:
                raise KeyboardInterrupt
            place[0] += n
            return heard[place[0] - n : place[0], None], False

    device = types.ModuleType("sounddevice")
    device.InputStream, device.PortAudioError = Stream, OSError
    monkeypatch.setitem(sys.modules, "sounddevice", device)
    rows = answered(capsys, Config(vae.folder, microphone=True, window=2.0, format="json"))
    assert [(row["path"], row["start_s"]) for row in rows] == [("microphone", n) for n in (0.0, 1.0, 2.0)]
    expected = vae.bundle(heard[rate_hz : 3 * rate_hz], rate_hz, 0.0)
    assert rows[1]["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)


def test_without_a_microphone_it_says_what_to_do(vae, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(MicrophoneError, match=r"pip install 'serjax\[microphone\]'"):
        predict(Config(vae.folder, microphone=True))
    with pytest.raises(ConfigError, match="Give either audio files"):
        predict(Config(vae.folder, ("a.wav",), microphone=True))
