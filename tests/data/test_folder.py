"""A folder with one sub-folder per label: what is read, what is honest about speakers, and what is refused."""

import itertools
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
    assert [note.line for note in corpus.notes] == [
        "Who speaks is not known: all clips count as one speaker, and test speakers are not new.",
        "Left out, in no sub-folder: 1 clip (loose.wav).",
    ]


def test_unknown_speakers_are_never_called_new(tmp_path: Path) -> None:
    root = plant(tmp_path, *(f"{label}/{n}.wav" for label in ("happy", "sad") for n in range(10)))
    corpus = load_corpus(str(root))
    assert default_protocol(corpus) == "random-5fold"
    split = split_corpus(corpus, "random-5fold")
    assert (split.speakers_shared, split.texts_shared) == (True, False)
    for protocol in ("speaker-5fold", "loso"):
        with pytest.raises(ProtocolError, match=r"has 1. Choose random-5fold \(speakers shared\)"):
            split_corpus(corpus, protocol)


def test_known_names_and_equal_clips_are_told(tmp_path: Path) -> None:
    root = plant(tmp_path, "sad/1001_DFA_SAD_XX.wav", "sad/1002_DFA_SAD_XX.wav", "angry/1001_DFA_ANG_XX.wav")
    plant(root, "angry/1001_DFA_ANG_YY.wav", "sad/1003_DFA_ANG_XX.wav")
    (root / "sad/1001_DFA_SAD_XX.wav").write_bytes((root / "angry/1001_DFA_ANG_XX.wav").read_bytes())
    known, strays, equal = load_corpus(str(root)).notes[1:]
    assert known.line == "5 clips are named as in CREMA-D; --corpus crema-d --root FOLDER knows their speakers."
    assert strays.clips == (("sad/1003_DFA_ANG_XX.wav", "as in angry"),)
    twins = ("angry/1001_DFA_ANG_XX.wav", "as sad/1001_DFA_SAD_XX.wav (sad)")
    assert (equal.kind, equal.clips[0]) == ("equal-labels-differ", twins)


def test_every_format_is_taken_and_a_conversion_once(tmp_path: Path) -> None:
    paths = [*(f"happy/{n}.wav" for n in range(3)), *(f"happy/{n}.mp3" for n in range(2, 6)), "sad/0.OGG", "sad/1.m4a"]
    corpus = load_corpus(str(plant(tmp_path, *paths)))
    assert [u.path for u in corpus.utterances] == [*paths[:3], *paths[4:7], "sad/0.OGG"]
    format_note, further = corpus.notes[1:]
    assert "not read (convert: ffmpeg -i IN OUT.wav): 1 clip (sad/1.m4a)" in format_note.line
    assert further.clips == (("happy/2.mp3", "as happy/2.wav"),)


def test_labels_are_kept_in_one_encoding_and_numbers_are_told(tmp_path: Path) -> None:
    root = plant(tmp_path / "a", "fro\u0308hlich/1.wav", "traurig/2.wav")
    assert load_corpus(str(root)).labels == ("fr\u00f6hlich", "traurig")
    root = plant(tmp_path / "b", "1/1.wav", "2/2.wav")
    assert load_corpus(str(root)).notes[1].kind == "numbers"


def product(*levels: str) -> tuple[str, ...]:
    return tuple("/".join(parts) for parts in itertools.product(*(level.split() for level in levels)))


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (product("train test", "happy sad", "a.wav"), "are parts of a split .'test', 'train'."),
        (product("Training dev_set", "a.wav b.wav"), "are parts of a split .'Training', 'dev_set'."),
        (("happy/a.wav", "sad/b.wav", "val/c.wav"), "are parts of a split .'val'."),
        (product("DC JE", "happy sad", "a.wav"), "hold the emotions as folders of theirs, such as DC/happy"),
        (product("DC JE", "wav", "Wut Freude", "a.wav"), "hold the emotions as folders of theirs"),
        (product("Session1 Session2", "a.wav"), "are sessions .Session1."),
        (product("1001 1002", "a.wav"), "are speakers .1001."),
        (product("M01 F02 F03", "a.wav"), "are speakers .F02."),
        (product("spk1 spk2 song", "a.wav"), "are speakers .spk1."),
        (product("\u5f20 \u674e", "\u7518 \u82e6", "a.wav"), "hold the same folders each"),
        (product("DC JE", "a01.wav d01.wav"), "clips of one, by their names, lie in several .DC/a01.wav: a.*SAVEE"),
        (
            product("01 02", "03-01-03-01-01-01-01.wav 03-01-04-01-01-01-01.wav"),
            "by their names.*RAVDESS; --corpus ravd",
        ),
        (product("Ann Bob", "happy_1.wav sad_1.wav"), "by their names, lie in several .Ann/happy_1.wav: happy"),
        (product("OAF_angry YAF_angry", "OAF_back_angry.wav"), "are a speaker and an emotion each"),
        (product("happy sad all/happy all/sad", "a.wav"), "in 'all' its neighbours are there again"),
        (product("happy sad all/x/HAPPY", "a.wav"), "in 'all' its neighbours are there again"),
    ],
)
def test_folders_that_are_no_emotions_are_refused(tmp_path: Path, files: tuple[str, ...], says: str) -> None:
    with pytest.raises(CorpusError, match=rf"The sub-folders of {tmp_path} .*{says}"):
        load_corpus(str(plant(tmp_path, *files)))


