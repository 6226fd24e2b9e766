"""Tables of one's own: what they say arrives, and every bad line is named with what to do."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from serjax.data import CorpusError, Utterance, Window, load_corpus
from serjax.data.splits import split_corpus

HEADER = "path,emotion,speaker"


def plant(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        wav = 0.1 * np.random.default_rng(list(path.encode())).standard_normal(800)
        soundfile.write(root / path, wav, 16_000, subtype="PCM_16")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    plant(tmp_path, "a.wav", "b.wav", "deep/c.flac")
    return tmp_path / "mine.csv"


def test_a_table_says_everything_about_a_clip(table: Path) -> None:
    table.write_text(
        "\ufeffspeaker,emotion , text,path,gender,channel,intensity,age\n"
        'ann,sad,"one, two",deep/c.flac,female,song,strong,9\n'
        "\n"
        "bob, happy ,,./deep/../a.wav,,,,8\n",
        encoding="utf-8",
    )
    corpus = load_corpus(str(table))
    assert corpus.utterances == (
        Utterance("a.wav", "happy", "bob", None, None, None, None, "mine"),
        Utterance("deep/c.flac", "sad", "ann", "female", "one, two", "strong", "song", "mine"),
    )
    assert (corpus.name, corpus.labels) == ("mine", ("happy", "sad"))
    assert corpus.notes == ("Columns of the table that are not used: age.",)
    waveforms = corpus.source.read([u.path for u in corpus.utterances], Window(16_000, 1_000))
    assert waveforms.n_valid_B.tolist() == [800, 800]


def test_paths_start_beside_the_table_or_at_the_root(table: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "tables" / "x.CSV"
    elsewhere.parent.mkdir()
    elsewhere.write_text(f"{HEADER}\nb.wav,sad,1\n{tmp_path}/a.wav,sad,1\n")
    with pytest.raises(CorpusError, match=r"line 2: there is no file 'b.wav' in .*tables.*\(--root\).\Z|more such"):
        load_corpus(str(elsewhere))
    assert [u.path for u in load_corpus(str(elsewhere), tmp_path).utterances] == ["a.wav", "b.wav"]


def test_a_table_is_split_by_its_speakers(tmp_path: Path) -> None:
    rows = [(f"{speaker}/{emotion}.wav", emotion, speaker) for speaker in "abcde" for emotion in ("happy", "sad")]
    plant(tmp_path, *(path for path, _, _ in rows))
    (tmp_path / "t.csv").write_text("\n".join([HEADER, *map(",".join, rows)]))
    split = split_corpus(load_corpus(str(tmp_path / "t.csv")), "speaker-5fold")
    assert not split.speakers_shared
    assert [len(fold.test) for fold in split.folds] == [2] * 5


def test_equal_clips_are_told(table: Path, tmp_path: Path) -> None:
    (tmp_path / "b.wav").write_bytes((tmp_path / "a.wav").read_bytes())
    table.write_text(f"{HEADER}\na.wav,sad,1\nb.wav,happy,2\n")
    assert load_corpus(str(table)).notes == ("a.wav and b.wav are byte-identical (DIFFERENT labels: happy, sad).",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1: there is no column path, emotion, speaker in 'nothing'"),
        ("path,emotion\na.wav,sad\n", "line 1: there is no column speaker in 'path, emotion'"),
        ("path;emotion;speaker\na.wav;sad;1\n", "Put commas between them"),
        ("path,emotion,speaker,path\n", "line 1: a column is there twice"),
        (f"{HEADER}\n", "has no line under the names of its columns"),
        (f"{HEADER}\na.wav,sad,1\nb.wav,sad\n", r"line 3: 2 cells under 3 columns. .* leave no cell out"),
        (f"{HEADER}\na.wav,sad,1,2\n", r"line 2: 4 cells under 3 columns. .* in quotes"),
        (f'{HEADER}\n"a.wav"x,sad,1\n', "line 2: .* Write the line as CSV"),
        (f"{HEADER}\na.wav,sad,1\nb.wav,, \n", "line 3: no emotion and no speaker is given. Fill it in, or remove"),
        (
            f"{HEADER}\nz.wav,sad,1\na.wav,sad,1\ny.wav,sad,1\n",
            r"line 2: there is no file 'z.wav' .*\(1 more such problems\)",
        ),
        (f"{HEADER}\ndeep\\c.flac,sad,1\n", "line 2: there is no file .* Folders are written with /"),
        (f"{HEADER}\ndeep,sad,1\n", "line 2: there is no file 'deep'"),
        (f"{HEADER}\n../a.wav,sad,1\n", r"line 2: \.\./a.wav does not lie below"),
        (f"{HEADER}\n/a.wav,sad,1\n", "line 2: /a.wav does not lie below"),
        (f"{HEADER}\na.wav,sad,1\nb.wav,sad,1\n./a.wav,happy,1\n", "line 4: a.wav is in line 2 already. Remove one"),
        (
            f"{HEADER}\na.wav,sad,1\nb.wav,Sad,1\n",
            "line 3: the emotion is 'Sad', in line 2 it is 'sad'. Write it one way",
        ),
        (f"{HEADER}\na.wav,sad,Anna\nb.wav,sad,anna\n", "line 3: the speaker is 'anna', in line 2 it is 'Anna'"),
        (f"{HEADER}\na.wav,sad,Zo\u00eb\nb.wav,sad,Zoe\u0308\n", "line 3: the speaker is 'Zoe\u0308', in line 2"),
        (f"{HEADER},gender\na.wav,sad,1,male\nb.wav,sad,2,Male\n", "line 3: the gender is 'Male', in line 2 it is"),
        (f"{HEADER},text\na.wav,sad,1,Kids\nb.wav,sad,1,kids\n", "line 3: the text is 'kids', in line 2 it is 'Kids'"),
        (
            f"{HEADER},gender\na.wav,sad,1,male\nb.wav,sad,1,female\n",
            "line 3: the gender of speaker 1 is female, in line 2 it is male. .* two people two names",
        ),
        (
            f"{HEADER},gender\na.wav,sad,1,male\nb.wav,sad,1,\n",
            "line 3: the gender of speaker 1 is unknown, in line 2 it is male",
        ),
    ],
)
def test_bad_lines_are_named_with_what_to_do(table: Path, text: str, says: str) -> None:
    table.write_text(text)
    with pytest.raises(CorpusError, match=says) as caught:
        load_corpus(str(table))
    assert str(table) in str(caught.value)


def test_tables_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"none.csv cannot be read: No such file"):
        load_corpus(str(tmp_path / "none.csv"))
    (tmp_path / "latin.csv").write_bytes(f"{HEADER}\na.wav,fr\xf6hlich,1\n".encode("latin-1"))
    with pytest.raises(CorpusError, match=r"is not UTF-8 .*Save it as CSV in UTF-8"):
        load_corpus(str(tmp_path / "latin.csv"))
