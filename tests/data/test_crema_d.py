"""CREMA-D names and tables, defects found by content, votes, and (where it is there) the real corpus."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from serjax.data import Corpus, CorpusError, load_corpus
from serjax.data.corpora.crema_d import parse_name
from serjax.data.corpora.defects import silent_clips
from serjax.data.splits import default_protocol, split_corpus

REAL = os.environ.get("SERJAX_CORPORA")
needs_real = pytest.mark.skipif(REAL is None, reason="SERJAX_CORPORA does not name the folder of the real corpora")
RATE_HZ = 16_000


def plant(root: Path, *paths: str) -> Path:
    """Write clips of noise, each its own, with half a second of silence before it."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        noise = 0.1 * np.random.default_rng(list(path.encode())).standard_normal(400)
        soundfile.write(root / path, np.concatenate([np.zeros(8_000), noise]), RATE_HZ, subtype="PCM_16")
    return root


def demographics(root: Path, *rows: str, name: str = "VideoDemographics.csv") -> Path:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    lines = ['"ActorID","Age","Sex","Race","Ethnicity"', *(f'{row},"x","y"' for row in rows)]
    (root / name).write_text("\n".join(lines) + "\n")
    return root


def vote(root: Path, *rows: str, name: str = "summaryTable.csv") -> Path:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    lines = [
        '"","FileName","VoiceVote","VoiceLevel","FaceVote"',
        *(f'"{n}",{row},"50","H"' for n, row in enumerate(rows)),
    ]
    (root / name).write_text("\n".join(lines) + "\n")
    return root


def lines(corpus: Corpus) -> list[str]:
    return [note.line for note in corpus.notes]


def twins(a: str, meaning_a: str, b: str, meaning_b: str) -> dict[str, str]:
    first, second = (f"AudioWAV/{name}.wav" for name in (a, b))
    return {first: f"as {second}{meaning_b}", second: f"as {first}{meaning_a}"}


def stems(root: Path, name: str = "crema-d") -> list[str]:
    return [Path(utterance.path).stem for utterance in load_corpus(name, root).utterances]


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("1001_DFA_ANG_XX", ("angry", "1001", "Don't forget a jacket", None)),
        ("1091_IEO_DIS_LO", ("disgust", "1091", "It's eleven o'clock", "low")),
        ("1002_IEO_FEA_MD", ("fearful", "1002", "It's eleven o'clock", "medium")),
        ("1002_IEO_HAP_HI", ("happy", "1002", "It's eleven o'clock", "high")),
        ("1050_TSI_NEU_XX", ("neutral", "1050", "The surface is slick", None)),
        ("1040_ITH_SAD_X", ("sad", "1040", "I think I have a doctor's appointment", None)),
    ],
)
def test_names_say_what_the_publication_says(name: str, truth: tuple[str | None, ...]) -> None:
    utterance = parse_name(f"deep/down/{name}.WAV")
    assert utterance is not None
    assert (utterance.emotion, utterance.speaker, utterance.text, utterance.intensity) == truth
    assert (utterance.path, utterance.gender) == (f"deep/down/{name}.WAV", None)
    assert (utterance.channel, utterance.corpus) == ("speech", "crema-d")


def test_other_names_are_no_clips_and_impossible_ones_are_errors() -> None:
    for name in ("1001_DFA_ANG", "1001-DFA-ANG-XX", "03-01-01-01-01-01-01", "1001_DFA_ANG_XX_2"):
        assert parse_name(f"{name}.wav") is None
    for name in ("1000_DFA_ANG_XX", "1092_DFA_ANG_XX", "1001_ABC_ANG_XX", "1001_DFA_SUR_XX", "1001_DFA_ANG_ME"):
        with pytest.raises(CorpusError, match=f"{name}.*not one that there is"):
            parse_name(f"{name}.wav")


