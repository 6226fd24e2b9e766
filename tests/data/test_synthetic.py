"""The plan of the synthetic corpus, its source, and the cues of the emotions in the sound."""

import hashlib
import itertools
from collections import Counter
from dataclasses import astuple, replace
from typing import NamedTuple

import numpy as np
import pytest
import soundfile
import soxr

from serjax.data.audio import AudioError
from serjax.data.corpora import ravdess, synthetic, voices
from serjax.data.corpora.corpus import CorpusError, Window
from serjax.data.corpora.synthetic import RATE_HZ, SyntheticSource, synthetic_corpus, write_wav
from serjax.data.splits import ProtocolError, split_corpus
from serjax.data.synthesis import N_SAMPLES

WHOLE = Window(sample_rate_hz=RATE_HZ, n_samples=N_SAMPLES)
SOME = (
    "Actor_01/03-01-01-01-01-01-01.wav",
    "Actor_12/03-01-05-02-02-01-12.wav",
    "Actor_24/03-01-04-01-01-02-24.wav",
)


def test_plan_is_that_of_ravdess_speech():
    corpus = synthetic_corpus()
    assert len(corpus.utterances) == 1440
    counts = Counter(utterance.emotion for utterance in corpus.utterances)
    assert counts == {emotion: 96 if emotion == "neutral" else 192 for emotion in ravdess.EMOTIONS}
    for utterance in corpus.utterances:
        parsed = ravdess.parse_name(utterance.path)
        assert replace(parsed, corpus="synthetic") == utterance
    assert not any(u.emotion == "neutral" and u.intensity == "strong" for u in corpus.utterances)
    assert Counter(u.gender for u in corpus.utterances) == {"male": 720, "female": 720}


@pytest.mark.parametrize("n_clips", [8, 50, 96, 100, 191, 384])
def test_a_short_plan_is_balanced(n_clips):
    utterances = synthetic_corpus(n_clips).utterances
    assert len(utterances) == n_clips
    counts = Counter(utterance.emotion for utterance in utterances)
    assert len(counts) == 8
    assert max(counts.values()) - min(counts.values()) <= 1
    assert {u.intensity for u in utterances} == {"normal"}


def test_a_longer_plan_holds_the_shorter_ones():
    sizes = (8, 96, 333, 384, 720, 1300, 1440)
    plans = [{u.path for u in synthetic_corpus(size).utterances} for size in sizes]
    assert all(short < long for short, long in itertools.pairwise(plans))


def test_repetitions_go_first_then_intensities_then_speakers():
    def seen(n_clips):
        names = [u.path.split("/")[1].split("-") for u in synthetic_corpus(n_clips).utterances]
        return [len({name[place] for name in names}) for place in (5, 3, 4, 6)]  # repetition intensity text actor

    assert seen(1440) == [2, 2, 2, 24]
    assert seen(720) == [1, 2, 2, 24]
    assert seen(384) == [1, 1, 2, 24]
    assert seen(192) == [1, 1, 2, 12]
    assert seen(96) == [1, 1, 2, 6]


@pytest.mark.parametrize("n_clips", [48, 96, 192, 384, 720, None])
def test_published_folds_stay_meaningful(n_clips):
    corpus = synthetic_corpus(n_clips)
    folds = split_corpus(corpus, "speaker-6fold").folds
    assert len(folds) == 6
    for fold in folds:
        assert len(set(corpus.label_ids[fold.test])) == 8


def test_luna_folds_take_twelve_speakers():
    corpus = synthetic_corpus(192)
    folds = split_corpus(corpus, "speaker-5fold-luna").folds
    assert [len(set(corpus.label_ids[fold.test])) for fold in folds] == [8] * 5
    with pytest.raises(
        ProtocolError, match=r"speaker-5fold-luna .*its speakers do not fill them. Choose speaker-6fold"
    ):
        split_corpus(synthetic_corpus(96), "speaker-5fold-luna")


@pytest.mark.parametrize("n_clips", [-1, 0, 7, 1441])
def test_impossible_lengths_are_refused(n_clips):
    with pytest.raises(CorpusError, match=rf"^{n_clips} synthetic clips .* expected 8 .* 1440"):
        synthetic_corpus(n_clips)


