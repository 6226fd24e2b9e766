"""Folds: which rows of a corpus train, select and test under each protocol.

Every function is a pure function of the corpus, and for random folds of the seed.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int32

from serjax.data.corpora.corpus import Corpus
from serjax.errors import SerjaxError

Protocol = Literal[
    "random-80-20",
    "random-5fold",
    "speaker-5fold",
    "speaker-6fold",
    "speaker-5fold-luna",
    "loso",
    "text",
    "speaker-text",
    "given",
    "cross-corpus",
]
N_GROUPS = 5  # of speakers where nothing is published, and of sentences at most
Groups = tuple[tuple[str, ...], ...]


class ProtocolError(SerjaxError):
    """A protocol is unknown, or a corpus cannot be split by it."""


@dataclass(frozen=True)
class Fold:
    """Sorted rows of `corpus.utterances`, pairwise disjoint; `validation` is empty where nothing is selected."""

    name: str
    train: Int32[np.ndarray, " n_train"]
    validation: Int32[np.ndarray, " n_validation"]
    test: Int32[np.ndarray, " n_test"]


def advised_protocol(corpus: Corpus) -> Protocol:
    """Return the protocol that suits a corpus: the published folds, else by how many speakers there are."""
    if "cross-corpus" in corpus.published_folds:
        return "cross-corpus"
    if _has_published_folds(corpus, "speaker-6fold"):
        return "speaker-6fold"
    n_speakers = len(set(speakers_of(corpus)))
    return "speaker-5fold" if n_speakers >= N_GROUPS else "loso" if n_speakers >= 3 else "random-5fold"


def random_folds(corpus: Corpus, seed: int) -> list[Fold]:
    """Deal the rows of each label out over five tests, and a tenth of each training set to validation.

    Raises:
      ProtocolError: the seed is below 0.
    """
    if seed < 0:
        raise ProtocolError(f"The seed of a random split is {seed}; expected 0 or more.")
    rows = np.arange(len(corpus.utterances))
    part = _dealt_rows(corpus, rows, N_GROUPS, f"{seed}/test")
    folds = []
    for index in range(N_GROUPS):
        others = rows[part != index]
        validation = np.zeros(len(rows), bool)
        validation[others[_dealt_rows(corpus, others, 10, f"{seed}/validation/{index}") == 0]] = True
        test = part == index
        folds.append(_fold(f"fold-{index + 1}", ~test & ~validation, validation, test))
    return folds


def told_fold(corpus: Corpus) -> Fold:
    """Take train, validation and test rows as the corpus's table says.

    Raises:
      ProtocolError: a row of the table does not say its part.
    """
    told = np.array([utterance.split or "" for utterance in corpus.utterances])
    if "" in told:
        raise ProtocolError(
            f"Protocol given takes a table with a column split; corpus '{corpus.name}' has none. "
            f"Choose {advised_protocol(corpus)}."
        )
    train, validation, test = (told == part for part in ("train", "validation", "test"))
    if not validation.any():
        rows = np.flatnonzero(train)
        validation[rows[_dealt_rows(corpus, rows, 10, "given/validation") == 0]] = True
    return _fold("given", train & ~validation, validation, test)


def cross_corpus_fold(corpus: Corpus) -> Fold:
    """Test on the people of the test corpus; the first speaker fold of the others are the validation rows.

    Raises:
      ProtocolError: there is no test corpus, or one person alone to train and select on.
    """
    (tested,) = corpus.published_folds.get("cross-corpus", ((),))
    others = tuple(speaker for speaker in corpus.speakers if speaker not in tested)
    if not tested or len(others) < 2:
        there = f"only {len(others)} speaker to train and select on" if tested else "no test corpus"
        raise ProtocolError(
            f"Protocol cross-corpus trains on one corpus and tests on another; with '{corpus.name}' there is {there}. "
            "Give --test-corpus NAME --test-root DIR, and a training corpus of two speakers at least."
        )
    groups = [group for group in corpus.published_folds.get("speaker-6fold", ()) if set(group) & set(others)]
    groups = groups or list(dealt(others, min(N_GROUPS, len(others))))
    speakers = speakers_of(corpus)
    test, validation = np.isin(speakers, tested), np.isin(speakers, groups[0])
    return _fold("cross-corpus", ~test & ~validation, validation, test)


def speaker_folds(corpus: Corpus, groups: Groups) -> list[Fold]:
    """Test on each group of speakers once; the next group's clips are the validation rows."""
    speakers = speakers_of(corpus)
    folds = []
    for index, group in enumerate(groups):
        test = np.isin(speakers, group)
        validation = np.isin(speakers, groups[(index + 1) % len(groups)])
        folds.append(_fold(f"fold-{index + 1}", ~test & ~validation, validation, test))
    return folds


