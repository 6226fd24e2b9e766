"""Protocols: which rows of a corpus train, select and test, so that no test speaker is met before the test.

Every protocol is a pure function of the corpus (and, for `random-*`, of the seed). What parts of a
fold have in common is found by `serjax.data.leaks`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Int32

from serjax.data.corpora.corpus import Corpus
from serjax.errors import SerjaxError

Protocol = Literal[
    "random-80-20", "random-5fold", "speaker-5fold", "speaker-6fold", "loso", "text", "speaker-text", "split-column"
]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
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


@dataclass(frozen=True)
class Split:
    """The folds of a protocol; `speakers_shared`: test speakers occur in training, the result is no forecast.

    `texts_shared`: sentences of test clips occur in training, where it is known what is said.
    """

    protocol: Protocol
    folds: tuple[Fold, ...]
    speakers_shared: bool
    texts_shared: bool = False

    @property
    def separates(self) -> bool:
        """Whether the protocol promises that no recording is in training and test alike."""
        return self.protocol not in ("random-80-20", "random-5fold", "split-column")


def split_corpus(corpus: Corpus, protocol: str, seed: int = 0, selecting: bool = True) -> Split:
    """Split a corpus by a protocol.

    `random-80-20`, `random-5fold`: stratified by label; validation = 10 % of the training rows.
    `speaker-5fold`: speakers by gender and name, dealt out; `speaker-6fold`: the published folds;
        validation = the next fold's test speakers.
    `loso`: each speaker is test once; validation = the next four speakers by name (one of fewer than eight).
    `text`: each sentence group is test once; validation = one speaker group's clips of the other sentences.
    `speaker-text`: test = a speaker group × a sentence group; train = other speakers, other sentences;
        validation = the next speaker group, the training sentences.
    `split-column`: the one fold that a table's column says; validation = 10 % of the training rows if it says none.

    Args:
        corpus: what to split; a sub-corpus keeps the speaker groups of the whole.
        protocol: one of `PROTOCOLS`.
        seed: at least 0, moves the `random-*` splits only.
        selecting: whether anything is chosen on validation rows; if not, they go to training.

    Raises:
        ProtocolError: an unknown protocol; one that the corpus has not what it takes for (speakers, sentences,
            published folds, a split); a fold without test or validation rows, or without training rows of a class.
    """
    match protocol:
        case "random-80-20" | "random-5fold":
            folds = _random_folds(corpus, seed)[: 1 if protocol == "random-80-20" else None]
        case "speaker-5fold":
            _require_speakers(corpus, protocol, N_GROUPS)
            folds = _speaker_folds(corpus, _dealt(corpus.speakers, N_GROUPS))
        case "speaker-6fold":
            folds = _speaker_folds(corpus, _published_groups(corpus))
        case "loso":
            _require_speakers(corpus, protocol, 3)
            folds = _loso_folds(corpus)
        case "text":
            folds = _text_folds(corpus)
        case "speaker-text":
            _require_speakers(corpus, protocol, 3)
            folds = _speaker_text_folds(corpus)
        case "split-column":
            folds = [_told_fold(corpus)]
        case _:
            raise ProtocolError(f"There is no protocol '{protocol}'. Choose one of: {', '.join(PROTOCOLS)}.")
    if not selecting:
        folds = [_without_validation(fold) for fold in folds]
    for fold in folds:
        _check_fold(corpus, protocol, fold, selecting)
    return Split(protocol, tuple(folds), _shared(_speakers(corpus), folds), _shared(_texts(corpus), folds))


def default_protocol(corpus: Corpus) -> Protocol:
    """Choose `speaker-6fold` where it is defined, else `speaker-5fold`, below five speakers `loso`.

    Where all clips are one speaker's, or nobody knows whose, speakers cannot be kept apart: `random-5fold`.

    Raises:
        ProtocolError: there are two speakers, too few to train, select and test on different ones.
    """
    if len(set(_speakers(corpus))) == 2:
        raise ProtocolError(
            f"Corpus '{corpus.name}' has two speakers: training, validation and test cannot have their own each. "
            "Choose --protocol random-5fold (speakers shared), or add speakers."
        )
    return _advised(corpus)


def _advised(corpus: Corpus) -> Protocol:
    if _has_published_folds(corpus):
        return "speaker-6fold"
    n_speakers = len(set(_speakers(corpus)))
    return "speaker-5fold" if n_speakers >= N_GROUPS else "loso" if n_speakers >= 3 else "random-5fold"


def _shared(facts: np.ndarray, folds: Sequence[Fold]) -> bool:
    """Tell whether a test row has the fact of a training row in any fold; empty facts are not known."""
    return any(bool(set(facts[fold.test]) & set(facts[fold.train]) - {""}) for fold in folds)


def _random_folds(corpus: Corpus, seed: int) -> list[Fold]:
    """Deal the rows of each label out over five tests, and a tenth of each training set to validation."""
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


def _told_fold(corpus: Corpus) -> Fold:
    """Take train, validation and test rows as the corpus's table says."""
    told = np.array([utterance.split or "" for utterance in corpus.utterances])
    if "" in told:
        raise ProtocolError(
            f"Protocol split-column takes a table with a column split; corpus '{corpus.name}' has none. "
            f"Choose {_advised(corpus)}."
        )
    train, validation, test = (told == part for part in ("train", "validation", "test"))
    if not validation.any():
        rows = np.flatnonzero(train)
        validation[rows[_dealt_rows(corpus, rows, 10, "split-column/validation") == 0]] = True
    return _fold("published", train & ~validation, validation, test)


