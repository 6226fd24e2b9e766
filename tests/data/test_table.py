"""Tables of one's own: what they say arrives, and every bad line is named with what to do."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from serjax.data import CorpusError, Utterance, Window, load_corpus
from serjax.data.splits import ProtocolError, split_corpus

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
        "\ufeffspeaker,emotion , Text,PATH,gender,channel,intensity,age,sex,\r\n"
        'ann,sad, "one,\t\u00a0two\u200b",deep/c.flac,female,song,strong,9,f,\r\n'
        "\r\n"
        "bob, happy ,,./deep/../a.wav,,,,8,,\r\n"
        ",,,,,,,,,\r\n",
        encoding="utf-8",
    )
    corpus = load_corpus(str(table))
    assert corpus.utterances == (
        Utterance("a.wav", "happy", "bob", None, None, None, None, "mine"),
        Utterance("deep/c.flac", "sad", "ann", "female", "one, two", "strong", "song", "mine"),
    )
    assert (corpus.name, corpus.labels) == ("mine", ("happy", "sad"))
    (note,) = corpus.notes
    assert note.line == "Columns of the table that are not used: age, sex (it is used under the name gender)."
    assert corpus.offset_s == 0
    waveforms = corpus.source.read([u.path for u in corpus.utterances], Window(16_000, 1_000))
    assert waveforms.n_valid_B.tolist() == [800, 800]


def test_paths_start_beside_the_table_or_at_the_root(table: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "tables" / "x.CSV"
    elsewhere.parent.mkdir()
    elsewhere.write_text(f"{HEADER}\nb.wav,sad,1\n{tmp_path}/a.wav,sad,1\n")
    with pytest.raises(CorpusError, match=r"line 2: there is no file 'b.wav' in .*tables.*\(--root\).\Z|more such"):
        load_corpus(str(elsewhere))
    assert [u.path for u in load_corpus(str(elsewhere), tmp_path).utterances] == ["a.wav", "b.wav"]
    (tmp_path / "link").symlink_to(tmp_path)
    for root in (tmp_path / "link", tmp_path / "link" / ".." / tmp_path.name):  # not as the table writes it
        assert [u.path for u in load_corpus(str(elsewhere), root).utterances] == ["a.wav", "b.wav"]
    elsewhere.write_text(f"{HEADER}\n../{tmp_path.name}/link/b.wav,sad,1\n")
    assert [u.path for u in load_corpus(str(elsewhere), tmp_path).utterances] == ["link/b.wav"]


def test_paths_are_found_however_accents_are_encoded(tmp_path: Path) -> None:
    plant(tmp_path, "Zo\u00eb.wav", "Jose\u0301.wav")
    table = tmp_path / "t.csv"
    table.write_text(f"{HEADER}\nZoe\u0308.wav,sad,1\nJos\u00e9.wav,sad,2\n", encoding="utf-8")
    assert [u.path for u in load_corpus(str(table)).utterances] == ["Jose\u0301.wav", "Zo\u00eb.wav"]


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
    (note,) = load_corpus(str(table)).notes
    assert dict(note.clips) == {"a.wav": "as b.wav (happy)", "b.wav": "as a.wav (sad)"}


def two_lines(column: str, first: str, second: str) -> str:
    cells = {"emotion": "sad", "speaker": "1", "gender": "", "text": ""}
    rows = [cells | {"path": path, column: cell} for path, cell in (("a.wav", first), ("b.wav", second))]
    names = ("path", *cells)
    return "\n".join([",".join(names), *(",".join(row[name] for name in names) for row in rows)])


SPEAKERS = [
    *[("01", "1"), ("1", "1.0"), ("spk01", "spk1"), ("spk1", "Spk 1"), ("spk-1", "spk_1"), ("1", "speaker 01")],
    *[
        ("Anna B", "anna_b"),
        ("A-07", "a7"),
        ("1-1", "01_1"),
        ("\uff11", "1"),
        ("ann", "ann\u200b"),
        ("M 1", "M\u00a01"),
    ],
]


@pytest.mark.parametrize(
    ("column", "first", "second"),
    [
        *[("speaker", first, second) for first, second in SPEAKERS],
        *[
            ("emotion", "very happy", other)
            for other in ("very  happy", "very\u00a0happy", "very_happy", "'very happy'")
        ],
        *[("emotion", "happy", other) for other in ("HAPPY", "hap\u200bpy", "happy\ufeff", "\uff48appy", "hap\x07py")],
        *[("emotion", "1", other) for other in ("1.0", "01")],
        *[("gender", "f", other) for other in ("F", "female", "Female")],
        ("text", "Kids talk", "kids  talk"),
    ],
)
def test_one_word_in_two_spellings_is_refused(table: Path, column: str, first: str, second: str) -> None:
    for a, b in ((first, second), (second, first)):
        table.write_text(two_lines(column, a, b), encoding="utf-8")
        with pytest.raises(CorpusError, match=f"line 3: the .*{column}.*, in line 2 it is .*Write "):
            load_corpus(str(table))


@pytest.mark.parametrize(
    ("column", "first", "second"),
    [
        *[("speaker", "1-1", "11"), ("speaker", "a1", "b1"), ("speaker", "1", "10"), ("speaker", "F01", "M01")],
        *[("speaker", "1.1", "1.10"), ("speaker", "ann", "anna"), ("speaker", "100", "10")],
        *[("emotion", "-1", "1"), ("emotion", "1.5", "15"), ("emotion", "sad", "sadness"), ("text", "Go?", "Go!")],
    ],
)
def test_two_words_are_two(table: Path, column: str, first: str, second: str) -> None:
    table.write_text(two_lines(column, first, second))
    assert {getattr(u, column) for u in load_corpus(str(table)).utterances} == {first, second}


def test_cells_are_kept_without_what_cannot_be_seen(table: Path) -> None:
    table.write_text(f"{HEADER}\na.wav,vera\u00a0 \x1b[1mjoie\u200b,Zoe\u0308\ufeff\n", encoding="utf-8")
    (clip,) = load_corpus(str(table)).utterances
    assert (clip.emotion, clip.speaker) == ("vera [1mjoie", "Zo\u00eb")


def test_a_split_column_is_a_protocol(tmp_path: Path) -> None:
    parts = [*["Training"] * 12, *["dev"] * 4, *["test"] * 4]
    rows = [f"{n:02}.wav,{('sad', 'happy')[n % 2]},s{n // 4},{part}" for n, part in enumerate(parts)]
    plant(tmp_path, *(row.partition(",")[0] for row in rows))
    table = tmp_path / "t.csv"
    table.write_text("\n".join([f"{HEADER},Split", *rows]))
    corpus = load_corpus(str(table))
    assert [u.split for u in corpus.utterances[::8]] == ["train", "train", "test"]
    assert "--protocol given" in corpus.notes[0].line
    split = split_corpus(corpus, "given")
    (fold,) = split.folds
    assert [part.tolist() for part in (fold.train, fold.validation, fold.test)] == [
        [*range(12)],
        [*range(12, 16)],
        [*range(16, 20)],
    ]
    assert not split.speakers_shared
    table.write_text("\n".join([f"{HEADER},split", *rows]).replace("dev", "train").replace("s4", "s0"))
    (fold,) = (split := split_corpus(load_corpus(str(table)), "given")).folds
    assert (len(fold.train), len(fold.validation), fold.test.tolist()) == (14, 2, [*range(16, 20)])
    assert split.speakers_shared
    table.write_text("\n".join([f"{HEADER},split", *rows]).replace("test", "train"))
    with pytest.raises(ProtocolError, match="no test rows"):
        split_corpus(load_corpus(str(table)), "given")


@pytest.mark.parametrize(
    "column",
    [
        *(
            "start_time",
            "end (s)",
            "begin_ms",
            "Offset",
            "duration",
            "onset",
            "segment start",
            "to",
            "xmin",
        ),
        *("channel_index", "ChannelID", "audio channel", "exclude", "use"),
    ],
)
def test_columns_that_change_what_a_line_is_are_refused(table: Path, column: str) -> None:
    table.write_text(f"{HEADER},{column}\na.wav,sad,1,0\n")
    with pytest.raises(CorpusError, match=r"line 1: column .* would change what a line is, but .* remove the column"):
        load_corpus(str(table))


@pytest.mark.parametrize(
    "column", ["age", "valence", "Tone", "session", "split_seed", "endorsed", "channels", "startle"]
)
def test_columns_that_only_tell_more_are_noted(table: Path, column: str) -> None:
    table.write_text(f"{HEADER},{column}\na.wav,sad,1,0\n")
    assert load_corpus(str(table)).notes[0].line == f"Columns of the table that are not used: {column}."


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1: there is no column path, emotion, speaker in 'nothing'"),
        ("path,emotion\na.wav,sad\n", "line 1: there is no column speaker in 'path, emotion'"),
        ("path;emotion;speaker\na.wav;sad;1\n", "Put commas between them"),
        ('"path"\t"emotion"\t"speaker"\n', "Put commas between them"),
        ("file,Label,who\n", r"no column path, emotion, speaker in .* Rename file to path, Label to emotion\?"),
        ("path,emotion,speaker,Speaker\n", "a column is there twice .*speaker"),
        (f"{HEADER}\na.wav,{'x' * 201},1\n", "line 2: the emotion has 201 letters; expected at most 200"),
        (f"{HEADER}\na.wav,sad,{'x' * 201}\n", "line 2: the speaker has 201 letters"),
        (f"{HEADER}\na.wav,\u200b,1\n", "line 2: no emotion is given"),
        (f"{HEADER}\na.wav,sad,NaN\n", "line 2: no speaker is given"),
        (f"{HEADER},channel\na.wav,sad,1,left\n", "line 2: the channel is 'left', but the column says what is heard"),
        (f"{HEADER},split\na.wav,sad,1,eval\n", "line 2: the split is 'eval'; expected train/training, validation"),
        (f"{HEADER},split\na.wav,sad,1,test\nb.wav,sad,1,\n", "line 3: no split is given, but in other lines"),
        (f"{HEADER}\nfile:///a.wav,sad,1\n", "line 2: there is no file .* It is a URL"),
        (f"{HEADER}\n~/a.wav,sad,1\n", "line 2: there is no file .* ~ is not replaced"),
        (f"{HEADER}\na\x1b.wav,sad,1\n", r"line 2: the path 'a\\x1b.wav' has control characters"),
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
    table.write_text(text, encoding="utf-8")
    with pytest.raises(CorpusError, match=says) as caught:
        load_corpus(str(table))
    assert str(table) in str(caught.value)


def test_tables_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"none.csv cannot be read: No such file"):
        load_corpus(str(tmp_path / "none.csv"))
    for encoding in ("utf-16", "utf-16-le"):
        (tmp_path / "wide.csv").write_bytes(f"{HEADER}\na.wav,sad,1\n".encode(encoding))
        with pytest.raises(CorpusError, match=r"wide.csv is UTF-16.*Save it as CSV in UTF-8"):
            load_corpus(str(tmp_path / "wide.csv"))
    (tmp_path / "latin.csv").write_bytes(f"{HEADER}\na.wav,fr\xf6hlich,1\n".encode("latin-1"))
    with pytest.raises(CorpusError, match=r"is not UTF-8 .*Save it as CSV in UTF-8"):
        load_corpus(str(tmp_path / "latin.csv"))
