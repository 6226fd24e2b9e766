"""Protocols against counts worked out by hand, properties on random corpora."""

import dataclasses
import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serjax.data import Corpus, Utterance
from serjax.data.corpora.ravdess import EMOBOX_FOLDS, PUBLISHED_FOLDS
from serjax.data.leaks import leak_report
from serjax.data.splits import (
    PROTOCOLS,
    Protocol,
    ProtocolError,
    Split,
    default_protocol,
    split_corpus,
)

EMOTIONS = ("neutral", "happy", "sad")
BY_RULE = [protocol for protocol in PROTOCOLS if protocol not in ("given", "cross-corpus")]


class NoSound:
    """Splitting reads no audio."""

    def read(self, paths: object, window: object) -> None:
        raise AssertionError

    def digest(self, path: str) -> str:
        raise AssertionError


def make_corpus(rows: list[tuple[str, str, str | None, str | None]], **more: object) -> Corpus:
    """Rows are (emotion, speaker, gender, text)."""
    utterances = tuple(
        Utterance(f"{index:05d}.wav", emotion, speaker, gender, text, None, None, "test")
        for index, (emotion, speaker, gender, text) in enumerate(rows)
    )
    labels = tuple(emotion for emotion in EMOTIONS if any(row[0] == emotion for row in rows))
    return Corpus("test", utterances, NoSound(), labels, **more)  # type: ignore[arg-type]


def factorial(
    n_speakers: int, texts: tuple[str | None, ...] = ("dogs", "kids"), n_takes: int = 2, **more: object
) -> Corpus:
    people = [(f"{index:02d}", "male" if index % 2 else "female") for index in range(1, n_speakers + 1)]
    plan = itertools.product(people, EMOTIONS, texts, range(n_takes))
    return make_corpus([(emotion, name, gender, text) for (name, gender), emotion, text, _ in plan], **more)


RAVDESS_LIKE = factorial(24, published_folds=PUBLISHED_FOLDS)


def speakers(corpus: Corpus, rows: np.ndarray) -> set[str]:
    return {corpus.utterances[row].speaker for row in rows}


def texts(corpus: Corpus, rows: np.ndarray) -> set[str | None]:
    return {corpus.utterances[row].text for row in rows}


def check_partition(corpus: Corpus, split: Split, *, whole: bool = True) -> None:
    """Parts are disjoint and sorted, cover all rows (if `whole`), and every row is tested once."""
    tested = np.concatenate([fold.test for fold in split.folds])
    assert sorted(tested) == list(range(len(corpus.utterances)))
    for fold in split.folds:
        rows = np.concatenate([fold.train, fold.validation, fold.test])
        assert len(set(rows.tolist())) == len(rows)
        assert not whole or len(rows) == len(corpus.utterances)
        for part in (fold.train, fold.validation, fold.test):
            assert part.dtype == np.int32
            assert list(part) == sorted(part)


def test_random_5fold_is_stratified() -> None:
    split = split_corpus(RAVDESS_LIKE, "random-5fold")
    check_partition(RAVDESS_LIKE, split)
    assert split.speakers_shared
    for fold in split.folds:  # 288 rows, 96 of each label: 19.2 of a label in a test, 7.7 in a validation
        for part, sizes in ((fold.test, {19, 20}), (fold.validation, {7, 8})):
            assert set(Counter(RAVDESS_LIKE.label_ids[part].tolist()).values()) <= sizes
    assert len(split_corpus(RAVDESS_LIKE, "random-5fold", selecting=False).folds[0].train) == 288 - 58


def test_random_80_20_depends_on_the_seed_alone() -> None:
    (fold,) = split_corpus(RAVDESS_LIKE, "random-80-20", seed=3).folds
    assert (len(fold.train), len(fold.validation), len(fold.test)) == (207, 23, 58)
    (again,) = split_corpus(RAVDESS_LIKE, "random-80-20", seed=3).folds
    (other,) = split_corpus(RAVDESS_LIKE, "random-80-20", seed=4).folds
    np.testing.assert_array_equal(fold.test, again.test)
    np.testing.assert_array_equal(fold.validation, again.validation)
    assert set(fold.test) != set(other.test)
    # frozen: these rows must never move, on any platform and version
    assert fold.test[:6].tolist() == [1, 4, 6, 8, 16, 22]


