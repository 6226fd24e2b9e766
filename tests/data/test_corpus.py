"""Corpora as values, files as waveforms, and what both refuse."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from serjax.data import Corpus, CorpusError, Utterance, Window, load_corpus
from serjax.data.corpora.corpus import AudioSource, FileSource
from serjax.data.corpora.defects import duplicate_notes
from serjax.data.corpora.files import READ, find_audio, show


def utterance(path: str, emotion: str = "happy", speaker: str = "1", gender: str | None = None) -> Utterance:
    return Utterance(path, emotion, speaker, gender, None, None, None, "test")


def make_corpus(root: Path = Path("nowhere")) -> Corpus:
    rows = (
        utterance("a", "happy", "9", "male"),
        utterance("b", "sad", "3", "male"),
        utterance("c", "calm", "5", "female"),
    )
    return Corpus("test", rows, FileSource(root), ("calm", "happy", "sad"))


def test_labels_are_numbered_in_the_corpus_order() -> None:
    assert make_corpus().label_ids.tolist() == [1, 2, 0]
    assert make_corpus().speakers == ("5", "3", "9")  # by gender, then name


def test_only_keeps_order_and_speakers() -> None:
    part = make_corpus().only(["sad", "calm", "sad"])
    assert part.labels == ("calm", "sad")
    assert [u.path for u in part.utterances] == ["b", "c"]
    assert part.label_ids.tolist() == [1, 0]
    assert part.speakers == make_corpus().speakers


def test_only_names_what_it_does_not_know() -> None:
    assert make_corpus().only([" sa\u200bd "]).labels == ("sad",)  # as it was copied from somewhere
    with pytest.raises(CorpusError, match=r"no emotion called 'joy'. Choose from: calm, happy, sad"):
        make_corpus().only(["happy", "joy"])
    with pytest.raises(CorpusError, match="Choose from"):
        make_corpus().only([])


@pytest.mark.parametrize(
    ("paths", "labels", "says"),
    [(("b", "a"), ("happy",), "sorted"), (("a", "a"), ("happy",), "each path once"), (("a",), ("sad",), "labels")],
)
def test_inconsistent_corpus_is_refused(paths: tuple[str, ...], labels: tuple[str, ...], says: str) -> None:
    with pytest.raises(CorpusError, match=says):
        Corpus("test", tuple(map(utterance, paths)), FileSource(Path()), labels)


@pytest.mark.parametrize(
    ("window", "says"),
    [
        ((100, 10), "sample rate"),
        ((22_050, 0), "0 samples"),
        ((22_050, 10, -1.0), "offset"),
        ((22_050, 10, float("nan")), "offset"),
        ((22_050, 10, 0.0, 0.0), "duration"),
        ((22_050, 10, 0.0, float("inf")), "duration"),
    ],
)
def test_impossible_windows_are_refused(window: tuple[float, ...], says: str) -> None:
    with pytest.raises(CorpusError, match=says):
        Window(*window)  # type: ignore[arg-type]


def test_files_become_padded_rows_in_order(tmp_path: Path) -> None:
    truth = np.random.default_rng(0).uniform(-0.5, 0.5, (40, 2_000)).astype(np.float32)
    lengths = np.random.default_rng(1).integers(900, 2_000, 40)
    for row, length in enumerate(lengths):
        soundfile.write(tmp_path / f"{row}.wav", truth[row, :length], 16_000, subtype="FLOAT")
    source = FileSource(tmp_path)
    assert isinstance(source, AudioSource)
    order = np.random.default_rng(2).permutation(40)
    waveforms = source.read([f"{row}.wav" for row in order], Window(16_000, 1_500))
    assert waveforms.values_BN.dtype == np.float32
    np.testing.assert_array_equal(waveforms.n_valid_B, np.minimum(lengths, 1_500)[order])
    for values, n_valid, row in zip(*waveforms[:2], order, strict=True):
        np.testing.assert_array_equal(values[:n_valid], truth[row, :n_valid])
        assert not values[n_valid:].any()


def test_digest_is_sha256_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")  # FIPS 180-4's own example
    assert FileSource(tmp_path).digest("a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_finding_follows_links_once(tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "b.wav").write_bytes(b"b")
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.FLAC").write_bytes(b"a")
    (root / "linked").symlink_to(tmp_path / "else")
    (root / "round").symlink_to(root)
    assert find_audio(root, "test") == (("a.FLAC", "linked/b.wav"), ())


def test_every_format_that_is_read_is_found_and_what_is_not_taken_is_told(tmp_path: Path) -> None:
    for suffix in READ:
        (tmp_path / f"clip{suffix.upper()}").touch()
    for name in ("a.m4a", "b.MP4", "c.raw", "d.wav.part", "a.wav.txt", "README", "read.me", "labels.csv", ".x.m4a"):
        (tmp_path / name).touch()
    for name in ("e", "f"):
        (tmp_path / name).write_bytes(b"RIFF" if name == "e" else b"text")
    found = find_audio(tmp_path, "test")
    assert found.paths == tuple(sorted(f"clip{suffix.upper()}" for suffix in READ))
    assert [note.line for note in found.notes] == [
        "Left out, in a format that is not read (convert: ffmpeg -i IN OUT.wav): 2 clips (a.m4a, b.MP4).",
        "Left out, samples whose rate no header tells (sox -r RATE -e signed -b 16 IN.raw OUT.wav): 1 clip (c.raw).",
        "Left out, audio by its name or first bytes, but without its suffix at the end (rename): "
        "2 clips (d.wav.part, e).",
    ]


def test_formats_that_the_library_writes_are_read(tmp_path: Path) -> None:
    """Those of `READ` that soundfile names by their suffix are decoded here, so that finding them makes sense."""
    truth = np.random.default_rng(0).uniform(-0.5, 0.5, 4_000)
    written = {suffix for suffix in READ if suffix[1:].upper() in soundfile.available_formats()} | {".aif", ".aifc"}
    for suffix in written:
        kind = "AIFF" if suffix.startswith(".aif") else suffix[1:].upper()
        soundfile.write(tmp_path / f"a{suffix}", truth, 16_000, format=kind)
    assert {".flac", ".wav", ".au", ".caf", ".w64", ".rf64", ".ogg", ".mp3", ".nist"} <= written
    waveforms = FileSource(tmp_path).read([f"a{suffix}" for suffix in sorted(written)], Window(16_000, 4_000))
    for row in waveforms.values_BN:
        assert np.corrcoef(row, truth)[0, 1] > 0.5


def test_folders_are_shown_from_the_top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    assert [show(Path(name)) for name in ("", ".", "..")] == [str(tmp_path / "in")] * 2 + [str(tmp_path)]
    Path("x.csv").write_text("path,emotion,speaker\nz.wav,sad,1\n")
    with pytest.raises(
        CorpusError, match=rf"^{tmp_path}/in/x.csv, line 2: there is no file 'z.wav' in {tmp_path}/in\."
    ):
        load_corpus("x.csv")


def test_roots_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for root, says in [
        (None, r"give the folder that holds it \(--root FOLDER\)"),
        (tmp_path / "none", "does not exist"),
        (tmp_path / "file", "is not a folder"),
        (tmp_path, "no .wav or .flac"),
    ]:
        with pytest.raises(CorpusError, match=says):
            find_audio(root, "test")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav")).write_bytes(b"a")
    with pytest.raises(CorpusError, match=r"caf\\xe9\.wav is not UTF-8"):
        find_audio(tmp_path, "test")
    (tmp_path / "file").rename(tmp_path / "m.m4a")
    os.remove(os.fsencode(tmp_path) + b"/caf\xe9.wav")
    with pytest.raises(CorpusError, match=r"no .wav or .flac .*that is not read \(convert.*m.m4a"):
        find_audio(tmp_path, "test")
    (tmp_path / "a\x1b[2J.wav").touch()
    with pytest.raises(CorpusError, match=r"x1b.* has control characters"):
        find_audio(tmp_path, "test")


def test_equal_files_of_different_labels_are_told_apart(tmp_path: Path) -> None:
    for name, content in {"a": b"xy", "b": b"yx", "c": b"xy", "d": b"x"}.items():
        (tmp_path / name).write_bytes(content)
    rows = [utterance("a", "happy"), utterance("b", "sad"), utterance("c", "sad"), utterance("d", "sad")]
    (note,) = duplicate_notes(rows, FileSource(tmp_path))
    assert (note.kind, note.clips) == ("equal-labels-differ", (("a", "as c (sad)"), ("c", "as a (happy)")))
    assert note.line == "Byte-identical to another clip (DIFFERENT labels): 2 clips (a: as c (sad), c: as a (happy))."


def test_equal_files_are_one_line_a_kind(tmp_path: Path) -> None:
    for name in (f"{n}{twin}" for n in range(30) for twin in "ab"):
        (tmp_path / name).write_bytes(name[:-1].encode())
    rows = [utterance(f"{n}{twin}", "sad", "1" if n else twin) for n in range(30) for twin in "ab"]
    same, people = duplicate_notes(rows, FileSource(tmp_path))
    assert same.line.startswith("Byte-identical to another clip (the same label): 58 clips (10a: as 10b, 10b: as 10a, ")
    assert people.clips == (("0a", "as 0b (b)"), ("0b", "as 0a (a)"))
    assert "DIFFERENT speakers" in people.what


def test_load_corpus_refuses_what_makes_no_sense(tmp_path: Path) -> None:
    for name, root, n_clips, says in [
        ("ravdes", None, None, "no corpus 'ravdes'. Choose one of: synthetic, ravdess, ravdess-song, ravdess-all"),
        ("ravdess", None, None, "--root"),
        ("ravdess", tmp_path, 10, "synthetic clips"),
        ("synthetic", tmp_path, None, "Leave the root out"),
    ]:
        with pytest.raises(CorpusError, match=says):
            load_corpus(name, root, synthetic_clips=n_clips)
    (tmp_path / "x.tsv").touch()
    with pytest.raises(CorpusError, match=r"x.tsv is a table, but no CSV"):
        load_corpus(str(tmp_path / "x.tsv"))
    for name in ("", "n" * 300):
        with pytest.raises(CorpusError, match="There is no corpus"):
            load_corpus(name)
    with pytest.raises(CorpusError, match="given for corpus 'synthetic', but only crema-d and crema-d-voted"):
        load_corpus("synthetic", defects="keep")


def test_drawn_clips_are_the_same_always_and_labels_follow() -> None:
    corpus = make_corpus()
    two = corpus.drawn(2)
    assert [u.path for u in two.utterances] == ["b", "c"]  # by the hashes of the paths
    assert (two.labels, two.speakers) == (("calm", "sad"), corpus.speakers)
    assert corpus.drawn(3) == corpus
    for n in (0, 4):
        with pytest.raises(CorpusError, match="expected 1 to 3"):
            corpus.drawn(n)