def test_clips_and_tables_are_found_at_any_depth(tmp_path: Path) -> None:
    plant(tmp_path, "a/AudioWAV/1001_DFA_ANG_XX.wav", "1001_DFA_NEU_XX.flac", "b/1001_DFA_NEU_XX.wav", "b/other.wav")
    plant(tmp_path, "a/1002_IEO_SAD_LO.flac", "__MACOSX/1003_DFA_ANG_XX.wav")
    demographics(tmp_path, '1001,51,"Male"', '1002,21,"Female"', name="a/b/VideoDemographics.csv")
    corpus = load_corpus("crema-d", tmp_path)
    found = [(u.path, u.emotion, u.speaker, u.gender) for u in corpus.utterances]
    assert found == [
        ("1001_DFA_NEU_XX.flac", "neutral", "1001", "male"),
        ("a/1002_IEO_SAD_LO.flac", "sad", "1002", "female"),
        ("a/AudioWAV/1001_DFA_ANG_XX.wav", "angry", "1001", "male"),
    ]
    assert (corpus.name, corpus.labels) == ("crema-d", ("neutral", "sad", "angry"))
    assert lines(corpus) == [
        "Left out, further files of the same clips: 1 clip (b/1001_DFA_NEU_XX.wav: as 1001_DFA_NEU_XX.flac).",
        "Left out, audio files that are not named as CREMA-D clips: 1 clip (b/other.wav).",
        "Incomplete: 3 of the 7442 clips are there, of 2 of the 91 actors.",
    ]
    assert corpus.offset_s == 0


def test_the_table_least_deep_counts(tmp_path: Path) -> None:
    plant(tmp_path, "1001_DFA_ANG_XX.wav")
    demographics(tmp_path, '1001,51,"Female"', name="a/b/VideoDemographics.csv")
    demographics(tmp_path, '1001,51,"Male"', name="z/VideoDemographics.csv")
    assert load_corpus("crema-d", tmp_path).utterances[0].gender == "male"


@pytest.fixture
def defective(tmp_path: Path) -> Path:
    """Four good clips, a silent one, one of dither, a pair of equal bytes and one label, one of two labels."""
    good = ("1001_DFA_ANG_XX", "1001_DFA_SAD_XX", "1002_DFA_ANG_XX", "1002_DFA_SAD_XX")
    equal = ("1002_WSI_DIS_XX", "1002_WSI_SAD_XX", "1002_IEO_HAP_LO", "1002_IEO_HAP_HI")
    root = plant(tmp_path, *(f"AudioWAV/{name}.wav" for name in (*good, *equal)))
    for first, second in (equal[:2], equal[2:]):
        (root / f"AudioWAV/{second}.wav").write_bytes((root / f"AudioWAV/{first}.wav").read_bytes())
    soundfile.write(root / "AudioWAV/1001_MTI_SAD_XX.flac", np.zeros(9_000), RATE_HZ)
    dither = np.random.default_rng(0).integers(-1, 2, 9_000).astype(np.int16)
    soundfile.write(root / "AudioWAV/1001_TIE_NEU_XX.wav", dither, RATE_HZ)
    return demographics(root, '1001,51,"Male"', '1002,21,"Female"')


def test_defects_are_found_by_content_told_and_left_out(defective: Path) -> None:
    corpus = load_corpus("crema-d", defective)
    assert sorted(stems(defective)) == [
        *("1001_DFA_ANG_XX", "1001_DFA_SAD_XX", "1002_DFA_ANG_XX", "1002_DFA_SAD_XX"),
        *("1002_IEO_HAP_HI", "1002_IEO_HAP_LO"),
    ]
    assert lines(corpus)[1:3] == [
        "Left out, without sound: 2 clips (AudioWAV/1001_MTI_SAD_XX.flac, AudioWAV/1001_TIE_NEU_XX.wav).",
        "Left out, bytes of a clip of another emotion: 2 clips (AudioWAV/1002_WSI_DIS_XX.wav, "
        "AudioWAV/1002_WSI_SAD_XX.wav).",
    ]
    assert [(note.kind, dict(note.clips)) for note in corpus.notes[3:]] == [
        ("equal", twins("1002_IEO_HAP_HI", "", "1002_IEO_HAP_LO", "")),
        ("equal-labels-differ", twins("1002_WSI_DIS_XX", " (disgust)", "1002_WSI_SAD_XX", " (sad)")),
    ]
    assert corpus.labels == ("happy", "sad", "angry")