@pytest.mark.parametrize("protocol", ["random-5fold", "random-80-20"])
def test_random_splits_do_not_depend_on_where_and_as_what_clips_lie(protocol: Protocol) -> None:
    """Below another folder, as FLAC: the same seed gives the same clips, and so does a draw of some of them."""
    paths = [f"archive/speech/{u.path.removesuffix('.wav')}.flac" for u in RAVDESS_LIKE.utterances]
    pairs = zip(RAVDESS_LIKE.utterances, paths, strict=True)
    elsewhere = dataclasses.replace(RAVDESS_LIKE, utterances=tuple(dataclasses.replace(u, path=p) for u, p in pairs))
    splits = [split_corpus(corpus, protocol).folds for corpus in (RAVDESS_LIKE, elsewhere)]
    for here, there in zip(*splits, strict=True):
        np.testing.assert_array_equal(here.test, there.test)
        np.testing.assert_array_equal(here.validation, there.validation)
    drawn = [corpus.drawn(50).utterances for corpus in (RAVDESS_LIKE, elsewhere)]
    assert [u.lot for u in drawn[0]] == [u.lot for u in drawn[1]]


def test_speaker_6fold_is_emobox() -> None:
    split = split_corpus(RAVDESS_LIKE, "speaker-6fold")
    check_partition(RAVDESS_LIKE, split)
    assert not split.speakers_shared
    assert [speakers(RAVDESS_LIKE, fold.test) for fold in split.folds] == [
        {"01", "11", "20", "21"},
        {"04", "10", "12", "14"},
        {"08", "09", "19", "23"},
        {"03", "05", "07", "24"},
        {"02", "15", "16", "18"},
        {"06", "13", "17", "22"},
    ]
    for fold, following in zip(split.folds, split.folds[1:] + split.folds[:1], strict=True):
        np.testing.assert_array_equal(fold.validation, following.test)


def test_speaker_5fold_luna_is_of_luna_jimenez() -> None:
    split = split_corpus(RAVDESS_LIKE, "speaker-5fold-luna")
    check_partition(RAVDESS_LIKE, split)
    assert split.separates
    assert not split.speakers_shared
    assert [{int(name) for name in speakers(RAVDESS_LIKE, fold.test)} for fold in split.folds] == [
        {2, 5, 14, 15, 16},
        {3, 6, 7, 13, 18},
        {10, 11, 12, 19, 20},
        {8, 17, 21, 23, 24},
        {1, 4, 9, 22},
    ]
    for fold, following in zip(split.folds, split.folds[1:] + split.folds[:1], strict=True):
        np.testing.assert_array_equal(fold.validation, following.test)


def test_speaker_5fold_deals_out_by_gender() -> None:
    split = split_corpus(RAVDESS_LIKE, "speaker-5fold")
    assert split.texts_shared
    assert not split_corpus(factorial(6, texts=(None,)), "speaker-5fold").texts_shared  # what is said is not known
    check_partition(RAVDESS_LIKE, split)
    # females 02 04 … 24 take the groups 1 2 3 4 5 1 …, males 01 03 … go on where they end
    assert [sorted(speakers(RAVDESS_LIKE, fold.test)) for fold in split.folds] == [
        ["02", "07", "12", "17", "22"],
        ["04", "09", "14", "19", "24"],
        ["01", "06", "11", "16", "21"],
        ["03", "08", "13", "18", "23"],
        ["05", "10", "15", "20"],
    ]
    for fold, following in zip(split.folds, split.folds[1:] + split.folds[:1], strict=True):
        np.testing.assert_array_equal(fold.validation, following.test)


@pytest.mark.parametrize(("n_speakers", "n_validation"), [(3, 1), (7, 1), (8, 4), (24, 4)])
def test_loso_validates_on_the_next_speakers(n_speakers: int, n_validation: int) -> None:
    corpus = factorial(n_speakers)
    split = split_corpus(corpus, "loso")
    check_partition(corpus, split)
    assert len(split.folds) == n_speakers
    last = split.folds[-1]
    assert speakers(corpus, last.test) == {f"{n_speakers:02d}"}
    assert speakers(corpus, last.validation) == {f"{index:02d}" for index in range(1, n_validation + 1)}


