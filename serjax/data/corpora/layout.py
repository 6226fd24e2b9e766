"""Whether the sub-folders of a folder can be its emotions, and what they are where that can be seen.

Guarding against folders that train and mean nothing: people, sessions, parts of a split, a corpus in itself.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath

from serjax.data.corpora.naming import emotion_in, emotions_of_names, words_of
from serjax.data.corpora.spelling import clean, word

_PARTS = "train training trn test testing tst dev devel development val valid validation eval evaluation heldout"
SPLITS = frozenset(_PARTS.split())
_NUMBERED = re.compile(
    r"(actor|actress|speaker|spkr|spk|subject|subj|sub|participant|person|talker|session|sess|ses|dialogue?|fold|part|"
    r"disc|disk|cd|batch|recording)\d+[a-z]?"
)
_PREFIX = re.compile(r"(oaf|yaf|oa|actor\d*|speaker\d*|spk\d*)_")  # the first three: TESS
_CODE = re.compile(r"[mf]\d+|\d+[mf]|[ps]\d{2,}|\d{3,}")  # M01, 12f, p001, 1001


def label_of(path: str) -> str:
    """Give the label of a clip: the first folder of its path, as it is kept."""
    return clean(path.split("/", 1)[0])


def not_emotions(paths: Sequence[str]) -> str | None:
    """Say what is wrong with the first folders of `paths` as emotions, as what follows "they"; None: they can be.

    Args:
      paths: of audio files, each in a folder at least, of two first folders or more.
    """
    labels = sorted({label_of(path) for path in paths})
    if splits := [label for label in labels if SPLITS.intersection(words_of(label))]:
        return f"are parts of a split ({_some(splits)}), not emotions; a CSV has a column for it (split)"
    numbered = [label for label in labels if _is_numbered(label)]
    if len(numbered) > len(labels) / 2:
        return f"are {'sessions' if 'ses' in numbered[0].casefold() else 'speakers'} ({numbered[0]}), not emotions"
    if len({_PREFIX.match(label.casefold()) and label.split("_")[0] for label in labels} - {None}) > 1:
        return f"are a speaker and an emotion each ({_some(labels)})"
    if inner := _repeated_inside(paths, labels):
        return f"are not all emotions: in '{inner}' its neighbours are there again, as if it were unpacked in itself"
    if sum(emotion_in(label) is not None for label in labels) >= len(labels) / 2:
        return None
    return _emotions_below(paths) or _same_below(paths, labels) or _emotions_in_names(paths)


def strays(paths: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Give the clips whose file name says the emotion that most clips of another folder have, and that folder."""
    said = emotions_of_names(paths)
    folders: dict[str, Counter[str]] = defaultdict(Counter)
    for path, emotion in said.items():
        folders[emotion][label_of(path)] += 1
    homes = {emotion: count.most_common(1)[0][0] for emotion, count in folders.items()}
    told = ((path, homes[emotion], label_of(path)) for path, emotion in said.items())
    return tuple(
        (path, f"as in {home}")
        for path, home, label in told
        if home != label and (emotion_in(home) is None or emotion_in(home) != emotion_in(label))
    )


def _is_numbered(label: str) -> bool:
    plain = re.sub(r"[\W_]", "", label.casefold())
    return bool(_NUMBERED.fullmatch(plain) or _CODE.fullmatch(plain))


def _repeated_inside(paths: Sequence[str], labels: Sequence[str]) -> str | None:
    """Find a first folder with another one's name in it, at any depth."""
    known = {word(label) for label in labels}
    for folder in sorted({PurePosixPath(path).parent for path in paths}):
        first, *inner = folder.parts
        if any(word(name) in known - {word(first)} for name in inner):
            return clean(first)
    return None


def _emotions_below(paths: Sequence[str]) -> str | None:
    below = [path for path in paths if any(map(emotion_in, PurePosixPath(path).parts[1:-1]))]
    if len(below) <= len(paths) / 2:
        return None
    return f"hold the emotions as folders of theirs, such as {PurePosixPath(below[0]).parent}"


def _same_below(paths: Sequence[str], labels: Sequence[str]) -> str | None:
    """Find two names that all first folders have in them: which of the two levels is the emotion cannot be told."""
    seconds: dict[str, set[str]] = {label: set() for label in labels}
    for path in paths:
        seconds[label_of(path)].update(map(clean, PurePosixPath(path).parts[1:-1][:1]))
    same = sorted(name for name in set.intersection(*seconds.values()) if not _is_numbered(name))
    same = [name for name in same if not SPLITS.intersection(words_of(name))]
    return f"hold the same folders each ({_some(same)}), which may be the emotions" if len(same) > 1 else None


def _emotions_in_names(paths: Sequence[str]) -> str | None:
    """Find out that the files of one emotion, by their names, lie in several first folders."""
    said = emotions_of_names(paths)
    folders: dict[str, set[str]] = defaultdict(set)
    for path, emotion in said.items():
        folders[emotion].add(label_of(path))
    spread = sorted(emotion for emotion, where in folders.items() if len(where) > 1)
    if len(said) <= len(paths) / 2 or len(folders) < 2 or len(spread) <= len(folders) / 2:
        return None
    path = next(path for path, emotion in said.items() if emotion == spread[0])
    return f"are no emotions: clips of one, by their names, lie in several ({path}: {spread[0]})"


def _some(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names[:3]) + (", …" if len(names) > 3 else "")