@pytest.mark.parametrize("path", ["clip.wav", "Actor_01/03-02-01-01-01-01-01.wav", "Actor_99/03-01-01-01-01-01-99.wav"])
def test_paths_of_no_plan_are_refused(path):
    with pytest.raises(CorpusError, match="RAVDESS"):
        SyntheticSource().read([path], WHOLE)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_samples_alone_or_among_others():
    first = SyntheticSource().read(SOME, WHOLE)
    alone = [SyntheticSource().read([path], WHOLE) for path in SOME]
    np.testing.assert_array_equal(first.values_BN, np.concatenate([one.values_BN for one in alone]))
    backwards = SyntheticSource().read(SOME[::-1], WHOLE)
    np.testing.assert_array_equal(first.values_BN, backwards.values_BN[::-1])
    other = SyntheticSource(seed=1).read(SOME, WHOLE)
    assert np.abs(first.values_BN - other.values_BN).max(axis=1).min() > 0.001


@pytest.mark.slow
def test_more_clips_than_a_block_come_in_their_order():
    paths = [utterance.path for utterance in synthetic_corpus(40).utterances]
    many = SyntheticSource().read(paths, WHOLE)
    for row in (0, 15, 16, 39):
        np.testing.assert_array_equal(many.values_BN[row], SyntheticSource().read([paths[row]], WHOLE).values_BN[0])
    assert np.isfinite(many.values_BN).all()
    assert np.abs(many.values_BN).max() <= 0.98 + 1e-6
    assert (np.abs(many.values_BN).max(axis=1) > 0.005).all()
    behind = np.arange(N_SAMPLES)[None, :] >= many.n_valid_B[:, None]
    assert not many.values_BN[behind].any()


def test_no_paths_no_clips():
    assert SyntheticSource().read([], WHOLE).values_BN.shape == (0, N_SAMPLES)


def test_window():
    whole = SyntheticSource().read(SOME, WHOLE)
    offset_s, duration_s = 0.5, 1.2
    part = SyntheticSource().read(SOME, Window(RATE_HZ, 40_000, offset_s, duration_s))
    n_wanted = round(duration_s * RATE_HZ)
    assert part.n_valid_B.tolist() == [n_wanted] * 3
    start = round(offset_s * RATE_HZ)
    np.testing.assert_array_equal(part.values_BN[:, :n_wanted], whole.values_BN[:, start : start + n_wanted])
    assert not part.values_BN[:, n_wanted:].any()
    short = SyntheticSource().read(SOME, Window(RATE_HZ, 1000, offset_s))
    np.testing.assert_array_equal(short.values_BN, whole.values_BN[:, start : start + 1000])


@pytest.mark.parametrize(("window", "code"), [((60.0, None), "offset"), ((0.5, 0.01), "too-short")])
def test_a_window_without_sound_is_refused_as_of_files(window, code):
    with pytest.raises(AudioError, match=rf"{SOME[0]}.*\[{code}\]"):
        SyntheticSource().read(SOME[:1], Window(RATE_HZ, 40_000, *window))


def test_other_rates_are_resampled():
    whole = SyntheticSource().read(SOME[:1], WHOLE)
    slow = SyntheticSource().read(SOME[:1], Window(16_000, 60_000))
    wanted = soxr.resample(whole.values_BN[0, : whole.n_valid_B[0]], RATE_HZ, 16_000, quality="HQ")
    assert slow.n_valid_B[0] == wanted.size
    np.testing.assert_array_equal(slow.values_BN[0, : wanted.size], wanted)


