"""What the parts of a fold have in common: speakers, sentences, and clips of one recording.

Every run tells what it finds before it trains, and writes it to `leaks.json`. A recording in training and test, or a
speaker, is an error where the protocol promises that there is none, and else a mark on title, tables and
`metrics.json`. Clips are of one recording where their features are equal, or where fingerprints say that one is a
copy of the other.
"""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32

from serjax.data.corpora.corpus import Utterance
from serjax.data.fingerprint import Fingerprint, copies
from serjax.data.splits import Fold, ProtocolError, Split

Between = tuple[Literal["train", "validation"], Literal["validation", "test"]]
Kind = Literal["speaker", "text", "content", "copy"]
NAMES: dict[Kind, str] = {"speaker": "speakers", "text": "sentences", "content": "recordings", "copy": "recordings"}
N_EXAMPLES = 3  # pairs of clips that an error names


class Recording(NamedTuple):
    """What a clip is a recording of: equal for equal features (content), or for copies; by the path of the first."""

    kind: Literal["content", "copy"]
    path: str


@dataclass(frozen=True)
class Leak:
    """Something that two parts of a fold have in common; for recordings `what` lists the paths."""

    kind: Kind
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


def recordings(
    utterances: Sequence[Utterance], digests: Sequence[str], fingerprints: Sequence[Fingerprint] = ()
) -> tuple[Recording | None, ...]:
    """Tell which clips are of one recording; None for a clip that is nobody's copy.

    Args:
      utterances: N clips.
      digests: one for each, equal for equal contents, empty where nothing is compared.
      fingerprints: one for each, or none at all.
    """
    same: dict[str, list[int]] = {}
    for row, digest in enumerate(digests):
        same.setdefault(digest or f"{row}", []).append(row)
    first = np.arange(len(utterances))
    pairs = [(rows[0], row) for rows in same.values() for row in rows[1:]]
    for a, b in pairs + [(copy.first, copy.second) for copy in copies(fingerprints)]:
        first[first == max(first[a], first[b])] = min(first[a], first[b])
    found: list[Recording | None] = [None] * len(utterances)
    for own in np.flatnonzero(np.bincount(first) > 1).tolist():
        rows = np.flatnonzero(first == own).tolist()
        equal = digests[own] and len({digests[row] for row in rows}) == 1
        for row in rows:
            found[row] = Recording("content" if equal else "copy", utterances[own].path)
    return tuple(found)


def leak_report(
    utterances: Sequence[Utterance], fold: Fold, recorded: Sequence[Recording | None] = ()
) -> tuple[Leak, ...]:
    """List the speakers, sentences and recordings that parts of a fold share.

    Args:
      utterances: of the corpus that was split.
      fold: rows of `utterances`.
      recorded: what each is a recording of (see `recordings`), or nothing at all.
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
        if recorded:
            shared = {recorded[row] for row in rows_a} & {recorded[row] for row in rows_b} - {None}
            for own in sorted(own for own in shared if own):
                same = sorted(utterances[row].path for row in (*rows_a, *rows_b) if recorded[row] == own)
                leaks.append(Leak(own.kind, between, " = ".join(same)))
    return tuple(leaks)


def find_leaks(
    utterances: Sequence[Utterance],
    splits: Sequence[Split],
    digests: Sequence[str] | None,
    fingerprints: Sequence[Fingerprint] = (),
) -> tuple[FoundLeak, ...]:
    """List what parts of folds share, each leak once, over the folds of every seed.

    Raises:
      ProtocolError: training and test of a protocol share a recording or a speaker, and it promises otherwise.
    """
    recorded = () if digests is None else recordings(utterances, digests, fingerprints)
    found: dict[Leak, list[str]] = {}
    for seed, split in enumerate(splits):
        for fold in split.folds:
            for leak in leak_report(utterances, fold, recorded):
                found.setdefault(leak, []).append(f"{seed}/{fold.name}")
    leaks = tuple(FoundLeak(leak, tuple(folds)) for leak, folds in found.items())
    same = [found.leak.what for found in leaks if is_copy(found)]
    if same and splits[0].separates:
        raise ProtocolError(
            f"Protocol {splits[0].protocol} keeps training and test apart, but clips that sound the same are in both: "
            f"{_examples(same)}. One recording stands under two speakers or sentences: leave one of the two out, or "
            "name them alike."
        )
    people = sorted({found.leak.what for found in leaks if found.leak.kind == "speaker"})
    if people and splits[0].separates_speakers:
        raise ProtocolError(
            f"Protocol {splits[0].protocol} promises other speakers in each part of a fold, but parts share "
            f"{_examples(people)}. Give each speaker's clips to one part, or choose --protocol random-5fold."
        )
    return leaks


def _examples(names: Sequence[str]) -> str:
    more = f" and {len(names) - N_EXAMPLES} more" if len(names) > N_EXAMPLES else ""
    return f"{'; '.join(names[:N_EXAMPLES])}{more}"


def is_copy(found: FoundLeak) -> bool:
    """Tell whether a test clip is of the same recording as a training clip."""
    return found.leak.kind in ("content", "copy") and found.leak.between == ("train", "test")


def copies_in_training(leaks: Sequence[FoundLeak]) -> str | None:
    """Say how many recordings are in training and test alike; None: none.

    >>> copies_in_training([FoundLeak(Leak("copy", ("train", "test"), "a = b"), ("0/fold-1", "1/fold-2"))])
    '1 recording both in training and test'
    """
    n_same = sum(map(is_copy, leaks))
    return f"{n_same} recording{'s' * (n_same > 1)} both in training and test" if n_same else None


def count_leaks(leaks: Sequence[FoundLeak]) -> dict[str, dict[str, int]]:
    """Count the different speakers, sentences and recordings that parts share in any fold.

    >>> count_leaks([FoundLeak(Leak("text", ("train", "test"), "kids"), ("0/fold-1",))])["train–test"]
    {'speakers': 0, 'sentences': 1, 'recordings': 0}
    """
    counts = {name: dict.fromkeys(NAMES.values(), 0) for name in ("train–test", "validation–test", "train–validation")}
    for found in leaks:
        counts["–".join(found.leak.between)][NAMES[found.leak.kind]] += 1
    return counts


def leak_line(leaks: Sequence[FoundLeak]) -> str:
    """Say in one line what parts share.

    >>> leak_line([FoundLeak(Leak("text", ("train", "test"), "kids"), ("0/fold-1",))])
    'Shared: train–test 1 sentence; validation–test nothing; train–validation nothing.'
    """
    said = []
    for between, counts in count_leaks(leaks).items():
        shared = [f"{n} {what if n > 1 else what[:-1]}" for what, n in counts.items() if n]
        said.append(f"{between} {', '.join(shared) or 'nothing'}")
    return f"Shared: {'; '.join(said)}."


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
