"""Clips of a corpus from files: what is odd becomes notes, and all that cannot be read is named at once."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile

from serjax.data.audio import AudioError, UnreadableClips
from serjax.data.corpora.corpus import FileSource, Window
from serjax.data.notes import Note

WINDOW = Window(16_000, 500)


@pytest.fixture
def source(tmp_path: Path) -> FileSource:
    for name in "abcde":
        soundfile.write(tmp_path / f"{name}.wav", np.full(1_000, 0.1 * (name not in "ae"), np.float32), 16_000)
    (tmp_path / "b.wav").write_bytes(b"")
    (tmp_path / "d.wav").write_bytes(b"<html>")
    with (tmp_path / "e.wav").open("ab") as file:
        file.write(b"behind")
    return FileSource(tmp_path)


def test_what_is_odd_becomes_notes_and_no_warnings(source: FileSource) -> None:
    waveforms = source.read(["e.wav", "c.wav", "a.wav"], WINDOW)
    assert waveforms.notes == (
        Note("longer", "Bytes behind its end are not read", (("e.wav", "6 bytes"),)),
        Note("silent", "Every sample is zero", (("e.wav", ""), ("a.wav", ""))),
    )


def test_all_bad_files_are_named_at_once(source: FileSource) -> None:
    with pytest.raises(UnreadableClips) as caught:
        source.read(["d.wav", "a.wav", "none.wav", "b.wav", "c.wav"], WINDOW)
    assert [(str(error.path), error.code) for error in caught.value.errors] == [
        ("d.wav", "format"),
        ("none.wav", "missing"),
        ("b.wav", "empty"),
    ]
    assert str(caught.value) == (
        "3 clips cannot be read:\n"
        "  d.wav: is a web page or XML, perhaps an error message [format]\n"
        "  none.wav: cannot be opened: No such file or directory [missing]\n"
        "  b.wav: has 0 bytes [empty]\n"
        "[format] Download it again.\n"
        "[missing] Check path and rights.\n"
        "[empty] Copy or download it again."
    )


def test_good_files_are_read_beside_bad_ones(source: FileSource) -> None:
    waveforms, errors = source.try_read(["b.wav", "c.wav", "d.wav"], WINDOW)
    assert [error and error.code for error in errors] == ["empty", None, "format"]
    np.testing.assert_array_equal(waveforms.n_valid_B, [0, 500, 0])
    assert [row.any() for row in waveforms.values_BN] == [False, True, False]


def test_of_very_many_bad_files_the_rest_is_counted() -> None:
    errors = tuple(
        AudioError("empty" if k % 3 else "format", Path(f"{k}.wav"), "is \x1b bad", "Mend it.") for k in range(50)
    )
    lines = str(UnreadableClips(errors)).splitlines()
    assert len(lines) == 1 + 20 + 1 + 2
    assert lines[21:] == ["  and 30 more (20 empty, 10 format)", "[format] Mend it.", "[empty] Mend it."]
    again = pickle.loads(pickle.dumps(UnreadableClips(errors)))
    assert (str(again), len(again.errors)) == (str(UnreadableClips(errors)), 50)
