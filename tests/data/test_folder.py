"""A folder with one sub-folder a label: what is read, what is honest about speakers, and what is refused."""

from pathlib import Path

import pytest

from serjax.data import CorpusError, load_corpus
from serjax.data.audio import AudioError
from serjax.data.splits import ProtocolError, default_protocol, split_corpus


def plant(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    return root


def test_sub_folders_are_the_labels(tmp_path: Path) -> None:
    root = plant(tmp_path / "mine", "sad/x.wav", "happy/deep/down/a.flac", "happy/b.WAV", "loose.wav", "notes/read.txt")
    corpus = load_corpus(str(root))
    assert (corpus.name, corpus.labels, corpus.speakers) == ("mine", ("happy", "sad"), ("unknown",))
    assert [(u.path, u.emotion, u.gender, u.text) for u in corpus.utterances] == [
        ("happy/b.WAV", "happy", None, None),
        ("happy/deep/down/a.flac", "happy", None, None),
        ("sad/x.wav", "sad", None, None),
    ]
    assert {u.corpus for u in corpus.utterances} == {"mine"}
    assert corpus.notes == (
        "Who speaks is not known: all clips count as one speaker, and test speakers are not new.",
        "1 audio files in no sub-folder are left out.",
    )


def test_unknown_speakers_are_never_called_new(tmp_path: Path) -> None:
    root = plant(tmp_path, *(f"{label}/{n}.wav" for label in ("happy", "sad") for n in range(10)))
    corpus = load_corpus(str(root))
    assert split_corpus(corpus, "random-5fold").speakers_shared
    for protocol in ("speaker-5fold", default_protocol(corpus)):
        with pytest.raises(ProtocolError, match=r"has 1. Choose random-5fold \(speakers shared\)"):
            split_corpus(corpus, protocol)


def test_known_names_and_equal_clips_are_told(tmp_path: Path) -> None:
    root = plant(tmp_path, "sad/1001_DFA_SAD_XX.wav", "angry/1001_DFA_ANG_XX.wav", "angry/1001_DFA_ANG_YY.wav")
    (root / "sad/1001_DFA_SAD_XX.wav").write_bytes((root / "angry/1001_DFA_ANG_XX.wav").read_bytes())
    assert load_corpus(str(root)).notes[1:] == (
        "3 clips are named as in CREMA-D; --corpus crema-d --root FOLDER knows their speakers.",
        "angry/1001_DFA_ANG_XX.wav and sad/1001_DFA_SAD_XX.wav are byte-identical (DIFFERENT labels: angry, sad).",
    )


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (("readme.txt",), "no .wav or .flac file"),
        (("a.wav", "b.wav"), "the labels of its clips, and none has"),
        (("happy/a.wav", "sad/readme.txt"), "only 'happy' has .* Make one sub-folder an emotion"),
        (("Actor_01/a.wav", "actor 2/b.wav"), "are speakers .Actor_01., not emotions. .*--corpus ravdess --root"),
        (("Sad/a.wav", "sad/b.wav"), "differ in capitals only: Sad, sad. Put them together"),
    ],
)
def test_other_folders_are_refused(tmp_path: Path, files: tuple[str, ...], says: str) -> None:
    with pytest.raises(CorpusError, match=says) as caught:
        load_corpus(str(plant(tmp_path, *files)))
    assert str(tmp_path) in str(caught.value)


def test_paths_that_are_no_corpus(tmp_path: Path) -> None:
    root = plant(tmp_path, "happy/a.wav", "sad/a.wav")
    with pytest.raises(CorpusError, match="Leave the root out"):
        load_corpus(str(root), tmp_path)
    for path in (root / "none", root / "sad/a.wav"):
        with pytest.raises(CorpusError, match=r"There is no corpus .*crema-d-voted; or give the path of a CSV"):
            load_corpus(str(path))


def test_a_link_to_nowhere_is_named(tmp_path: Path) -> None:
    plant(tmp_path, "happy/1.wav", "sad/2.wav")
    (tmp_path / "happy" / "3.wav").symlink_to(tmp_path / "gone.wav")
    with pytest.raises(AudioError, match=r"happy/3.wav: cannot be opened: No such file.*\[missing\]"):
        load_corpus(str(tmp_path))
