"""Several corpora as one, and one corpus as the test of others: people stay apart, labels agree, offsets are kept."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from serjax.data import CorpusError, Window
from serjax.data.audio import UnreadableClips
from serjax.data.corpora import load_corpora
from serjax.data.splits import PROTOCOLS, ProtocolError, default_protocol, split_corpus

RATE_HZ = 8_000


def write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    wav = 0.1 * np.random.default_rng(list(str(path).encode())).standard_normal(RATE_HZ)
    soundfile.write(path, wav, RATE_HZ, subtype="FLOAT")


@pytest.fixture
def ravdess(tmp_path: Path) -> Path:
    """Twelve actors, neutral (01), calm (02) and angry (05), of whom one sings as well."""
    names = [f"Actor_{n:02}/03-01-{code}-01-01-01-{n:02}.wav" for n in range(1, 13) for code in ("01", "02", "05")]
    for name in names:
        write(tmp_path / "ravdess" / name)
    write(tmp_path / "song" / "03-02-05-01-01-01-01.wav")
    write(tmp_path / "song" / "03-02-01-01-01-01-01.wav")
    return tmp_path / "ravdess"


@pytest.fixture
def mine(tmp_path: Path) -> str:
    lines = ["path,emotion,speaker,gender"]
    for speaker, gender in (("01", "f"), ("x", "m"), ("y", "m")):
        for emotion in ("angry", "neutral", "bored"):
            name = f"{speaker}_{emotion}.wav"
            write(tmp_path / "own" / name)
            lines.append(f"{name},{emotion},{speaker},{gender}")
    (tmp_path / "own" / "mine.csv").write_text("\n".join(lines))
    return str(tmp_path / "own" / "mine.csv")


def test_joined_corpora_keep_people_apart_and_labels_in_common(ravdess: Path, mine: str) -> None:
    corpus = load_corpora(("ravdess", mine), (ravdess,))
    assert (corpus.name, corpus.labels, len(corpus.utterances)) == ("ravdess+mine", ("neutral", "angry"), 24 + 6)
    assert {"ravdess:01", "mine:01"} < set(corpus.speakers)
    assert len(corpus.speakers) == 15
    assert {u.gender for u in corpus.utterances} == {"female", "male"}
    told = " ".join(note.line for note in corpus.notes)
    assert "ravdess: Left out, clips of emotions that not all corpora have or the label map leaves out: 12 calm" in told
    assert "mine: Left out, clips of emotions that not all corpora have or the label map leaves out: 3 bored" in told
    assert default_protocol(corpus) == "speaker-5fold"
    split = split_corpus(corpus, "speaker-5fold")
    assert not split.speakers_shared
    assert sum(len(fold.test) for fold in split.folds) == 30


def test_each_part_is_read_from_its_own_offset(ravdess: Path, mine: str) -> None:
    corpus = load_corpora((mine, "ravdess"), ravdess)
    paths = ["ravdess/Actor_02/03-01-05-01-01-01-02.wav", "mine/x_angry.wav"]
    window = Window(RATE_HZ, RATE_HZ)
    assert corpus.windows(window) == {
        "mine": {"offset_s": 0.0, "seconds": 1.0},
        "ravdess": {"offset_s": 0.5, "seconds": 1.0},
    }
    values_BN, n_valid_B, _ = corpus.source.read(paths, window)
    assert n_valid_B.tolist() == [4_000, 8_000]
    whole, _ = soundfile.read(ravdess / "Actor_02/03-01-05-01-01-01-02.wav", dtype="float32")
    np.testing.assert_array_equal(values_BN[0, :4_000], whole[4_000:])
    same = load_corpora((mine, "ravdess"), ravdess, offset_s=0.25)
    assert same.source.read(paths, window).n_valid_B.tolist() == [6_000, 6_000]
    assert [corpus.source.digest(path) == same.source.digest(path) for path in paths] == [False, False]
    for path in (ravdess / "Actor_02/03-01-05-01-01-01-02.wav", Path(mine).parent / "x_angry.wav"):
        path.write_bytes(b"no sound")
    with pytest.raises(UnreadableClips) as caught:
        corpus.source.read(["mine/y_angry.wav", *paths], window)
    assert [error.path.as_posix() for error in caught.value.errors] == paths


def test_an_actor_is_one_person_in_speech_and_song(ravdess: Path, tmp_path: Path) -> None:
    corpus = load_corpora(("ravdess", "ravdess-song"), (ravdess, tmp_path / "song"))
    assert len(corpus.speakers) == 12
    with pytest.raises(CorpusError, match=r"ravdess:01 and 0 more people are in the test corpus 'ravdess-song'"):
        load_corpora("ravdess", ravdess, test="ravdess-song", test_root=tmp_path / "song")


def test_one_corpus_is_the_test_of_another(ravdess: Path, mine: str) -> None:
    corpus = load_corpora("ravdess", ravdess, test=mine)
    assert (corpus.name, default_protocol(corpus)) == ("ravdess to mine", "cross-corpus")
    split = split_corpus(corpus, "cross-corpus")
    (fold,) = split.folds
    people = [{corpus.utterances[row].speaker for row in rows} for rows in (fold.train, fold.validation, fold.test)]
    assert people[1] == {"ravdess:01", "ravdess:11"}  # of EmoBox's first fold, who are there
    assert people[2] == {"mine:01", "mine:x", "mine:y"}
    assert len(people[0]) == 10
    assert split.separates
    assert not split.speakers_shared
    for protocol in PROTOCOLS:
        if protocol != "cross-corpus":
            with pytest.raises(ProtocolError, match="takes no test corpus"):
                split_corpus(corpus, protocol)
    (back,) = split_corpus(load_corpora(mine, test="ravdess", test_root=ravdess), "cross-corpus").folds
    assert [len(rows) for rows in (back.train, back.validation, back.test)] == [4, 2, 24]
    with pytest.raises(ProtocolError, match=r"there is no test corpus. Give --test-corpus NAME"):
        split_corpus(load_corpora(mine), "cross-corpus")


def test_a_label_map_says_which_emotions_are_one(ravdess: Path, mine: str, tmp_path: Path) -> None:
    labels = tmp_path / "labels.json"
    calm, bored = {"calm": "low", "neutral": "low", "angry": "high"}, {"bored": "low", "angry": "high"}
    labels.write_text(json.dumps({"ravdess": calm, "mine": bored}))
    corpus = load_corpora(("ravdess", mine), ravdess, label_map=labels)
    assert (corpus.labels, len(corpus.utterances)) == (("low", "high"), 36 + 6)
    labels.write_text('{"ravdess": {"calm": "neutral", "neutral": "neutral", "angry": null}}')
    with pytest.raises(CorpusError, match=r"has nothing on 'mine', but on ravdess"):
        load_corpora(("ravdess", mine), ravdess, label_map=labels)
    assert load_corpora("ravdess", ravdess, label_map=labels).labels == ("neutral",)
    for text, says in (
        ("{", "cannot be read as JSON"),
        ('{"ravdess": "calm"}', "does not map emotions of corpora to labels"),
        ('{"ravdess": {"calm": 1}}', "has a label that is no text"),
        ('{"ravdess": {"kalm": "x"}}', "has no emotion 'kalm'. Choose from: neutral, calm, angry"),
    ):
        labels.write_text(text)
        with pytest.raises(CorpusError, match=says):
            load_corpora("ravdess", ravdess, label_map=labels)


def test_what_cannot_be_joined(ravdess: Path, mine: str, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"gives 2 folders, but 1 of the corpora are read from one \(ravdess\)"):
        load_corpora(("ravdess", mine), (ravdess, ravdess))
    with pytest.raises(CorpusError, match=r"--test-root .* without --test-corpus"):
        load_corpora("ravdess", ravdess, test_root=ravdess)
    with pytest.raises(CorpusError, match="Two of the corpora are called 'mine'"):
        load_corpora((mine, mine))
    write(ravdess / "03-02-05-01-01-01-01.wav")
    with pytest.raises(CorpusError, match=r"is a clip of 'ravdess' and of 'ravdess-all'"):
        load_corpora(("ravdess", "ravdess-all"), (ravdess, ravdess))
    (tmp_path / "own" / "other.csv").write_text("path,emotion,speaker\nx_angry.wav,furious,x\ny_angry.wav,angry,y\n")
    with pytest.raises(CorpusError, match=r"have 1 emotions in common \(mine: angry, .*; other: .*--label-map"):
        load_corpora((mine, str(tmp_path / "own" / "other.csv")))
