"""Label schemes: their names and order, what they compose with, and that splits follow them."""

from pathlib import Path

import numpy as np
import pytest

from serjax.data import Corpus, CorpusError, Utterance
from serjax.data.corpora.corpus import FileSource
from serjax.data.labels import label_by, merge_emotions, parse_merges
from serjax.data.splits import ProtocolError, split_corpus

RAVDESS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")


def make_corpus(emotions: tuple[str, ...] = RAVDESS, n_speakers: int = 10, gender: str | None = "") -> Corpus:
    """Every emotion twice of every speaker; odd speakers are male, unless `gender` says otherwise."""
    rows = [(s, emotion, take) for s in range(1, n_speakers + 1) for emotion in emotions for take in (1, 2)]
    utterances = tuple(
        Utterance(
            f"{s:02}/{emotion}{take}",
            emotion,
            f"{s:02}",
            gender or (None if gender is None else ("female", "male")[s % 2]),
            None,
            None,
            None,
            "test",
        )
        for s, emotion, take in rows
    )
    return Corpus("test", tuple(sorted(utterances, key=lambda u: u.path)), FileSource(Path("nowhere")), emotions)


CORPUS = make_corpus()


def label_of(corpus: Corpus, path: str) -> str:
    row = [utterance.path for utterance in corpus.utterances].index(path)
    return corpus.labels[corpus.label_ids[row]]


def test_sixteen_and_twelve_classes_of_emotion_and_gender() -> None:
    sixteen = label_by(CORPUS, "emotion-gender")
    assert sixteen.labels == tuple(f"{emotion}_{gender}" for emotion in RAVDESS for gender in ("female", "male"))
    np.testing.assert_array_equal(np.bincount(sixteen.label_ids), np.full(16, 10))
    assert label_of(sixteen, "03/angry1") == "angry_male"
    assert label_of(sixteen, "04/angry1") == "angry_female"
    assert len(label_by(make_corpus(RAVDESS[:6]), "emotion-gender").labels) == 12


def test_two_classes_of_gender() -> None:
    two = label_by(CORPUS, "gender")
    assert two.labels == ("female", "male")
    assert [two.labels[k] for k in two.label_ids] == [utterance.gender for utterance in CORPUS.utterances]


def test_merged_names_are_no_second_spelling() -> None:
    for name in ("Happy", "hap\u200bpy"):
        with pytest.raises(CorpusError, match="are one word in two spellings"):
            merge_emotions(CORPUS, {"calm": name})
    assert parse_merges([" calm\u200b = very\u00a0 calm"]) == {"calm": "very calm"}
    with pytest.raises(CorpusError, match="has 201 letters"):
        parse_merges([f"calm={'x' * 201}"])


def test_utterances_sound_and_speakers_stay() -> None:
    for corpus in (label_by(CORPUS, "gender"), merge_emotions(CORPUS, {"calm": "neutral"})):
        assert (corpus.utterances, corpus.source, corpus.speakers) == (
            CORPUS.utterances,
            CORPUS.source,
            CORPUS.speakers,
        )


def test_emotion_is_what_a_corpus_begins_with() -> None:
    assert label_by(CORPUS, "emotion") == CORPUS
    assert label_by(label_by(CORPUS, "emotion-gender"), "emotion") == CORPUS
    assert merge_emotions(CORPUS, {}) == CORPUS


def test_merged_emotions_stand_where_the_first_of_them_stood() -> None:
    assert merge_emotions(CORPUS, {"calm": "neutral"}).labels == (RAVDESS[0], *RAVDESS[2:])
    assert merge_emotions(CORPUS, {"neutral": "calm"}).labels == RAVDESS[1:]
    valence = {"happy": "good", "surprised": "good", "sad": "bad", "angry": "bad", "fearful": "bad", "disgust": "bad"}
    merged = merge_emotions(CORPUS, valence)
    assert merged.labels == ("neutral", "calm", "good", "bad")
    np.testing.assert_array_equal(np.bincount(merged.label_ids), [20, 20, 40, 80])