def test_digest_tells_all_that_makes_the_sound(monkeypatch):
    digests = {path: SyntheticSource().digest(path) for path in SOME}
    assert len(set(digests.values())) == 3
    assert all(len(bytes.fromhex(digest)) == hashlib.sha256().digest_size for digest in digests.values())
    assert SyntheticSource().digest(SOME[0]) == digests[SOME[0]]
    score = synthetic._score(0, SOME[0])
    with monkeypatch.context() as same_score:
        same_score.setattr(synthetic, "_score", lambda seed, path: score)
        assert SyntheticSource(seed=1).digest(SOME[0]) != digests[SOME[0]]  # its noise is another one
        assert SyntheticSource().digest(SOME[0]) == digests[SOME[0]]
    with monkeypatch.context() as longer:
        segments = score.segments._replace(ends_s=score.segments.ends_s * np.float32(1.01))
        longer.setattr(synthetic, "_score", lambda seed, path: score._replace(segments=segments))
        assert SyntheticSource().digest(SOME[0]) != digests[SOME[0]]
    monkeypatch.setattr(synthetic, "VERSION", synthetic.VERSION + 1)
    assert SyntheticSource().digest(SOME[0]) != digests[SOME[0]]


def test_wav_files_come_back(tmp_path):
    corpus = synthetic_corpus(20)
    assert write_wav(corpus, tmp_path) == 20
    again = ravdess.load_ravdess("ravdess", tmp_path)
    assert again.name == "synthetic"
    assert again.notes[0] == corpus.notes[0]
    assert again.offset_s == corpus.offset_s == 0.5
    assert [u.path for u in again.utterances] == [u.path for u in corpus.utterances]
    assert [u.emotion for u in again.utterances] == [u.emotion for u in corpus.utterances]
    info = soundfile.info(tmp_path / corpus.utterances[0].path)
    assert (info.samplerate, info.channels, info.subtype) == (RATE_HZ, 1, "PCM_16")
    paths = [u.path for u in corpus.utterances]
    computed, decoded = corpus.source.read(paths, WHOLE), again.source.read(paths, WHOLE)
    np.testing.assert_array_equal(computed.n_valid_B, decoded.n_valid_B)
    np.testing.assert_allclose(decoded.values_BN, computed.values_BN, atol=1 / 32768)


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CorpusError, match=r"cannot be written.*Choose another folder"):
        write_wav(synthetic_corpus(8), tmp_path / "file")


class Strong(NamedTuple):
    paths: list[str]
    values_BN: np.ndarray


@pytest.fixture(scope="module")
def strong():
    """The strong clips (neutral: the only ones) of one sentence and repetition: 24 speakers per emotion."""
    by_emotion = {}
    for code, emotion in enumerate(ravdess.EMOTIONS, start=1):
        intensity = 1 if emotion == "neutral" else 2
        paths = [f"Actor_{n:02}/03-01-{code:02}-{intensity:02}-01-01-{n:02}.wav" for n in range(1, 25)]
        by_emotion[emotion] = Strong(paths, SyntheticSource().read(paths, WHOLE).values_BN)
    return by_emotion


def level_db(clips):
    return np.array([10 * np.log10(np.mean(np.square(spoken(wav)))) for wav in clips.values_BN])


def spoken(wav):
    """Without the silences around it."""
    loud = np.flatnonzero(np.abs(wav) > 0.05 * np.abs(wav).max())
    return wav[loud[0] : loud[-1]]


def seconds(clips):
    return np.array([spoken(wav).size / RATE_HZ for wav in clips.values_BN])


def f0_hz(clips):
    """Median F0 of the louder frames, by autocorrelation."""
    return np.array([np.median(f0_track(wav)) for wav in clips.values_BN])