def test_defects_can_be_kept(defective: Path) -> None:
    kept = load_corpus("crema-d", defective, defects="keep")
    assert len(kept.utterances) == 10
    assert lines(kept)[1].startswith("Kept, without sound: 2 clips")
    assert lines(kept)[2].startswith("Kept, bytes of a clip of another emotion: 2 clips")


def test_what_cannot_be_read_is_not_called_silent(tmp_path: Path) -> None:
    root = demographics(plant(tmp_path, "1001_DFA_ANG_XX.wav"), '1001,51,"Male"')
    (root / "1001_DFA_SAD_XX.wav").write_bytes(b"no sound")
    soundfile.write(root / "1001_DFA_NEU_XX.wav", np.zeros(0), RATE_HZ)
    soundfile.write(root / "1001_DFA_HAP_XX.wav", np.full(50, np.nan), RATE_HZ, subtype="FLOAT")
    corpus = load_corpus("crema-d", root)
    assert len(corpus.utterances) == 4
    assert silent_clips(corpus.utterances, corpus.source) == ()  # type: ignore[arg-type]


def test_silence_is_one_defect_and_not_two(tmp_path: Path) -> None:
    root = demographics(plant(tmp_path, "1001_DFA_ANG_XX.wav"), '1001,51,"Male"')
    for emotion in ("SAD", "DIS"):
        soundfile.write(root / f"1001_DFA_{emotion}_XX.wav", np.zeros(500), RATE_HZ)
    assert lines(load_corpus("crema-d", root))[1:] == [
        "Left out, without sound: 2 clips (1001_DFA_DIS_XX.wav, 1001_DFA_SAD_XX.wav).",
    ]


def test_a_corpus_of_nothing_but_silence_is_an_error(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "1001_DFA_NEU_XX.wav", np.zeros(500), RATE_HZ)
    with pytest.raises(CorpusError, match=r"No clip .* is left: Left out, without sound: 1 clip"):
        load_corpus("crema-d", demographics(tmp_path, '1001,51,"Male"'))


def test_voted_labels_are_what_most_listeners_heard(tmp_path: Path) -> None:
    names = (
        "1001_DFA_ANG_XX",
        "1001_DFA_SAD_XX",
        "1001_DFA_NEU_XX",
        "1001_ITH_SAD_X",
        "1001_IEO_HAP_HI",
        "1001_WSI_DIS_XX",
    )
    root = demographics(plant(tmp_path, *(f"{name}.wav" for name in names)), '1001,51,"Male"')
    votes = ("ANG_XX", "D"), ("SAD_XX", "A:D:F"), ("NEU_XX", "N")
    rows = [f'"1001_DFA_{clip}","{letters}"' for clip, letters in votes]
    vote(
        root, *rows, '"1001_ITH_SAD_XX","S"', '"1001_IEO_HAP_HI",NA', '"1090_DFA_ANG_XX","?"', name="p/summaryTable.csv"
    )
    corpus = load_corpus("crema-d-voted", root)
    assert {Path(u.path).stem: u.emotion for u in corpus.utterances} == {
        "1001_DFA_ANG_XX": "disgust",
        "1001_DFA_NEU_XX": "neutral",
        "1001_ITH_SAD_X": "sad",
    }
    assert (corpus.name, corpus.labels) == ("crema-d-voted", ("neutral", "sad", "disgust"))
    assert lines(corpus)[-3:] == [
        "The emotion is what most listeners of the voice heard; for 2 of 3 clips the intended.",
        "Left out, the vote is a tie: 1 clip (1001_DFA_SAD_XX.wav).",
        "Left out, without a voice vote in summaryTable.csv: 2 clips (1001_IEO_HAP_HI.wav, 1001_WSI_DIS_XX.wav).",
    ]
    assert sorted(stems(root)) == sorted(names)  # the intended ones are all there


