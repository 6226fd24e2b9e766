"""Protocols: which rows of a corpus train, select and test, so that no test speaker is met before the test.

Every protocol is a pure function of the corpus (and, for `random-*`, of the seed). What parts of a
fold have in common is found by `serjax.data.leaks`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np

from serjax.data.corpora.corpus import Corpus
from serjax.data.folds import (
    N_GROUPS,
    Fold,
    Protocol,
    ProtocolError,
    advised_protocol,
    cross_corpus_fold,
    dealt,
    loso_folds,
    published_groups,
    random_folds,
    speaker_folds,
    speaker_text_folds,
    speakers_of,
    text_folds,
    texts_of,
    told_fold,
)

PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)


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
        return self.protocol not in ("random-80-20", "random-5fold", "given")

    @property
    def separates_speakers(self) -> bool:
        """Whether the protocol promises that no speaker is in two parts of a fold."""
        return self.separates and self.protocol != "text"


def split_corpus(corpus: Corpus, protocol: str, seed: int = 0, selecting: bool = True) -> Split:
    """Split a corpus by a protocol.

    `random-80-20`, `random-5fold`: stratified by label; validation = 10 % of the training rows.
    `speaker-5fold`: speakers by gender and name, dealt out; `speaker-6fold`: EmoBox's folds of
        RAVDESS; `speaker-5fold-luna`: those of Luna-Jiménez et al. (2021); validation = the next fold's test speakers.
    `loso`: each speaker is test once; validation = the next four speakers by name (one of fewer than eight).
    `text`: each sentence group is test once; validation = one speaker group's clips of the other sentences.
    `speaker-text`: test = a speaker group × a sentence group; train = other speakers, other sentences;
        validation = the next speaker group, the training sentences.
    `given`: the one fold that a table's column says; validation = 10 % of the training rows if it says none.
    `cross-corpus`: test = all people of the test corpus; validation = the first speaker fold of the others.

    Args:
      corpus: what to split; a sub-corpus keeps the speaker groups of the whole.
      protocol: one of `PROTOCOLS`.
      seed: at least 0, moves the `random-*` splits only.
      selecting: whether anything is chosen on validation rows; if not, they go to training.

    Raises:
      ProtocolError: an unknown protocol; one that the corpus has not what it takes for (speakers, sentences,
        published folds, a split); a fold without test or validation rows, or without training rows of a class.
    """
    if protocol != "cross-corpus" and "cross-corpus" in corpus.published_folds:
        raise ProtocolError(f"Protocol {protocol} takes no test corpus. Leave it out, or choose cross-corpus.")
    match protocol:
        case "random-80-20" | "random-5fold":
            folds = random_folds(corpus, seed)[: 1 if protocol == "random-80-20" else None]
        case "speaker-5fold":
            _require_speakers(corpus, protocol, N_GROUPS)
            folds = speaker_folds(corpus, dealt(corpus.speakers, N_GROUPS))
        case "speaker-6fold" | "speaker-5fold-luna":
            folds = speaker_folds(corpus, published_groups(corpus, protocol))
        case "loso":
            _require_speakers(corpus, protocol, 3)
            folds = loso_folds(corpus)
        case "text":
            folds = text_folds(corpus)
        case "speaker-text":
            _require_speakers(corpus, protocol, 3)
            folds = speaker_text_folds(corpus)
        case "given":
            folds = [told_fold(corpus)]
        case "cross-corpus":
            folds = [cross_corpus_fold(corpus)]
        case _:
            raise ProtocolError(f"There is no protocol '{protocol}'. Choose one of: {', '.join(PROTOCOLS)}.")
    if not selecting:
        folds = [_without_validation(fold) for fold in folds]
    for fold in folds:
        _check_fold(corpus, protocol, fold, selecting)
    return Split(protocol, tuple(folds), _shared(speakers_of(corpus), folds), _shared(texts_of(corpus), folds))


def default_protocol(corpus: Corpus) -> Protocol:
    """Choose `speaker-6fold` where it is defined, else `speaker-5fold`, below five speakers `loso`.

    Where all clips are one speaker's, or nobody knows whose, speakers cannot be kept apart: `random-5fold`.

    Raises:
      ProtocolError: there are two speakers, too few to train, select and test on different ones.
    """
    if len(set(speakers_of(corpus))) == 2:
        raise ProtocolError(
            f"Corpus '{corpus.name}' has two speakers: training, validation and test cannot have their own each. "
            "Choose --protocol random-5fold (speakers shared), or add speakers."
        )
    return advised_protocol(corpus)


def with_train_speakers(corpus: Corpus, split: Split, n_speakers: int, seed: int) -> Split:
    """Keep the clips of `n_speakers` training speakers in each fold, men and women in turn.

    Seed and fold decide the order in which speakers are taken, so that those of a smaller number are among those of a
    larger one, and another seed has others.

    Raises:
      ProtocolError: a fold has not so many training speakers, or what is left lacks a class.
    """
    return replace(split, folds=tuple(_fewer(corpus, fold, n_speakers, seed) for fold in split.folds))


def speaker_order(corpus: Corpus, fold: Fold, seed: int) -> list[str]:
    """Return the training speakers of a fold in the order in which they are taken: genders in turn, else drawn."""
    of_gender: dict[str, list[str]] = {}
    genders = {corpus.utterances[row].speaker: corpus.utterances[row].gender or "" for row in fold.train}
    for speaker in sorted(genders, key=lambda name: _draw(seed, fold.name, name)):
        of_gender.setdefault(genders[speaker], []).append(speaker)
    turns = {name: (turn, gender) for gender, names in of_gender.items() for turn, name in enumerate(names)}
    return sorted(turns, key=turns.__getitem__)


def _shared(facts: np.ndarray, folds: Sequence[Fold]) -> bool:
    """Tell whether a test row has the fact of a training row in any fold; empty facts are not known."""
    return any(bool(set(facts[fold.test]) & set(facts[fold.train]) - {""}) for fold in folds)


def _require_speakers(corpus: Corpus, protocol: Protocol, n_speakers: int) -> None:
    there = len(set(speakers_of(corpus)))
    if there < n_speakers:
        raise ProtocolError(
            f"Protocol {protocol} takes at least {n_speakers} speakers; corpus '{corpus.name}' has {there}. "
            f"Choose {'loso, or add speakers' if there >= 3 else 'random-5fold (speakers shared), or add speakers'}."
        )


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


def _fewer(corpus: Corpus, fold: Fold, n_speakers: int, seed: int) -> Fold:
    order = speaker_order(corpus, fold, seed)
    if not 1 <= n_speakers <= len(order):
        raise ProtocolError(
            f"Fold {fold.name} of corpus '{corpus.name}' has {len(order)} training speakers; {n_speakers} were asked "
            f"for. Expected 1 to {len(order)}."
        )
    kept = set(order[:n_speakers])
    rows = [row for row in fold.train if corpus.utterances[row].speaker in kept]
    missing = sorted(set(range(len(corpus.labels))) - set(corpus.label_ids[rows].tolist()))
    if missing:
        raise ProtocolError(
            f"Fold {fold.name} of corpus '{corpus.name}': the {n_speakers} training speakers drawn by seed {seed} have "
            f"no clip of {', '.join(corpus.labels[k] for k in missing)}. Ask for more speakers, or fewer classes."
        )
    return replace(fold, train=np.array(rows, fold.train.dtype))


def _draw(seed: int, *names: str) -> bytes:
    return hashlib.sha256("/".join([str(seed), *names]).encode()).digest()
