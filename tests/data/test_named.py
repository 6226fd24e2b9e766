"""Emo-DB, SAVEE and TESS: what their file names say, and what a folder lacks of them; no real files were at hand."""

from pathlib import Path

import pytest

from serjax.data import CorpusError, load_corpus
from serjax.data.splits import ProtocolError, default_protocol, split_corpus


def plant(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(path.encode())
    return root


def kinds(notes: tuple) -> list[str]:
    return [note.kind for note in notes]


def test_a_whole_savee_is_told_from_one_that_lacks_a_clip(tmp_path: Path) -> None:
    counts = {"a": 15, "d": 15, "f": 15, "h": 15, "n": 30, "sa": 15, "su": 15}
    names = [f"{code}{n:02}.wav" for code, most in counts.items() for n in range(1, most + 1)]
    root = plant(tmp_path, *(f"AudioData/{who}/{name}" for who in ("DC", "JE", "JK", "KL") for name in names))
    corpus = load_corpus("savee", root)
    assert (len(corpus.utterances), corpus.speakers) == (480, ("DC", "JE", "JK", "KL"))
    assert corpus.labels == ("neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised")
    assert kinds(corpus.notes) == ["untried"]
    assert default_protocol(corpus) == "loso"
    (root / "AudioData/KL/a15.wav").unlink()
    assert load_corpus("savee", root).notes[-1].line == (
        "Counts differ: 479 clips are there, 480 are published (angry 59 of 60)."
    )


def test_savee_with_the_speaker_in_the_name(tmp_path: Path) -> None:
    root = plant(tmp_path, "ALL/DC_a01.wav", "ALL/KL_n30.wav", "ALL/Info.wav")
    corpus = load_corpus("savee", root)
    assert [(u.speaker, u.emotion, u.gender, u.text) for u in corpus.utterances] == [
        ("DC", "angry", "male", None),
        ("KL", "neutral", "male", None),
    ]
    assert kinds(corpus.notes) == ["untried", "other-names", "incomplete"]
    with pytest.raises(ProtocolError, match="cannot be split by sentence"):
        split_corpus(corpus, "text")


def test_emodb_is_split_by_its_ten_speakers(tmp_path: Path) -> None:
    people = ("03", "08", "09", "10", "11", "12", "13", "14", "15", "16")
    root = plant(
        tmp_path, *(f"wav/{who}{text}{code}.wav" for who in people for text in ("a01", "b10") for code in "WN")
    )
    corpus = load_corpus("emodb", plant(root, "wav/03a01Fa.wav", "wav/03a01Fb.wav"))
    assert corpus.labels == ("neutral", "happy", "angry")
    assert len(corpus.utterances) == 42
    assert [u.gender for u in corpus.utterances if u.text and u.text.startswith("Die wird")][::2] == [
        *("male", "female", "female", "male", "male", "male", "female", "female", "male", "female")
    ]
    split = split_corpus(corpus.only(["neutral", "angry"]), "speaker-5fold")
    assert [len(fold.test) for fold in split.folds] == [8] * 5
    assert not split.speakers_shared
    assert (
        "42 clips are there, 535 are published (neutral 20 of 79, happy 2 of 71, sad 0 of 62" in corpus.notes[-1].line
    )


def test_tess_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    names = ("OAF_Fear/OAF_back_fear.wav", "OAF_neutral/OA_bite_neutral.wav", "YAF_pleasant_surprised/YAF_chain_ps.wav")
    root = plant(tmp_path, *names, *(f"TESS/{name}" for name in names))
    corpus = load_corpus("tess", root)
    assert [(u.speaker, u.emotion, u.text) for u in corpus.utterances] == [
        ("OAF", "fearful", "back"),
        ("OAF", "neutral", "bite"),
        ("YAF", "surprised", "chain"),
    ]
    assert kinds(corpus.notes) == ["untried", "further", "incomplete"]
    with pytest.raises(ProtocolError, match="two speakers"):
        default_protocol(corpus)


@pytest.mark.parametrize(
    ("name", "path", "says"),
    [
        ("emodb", "04a01Fa.wav", "named like an Emo-DB clip, but not one .* speakers 03, 08"),
        ("emodb", "03a03Fa.wav", "sentences a01, a02, a04"),
        ("emodb", "03a01Xa.wav", "emotions N, F, T, W, A, E, L"),
        ("savee", "XY/a01.wav", "named like a SAVEE clip, but not one .* speakers DC, JE"),
        ("savee", "DC/a16.wav", "numbers 01 to 15, neutral"),
        ("tess", "OAF_back_bored.wav", "named like a TESS clip, but not one"),
        ("tess", "DC/a01.wav", "is not the root of corpus 'tess': 1 of its 1 clips are named as in SAVEE"),
        ("emodb", "hello.wav", "none of its 1 audio files is named as in Emo-DB .* such as 03a01Fa.wav"),
    ],
)
def test_what_is_no_clip_of_a_corpus(tmp_path: Path, name: str, path: str, says: str) -> None:
    with pytest.raises(CorpusError, match=says):
        load_corpus(name, plant(tmp_path, path))
