"""Enrolment: a few clips of each speaker, of unknown emotion, give a mean that is taken off the speaker's vectors.

Transductive: the mean of a test speaker is of clips of that speaker. They are drawn by seed and speaker, never by
emotion, and none of them is scored. So that figures of different numbers of clips compare, the same clips are left out
of the score whatever that number is.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from serjax.data.corpora import Corpus
from serjax.data.folds import Protocol, speakers_of
from serjax.data.splits import ProtocolError, Split
from serjax.study.density.flags import N_DRAWN
from serjax.study.density.system import Vectors

PROTOCOLS: tuple[Protocol, ...] = ("speaker-5fold", "speaker-6fold", "speaker-5fold-luna", "loso")


@dataclass(frozen=True, eq=False)
class Enrolment:
    """The speaker of each clip, as a number; whether the clip is drawn, and whether it counts for the mean."""

    speaker_N: Int[np.ndarray, " N"]
    drawn_N: Bool[np.ndarray, " N"]
    counts_N: Bool[np.ndarray, " N"]

    @classmethod
    def of(cls, corpus: Corpus, n_clips: int | None, seed: int) -> "Enrolment":
        """Draw 20 clips of each speaker, the first `n_clips` of which count; None: nothing is drawn.

        Raises:
          ProtocolError: a speaker has no clip beside those.
        """
        names_S, speaker_N = np.unique(speakers_of(corpus), return_inverse=True)
        drawn_N, counts_N = np.zeros((2, len(speaker_N)), bool)
        for speaker in range(len(names_S)) if n_clips is not None else ():
            rows = _in_turn(corpus, np.flatnonzero(speaker_N == speaker), seed)
            if len(rows) <= N_DRAWN:
                raise ProtocolError(
                    f"Speaker {names_S[speaker]} of corpus '{corpus.name}' has {len(rows)} clips here; --enrolment "
                    f"takes more than {N_DRAWN} of each speaker: {N_DRAWN} to draw from, the others to score."
                )
            # As many for every `n_clips`: all choices are scored on the same clips.
            drawn_N[rows[:N_DRAWN]] = True
            counts_N[rows[:n_clips]] = True
        return cls(speaker_N, drawn_N, counts_N)

    def scored(self, rows_n: Int[np.ndarray, " n"]) -> Int[np.ndarray, " m"]:
        """Return the clips among `rows_n` that are not drawn."""
        return rows_n[~self.drawn_N[rows_n]]

    def centre(self, vectors: Vectors, rows_n: Int[np.ndarray, " n"]) -> Vectors:
        """Take each speaker's mean off: of training clips `rows_n` off these, of each copy of them off the copy."""
        if not self.counts_N.any():
            return vectors
        copies_CnD = vectors.train_MD.reshape(-1, len(rows_n), vectors.n_features)
        train_MD = jnp.concatenate([self._centred(copy_nD, rows_n) for copy_nD in copies_CnD])
        return replace(vectors, x_ND=self._centred(vectors.x_ND, np.arange(len(vectors.x_ND))), train_MD=train_MD)

    def _centred(self, x_nD: Float[Array, "n D"], rows_n: Int[np.ndarray, " n"]) -> Float[Array, "n D"]:
        speaker_n, counts_n = self.speaker_N[rows_n], self.counts_N[rows_n]
        count_S = np.bincount(speaker_n[counts_n], minlength=self.speaker_N.max() + 1)
        assert count_S[speaker_n].all(), "every speaker has clips that count"
        sum_SD = jax.ops.segment_sum(x_nD[counts_n], speaker_n[counts_n], len(count_S))
        return x_nD - (sum_SD / np.maximum(count_S, 1)[:, None])[speaker_n]


def with_enrolment(corpus: Corpus, splits: Sequence[Split], n_clips: int | None) -> tuple[Split, ...]:
    """Take the clips that the split's seed draws out of the test rows; they stay where models are fitted to them.

    Raises:
      ProtocolError: a protocol that has not all clips of a speaker in one part, or a speaker with too few clips.
    """
    if n_clips is None:
        return tuple(splits)
    if splits[0].protocol not in PROTOCOLS:
        raise ProtocolError(
            f"--enrolment takes a protocol that has all clips of a speaker in one part: {', '.join(PROTOCOLS)}; "
            f"this one is {splits[0].protocol}."
        )
    enrolments = [Enrolment.of(corpus, n_clips, seed) for seed in range(len(splits))]
    return tuple(
        replace(split, folds=tuple(replace(fold, test=enrolment.scored(fold.test)) for fold in split.folds))
        for split, enrolment in zip(splits, enrolments, strict=True)
    )


def name_with_enrolment(protocol: str, n_clips: int | None) -> str:
    """Name a protocol as titles and tables do.

    >>> name_with_enrolment("loso", 5), name_with_enrolment("loso", 0), name_with_enrolment("loso", None)
    ('loso, enrolment-5, transductive', 'loso, enrolment-0', 'loso')
    """
    if n_clips is None:
        return protocol
    return f"{protocol}, enrolment-{n_clips}{', transductive' if n_clips else ''}"


def _in_turn(corpus: Corpus, rows_n: Int[np.ndarray, " n"], seed: int) -> Int[np.ndarray, " n"]:
    """Return clips in the order in which they are drawn: of a hash of seed, speaker and file name."""
    lots = [f"{seed}/enrolment/{corpus.utterances[row].lot}".encode() for row in rows_n]
    # By a hash: a clip's turn does not depend on other clips, nor on where the corpus lies.
    return rows_n[np.argsort([hashlib.sha256(lot).hexdigest() for lot in lots])]
