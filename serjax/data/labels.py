"""What a study tells apart: emotions, emotion and gender, gender alone, or emotions put together.

Each function takes a corpus and gives one of the same clips and other labels; utterances keep their emotion. They
combine with each other and with `Corpus.only`:

>>> from serjax.data import load_corpus
>>> corpus = load_corpus("synthetic", synthetic_clips=48)
>>> merge_emotions(corpus.only(["calm", "neutral", "happy"]), {"calm": "neutral"}).labels
('neutral', 'happy')
>>> label_by(corpus.only(["happy", "sad"]), "emotion-gender").labels
('happy_female', 'happy_male', 'sad_female', 'sad_male')
"""

import dataclasses
from collections.abc import Mapping, Sequence

from serjax.data.corpora.corpus import Corpus, CorpusError, Labelling, LabelScheme
from serjax.data.corpora.spelling import MAX_LENGTH, clean, differing, word


def label_by(corpus: Corpus, scheme: LabelScheme) -> Corpus:
    """Label the clips by emotion, by emotion and gender (`angry_male`), or by gender; merged emotions stay merged.

    Labels are in the order of those that the corpus has now, then by name.

    Raises:
      CorpusError: the scheme takes a gender that is not known of a clip.
    """
    return _relabelled(corpus, dataclasses.replace(corpus.labelling, scheme=scheme))


def merge_emotions(corpus: Corpus, names: Mapping[str, str]) -> Corpus:
    """Give emotions new names, all at once; those of one name become one. It stands where the first of them stood.

    Args:
      corpus: its emotions may have been merged before.
      names: from emotion to new name; emotions that are not in it stay.

    Raises:
      CorpusError: `names` has an emotion that does not occur, or a name that is another's but for its spelling.
    """
    merged = dict(corpus.labelling.merged)
    now = {u.emotion: merged.get(u.emotion, u.emotion) for u in corpus.utterances}
    unknown = [emotion for emotion in names if emotion not in now.values()]
    if unknown:
        raise CorpusError(
            f"Corpus '{corpus.name}' has no emotion {', '.join(map(repr, unknown))} to be merged. Choose from: "
            f"{', '.join(sorted(set(now.values())))}."
        )
    renamed = {emotion: names.get(name, name) for emotion, name in now.items()}
    if alike := differing({name: word(name) for name in sorted(set(renamed.values()))}):
        raise CorpusError(
            f"{alike[0]!r} and {alike[1]!r} are one word in two spellings. Write the new name as the other."
        )
    pairs = tuple(sorted((emotion, name) for emotion, name in renamed.items() if emotion != name))
    return _relabelled(corpus, dataclasses.replace(corpus.labelling, merged=pairs))


def parse_merges(texts: Sequence[str]) -> dict[str, str]:
    """Read `EMOTION=NAME` texts; CorpusError for one that is not so, or an emotion that is there twice.

    >>> parse_merges(["calm=neutral", "fearful=afraid"])
    {'calm': 'neutral', 'fearful': 'afraid'}
    """
    names: dict[str, str] = {}
    for text in texts:
        emotion, equals, name = (clean(part) for part in text.partition("="))
        if not (emotion and equals and name):
            raise CorpusError(f"'{text}' does not say what is merged; expected EMOTION=NAME, such as calm=neutral.")
        if len(name) > MAX_LENGTH:
            raise CorpusError(f"The new name of '{emotion}' has {len(name)} letters; expected at most {MAX_LENGTH}.")
        if emotion in names:
            raise CorpusError(f"'{emotion}' is merged into {names[emotion]} and into {name}. Choose one of them.")
        names[emotion] = name
    return names


def _relabelled(corpus: Corpus, labelling: Labelling) -> Corpus:
    position = {label: index for index, label in enumerate(corpus.labels)}
    places: dict[str, tuple[int, str]] = {}
    for utterance in corpus.utterances:
        label = labelling(utterance)
        place = (position[corpus.labelling(utterance)], label)
        places[label] = min(place, places.get(label, place))
    return dataclasses.replace(corpus, labels=tuple(sorted(places, key=places.__getitem__)), labelling=labelling)