def test_text_shares_speakers_but_no_sentence() -> None:
    split = split_corpus(RAVDESS_LIKE, "text")
    check_partition(RAVDESS_LIKE, split)
    assert split.speakers_shared
    assert [texts(RAVDESS_LIKE, fold.test) for fold in split.folds] == [{"dogs"}, {"kids"}]
    for fold, group in zip(split.folds, EMOBOX_FOLDS, strict=False):
        assert speakers(RAVDESS_LIKE, fold.validation) == set(group)
        assert not speakers(RAVDESS_LIKE, fold.validation) & speakers(RAVDESS_LIKE, fold.train)
        assert not texts(RAVDESS_LIKE, fold.test) & texts(RAVDESS_LIKE, np.concatenate([fold.train, fold.validation]))


def test_speaker_text_shares_neither() -> None:
    split = split_corpus(RAVDESS_LIKE, "speaker-text")
    check_partition(RAVDESS_LIKE, split, whole=False)
    assert len(split.folds) == 12
    assert not split.speakers_shared
    for fold in split.folds:
        assert (len(fold.train), len(fold.validation), len(fold.test)) == (16 * 6, 4 * 6, 4 * 6)
        assert {leak.kind for leak in leak_report(RAVDESS_LIKE.utterances, fold)} == {"text"}
        assert {leak.between for leak in leak_report(RAVDESS_LIKE.utterances, fold)} == {("train", "validation")}


def test_many_sentences_are_grouped() -> None:
    corpus = factorial(6, texts=tuple("abcdefg"), n_takes=1)
    split = split_corpus(corpus, "text")
    check_partition(corpus, split)
    assert [texts(corpus, fold.test) for fold in split.folds] == [{"a", "f"}, {"b", "g"}, {"c"}, {"d"}, {"e"}]


@pytest.mark.parametrize("protocol", ["speaker-5fold", "speaker-6fold", "speaker-5fold-luna", "loso", "speaker-text"])
def test_sub_corpus_keeps_the_speaker_folds(protocol: str) -> None:
    # speaker 04 has no happy clip, so that the sub-corpus lacks the speaker
    rows = [(u.emotion, u.speaker, u.gender, u.text) for u in RAVDESS_LIKE.utterances]
    corpus = make_corpus([row for row in rows if row[:2] != ("happy", "04")], published_folds=PUBLISHED_FOLDS)
    whole = {fold.name: fold for fold in split_corpus(corpus, protocol).folds}
    part = corpus.only(["happy"])
    for fold in split_corpus(part, protocol).folds:
        for name in ("train", "validation", "test"):
            there = speakers(part, getattr(fold, name))
            assert there == speakers(corpus, getattr(whole[fold.name], name)) - {"04"}


def test_without_selection_validation_trains() -> None:
    for protocol in BY_RULE:
        chosen = split_corpus(RAVDESS_LIKE, protocol).folds
        for fold, full in zip(chosen, split_corpus(RAVDESS_LIKE, protocol, selecting=False).folds, strict=True):
            assert full.validation.size == 0
            np.testing.assert_array_equal(full.test, fold.test)
            assert set(full.train) == set(fold.train) | set(fold.validation)


@pytest.mark.parametrize(
    ("corpus", "protocol"),
    [
        (RAVDESS_LIKE, "speaker-6fold"),
        (factorial(24), "speaker-5fold"),
        (factorial(5), "speaker-5fold"),
        (factorial(4), "loso"),
        (factorial(1), "random-5fold"),
        (factorial(4, published_folds=PUBLISHED_FOLDS), "loso"),
        (factorial(7, published_folds=PUBLISHED_FOLDS), "speaker-5fold"),
    ],
)
def test_default_protocol(corpus: Corpus, protocol: str) -> None:
    assert default_protocol(corpus) == protocol
    check_partition(corpus, split_corpus(corpus, protocol))