def _dealt_rows(corpus: Corpus, rows: np.ndarray, n_groups: int, salt: str) -> Int32[np.ndarray, " n"]:
    """Give each row a group: label by label, in an order that only salt, speaker and file name decide."""

    def order(position: int) -> tuple[int, bytes]:
        lot = corpus.utterances[rows[position]].lot
        return int(label_ids[rows[position]]), hashlib.sha256(f"{salt}/{lot}".encode()).digest()

    label_ids = corpus.label_ids
    group = np.empty(len(rows), np.int32)
    group[np.array(sorted(range(len(rows)), key=order), int)] = np.arange(len(rows)) % n_groups
    return group


def _speaker_folds(corpus: Corpus, groups: Groups) -> list[Fold]:
    speakers = _speakers(corpus)
    folds = []
    for index, group in enumerate(groups):
        test = np.isin(speakers, group)
        validation = np.isin(speakers, groups[(index + 1) % len(groups)])
        folds.append(_fold(f"fold-{index + 1}", ~test & ~validation, validation, test))
    return folds


def _loso_folds(corpus: Corpus) -> list[Fold]:
    names = sorted(corpus.speakers)
    n_validation = 4 if len(names) >= 8 else 1
    speakers = _speakers(corpus)
    folds = []
    for index, name in enumerate(names):
        test = speakers == name
        following = [names[(index + step) % len(names)] for step in range(1, n_validation + 1)]
        validation = np.isin(speakers, following)
        if test.any():  # a sub-corpus may lack a speaker
            folds.append(_fold(f"speaker-{name}", ~test & ~validation, validation, test))
    return folds


def _text_folds(corpus: Corpus) -> list[Fold]:
    """Test on sentences that training has not; its speakers it has, those of the validation excepted."""
    speakers, texts = _speakers(corpus), _texts(corpus)
    people, folds = _speaker_groups(corpus), []
    for index, group in enumerate(_text_groups(corpus)):
        test = np.isin(texts, group)
        validation = ~test & np.isin(speakers, people[index % len(people)])
        folds.append(_fold(f"text-{index + 1}", ~test & ~validation, validation, test))
    return folds


