"""TESS: two Canadian women say "Say the word …" with 200 words in seven emotions.

Pichora-Fuller & Dupuis (2020), "Toronto emotional speech set (TESS)", doi:10.5683/SP2/E8H2MF. A file name is speaker
(OAF: 64 years old, YAF: 26), word and emotion: `OAF_back_angry.wav`; `ps` is a pleasant surprise.
Names: github.com/DagsHub/audio-datasets, TESS, and Paddle's reader (docs/api/paddle/audio/datasets/TESS_cn.rst in
github.com/PaddlePaddle/docs); the archive has one `OA_bite_neutral.wav`, which is OAF's. Counts: 200 words of each
speaker and emotion, 2 800 clips (www.utm.utoronto.ca/vp-research/news/vocal-accords).

Two speakers are too few to train, select and test on different ones. The reader has not yet been run on the real files.
"""

import re
from pathlib import Path, PurePosixPath

from serjax.data.corpora.corpus import Corpus, CorpusError, Utterance
from serjax.data.corpora.named import Named, load_named

LICENCE = "CC BY-NC-ND 4.0"  # as the collection's page says, quoted in github.com/tsagketas/demokritos-ml-project
CITATION = "Pichora-Fuller & Dupuis (2020), Toronto emotional speech set (TESS), doi:10.5683/SP2/E8H2MF"
N_CLIPS = dict.fromkeys(("neutral", "happy", "sad", "angry", "fearful", "disgust", "surprised"), 400)
_NAME = re.compile(r"(OAF|YAF|OA)_([a-z-]+)_([a-z]+)", re.IGNORECASE)
_EMOTIONS = {
    "neutral": "neutral",
    "happy": "happy",
    "sad": "sad",
    "angry": "angry",
    "fear": "fearful",
    "disgust": "disgust",
    "ps": "surprised",
}


def parse_name(path: str) -> Utterance | None:
    """Read a path such as `OAF_angry/OAF_back_angry.wav`; None if it is no TESS name.

    >>> parse_name("YAF_pleasant_surprised/YAF_chain_ps.wav")
    Utterance(path='YAF_pleasant_surprised/YAF_chain_ps.wav', emotion='surprised', speaker='YAF', gender='female',
              text='chain', intensity=None, channel='speech', corpus='tess', split=None)

    Raises:
      CorpusError: named like a clip, with an emotion that TESS does not have.
    """
    match = _NAME.fullmatch(PurePosixPath(path).stem)
    if match is None:
        return None
    speaker, word, emotion = match[1].upper(), match[2].lower(), match[3].lower()
    if emotion not in _EMOTIONS:
        raise CorpusError(
            f"{path} is named like a TESS clip, but not one that there is; expected emotions {', '.join(_EMOTIONS)}. "
            "Rename or remove it."
        )
    speaker = "OAF" if speaker == "OA" else speaker
    return Utterance(path, _EMOTIONS[emotion], speaker, "female", word, None, "speech", "tess")


def load_tess(root: Path | None) -> Corpus:
    """Find the clips of TESS below `root`; errors as `named.load_named`."""
    return load_named(Named("tess", "TESS", "OAF_back_angry.wav", parse_name, N_CLIPS, LICENCE, CITATION), root)