def loso_folds(corpus: Corpus) -> list[Fold]:
    """Test on each speaker once; the next four speakers by name select, of fewer than eight the next one."""
    names = sorted(corpus.speakers)
    n_validation = 4 if len(names) >= 8 else 1
    speakers = speakers_of(corpus)
    folds = []
    for index, name in enumerate(names):
        test = speakers == name
        following = [names[(index + step) % len(names)] for step in range(1, n_validation + 1)]
        validation = np.isin(speakers, following)
        if test.any():  # a sub-corpus may lack a speaker
            folds.append(_fold(f"speaker-{name}", ~test & ~validation, validation, test))
    return folds


def text_folds(corpus: Corpus) -> list[Fold]:
    """Test on sentences that training has not; its speakers it has, those of the validation excepted.

    Raises:
      ProtocolError: fewer than two sentences, or one is not known.
    """
    speakers, texts = speakers_of(corpus), texts_of(corpus)
    people, folds = _speaker_groups(corpus), []
    for index, group in enumerate(_text_groups(corpus)):
        test = np.isin(texts, group)
        validation = ~test & np.isin(speakers, people[index % len(people)])
        folds.append(_fold(f"text-{index + 1}", ~test & ~validation, validation, test))
    return folds


def speaker_text_folds(corpus: Corpus) -> list[Fold]:
    """Test on a group of speakers and a group of sentences, of which training has neither.

    Raises:
      ProtocolError: fewer than two sentences, or one is not known.
    """
    speakers, texts = speakers_of(corpus), texts_of(corpus)
    sentences = _text_groups(corpus)
    folds = []
    for fold in speaker_folds(corpus, _speaker_groups(corpus)):
        for index, group in enumerate(sentences):
            same = np.isin(texts, group)
            parts = [np.isin(np.arange(len(speakers)), rows) for rows in (fold.train, fold.validation, fold.test)]
            name = f"{fold.name}-text-{index + 1}"
            folds.append(_fold(name, parts[0] & ~same, parts[1] & ~same, parts[2] & same))
    return folds


def _dealt_rows(corpus: Corpus, rows: np.ndarray, n_groups: int, salt: str) -> Int32[np.ndarray, " n"]:
    """Give each row a group: label by label, in an order that only salt, speaker and file name decide."""

    def order(position: int) -> tuple[int, bytes]:
        lot = corpus.utterances[rows[position]].lot
        return int(label_ids[rows[position]]), hashlib.sha256(f"{salt}/{lot}".encode()).digest()

    label_ids = corpus.label_ids
    group = np.empty(len(rows), np.int32)
    group[np.array(sorted(range(len(rows)), key=order), int)] = np.arange(len(rows)) % n_groups
    return group


def _fold(name: str, *parts: Bool[np.ndarray, " n"]) -> Fold:
    """Make a fold of what tells the training, the validation and the test rows."""
    return Fold(name, *(np.flatnonzero(part).astype(np.int32) for part in parts))


def _speaker_groups(corpus: Corpus) -> Groups:
    if _has_published_folds(corpus, "speaker-6fold"):
        return published_groups(corpus, "speaker-6fold")
    return dealt(corpus.speakers, min(N_GROUPS, len(corpus.speakers)))


def _text_groups(corpus: Corpus) -> Groups:
    texts = sorted({utterance.text for utterance in corpus.utterances if utterance.text is not None})
    if len(texts) < 2 or any(utterance.text is None for utterance in corpus.utterances):
        raise ProtocolError(
            f"Corpus '{corpus.name}' cannot be split by sentence: that takes two sentences and the text of every "
            f"clip; it has {len(texts)} sentences. Choose {advised_protocol(corpus)}."
        )
    return dealt(texts, min(N_GROUPS, len(texts)))


def published_groups(corpus: Corpus, protocol: Protocol) -> Groups:
    """Return the test speakers of each fold of a published protocol.

    Raises:
      ProtocolError: none are published, or the speakers there do not fill them.
    """
    if not _has_published_folds(corpus, protocol):
        there = protocol in corpus.published_folds
        why = "its speakers do not fill them" if there else "no folds are published for it"
        raise ProtocolError(
            f"Protocol {protocol} is not defined for corpus '{corpus.name}' as it is here: {why}. "
            f"Choose {advised_protocol(corpus)}."
        )
    return corpus.published_folds[protocol]


def _has_published_folds(corpus: Corpus, protocol: Protocol) -> bool:
    """Tell whether folds are published under a name, every speaker is in one of them, and each has a speaker."""
    groups = corpus.published_folds.get(protocol)
    if groups is None:
        return False
    there = set(corpus.speakers)
    return there <= {name for group in groups for name in group} and all(there & set(group) for group in groups)


def dealt(names: Sequence[str], n_groups: int) -> Groups:
    """Deal names out over groups, one after the other.

    >>> dealt(["a", "b", "c"], 2)
    (('a', 'c'), ('b',))
    """
    return tuple(tuple(names[index::n_groups]) for index in range(n_groups))


def speakers_of(corpus: Corpus) -> np.ndarray:
    """Return the speaker of every row."""
    return np.array([utterance.speaker for utterance in corpus.utterances])


def texts_of(corpus: Corpus) -> np.ndarray:
    """Return the sentence of every row, empty where it is not known."""
    return np.array([utterance.text or "" for utterance in corpus.utterances])
