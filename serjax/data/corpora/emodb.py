"""Emo-DB: ten German actors say ten sentences in seven emotions.

Burkhardt, Paeschke, Rolfes, Sendlmeier & Weiss (2005), "A Database of German Emotional Speech", Interspeech,
1517–1520. A file name is speaker (2 digits), sentence (3), emotion (the letter of its German word) and take:
`03a01Fa.wav`. Names, speakers and sentences: the database's page (emodb.bilderbar.info/docu) as in audEERING's
example (github.com/audeering/audformat, docs/emodb-example.rst); counts: github.com/DagsHub/audio-datasets, EMODB (535
in all), github.com/rezaurrakib/EmoSpeech (by emotion). Release 2.0 (github.com/audeering/emodb) adds 281 clips that
fewer than 80 % of the listeners agreed on; they are named alike, and the counts say that they are there.

The reader has not yet been run on the real files.
"""

import re
from pathlib import Path, PurePosixPath

from serjax.data.corpora.corpus import Corpus, CorpusError, Utterance
from serjax.data.corpora.named import Named, load_named

LICENCE = "CC0 1.0, as audEERING publishes it with the authors (github.com/audeering/emodb)"
CITATION = "Burkhardt et al. (2005), A Database of German Emotional Speech, Interspeech, 1517–1520"
N_CLIPS = {"neutral": 79, "happy": 71, "sad": 62, "angry": 127, "fearful": 69, "disgust": 46, "bored": 81}
SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
_NAME = re.compile(r"(\d\d)([ab]\d\d)([A-Z])[a-z]?")
_EMOTIONS = {"N": "neutral", "F": "happy", "T": "sad", "W": "angry", "A": "fearful", "E": "disgust", "L": "bored"}
_FEMALE, _MALE = ("08", "09", "13", "14", "16"), ("03", "10", "11", "12", "15")


def parse_name(path: str) -> Utterance | None:
    """Read a path such as `wav/03a01Fa.wav`; None if it is no Emo-DB name.

    >>> parse_name("wav/03a01Fa.wav")
    Utterance(path='wav/03a01Fa.wav', emotion='happy', speaker='03', gender='male',
              text='Der Lappen liegt auf dem Eisschrank.', intensity=None, channel='speech', corpus='emodb', split=None)

    Raises:
      CorpusError: named like a clip, with a speaker, sentence or emotion that Emo-DB does not have.
    """
    match = _NAME.fullmatch(PurePosixPath(path).stem)
    if match is None:
        return None
    speaker, sentence, emotion = match.groups()
    if speaker not in (*_FEMALE, *_MALE) or sentence not in SENTENCES or emotion not in _EMOTIONS:
        raise CorpusError(
            f"{path} is named like an Emo-DB clip, but not one that there is; expected speakers "
            f"{', '.join(sorted((*_FEMALE, *_MALE)))}, sentences {', '.join(SENTENCES)}, emotions "
            f"{', '.join(_EMOTIONS)}. Rename or remove it."
        )
    gender = "female" if speaker in _FEMALE else "male"
    return Utterance(path, _EMOTIONS[emotion], speaker, gender, SENTENCES[sentence], None, "speech", "emodb")


def load_emodb(root: Path | None) -> Corpus:
    """Find the clips of Emo-DB below `root`; errors as `named.load_named`."""
    return load_named(Named("emodb", "Emo-DB", "03a01Fa.wav", parse_name, N_CLIPS, LICENCE, CITATION), root)
