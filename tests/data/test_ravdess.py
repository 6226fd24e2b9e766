"""RAVDESS names, roots that are something else, and (where it is there) the real corpus."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from serjax.data import Corpus, CorpusError, Window, load_corpus
from serjax.data.corpora.ravdess import parse_name

REAL = os.environ.get("SERJAX_CORPORA")
needs_real = pytest.mark.skipif(REAL is None, reason="SERJAX_CORPORA does not name the folder of the real corpora")


def plant(root: Path, *paths: str) -> Path:
    """Write files whose content is their path: reading a corpus's names reads no audio."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    return root


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("03-01-01-01-01-01-01", ("neutral", "01", "male", "kids", "normal", "speech")),
        ("03-01-02-02-02-02-24", ("calm", "24", "female", "dogs", "strong", "speech")),
        ("03-02-03-01-02-01-07", ("happy", "07", "male", "dogs", "normal", "song")),
        ("03-01-04-01-01-01-10", ("sad", "10", "female", "kids", "normal", "speech")),
        ("03-02-05-02-01-01-12", ("angry", "12", "female", "kids", "strong", "song")),
        ("03-02-06-02-01-01-12", ("fearful", "12", "female", "kids", "strong", "song")),
        ("03-01-07-02-01-01-12", ("disgust", "12", "female", "kids", "strong", "speech")),
        ("03-01-08-02-01-01-12", ("surprised", "12", "female", "kids", "strong", "speech")),
    ],
)
def test_names_say_what_the_publication_says(name: str, truth: tuple[str, ...]) -> None:
    utterance = parse_name(f"deep/down/{name}.WAV")
    assert utterance is not None
    fields = (utterance.emotion, utterance.speaker, utterance.gender, utterance.text, utterance.intensity)
    assert (*fields, utterance.channel) == truth
    assert (utterance.path, utterance.corpus) == (f"deep/down/{name}.WAV", "ravdess")


@pytest.mark.parametrize("name", ["01-01-01-01-01-01-01", "02-01-01-01-01-01-01", "song", "03-01-01-01-01-01"])
def test_other_names_are_no_clips(name: str) -> None:
    assert parse_name(f"{name}.wav") is None


@pytest.mark.parametrize(
    "name", ["03-03-01-01-01-01-01", "03-01-09-01-01-01-01", "03-01-01-01-01-01-25", "03-01-00-01-01-01-01"]
)
def test_impossible_numbers_are_errors(name: str) -> None:
    with pytest.raises(CorpusError, match=f"{name}.*does not know"):
        parse_name(f"{name}.wav")


def test_clips_are_found_at_any_depth(tmp_path: Path) -> None:
    root = plant(
        tmp_path,
        "b/Actor_02/03-01-03-01-01-01-02.WAV",
        "03-01-01-01-01-01-01.flac",
        "b/03-02-04-01-01-01-01.wav",  # song
        "b/._03-01-04-01-01-01-01.wav",  # what macOS adds
        "__MACOSX/03-01-05-01-01-01-01.wav",
        "b/02-01-06-01-01-01-01.wav",  # sound of the video
        "readme.txt",
    )
    corpus = load_corpus("ravdess", root)
    assert [u.path for u in corpus.utterances] == ["03-01-01-01-01-01-01.flac", "b/Actor_02/03-01-03-01-01-01-02.WAV"]
    assert corpus.labels == ("neutral", "happy")
    assert [note.line for note in corpus.notes] == [
        "Left out, audio files that are not named as audio-only RAVDESS clips: 1 clip (b/02-01-06-01-01-01-01.wav).",
        "Incomplete: 2 of the 1440 speech clips are there.",
    ]
    assert corpus.offset_s == corpus.only(["happy"]).drawn(1).offset_s == 0.5
    assert load_corpus("ravdess-song", root).labels == ("sad",)
    both = load_corpus("ravdess-all", root)
    assert both.labels == ("neutral", "happy", "sad")
    assert [u.speaker for u in both.utterances] == ["01", "01", "02"]


def test_one_file_a_clip(tmp_path: Path) -> None:
    root = plant(
        tmp_path,
        *(
            f"{place}/03-01-01-01-01-01-01.{kind}"
            for place, kind in map(str.split, ("0 mp3", "a wav", "b FLAC", "c flac", "c wav"))
        ),
    )
    corpus = load_corpus("ravdess", root)
    assert [u.path for u in corpus.utterances] == ["b/03-01-01-01-01-01-01.FLAC"]
    assert (
        "Left out, further files of the same clips: 4 clips (0/03-01-01-01-01-01-01.mp3: as b/" in corpus.notes[0].line
    )
    (root / "b/03-01-01-01-01-01-01.FLAC").unlink()
    (root / "c/03-01-01-01-01-01-01.flac").unlink()
    assert load_corpus("ravdess", root).utterances[0].path.startswith("a/")