def _speaker_text_folds(corpus: Corpus) -> list[Fold]:
    speakers, texts = _speakers(corpus), _texts(corpus)
    sentences = _text_groups(corpus)
    folds = []
    for fold in _speaker_folds(corpus, _speaker_groups(corpus)):
        for index, group in enumerate(sentences):
            same = np.isin(texts, group)
            parts = [np.isin(np.arange(len(speakers)), rows) for rows in (fold.train, fold.validation, fold.test)]
            name = f"{fold.name}-text-{index + 1}"
            folds.append(_fold(name, parts[0] & ~same, parts[1] & ~same, parts[2] & same))
    return folds


def _speaker_groups(corpus: Corpus) -> Groups:
    if _has_published_folds(corpus):
        return _published_groups(corpus)
    return _dealt(corpus.speakers, min(N_GROUPS, len(corpus.speakers)))


def _text_groups(corpus: Corpus) -> Groups:
    texts = sorted({utterance.text for utterance in corpus.utterances if utterance.text is not None})
    if len(texts) < 2 or any(utterance.text is None for utterance in corpus.utterances):
        raise ProtocolError(
            f"Corpus '{corpus.name}' cannot be split by sentence: that takes two sentences and the text of every "
            f"clip; it has {len(texts)} sentences. Choose {_advised(corpus)}."
        )
    return _dealt(texts, min(N_GROUPS, len(texts)))


def _published_groups(corpus: Corpus) -> Groups:
    if corpus.published_folds is None or not _has_published_folds(corpus):
        why = "no folds are published for it" if corpus.published_folds is None else "its speakers do not fill them"
        raise ProtocolError(
            f"Protocol speaker-6fold is not defined for corpus '{corpus.name}' as it is here: {why}. "
            f"Choose {_advised(corpus)}."
        )
    return corpus.published_folds


def _has_published_folds(corpus: Corpus) -> bool:
    """Tell whether folds are published, every speaker is in one of them, and each has a speaker."""
    groups = corpus.published_folds
    if groups is None:
        return False
    there = set(corpus.speakers)
    return there <= {name for group in groups for name in group} and all(there & set(group) for group in groups)


def _dealt(names: Sequence[str], n_groups: int) -> Groups:
    return tuple(tuple(names[index::n_groups]) for index in range(n_groups))


def _speakers(corpus: Corpus) -> np.ndarray:
    return np.array([utterance.speaker for utterance in corpus.utterances])


def _texts(corpus: Corpus) -> np.ndarray:
    return np.array([utterance.text or "" for utterance in corpus.utterances])


def _require_speakers(corpus: Corpus, protocol: Protocol, n_speakers: int) -> None:
    there = len(set(_speakers(corpus)))
    if there < n_speakers:
        raise ProtocolError(
            f"Protocol {protocol} takes at least {n_speakers} speakers; corpus '{corpus.name}' has {there}. "
            f"Choose {'loso, or add speakers' if there >= 3 else 'random-5fold (speakers shared), or add speakers'}."
        )


def _fold(name: str, *parts: Bool[np.ndarray, " n"]) -> Fold:
    """Make a fold of what tells the training, the validation and the test rows."""
    return Fold(name, *(np.flatnonzero(part).astype(np.int32) for part in parts))


def _without_validation(fold: Fold) -> Fold:
    train = np.sort(np.concatenate([fold.train, fold.validation]))
    return Fold(fold.name, train, fold.validation[:0], fold.test)


def _check_fold(corpus: Corpus, protocol: Protocol, fold: Fold, selecting: bool) -> None:
    needed = {"test": fold.test} | ({"validation": fold.validation} if selecting else {})
    for part, rows in needed.items():
        if not len(rows):
            raise ProtocolError(
                f"{protocol}, fold {fold.name}: there are no {part} rows in corpus '{corpus.name}' "
                f"({len(corpus.utterances)} clips). Choose another protocol, or add clips."
            )
    trained = set(corpus.label_ids[fold.train].tolist())
    missing = [label for index, label in enumerate(corpus.labels) if index not in trained]
    if missing:
        raise ProtocolError(
            f"{protocol}, fold {fold.name}: no training row of corpus '{corpus.name}' is {' or '.join(missing)}. "
            "Leave the emotion out, choose another protocol, or add clips."
        )
