"""Segments of long files: the right seconds, found by seeking, each a clip of its own."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from serjax.data import CorpusError, Window, load_corpus
from serjax.data.audio import UnreadableClips, decode
from serjax.data.corpora.corpus import FileSource
from serjax.data.corpora.defects import equal_clips
from serjax.explore.inventory import take_inventory

RATE_HZ, LENGTH_S = 8_000, 40
HEADER = "path,emotion,speaker,start,end"


@pytest.fixture
def talk(tmp_path: Path) -> np.ndarray:
    wav = 0.1 * np.random.default_rng(0).standard_normal(RATE_HZ * LENGTH_S)
    soundfile.write(tmp_path / "talk.wav", wav, RATE_HZ, subtype="FLOAT")
    return wav.astype(np.float32)


def write(folder: Path, *lines: str, header: str = HEADER) -> str:
    (folder / "t.csv").write_text("\n".join([header, *lines]))
    return str(folder / "t.csv")


def test_a_segment_is_a_clip_of_its_own(talk: np.ndarray, tmp_path: Path) -> None:
    lines = ("talk.wav,sad,a,30.5,31", "talk.wav,happy,b,0 days 00:00:01.25,00:02", "talk.wav,sad,a,39.5,NaT")
    corpus = load_corpus(write(tmp_path, *lines))
    paths = [u.path for u in corpus.utterances]
    assert paths == ["talk.wav#t=1.25,2", "talk.wav#t=30.5,31", "talk.wav#t=39.5,"]
    assert [u.lot for u in corpus.utterances] == ["b/talk#t=1.25,2", "a/talk#t=30.5,31", "a/talk#t=39.5,"]
    values_BN, n_valid_B, notes = corpus.source.read(paths, Window(RATE_HZ, 8_000, offset_s=0.25))
    assert n_valid_B.tolist() == [4_000, 2_000, 2_000]
    assert not notes
    for wav, start_s, n in zip(values_BN, (1.5, 30.75, 39.75), n_valid_B, strict=True):
        first = round(start_s * RATE_HZ)
        np.testing.assert_array_equal(wav[:n], talk[first : first + n])
        assert not wav[n:].any()
    assert len({corpus.source.digest(path) for path in paths}) == 3
    assert isinstance(corpus.source, FileSource)
    assert not equal_clips(corpus.utterances, corpus.source)
    with pytest.raises(UnreadableClips, match=r"t=30.5,31: lasts 0.500 s and the offset is 0.600 s \[offset\]"):
        corpus.source.read(paths[1:2], Window(RATE_HZ, 8_000, offset_s=0.6))


def test_a_changed_file_has_other_digests(talk: np.ndarray, tmp_path: Path) -> None:
    corpus = load_corpus(write(tmp_path, "talk.wav,sad,a,1,2"))
    before = corpus.source.digest("talk.wav#t=1,2")
    soundfile.write(tmp_path / "talk.wav", talk[:-1], RATE_HZ, subtype="FLOAT")
    assert corpus.source.digest("talk.wav#t=1,2") != before


@pytest.mark.parametrize(
    ("form", "subtype", "most"),  # measured: 0 but for Opus (2.1e-4) and MP3 (1.5e-8)
    [("WAV", "PCM_16", 0), ("FLAC", "PCM_16", 0), ("OGG", "VORBIS", 0), ("OGG", "OPUS", 4e-4), ("MP3", None, 1e-7)],
)
def test_what_is_far_away_is_sought(
    talk: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, subtype: str | None, most: float
) -> None:
    soundfile.write(tmp_path / "a", talk, RATE_HZ, format=form, subtype=subtype)
    read_over = decode(tmp_path / "a", RATE_HZ).wav[round(32.1 * RATE_HZ) :][:4_000]
    n_read, read = 0, soundfile.SoundFile.read

    def counting(sound: soundfile.SoundFile, frames: int = -1, **kinds: object) -> np.ndarray:
        nonlocal n_read
        n_read += frames
        return read(sound, frames, **kinds)

    monkeypatch.setattr(soundfile.SoundFile, "read", counting)
    sought = decode(tmp_path / "a", RATE_HZ, offset_s=32.1, duration_s=0.5).wav
    assert n_read == len(sought) == 4_000
    np.testing.assert_allclose(sought, read_over, rtol=0, atol=most)


def test_explore_looks_at_the_segment_alone(talk: np.ndarray, tmp_path: Path) -> None:
    corpus = load_corpus(write(tmp_path, "talk.wav,sad,a,1,2", "talk.wav,sad,a,3,3.5"))
    stock = take_inventory(corpus, Window(RATE_HZ, 8_000), lambda done, total: None)
    assert stock.duration_s_N.tolist() == [1, 0.5]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("talk.wav,sad,a,one,2", "line 2: the start is 'one'; expected seconds such as 62.5"),
        ("talk.wav,sad,a,2,1", "line 2: the segment ends at 1 and starts at 2"),
        ("talk.wav,sad,a,1000,2000", "line 2: the segment reaches beyond its file, which lasts 40.000 s.*not ms"),
        ("talk.wav,sad,a,1,2\ntalk.wav,sad,a,1.0,0:02", "line 3: talk.wav#t=1,2 is in line 2 already"),
    ],
)
def test_bad_segments_are_named(talk: np.ndarray, tmp_path: Path, line: str, says: str) -> None:
    with pytest.raises(CorpusError, match=says):
        load_corpus(write(tmp_path, line))


def test_other_units_are_refused(talk: np.ndarray, tmp_path: Path) -> None:
    table = write(tmp_path, "talk.wav,sad,a,1", header="path,emotion,speaker,start_ms")
    with pytest.raises(CorpusError, match=r"'start_ms' .*segments are told by columns start and end, in seconds"):
        load_corpus(table)


def test_overlapping_segments_are_noted(talk: np.ndarray, tmp_path: Path) -> None:
    spans = ("0,20", "1,2", "3,4", "20,21")
    corpus = load_corpus(write(tmp_path, *(f"talk.wav,sad,a,{span}" for span in spans)))
    (note,) = (note for note in corpus.notes if note.kind == "overlap")
    assert note.clips == (("talk.wav#t=1,2", "as talk.wav#t=0,20"), ("talk.wav#t=3,4", "as talk.wav#t=0,20"))
