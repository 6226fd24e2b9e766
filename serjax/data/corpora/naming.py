"""How the corpora name their files: enough to say which one a folder holds, and which clips share an emotion."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

_NAMES = {
    "RAVDESS": re.compile(r"03-\d\d-(?P<emotion>\d\d)(-\d\d){4}"),
    "CREMA-D": re.compile(r"\d{4}_[A-Z]{3}_(?P<emotion>[A-Z]{3})_[A-Z]{1,2}"),
    "Emo-DB": re.compile(r"\d\d[ab]\d\d(?P<emotion>[A-Z])[a-z]?"),
    "SAVEE": re.compile(r"([A-Z]{2}_)?(?P<emotion>a|d|f|h|n|sa|su)\d\d"),
    "TESS": re.compile(r"(OAF|YAF|OA)_\w+_(?P<emotion>[^\W_]+)", re.IGNORECASE),
}
READ_AS = {"RAVDESS": "ravdess", "CREMA-D": "crema-d", "Emo-DB": "emodb", "SAVEE": "savee", "TESS": "tess"}
_WORDS = """
anger angry ang angriness annoyed annoyance irritated irritation rage happy happiness hap joy joyful joyous elated
elation cheerful sad sadness sorrow sorrowful grief fear fearful fea scared afraid panic terror anxious anxiety
neutral neu neutrality disgust disgusted dis surprise surprised sur suprise suprised calm calmness bored boredom
excited excitement exc frustrated frustration fru contempt pride proud shame guilt interest hope despair desperation
amused amusement tender tenderness sarcasm sarcastic sleepy sleepiness relaxed relief pain positive negative pos neg
normal stress stressed depressed depression ärger wut wütend freude fröhlich glücklich trauer traurig angst
neutralität ekel überraschung langeweile colère joie tristesse triste peur neutre dégoût ira enojo alegría feliz
tristeza miedo asco sorpresa rabbia gioia paura disgusto neutro neutrale
高兴 快乐 开心 喜悦 愤怒 生气 悲伤 难过 伤心 恐惧 害怕 惊讶 惊奇 中性 平静 厌恶 高興 快樂 開心 憤怒 生氣 悲傷 難過
傷心 恐懼 驚訝 平靜 厭惡
"""
EMOTIONS = frozenset(_WORDS.split())


class NamedAs(NamedTuple):
    """A corpus, and how many clips bear its names."""

    corpus: str
    n_clips: int


def named_as(paths: Sequence[str]) -> NamedAs | None:
    """Tell which corpus more than half of `paths` are named as in; None: no known one.

    >>> named_as(["AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1001_DFA_SAD_XX.wav", "hello.wav"])
    NamedAs(corpus='CREMA-D', n_clips=2)
    """
    stems = [PurePosixPath(path).stem for path in paths]
    for corpus, pattern in _NAMES.items():
        n_clips = sum(pattern.fullmatch(stem) is not None for stem in stems)
        if n_clips > len(stems) / 2:
            return NamedAs(corpus, n_clips)
    return None


def emotions_of_names(paths: Sequence[str]) -> dict[str, str]:
    """Give what file names say of the emotion, by path: the known corpus's code, else an emotion's word; or nothing.

    >>> emotions_of_names(["DC/a01.wav", "JE/sa12.wav"]), emotions_of_names(["x/Take_1_Happy.wav", "x/2.wav"])
    ({'DC/a01.wav': 'a', 'JE/sa12.wav': 'sa'}, {'x/Take_1_Happy.wav': 'happy'})
    """
    stems = {path: PurePosixPath(path).stem for path in paths}
    if known := named_as(paths):
        matches = {path: _NAMES[known.corpus].fullmatch(stem) for path, stem in stems.items()}
        return {path: match["emotion"].casefold() for path, match in matches.items() if match}
    said = {path: emotion_in(stem) for path, stem in stems.items()}
    return {path: emotion for path, emotion in said.items() if emotion}


def emotion_in(name: str) -> str | None:
    """Find a word that is an emotion's in a name; None: there is none.

    >>> emotion_in("01_Happy"), emotion_in("OAF_Pleasant_surprise"), emotion_in("Actor_01")
    ('happy', 'surprise', None)
    """
    return next((part for part in words_of(name) if part in EMOTIONS), None)


def words_of(name: str) -> list[str]:
    """Give the runs of letters in a name, in small ones."""
    return re.findall(r"[^\W\d_]+", unicodedata.normalize("NFKC", name).casefold())
