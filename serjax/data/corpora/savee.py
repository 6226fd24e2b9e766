"""SAVEE: four English men say sentences of TIMIT in seven emotions.

Jackson & Haq (2014), "Surrey Audio-Visual Expressed Emotion (SAVEE) Database", University of Surrey; Haq & Jackson
(2009), "Speaker-dependent audio-visual emotion recognition", AVSP, 53–58. The name of a file is emotion and number, in
the folder of its speaker (`DC/a01.wav`) or with the speaker before it (`DC_a01.wav`). Names: the archive's Info.txt
(gitea.tonaspace.com/lzc/yuyinfenxi, SAVEE/AudioData/Info.txt), and the reader of TensorFlow Datasets
(github.com/tensorflow/datasets, tensorflow_datasets/audio/savee.py). Counts: 15 clips per emotion and 30 neutral ones
of each speaker, 480 in all (github.com/robertjkeck2/EmoNet, data/SAVEE/README.md).

Three sentences are common to all emotions and the others are not, and no name says which is which: `text` is not known.
The reader has not yet been run on the real files.
"""

import re
from pathlib import Path, PurePosixPath

from serjax.data.corpora.corpus import Corpus, CorpusError, Utterance
from serjax.data.corpora.named import Named, load_named

LICENCE = "for research, after registration at the University of Surrey"
CITATION = "Haq & Jackson (2009), Speaker-dependent audio-visual emotion recognition, AVSP, 53–58"
SPEAKERS = ("DC", "JE", "JK", "KL")
N_CLIPS = {"neutral": 120, "happy": 60, "sad": 60, "angry": 60, "fearful": 60, "disgust": 60, "surprised": 60}
_NAME = re.compile(r"(?:([A-Z]{2})_)?(a|d|f|h|n|sa|su)(\d\d)")
_EMOTIONS = {
    "a": "angry",
    "d": "disgust",
    "f": "fearful",
    "h": "happy",
    "n": "neutral",
    "sa": "sad",
    "su": "surprised",
}


def parse_name(path: str) -> Utterance | None:
    """Read a path such as `DC/a01.wav` or `DC_a01.wav`; None if it is no SAVEE name.

    >>> parse_name("AudioData/JE/su07.wav")
    Utterance(path='AudioData/JE/su07.wav', emotion='surprised', speaker='JE', gender='male', text=None,
              intensity=None, channel='speech', corpus='savee', split=None)

    Raises:
      CorpusError: named like a clip, with a speaker or number that SAVEE does not have.
    """
    match = _NAME.fullmatch(PurePosixPath(path).stem)
    if match is None:
        return None
    speaker, emotion, number = match[1] or PurePosixPath(path).parent.name, _EMOTIONS[match[2]], int(match[3])
    if speaker not in SPEAKERS or not 1 <= number <= (30 if emotion == "neutral" else 15):
        raise CorpusError(
            f"{path} is named like a SAVEE clip, but not one that there is; expected speakers {', '.join(SPEAKERS)} "
            "(the folder, or before the name: DC_a01.wav), numbers 01 to 15, neutral (n) to 30. Rename or remove it."
        )
    return Utterance(path, emotion, speaker, "male", None, None, "speech", "savee")


def load_savee(root: Path | None) -> Corpus:
    """Find the clips of SAVEE below `root`; errors as `named.load_named`."""
    return load_named(Named("savee", "SAVEE", "DC/a01.wav", parse_name, N_CLIPS, LICENCE, CITATION), root)
