"""Everything odd about a folder of clips comes together: a line per kind, all clips whole, the same from the cache."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from serjax.data import load_corpus
from serjax.data.features import load_features
from serjax.data.notes import Note, gather
from serjax.errors import SerjaxError
from tests.data.noise_corpus import FRONTEND


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """Make two emotions of twelve clips each, with what is found in other people's folders."""
    noise = np.random.default_rng(0)
    for emotion in ("happy", "sad"):
        (tmp_path / emotion).mkdir()
        for n in range(12):
            soundfile.write(tmp_path / emotion / f"{emotion}{n}.wav", noise.uniform(-0.5, 0.5, 2_000), 8_000)
    happy, sad = tmp_path / "happy", tmp_path / "sad"
    for n in range(5):
        soundfile.write(happy / f"happy{n}.wav", np.zeros(2_000), 8_000)
        (sad / f"copy{n}.wav").write_bytes((sad / f"sad{n}.wav").read_bytes())
        (sad / f"phone{n}.m4a").write_bytes(b"\0\0\0\x18ftypM4A ")
    for n in (6, 7, 8, 9):
        with (sad / f"sad{n}.wav").open("ab") as file:
            file.write(b"behind")
    for n in (6, 7):
        soundfile.write(happy / f"happy{n}.wav", noise.normal(0, 9_000, 2_000), 8_000, subtype="FLOAT")
    stream = (happy / "happy10.wav").read_bytes()
    (happy / "happy10.wav").write_bytes(stream[:40] + struct.pack("<I", 0xFFFFFFFF) + stream[44:])
    (happy / "happy11.wav").write_bytes(stream[:-3_000])
    (sad / "sad11.wav").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    (tmp_path / "lost.wav").write_bytes(stream)
    return tmp_path


def test_what_is_odd_is_a_line_a_kind_and_kept_with_the_features(odd: Path, tmp_path: Path) -> None:
    corpus = load_corpus(str(odd))
    features = load_features(corpus, FRONTEND, cache=tmp_path / "cache", max_bad=2)
    notes = gather([*corpus.notes, *features.notes])
    counts = {note.kind: len(note.clips) for note in notes}
    assert len(counts) == len(notes)  # one line per kind
    assert counts | {"silent": 5, "format": 5, "longer": 4, "loud": 2, "streamed": 1} == counts
    assert sum(note.kind.startswith("equal") for note in notes) >= 1
    assert {error.code for error in features.errors.values()} == {"truncated", "format"}
    assert all(note.line.count(".wav") + note.line.count(".m4a") <= 6 for note in notes)  # three, each with its twin
    again = load_features(load_corpus(str(odd)), FRONTEND, cache=tmp_path / "cache", max_bad=2)
    assert (again.notes, [*map(str, again.errors.values())]) == (features.notes, [*map(str, features.errors.values())])


def test_a_note_comes_back_from_its_file_and_nothing_else_does() -> None:
    note = Note("longer", "Bytes behind its end", (("a.wav", "2 bytes"), ("b.wav", "")))
    assert Note.from_json(note.as_json()) == note
    for wrong in ({}, {"kind": "x", "what": "y"}, note.as_json() | {"clips": ["a.wav"]}, note.as_json() | {"what": 1}):
        with pytest.raises(SerjaxError, match="kind, what and clips"):
            Note.from_json(wrong)