def test_equal_clips_are_told_and_kept(tmp_path: Path) -> None:
    names = ("03-01-03-01-02-01-07.wav", "03-01-03-01-02-02-07.wav", "03-01-04-01-02-02-07.wav")
    root = plant(tmp_path, *names, "03-01-04-01-02-01-07.wav")
    for name in names[:2]:
        (root / name).write_bytes(b"same")
    corpus = load_corpus("ravdess", root)
    assert len(corpus.utterances) == 4
    assert dict(corpus.notes[-1].clips) == {names[0]: f"as {names[1]}", names[1]: f"as {names[0]}"}
    (root / names[2]).write_bytes(b"same")
    assert dict(load_corpus("ravdess", root).notes[-1].clips)[names[2]] == f"as {names[0]} (happy)"


@pytest.mark.parametrize(
    ("name", "files", "says"),
    [
        ("ravdess", (), "no .wav or .flac file"),
        ("ravdess", ("readme.txt",), "no .wav or .flac file"),
        ("ravdess", ("03-02-01-01-01-01-01.wav",), "1 song clips only. Choose 'ravdess-song'"),
        ("ravdess-song", ("03-01-01-01-01-01-01.wav",), "1 speech clips only. Choose 'ravdess'"),
        ("ravdess-all", ("03-01-01-01-01-01-01.wav",), "1 speech clips only. Choose 'ravdess'"),
        ("ravdess", ("AudioWAV/1001_DFA_ANG_XX.wav",), "1 of its 1 clips are named as in CREMA-D"),
        ("ravdess", ("wav/03a01Fa.wav",), "named as in Emo-DB"),
        ("ravdess", ("DC/sa01.wav",), "named as in SAVEE"),
        ("ravdess", ("OAF_angry/OAF_back_angry.wav",), "named as in TESS"),
        ("ravdess", ("x.wav",), "none of its 1 audio files is named as in RAVDESS .x.wav."),
    ],
)
def test_wrong_roots_say_what_is_there(tmp_path: Path, name: str, files: tuple[str, ...], says: str) -> None:
    with pytest.raises(CorpusError, match=says) as caught:
        load_corpus(name, plant(tmp_path, *files))
    assert str(tmp_path) in str(caught.value)


def real(name: str, folder: str) -> Corpus:
    assert REAL is not None
    return load_corpus(name, Path(REAL, folder))


@needs_real
@pytest.mark.parametrize(
    ("name", "folder", "n_most", "n_neutral", "n_speech_only", "n_speakers"),
    [
        ("ravdess", "ravdess_speech", 192, 96, 192, 24),
        ("ravdess-song", "ravdess_song", 184, 92, 0, 23),
        ("ravdess-all", ".", 376, 188, 192, 24),
    ],
)
def test_real_corpus_is_complete(
    name: str, folder: str, n_most: int, n_neutral: int, n_speech_only: int, n_speakers: int
) -> None:
    corpus = real(name, folder)
    counts = Counter(utterance.emotion for utterance in corpus.utterances)
    assert counts == Counter(
        {"neutral": n_neutral}
        | dict.fromkeys(("calm", "happy", "sad", "angry", "fearful"), n_most)
        | ({"disgust": n_speech_only, "surprised": n_speech_only} if n_speech_only else {})
    )
    assert len(corpus.speakers) == n_speakers
    assert not any(note.kind == "incomplete" for note in corpus.notes)
    twins = [note for note in corpus.notes if note.kind.startswith("equal")]
    assert len(twins) == (name != "ravdess-song")
    assert all("03-01-03-01-02-01-07" in note.line and "(the same label)" in note.line for note in twins)


@needs_real
@pytest.mark.parametrize(("name", "folder"), [("ravdess", "ravdess_speech"), ("ravdess-song", "ravdess_song")])
def test_originals_become_the_copies_that_others_made(name: str, folder: str) -> None:
    """The 22 050 Hz copies were resampled once from the originals and rounded to 16 bits: half a step apart."""
    originals, copies = real(name, "ravdess_original_48k"), real(name, folder)
    paths = {Path(utterance.path).stem: utterance.path for utterance in copies.utterances}
    window = Window(22_050, 54_784)
    for utterance in originals.utterances:
        ours = originals.source.read([utterance.path], window).values_BN
        theirs = copies.source.read([paths[Path(utterance.path).stem]], window).values_BN
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=0.51 * 2**-15)
