"""Folds that train on fewer speakers, for a learning curve: validation and test rows stay as they are."""

import hashlib
from dataclasses import replace

import numpy as np

from serjax.data.corpora.corpus import Corpus
from serjax.data.splits import Fold, ProtocolError, Split


def with_train_speakers(corpus: Corpus, split: Split, n_speakers: int, seed: int) -> Split:
    """Keep the clips of `n_speakers` training speakers in each fold, men and women in turn.

    Seed and fold decide the order in which speakers are taken, so that those of a smaller number are among those of a
    larger one, and another seed has others.

    Raises:
      ProtocolError: a fold has not so many training speakers, or what is left lacks a class.
    """
    return replace(split, folds=tuple(_fewer(corpus, fold, n_speakers, seed) for fold in split.folds))


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


def speaker_order(corpus: Corpus, fold: Fold, seed: int) -> list[str]:
    """Return the training speakers of a fold in the order in which they are taken: genders in turn, else drawn."""
    of_gender: dict[str, list[str]] = {}
    genders = {corpus.utterances[row].speaker: corpus.utterances[row].gender or "" for row in fold.train}
    for speaker in sorted(genders, key=lambda name: _draw(seed, fold.name, name)):
        of_gender.setdefault(genders[speaker], []).append(speaker)
    turns = {name: (turn, gender) for gender, names in of_gender.items() for turn, name in enumerate(names)}
    return sorted(turns, key=turns.__getitem__)


def _draw(seed: int, *names: str) -> bytes:
    return hashlib.sha256("/".join([str(seed), *names]).encode()).digest()