@pytest.mark.parametrize(
    "files",
    [
        product("neutral Angry 01_happy fear", "a.wav"),
        product("\u9ad8\u5174 \u751f\u6c14", "a.wav"),
        product("\u7518 \u82e6", "Actor_01 Actor_02", "a.wav"),
        product("\u7518 \u82e6", "wav", "a.wav"),
        product("happy sad", "Ann Bob", "1.wav"),
        product("happy sad", "train test", "1.wav"),
        product("happy sad", "1001_DFA_ANG_XX.wav 1002_DFA_SAD_XX.wav"),  # as listeners heard it
        (*product("good", "happy_1.wav calm_2.wav"), *product("bad", "sad_1.wav angry_2.wav")),
        product("AN SA", "x.wav y.wav"),
        (*product("happy_strong happy_weak", "happy_1.wav"), *product("sad_strong sad_weak", "sad_1.wav")),
        product("high low", "1.wav"),
        product("0 1 2", "1.wav"),
    ],
)
def test_honest_folders_are_read(tmp_path: Path, files: tuple[str, ...]) -> None:
    corpus = load_corpus(str(plant(tmp_path, *files)))
    assert corpus.labels == tuple(sorted({file.split("/")[0] for file in files}))
    assert any(note.kind == "strays" for note in corpus.notes) == any("DFA" in file for file in files)


def test_a_copy_of_the_whole_is_no_emotion(tmp_path: Path) -> None:
    root = plant(tmp_path, *product("happy sad", "a.wav b.wav c.wav"))
    for path in product("happy sad", "a.wav b.wav"):
        (plant(root, f"backup/deep/{path.replace('/', '_')}") / f"backup/deep/{path.replace('/', '_')}").write_text(
            path
        )
    with pytest.raises(CorpusError, match=r"All clips in 'backup' are byte for byte those of other sub-folders"):
        load_corpus(str(root))
    plant(root, "backup/own.wav")  # has a clip of its own: told, not refused
    assert len(load_corpus(str(root)).notes[-1].clips) == 8


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (("readme.txt",), "no .wav or .flac file"),
        (("in/in/happy/a.wav", "in/in/sad/b.wav"), "only 'in' has .* give that folder: .*/in/in"),
        (("a.wav", "b.wav"), "the labels of its clips, and none has"),
        (("happy/a.wav", "sad/readme.txt"), "only 'happy' has .* Make one sub-folder per emotion"),
        (("Actor_01/a.wav", "actor 2/b.wav"), "are speakers .Actor_01., not emotions. .*--corpus ravdess --root"),
        (("Sad/a.wav", "sad/b.wav"), "differ in capitals only: Sad, sad. Put them together"),
        (
            ("Zoe\u0308/a.wav", "Zo\u00eb/b.wav"),
            r"encoding of letters, .*only: 'Zoe.u0308', 'Zo.xeb'. Put them together",
        ),
        (("sad/a.wav", "sa\u200bd/b.wav"), "cannot be seen only: .* Put them together"),
        (("very sad/a.wav", "very_sad/b.wav"), "differ in blanks"),
        (("sad/a.wav", f"{'x' * 201}/b.wav"), "has 201 letters"),
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
        with pytest.raises(CorpusError, match=r"There is no corpus .*tess; or give the path of a CSV"):
            load_corpus(str(path))


def test_a_link_to_nowhere_is_named(tmp_path: Path) -> None:
    plant(tmp_path, "happy/1.wav", "sad/2.wav")
    (tmp_path / "happy" / "3.wav").symlink_to(tmp_path / "gone.wav")
    with pytest.raises(AudioError, match=r"happy/3.wav: cannot be opened: No such file.*\[missing\]"):
        load_corpus(str(tmp_path))
