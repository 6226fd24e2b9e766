"""`explore` on a tiny corpus: what the folder holds, its numbers against those of single clips, the page."""

import csv
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import jax
import numpy as np
import pytest
import soundfile

from serjax import dsp, escape
from serjax.data import audio
from serjax.data.corpora import load_corpus
from serjax.data.corpora.corpus import Corpus, FileSource, Utterance, Window
from serjax.data.feature_cache import Features
from serjax.data.notes import Note
from serjax.errors import ConfigError
from serjax.experiments import explore
from serjax.explore import clips, exploration
from serjax.explore.clips import FEATURES, ROLLOFF, clip_outliers, correlate, load_values, pick_examples, view_clips
from serjax.explore.flags import Analysis, Clipping, Data, ExploreConfig, Output
from serjax.explore.inventory import take_inventory
from serjax.explore.page import write_page
from serjax.explore.summary import count_tables, speaker_table

EVIL = [
    "<script>alert(1)</script>",
    "</td></table>",
    "\"'><img src=x onerror=alert(1)>",
    "&lt;b&gt;<b",
    "<!--",
    "\x00\x1b[31m",
]
SMALL = ExploreConfig(
    data=Data(synthetic_clips=48, emotions=("happy", "sad")),
    analysis=Analysis(seconds=3.4, examples=2),
    clipping=Clipping(fences=1.0),
    output=Output(quiet=True),
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("explore") / "o"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax, "local_devices", lambda **_: jax.devices()[:1])  # each device compiles for itself
        explore.run(replace(SMALL, output=replace(SMALL.output, out=out)))
    return out


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load_corpus("synthetic", synthetic_clips=48).only(("happy", "sad"))


def summary(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())


def test_the_folder_is_complete(finished):
    content = summary(finished)
    assert (content["corpus"], content["n_clips"], content["labels"]) == ("synthetic", 12, {"happy": 6, "sad": 6})
    assert content["clips_by"]["gender"]["happy"] == {"female": 3, "male": 3}
    assert sum(content["speakers_by_gender"].values()) == content["n_speakers"] == 6
    assert content["longer_than_read"]["n_clips"] == 0
    assert (content["unreadable"], content["silent"], content["file_notes"]) == ([], [], [])
    by_speaker = content["labels_by_speaker"]
    assert sum(n for row in by_speaker.values() for n in row.values()) == 12
    assert all(set(row) == {"happy", "sad"} for row in by_speaker.values())
    drawn = "boxes chroma correlation curves durations factors histograms labels mel mfcc speakers spectrogram_linear"
    expected = [*drawn.split(), "spectrogram_log", "waveforms"]
    assert sorted(path.stem for path in (finished / "figures").iterdir()) == sorted(expected)