def f0_track(wav, size=1024, lowest_hz=65, highest_hz=600):
    frames = np.lib.stride_tricks.sliding_window_view(wav, size)[:: size // 2]
    frames = frames[frames.std(axis=1) > 0.4 * frames.std(axis=1).max()]
    frames = frames - frames.mean(axis=1, keepdims=True)
    power = np.abs(np.fft.rfft(frames, 2 * size)) ** 2
    correlation = np.fft.irfft(power)[:, :size] / (1 - np.arange(size) / size)[None, :].clip(0.1)
    lags = np.arange(RATE_HZ // highest_hz, RATE_HZ // lowest_hz)
    values = correlation[:, lags]
    # the first lag that is nearly as good as the best one: no octave below
    good = values > 0.9 * values.max(axis=1, keepdims=True)
    return RATE_HZ / lags[_peak_of_first_run(values, good)]


def _peak_of_first_run(values, good):
    first = good.argmax(axis=1)
    picked = []
    for row, start in enumerate(first):
        stop = start + (~good[row, start:]).argmax() if not good[row, start:].all() else values.shape[1]
        picked.append(start + values[row, start:stop].argmax())
    return np.array(picked)


def brightness_db(clips):
    """Power from 1.5 to 5 kHz against that below 1 kHz, the mean over the vowels."""
    db = []
    for path, wav in zip(clips.paths, clips.values_BN, strict=True):
        segments = synthetic._score(0, path).segments
        vowels = segments.voice > 0.85
        starts_s = np.append(0, segments.ends_s[:-1])[vowels] + 0.015
        db.append(
            np.mean([_high_db(wav, *span) for span in zip(starts_s, segments.ends_s[vowels] - 0.015, strict=True)])
        )
    return np.array(db)


def _high_db(wav, start_s, end_s):
    vowel = wav[round(start_s * RATE_HZ) : round(end_s * RATE_HZ)].astype(np.float64)
    power = np.abs(np.fft.rfft(vowel * np.hanning(vowel.size), 4096)) ** 2
    hz = np.linspace(0, RATE_HZ / 2, power.size)
    return 10 * np.log10(power[(hz > 1500) & (hz < 5000)].sum() / power[hz < 1000].sum())


@pytest.mark.parametrize(
    ("measure", "more", "less", "at_least"),
    [
        (level_db, "angry", "sad", 12.0),
        (level_db, "happy", "calm", 6.0),
        (f0_hz, "angry", "sad", 30.0),
        (f0_hz, "surprised", "neutral", 60.0),
        (f0_hz, "fearful", "disgust", 60.0),
        (seconds, "sad", "happy", 0.35),
        (seconds, "disgust", "fearful", 0.35),
        (brightness_db, "angry", "calm", 5.0),
        (brightness_db, "happy", "sad", 3.0),
    ],
)
def test_cues_are_in_the_sound_of_most_speakers(strong, measure, more, less, at_least):
    """Speaker against the same speaker: most of 24 pairs go the way of the literature, by an audible step."""
    differences = measure(strong[more]) - measure(strong[less])
    assert np.mean(differences > 0) >= 0.8
    assert np.median(differences) > at_least


@pytest.mark.parametrize("measure", [level_db, f0_hz, seconds, brightness_db])
def test_no_single_cue_separates_emotions(strong, measure):
    """Distributions overlap as people's do: the best threshold between two neighbours leaves many errors."""
    medians = sorted((np.median(measure(clips)), emotion) for emotion, clips in strong.items())
    for (_, low), (_, high) in itertools.pairwise(medians):
        below, above = np.sort(measure(strong[low])), np.sort(measure(strong[high]))
        thresholds = np.concatenate([below, above])
        errors = [np.mean(below > t) + np.mean(above <= t) for t in thresholds]
        assert min(errors) / 2 > 0.05


def test_f0_of_a_clip_is_the_one_of_its_score(strong):
    """Measured on neutral clips: the sentence's F0 lies within its intonation of the asked level."""
    measured = f0_hz(strong["neutral"])
    asked = [
        float(synthetic._score(0, f"Actor_{n:02}/03-01-01-01-01-01-{n:02}.wav").prosody.f0_hz) for n in range(1, 25)
    ]
    semitones = 12 * np.log2(measured / np.array(asked))
    assert np.abs(semitones).max() < 3.5
    assert np.corrcoef(measured, asked)[0, 1] > 0.97


def test_speakers_differ_as_the_sexes_do():
    people = {number: voices.draw_speaker(0, number) for number in range(1, 25)}
    men = [people[number] for number in range(1, 25, 2)]
    women = [people[number] for number in range(2, 25, 2)]
    assert 95 < np.mean([p.f0_hz for p in men]) < 135
    assert 170 < np.mean([p.f0_hz for p in women]) < 235
    ratio = np.mean([p.formants for p in women]) / np.mean([p.formants for p in men])
    assert 1.1 < ratio < 1.23


def test_neutral_is_the_point_of_reference():
    assert astuple(voices.CUES["neutral"]) == (0,) * 13
    assert tuple(voices.CUES) == ravdess.EMOTIONS