@pytest.mark.parametrize(
    ("corpus", "protocol", "says"),
    [
        (RAVDESS_LIKE, "speaker-7fold", "no protocol 'speaker-7fold'.*random-80-20.*speaker-text"),
        (factorial(24), "speaker-6fold", "not defined for corpus 'test'.*no folds are published.*speaker-5fold"),
        (factorial(7, published_folds=PUBLISHED_FOLDS), "speaker-6fold", "do not fill them"),
        (
            factorial(24),
            "speaker-5fold-luna",
            "speaker-5fold-luna is not defined.*no folds are published.*speaker-5fold",
        ),
        (factorial(7, published_folds=PUBLISHED_FOLDS), "speaker-5fold-luna", "speaker-5fold-luna .*do not fill them"),
        (factorial(4), "speaker-5fold", "at least 5 speakers; corpus 'test' has 4.*loso"),
        (factorial(2), "loso", "at least 3 speakers.*random-5fold"),
        (factorial(2), "speaker-text", "at least 3 speakers"),
        (factorial(5), "given", "corpus 'test' has none. Choose speaker-5fold"),
        (factorial(1), "text", "no training row of corpus 'test'"),
        (factorial(6, texts=("kids",)), "text", "has 1 sentences"),
        (factorial(6, texts=("kids", "dogs", None)), "speaker-text", "the text of every clip"),
        (factorial(1, texts=("kids",), n_takes=1), "random-5fold", "no training row|no validation rows"),
    ],
)
def test_impossible_splits_say_why(corpus: Corpus, protocol: str, says: str) -> None:
    with pytest.raises(ProtocolError, match=says):
        split_corpus(corpus, protocol)
    with pytest.raises(ProtocolError, match=r"has two speakers.*--protocol random-5fold .speakers shared"):
        default_protocol(factorial(2))
    with pytest.raises(ProtocolError, match="seed"):
        split_corpus(RAVDESS_LIKE, "random-5fold", seed=-1)


def test_missing_training_class_names_fold_and_class() -> None:
    rows = [("happy", f"{index:02d}", None, None) for index in range(10)] + [("sad", "03", None, None)]
    with pytest.raises(ProtocolError, match=r"loso, fold speaker-03: no training row of corpus 'test' is sad"):
        split_corpus(make_corpus(rows), "loso", selecting=False)


people = st.lists(st.tuples(st.sampled_from(["female", "male", None]), st.integers(1, 4)), min_size=3, max_size=11)


@st.composite
def tables(draw: st.DrawFn) -> list[tuple[str, str, str | None, str | None]]:
    rows: list[tuple[str, str, str | None, str | None]] = [(emotion, "s0", "female", "a") for emotion in EMOTIONS]
    for index, (gender, n_takes) in enumerate(draw(people)):
        for emotion, text in itertools.product(EMOTIONS, ("a", "b", "c")):
            rows += [(emotion, f"s{index}", "female" if index == 0 else gender, text)] * draw(st.integers(0, n_takes))
    return rows


@settings(max_examples=150, deadline=None)
@given(
    rows=tables(),
    protocol=st.sampled_from(BY_RULE),
    seed=st.integers(0, 99),
    selecting=st.booleans(),
    fold_published=st.booleans(),
)
def test_every_split_keeps_its_promises(
    rows: list[tuple[str, str, str | None, str | None]], protocol: str, seed: int, selecting: bool, fold_published: bool
) -> None:
    names = sorted({row[1] for row in rows}, reverse=True)
    groups = (tuple(names[::3]), tuple(names[1::3]), (*names[2::3], "absent"))
    published = {name: groups for name in ("speaker-6fold", "speaker-5fold-luna")} if fold_published else {}
    corpus = make_corpus(rows, published_folds=published)
    try:
        split = split_corpus(corpus, protocol, seed, selecting)
    except ProtocolError:
        return
    again = split_corpus(corpus, protocol, seed, selecting)
    for fold, same in zip(split.folds, again.folds, strict=True):
        for part in ("train", "validation", "test"):
            np.testing.assert_array_equal(getattr(fold, part), getattr(same, part))
    if protocol != "random-80-20":
        check_partition(corpus, split, whole=protocol != "speaker-text")
    for fold in split.folds:
        train, validation, test = (speakers(corpus, rows) for rows in (fold.train, fold.validation, fold.test))
        assert bool(len(validation)) == selecting
        assert {corpus.utterances[row].emotion for row in fold.train} == set(corpus.labels)
        if protocol in ("speaker-5fold", "speaker-6fold", "speaker-5fold-luna", "loso", "speaker-text"):
            assert not train & test
            assert not validation & test
            assert not validation & train
        if protocol in ("text", "speaker-text"):
            assert not texts(corpus, fold.train) & texts(corpus, fold.test)
    for shared, of in ((split.speakers_shared, speakers), (split.texts_shared, texts)):
        assert shared == any(of(corpus, fold.train) & of(corpus, fold.test) for fold in split.folds)