def test_the_table_has_each_clip_with_its_own_features(finished, corpus):
    with (finished / "features.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [utterance.path for utterance in corpus.utterances]
    utterance, row = corpus.utterances[5], rows[5]
    assert (row["emotion"], row["speaker"], row["gender"]) == (utterance.emotion, utterance.speaker, utterance.gender)
    wav_BN, n_valid_B = corpus.source.read([utterance.path], Window(22_050, 80_000))[:2]
    wav_N = wav_BN[0, : n_valid_B[0]]
    assert float(row["duration_s"]) == pytest.approx(len(wav_N) / 22_050, rel=1e-6)
    assert float(row["peak_dbfs"]) == pytest.approx(20 * np.log10(np.abs(wav_N).max()), abs=0.01)
    assert float(row["level_dbfs"]) == pytest.approx(10 * np.log10(np.mean(wav_N**2)), abs=0.01)
    assert (row["sample_rate_hz"], row["channels"], row["format"]) == ("22050", "1", "computed")
    expected = {
        "rms": dsp.rms(wav_N).mean(),
        "spectral_rolloff": dsp.spectral_rolloff(wav_N).mean(),
        "mfcc_0": dsp.mfcc(wav_N, n_mfcc=20)[0].mean(),
        "mfcc_19": dsp.mfcc(wav_N, n_mfcc=20)[19].mean(),
    }
    for name, value in expected.items():
        assert float(row[name]) == pytest.approx(float(value), rel=1e-4)


def test_the_summary_tells_what_was_clipped(finished):
    with (finished / "features.csv").open() as file:
        rows = list(csv.DictReader(file))
    clipped = summary(finished)["clipped"]
    assert sum(limits["n_above"] + limits["n_below"] for limits in clipped.values()) > 0
    for name, limits in clipped.items():
        value_N = np.array([float(row[name]) for row in rows])
        assert limits["n_above"] == (value_N > limits["high"]).sum()
        assert limits["n_below"] == (value_N < limits["low"]).sum()


class Page(HTMLParser):
    """Collect what a page asks for from outside, its pictures, and tags that do not close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.n_pictures, self.open = 0, []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href") and not str(value).startswith(("data:image/png;base64,", "#")):
                self.outside.append(f"{tag} {value}")
        self.n_pictures += tag == "img"
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_stands_alone(finished):
    text = (finished / "index.html").read_text()
    page = Page()
    page.feed(text)
    assert (page.outside, page.open) == ([], [])
    assert page.n_pictures == 14
    assert not re.search(r"https?://|url\(|@import", text)
    for name in FEATURES:
        assert f"<td>{name}</td>" in text


def tags(content: dict, path: Path) -> list[str]:
    write_page(content, [], path)
    found: list[str] = []
    page = HTMLParser()
    page.handle_starttag = lambda tag, attrs: found.append(f"{tag} {sorted(attrs)}")
    page.feed(path.read_text())
    return found


@pytest.mark.parametrize("evil", EVIL)
def test_text_from_data_adds_no_tag_to_the_page(finished, tmp_path, evil):
    """Wherever a corpus has a say: names, labels, speakers, levels, paths, notes, problems."""

    def page_of(text: str) -> list[str]:
        content = summary(finished)
        content |= {"corpus": text, "labels": {text: 1}, "examples": [text], "command": text, "silent": [text]}
        content |= {"labels_by_speaker": {text: {text: 1}}, "peaks_above_full_scale_dbfs": {text: 1.0}}
        content |= {"speakers_by_gender": {text: 1}, "clips_by": {text: {text: {text: 1}}}}
        content["unreadable"] = [dict.fromkeys(("path", "code", "problem", "advice"), text)]
        content["equal_clips"] = [[dict.fromkeys(("path", "label", "speaker"), text)]]
        content["corpus_notes"] = [Note("x", text, ((text, text),)).as_json()]
        content["files"] = {name: {text: 1} for name in content["files"]}
        return tags(content, tmp_path / "index.html")

    assert page_of(evil) == page_of("plain")


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder corpus with one clip of each kind of trouble."""
    root = tmp_path_factory.mktemp("broken")
    wave_N = 0.3 * np.sin(np.arange(16_000) / 10)
    for label in ("[happy]", "快乐"):
        (root / label).mkdir()
        for n in range(2):
            soundfile.write(root / label / f"{n}.wav", (1 - n / 2) / len(label) * wave_N, 16_000)
    happy, other = root / "[happy]", root / "快乐"
    (happy / "=junk.wav").write_bytes(b"no sound" * 99)
    (happy / "empty.wav").write_bytes(b"")
    (other / "cut.wav").write_bytes((other / "0.wav").read_bytes()[:9_000])
    soundfile.write(other / "silent.wav", np.zeros(16_000), 16_000)
    soundfile.write(other / "loud.wav", (10 * wave_N).astype(np.float32), 8_000, subtype="FLOAT")
    soundfile.write(other / "equal.flac", soundfile.read(happy / "1.wav")[0], 16_000)
    soundfile.write(other / "stereo.wav", np.stack([wave_N, wave_N], axis=1)[:15_000], 44_100)
    soundfile.write(other / "long.wav", np.tile(wave_N, 10), 16_000)
    return root


def test_what_is_wrong_with_clips_is_found(broken):
    corpus, counted = load_corpus(str(broken)), []
    stock = take_inventory(corpus, Window(16_000, 16_000), lambda *done: counted.append(done))
    assert {bad.path: bad.code for bad in stock.unreadable} == {
        "[happy]/=junk.wav": "format",
        "[happy]/empty.wav": "empty",
        "快乐/cut.wav": "truncated",
    }
    assert all(bad.problem and bad.advice for bad in stock.unreadable)
    clips = dict(zip([utterance.path for utterance in stock.corpus.utterances], stock.clips, strict=True))
    assert len(clips) == len(corpus.utterances) - 3
    assert counted[-1] == (len(corpus.utterances), len(corpus.utterances))
    long, stereo = clips["快乐/long.wav"], clips["快乐/stereo.wav"]
    assert (long.seconds, stereo.seconds) == (10.0, 15_000 / 44_100)  # of the clip, not of the window
    assert (stereo.rate_hz, stereo.channels, stereo.format) == (44_100, 2, "WAV PCM_16")
    assert clips["[happy]/1.wav"].level_db == pytest.approx(20 * np.log10(0.5 / 7 * 0.3 / np.sqrt(2)), abs=0.1)
    assert stock.silent == ("快乐/silent.wav",)
    assert stock.too_loud == {"快乐/loud.wav": pytest.approx(20 * np.log10(3), abs=0.01)}
    assert [[u.path for u in group] for group in stock.equal] == [["[happy]/1.wav", "快乐/equal.flac"]]
    notes = {note.kind: note for note in stock.notes}
    assert notes["equal"].clips == (("快乐/equal.flac", "as [happy]/1.wav, of another emotion"),)
    assert notes["unreadable"].clips[1] == ("[happy]/empty.wav", "has 0 bytes [empty]")
    assert stock.counts("rate_hz") == {"16000": 7, "8000": 1, "44100": 1}


def test_an_exploration_goes_on_without_unreadable_clips_and_lists_them_all(broken, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(exploration, "load_values", lambda corpus, *_: np.ones((len(corpus.utterances), len(FEATURES))))
    for name in ("draw_corpus", "draw_clips", "draw_features", "view_clips"):
        monkeypatch.setattr(exploration, name, lambda *_: [])
    explore.run(replace(SMALL, data=Data(corpus=str(broken)), output=Output(out=tmp_path / "o", quiet=True)))
    content, page, said = summary(tmp_path / "o"), (tmp_path / "o" / "index.html").read_text(), capsys.readouterr().out
    assert content["n_clips"] == 9
    assert "Cannot be read, and is left out here: 3 clips ([happy]/=junk.wav: " in said
    assert "lists all that cannot be read (1 format, 1 empty, 1 truncated), with what to do" in said
    for bad in content["unreadable"]:
        assert all(f"<td>{escape.html(text)}</td>" in page for text in bad.values())
    assert "16000 Hz (7)" in page
    assert page.count("快乐/equal.flac") == 2  # in the note and in the list
    with (tmp_path / "o" / "features.csv").open(encoding="utf-8") as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    assert rows["快乐/silent.wav"]["peak_dbfs"] == ""
    assert rows["快乐/long.wav"]["duration_s"] == "10"


def test_nothing_to_look_at_is_told(broken, tmp_path):
    corpus = load_corpus(str(broken))
    bad = tuple(u for u in corpus.utterances if u.path.endswith(("junk.wav", "empty.wav")))
    with pytest.raises(ConfigError, match=r"nothing to look at.*2 clips .*junk.wav.*\[format\]"):
        take_inventory(replace(corpus, utterances=bad, labels=("[happy]",)), Window(16_000, 99), lambda *_: None)


def test_a_clip_too_long_to_decode_whole_is_no_bad_clip(broken, monkeypatch):
    monkeypatch.setattr(audio, "MAX_SAMPLES", 100_000)
    stock = take_inventory(load_corpus(str(broken)), Window(16_000, 16_000), lambda *_: None)
    (note,) = [note for note in stock.notes if note.kind == "long"]
    assert [path for path, _ in note.clips] == ["快乐/long.wav"]
    assert stock.duration_s_N.max() == 10


def test_the_same_command_computes_nothing_again(finished, monkeypatch, capsys):
    monkeypatch.setattr(exploration, "load_corpora", None)
    explore.run(replace(SMALL, output=replace(SMALL.output, out=finished)))
    assert "synthetic: 12 clips, 6 speakers" in capsys.readouterr().out


def test_features_are_asked_for_and_kept_part_by_part(corpus, tmp_path, monkeypatch):
    front, counted, asked = dsp.Stats26(frames=40), [], []

    def load(part: Corpus, frontend: dsp.Stats26, cache: Path, progress: Callable[[int, int], None]) -> Features:
        asked.append((len(part.utterances), cache))
        progress(2, len(part.utterances))
        rows = [corpus.utterances.index(utterance) for utterance in part.utterances]
        values_N1D = np.tile(np.array(rows, np.float32)[:, None, None], (1, 1, 26))
        return Features(values_N1D, np.ones((len(rows), 1), bool))

    monkeypatch.setattr(clips, "CLIPS_A_PART", 5)
    monkeypatch.setattr(clips, "load_features", load)
    values_ND = load_values(corpus, front, tmp_path, lambda done, total: counted.append((done, total)))
    assert asked == [(5, tmp_path), (5, tmp_path), (2, tmp_path)]
    assert counted == [(2, 12), (5, 12), (7, 12), (10, 12), (12, 12), (12, 12)]
    np.testing.assert_array_equal(values_ND, np.tile(np.arange(12.0)[:, None], (1, 26)))


def test_outliers_are_clipped_at_the_fences_by_hand():
    values_ND = np.zeros((9, len(FEATURES)))
    values_ND[:, 0] = [0, 1, 2, 3, 4, 5, 6, 7, 100]  # quartiles 2 and 6
    values_ND[:, ROLLOFF] = np.arange(9) * 1000.0
    found = clip_outliers(values_ND, 1.5, 3000.0)
    np.testing.assert_array_equal(found.limits_D2[0], [-4, 12])
    assert (found.n_below_D[0], found.n_above_D[0], found.clipped_ND[8, 0]) == (0, 1, 12)
    np.testing.assert_array_equal(found.clipped_ND[:, ROLLOFF], np.maximum(values_ND[:, ROLLOFF], 3000))
    assert (found.n_below_D[ROLLOFF], found.n_above_D[ROLLOFF]) == (3, 0)
    assert clip_outliers(values_ND, 3.0, None).n_below_D[ROLLOFF] == 0


def test_correlation_is_pearsons_and_undefined_for_constants():
    values_ND = np.random.default_rng(0).normal(size=(50, 3)) @ np.array([[1.0, 0.5, 0], [0, 1, 0], [0, 0, 1]])
    np.testing.assert_allclose(correlate(values_ND), np.corrcoef(values_ND.T), atol=1e-12)
    values_ND[:, 1] = 0.1
    assert np.isnan(correlate(values_ND)[1]).all()


def test_examples_are_of_one_speaker_where_there_is_one():
    said = [("a", "happy"), ("b", "happy"), ("b", "sad"), ("b", "sad"), ("c", "angry")]
    clips = tuple(Utterance(f"{n}.wav", e, s, None, None, None, None, "x") for n, (s, e) in enumerate(said))
    corpus = Corpus("x", clips, FileSource(Path()), ("happy", "sad", "angry"))
    assert [u.path for u in pick_examples(corpus, 3)] == ["1.wav", "2.wav", "4.wav"]
    assert [u.path for u in pick_examples(corpus, 4)] == ["1.wav", "0.wav", "2.wav", "4.wav"]
    assert len(pick_examples(corpus, 99)) == 5


def test_a_corpus_that_tells_nothing_but_labels_is_counted():
    clips = tuple(Utterance(f"{n}.wav", "happy", "a", None, None, None, None, "x") for n in range(3))
    corpus = Corpus("x", clips, FileSource(Path()), ("happy",))
    assert count_tables(corpus) == {}
    levels, count_SV = speaker_table(corpus)
    assert (levels, count_SV.tolist()) == (("not given",), [[3]])


def test_a_clip_beside_a_longer_one_looks_as_it_does_alone(corpus):
    front = dsp.Stats26(frames=150)
    waves = corpus.source.read([u.path for u in corpus.utterances], Window(22_050, front.n_samples)).n_valid_B
    short, long = corpus.utterances[int(waves.argmin())], corpus.utterances[int(waves.argmax())]
    view, _ = view_clips(corpus, [short, long], front)
    assert view.f0_hz_T.shape == (1 + len(view.wave_N) // 512,)
    mel_db_MT = dsp.power_to_db(dsp.melspectrogram(view.wave_N), top_db=None)
    np.testing.assert_allclose(view.mel_db_MT, mel_db_MT, atol=1e-2)
    np.testing.assert_allclose(view.centroid_hz_T, dsp.spectral_centroid(view.wave_N)[0], rtol=1e-3, atol=0.1)
    np.testing.assert_allclose(view.mfcc_CT, dsp.mfcc(view.wave_N, n_mfcc=20), atol=1e-2)
    assert 60 < np.nanmedian(view.f0_hz_T) < 400
    assert np.isnan(view.f0_hz_T[0])  # a clip begins with silence


@pytest.mark.parametrize(
    "wrong",
    [
        {"analysis": Analysis(examples=0)},
        {"analysis": Analysis(seconds=0.0)},
        {"data": Data(clips=0)},
        {"clipping": Clipping(fences=-1.0)},
        {"analysis": Analysis(hop_length=0)},
        {"clipping": Clipping(rolloff_at_least=0.0)},
    ],
)
def test_numbers_that_make_no_sense_are_refused(wrong, tmp_path):
    with pytest.raises(ConfigError, match="expected a number above 0"):
        explore.run(replace(SMALL, output=Output(out=tmp_path / "o", quiet=True), **wrong))
    assert not (tmp_path / "o").exists()