def test_voted_labels_leave_out_the_same_defects(defective: Path) -> None:
    clips = [f'"1002_WSI_{emotion}_XX","S"' for emotion in ("DIS", "SAD")]
    vote(defective, *clips, '"1001_DFA_ANG_XX","A"', '"1001_MTI_SAD_XX","S"')
    assert stems(defective, "crema-d-voted") == ["1001_DFA_ANG_XX"]


def test_missing_and_wrong_tables_say_so(tmp_path: Path) -> None:
    root = plant(tmp_path, "AudioWAV/1001_DFA_ANG_XX.wav")
    with pytest.raises(CorpusError, match=r"actors' sex is told by VideoDemographics.csv, .* Put it there"):
        load_corpus("crema-d", root)
    demographics(root, '1001,51,"Male"')
    with pytest.raises(CorpusError, match=rf"It lies in {tmp_path}: give that"):
        load_corpus("crema-d", root / "AudioWAV")
    assert stems(root) == ["1001_DFA_ANG_XX"]
    with pytest.raises(CorpusError, match=r"What listeners voted .* summaryTable.csv, .* Put it there"):
        load_corpus("crema-d-voted", root)
    vote(root, '"1001_DFA_ANG_XX","A:Q"')
    with pytest.raises(CorpusError, match=r"VoiceVote of 1001_DFA_ANG_XX is 'A:Q'; expected letters of N:H:S:A:F:D"):
        load_corpus("crema-d-voted", root)
    (root / "summaryTable.csv").write_text("FileName,Vote\n1001_DFA_ANG_XX,A\n")
    with pytest.raises(CorpusError, match="line 1: there is no column VoiceVote"):
        load_corpus("crema-d-voted", root)
    demographics(root, '1002,51,"Male"')
    with pytest.raises(CorpusError, match="whether actor 1001 is Male or Female"):
        load_corpus("crema-d", root)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ((), "no .wav or .flac file"),
        (("03-01-01-01-01-01-01.wav",), "1 of its 1 clips are named as in RAVDESS"),
        (("x.wav",), "none of its 1 audio files is named as in CREMA-D .x.wav."),
    ],
)
def test_wrong_roots_say_what_is_there(tmp_path: Path, files: tuple[str, ...], says: str) -> None:
    with pytest.raises(CorpusError, match=says) as caught:
        load_corpus("crema-d", plant(tmp_path, *files))
    assert str(tmp_path) in str(caught.value)


@needs_real
@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("crema-d", {"angry": 336, "fearful": 336, "happy": 336, "disgust": 335, "sad": 334, "neutral": 287}),
        ("crema-d-voted", {"neutral": 1004, "angry": 270, "fearful": 188, "disgust": 154, "happy": 86, "sad": 75}),
    ],
)
def test_real_corpus(name: str, counts: dict[str, int]) -> None:
    """The 24 actors that are there; counts of intended emotions from the file names, of votes from the table."""
    assert REAL is not None
    corpus = load_corpus(name, Path(REAL, "crema_d"))
    assert Counter(utterance.emotion for utterance in corpus.utterances) == counts
    assert "Incomplete: 1967 of the 7442 clips are there, of 24 of the 91 actors." in lines(corpus)
    told = {note.kind: " ".join(path for path, _ in note.clips) for note in corpus.notes}
    assert "1076_MTI_SAD_XX" in told["silent"]
    assert "1013_WSI_DIS_XX" in told["ambiguous"]
    assert "1013_WSI_SAD_XX" in told["ambiguous"]
    genders = Counter({u.speaker: u.gender for u in corpus.utterances}.values())
    assert genders == {"female": 12, "male": 12}
    assert default_protocol(corpus) == "speaker-5fold"
    for protocol, n_folds in (("speaker-5fold", 5), ("loso", 24), ("text", 5), ("speaker-text", 25)):
        assert len(split_corpus(corpus, protocol).folds) == n_folds