def test_merges_are_taken_all_at_once_and_one_after_the_other() -> None:
    swapped = merge_emotions(CORPUS, {"happy": "sad", "sad": "happy"})
    assert label_of(swapped, "01/happy1") == "sad"
    assert label_of(swapped, "01/sad1") == "happy"
    assert merge_emotions(swapped, {"happy": "sad", "sad": "happy"}) == CORPUS
    step = merge_emotions(merge_emotions(CORPUS, {"calm": "neutral"}), {"neutral": "rest"})
    assert step == merge_emotions(CORPUS, {"calm": "rest", "neutral": "rest"})


def test_schemes_merges_and_only_combine_in_any_order() -> None:
    three = CORPUS.only(["neutral", "calm", "sad"])
    wanted = ("neutral_female", "neutral_male", "sad_female", "sad_male")
    first, last = (
        label_by(merge_emotions(three, {"calm": "neutral"}), "emotion-gender"),
        merge_emotions(label_by(three, "emotion-gender"), {"calm": "neutral"}),
    )
    assert first.labels == wanted
    assert first == last
    men = first.only(["sad_male", "neutral_male"])
    assert men.labels == ("neutral_male", "sad_male")
    assert {utterance.gender for utterance in men.utterances} == {"male"}
    assert men.speakers == CORPUS.speakers  # so that folds stay
    with pytest.raises(CorpusError, match=r"no label called 'sad'. Choose from: neutral_female"):
        first.only(["sad"])


def test_gender_that_is_not_known_is_an_error() -> None:
    unknown = make_corpus(gender=None)
    for scheme in ("gender", "emotion-gender"):
        with pytest.raises(
            CorpusError, match=r"gender of 01/angry1 is not known; labels by .*choose labels by emotion"
        ):
            label_by(unknown, scheme)  # type: ignore[arg-type]
    assert label_by(unknown, "emotion") == unknown


def test_merges_that_make_no_sense() -> None:
    with pytest.raises(CorpusError, match=r"no emotion 'joy' to be merged. Choose from: angry, calm"):
        merge_emotions(CORPUS, {"joy": "happy"})
    with pytest.raises(CorpusError, match="no emotion 'calm' to be merged"):
        merge_emotions(merge_emotions(CORPUS, {"calm": "neutral"}), {"calm": "happy"})
    for text in ("calm", "calm=", "=neutral", ""):
        with pytest.raises(CorpusError, match=f"'{text}' does not say .* expected EMOTION=NAME"):
            parse_merges([text])
    with pytest.raises(CorpusError, match=r"'calm' is merged into neutral and into sad. Choose one"):
        parse_merges(["calm=neutral", "calm=sad"])


def test_random_splits_are_stratified_by_the_labels_in_use() -> None:
    corpus = label_by(make_corpus(n_speakers=20), "emotion-gender")  # 20 clips of each of 16 labels
    for fold in split_corpus(corpus, "random-5fold").folds:
        np.testing.assert_array_equal(np.bincount(corpus.label_ids[fold.test], minlength=16), np.full(16, 4))


def test_speaker_folds_are_those_of_the_emotions() -> None:
    for protocol in ("speaker-5fold", "loso"):
        plain, by_gender = (split_corpus(c, protocol) for c in (CORPUS, label_by(CORPUS, "emotion-gender")))
        for fold, same in zip(plain.folds, by_gender.folds, strict=True):
            for part in ("train", "validation", "test"):
                np.testing.assert_array_equal(getattr(fold, part), getattr(same, part))


def test_a_fold_without_a_label_is_refused_though_it_has_the_emotion() -> None:
    rows = [u for u in CORPUS.utterances if u.gender == "female" or u.speaker == "03"]
    one_man = Corpus("test", tuple(rows), CORPUS.source, RAVDESS)
    split_corpus(one_man, "loso")
    with pytest.raises(ProtocolError, match=r"no training row of corpus 'test' is .*_male"):
        split_corpus(label_by(one_man, "emotion-gender"), "loso")
