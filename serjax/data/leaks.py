"""What the parts of a fold have in common: speakers, sentences, and clips that sound the same.

Every run writes what it finds to `leaks.json`. A clip that is in training and test alike is an error where the
protocol promises that it is not, and else a mark on title, tables and `metrics.json`.
"""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32

from serjax.data.corpora.corpus import Utterance
from serjax.data.splits import Fold, ProtocolError, Split

Between = tuple[Literal["train", "validation"], Literal["validation", "test"]]
N_EXAMPLES = 3  # pairs of clips that an error names


@dataclass(frozen=True)
class Leak:
    """Something that two parts of a fold have in common; for contents `what` lists the paths."""

    kind: Literal["speaker", "text", "content"]
    between: Between
    what: str


@dataclass(frozen=True)
class FoundLeak:
    """A leak, and in which folds it is: `seed/fold`."""

    leak: Leak
    folds: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """Give the leak as `leaks.json` keeps it."""
        leak = self.leak
        return {"kind": leak.kind, "between": list(leak.between), "what": leak.what, "folds": list(self.folds)}


def leak_report(utterances: Sequence[Utterance], fold: Fold, digests: Sequence[str] | None = None) -> tuple[Leak, ...]:
    """List the speakers, sentences and (given the clips' digests) contents that parts of a fold share.

    Args:
        utterances: of the corpus that was split.
        fold: rows of `utterances`.
        digests: one for each utterance, equal for equal contents, empty where nothing is compared; None: for all.
    """
    parts: dict[str, np.ndarray] = {"train": fold.train, "validation": fold.validation, "test": fold.test}
    leaks: list[Leak] = []
    for (name_a, rows_a), (name_b, rows_b) in itertools.combinations(parts.items(), 2):
        a, b = [utterances[row] for row in rows_a], [utterances[row] for row in rows_b]
        between: Between = (name_a, name_b)  # type: ignore[assignment]
        for speaker in sorted({u.speaker for u in a} & {u.speaker for u in b}):
            leaks.append(Leak("speaker", between, speaker))
        for text in sorted({u.text for u in a if u.text} & {u.text for u in b if u.text}):
            leaks.append(Leak("text", between, text))
        if digests is not None:
            shared = {digests[row] for row in rows_a} & {digests[row] for row in rows_b} - {""}
            for digest in sorted(shared):
                same = [utterances[row].path for row in (*rows_a, *rows_b) if digests[row] == digest]
                leaks.append(Leak("content", between, " = ".join(sorted(same))))
    return tuple(leaks)


def find_leaks(
    utterances: Sequence[Utterance], splits: Sequence[Split], digests: Sequence[str] | None
) -> tuple[FoundLeak, ...]:
    """List what parts of folds share, each leak once, over the folds of every seed.

    Raises:
        ProtocolError: clips of equal content are in training and test of a protocol that promises otherwise.
    """
    found: dict[Leak, list[str]] = {}
    for seed, split in enumerate(splits):
        for fold in split.folds:
            for leak in leak_report(utterances, fold, digests):
                found.setdefault(leak, []).append(f"{seed}/{fold.name}")
    leaks = tuple(FoundLeak(leak, tuple(folds)) for leak, folds in found.items())
    same = [found.leak.what for found in leaks if is_copy(found)]
    if same and splits[0].separates:
        raise ProtocolError(
            f"Protocol {splits[0].protocol} keeps training and test apart, but clips that sound the same are in both: "
            f"{'; '.join(same[:N_EXAMPLES])}{f' and {len(same) - N_EXAMPLES} more' * (len(same) > N_EXAMPLES)}. One "
            "recording stands under two speakers or sentences: leave one of the two out, or name them alike."
        )
    return leaks


def is_copy(found: FoundLeak) -> bool:
    """Tell whether a test clip sounds the same as a training clip."""
    return found.leak.kind == "content" and found.leak.between == ("train", "test")


def copies_in_training(leaks: Sequence[FoundLeak]) -> str | None:
    """Say how many recordings are in training and test alike; None: none.

    >>> copies_in_training([FoundLeak(Leak("content", ("train", "test"), "a = b"), ("0/fold-1", "1/fold-2"))])
    '1 recording both in training and test'
    """
    n_same = sum(map(is_copy, leaks))
    return f"{n_same} recording{'s' * (n_same > 1)} both in training and test" if n_same else None


def feature_digests(
    values_NTD: Float32[np.ndarray, "N T D"], mask_NT: Bool[np.ndarray, "N T"], silent_N: Bool[np.ndarray, " N"]
) -> list[str]:
    """Give a hash of each clip's features, equal for equal sound in whatever file; empty for silent clips.

    Silent clips are all alike, and so are clips whose features are one number: nothing is learnt from their copies.
    """
    digests = []
    for values_TD, mask_T, silent in zip(values_NTD, mask_NT, silent_N, strict=True):
        blank = silent or values_TD.min() == values_TD.max()
        digests.append("" if blank else hashlib.sha256(values_TD.tobytes() + mask_T.tobytes()).hexdigest())
    return digests
