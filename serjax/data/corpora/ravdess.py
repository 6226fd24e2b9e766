"""RAVDESS: 24 actors speak and sing two sentences in eight emotions.

Livingstone & Russo (2018), "The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS)",
PLoS ONE 13(5) e0196391. A file name is seven numbers: modality (03: audio only), channel, emotion, intensity,
statement, repetition, actor (odd: male). Song has the first six emotions, and no actor 18.

The published folds are those of EmoBox (Ma et al., 2024): six groups of four actors.
"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

from serjax.data.corpora.corpus import Corpus, CorpusError, FileSource, Utterance
from serjax.data.corpora.defects import duplicate_notes, one_file_a_clip
from serjax.data.corpora.files import find_audio, show
from serjax.data.corpora.named import other_names, wrong_root
from serjax.data.notes import Note

LICENCE = "CC BY-NC-SA 4.0"
CITATION = "Livingstone & Russo (2018), The Ryerson Audio-Visual Database …, PLoS ONE 13(5) e0196391"
RavdessName = Literal["ravdess", "ravdess-song", "ravdess-all"]

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
CHANNELS = ("speech", "song")
INTENSITIES = ("normal", "strong")
STATEMENTS = ("kids", "dogs")  # "Kids are talking by the door", "Dogs are sitting by the door"
N_CLIPS = {"speech": 1440, "song": 1012}
EMOBOX_FOLDS = (
    ("01", "11", "20", "21"),
    ("04", "10", "12", "14"),
    ("08", "09", "19", "23"),
    ("03", "05", "07", "24"),
    ("02", "15", "16", "18"),
    ("06", "13", "17", "22"),
)
LUNA_FOLDS = (  # Luna-Jiménez et al., Multimodal Emotion Recognition on RAVDESS …, Sensors 21 (22), 7665, 2021
    ("02", "05", "14", "15", "16"),
    ("03", "06", "07", "13", "18"),
    ("10", "11", "12", "19", "20"),
    ("08", "17", "21", "23", "24"),
    ("01", "04", "09", "22"),
)
PUBLISHED_FOLDS = {"speaker-6fold": EMOBOX_FOLDS, "speaker-5fold-luna": LUNA_FOLDS}
SYNTHETIC_MARK = "SYNTHETIC.txt"  # lies beside synthetic speech that bears RAVDESS names
SYNTHETIC_NOTE = Note("synthetic", "Synthetic speech: no result on it tells anything about people")
OFFSET_S = 0.5  # before it the actors breathe

_NAME = re.compile(r"(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)")
_AUDIO_ONLY = "03"


def parse_name(path: str) -> Utterance | None:
    """Read a path such as `Actor_01/03-01-05-02-01-01-01.wav`; None if it is no audio-only RAVDESS name.

    >>> parse_name("Actor_12/03-02-05-02-01-01-12.wav")
    Utterance(path='Actor_12/03-02-05-02-01-01-12.wav', emotion='angry', speaker='12', gender='female',
              text='kids', intensity='strong', channel='song', corpus='ravdess', split=None)

    Raises:
      CorpusError: seven numbers, one of which RAVDESS does not have.
    """
    match = _NAME.fullmatch(PurePosixPath(path).stem)
    if match is None or match[1] != _AUDIO_ONLY:
        return None
    channel, emotion, intensity, statement, repetition, actor = map(int, match.groups()[1:])
    sizes = (len(CHANNELS), len(EMOTIONS), len(INTENSITIES), len(STATEMENTS), 2, 24)
    values = (channel, emotion, intensity, statement, repetition, actor)
    if not all(1 <= value <= size for value, size in zip(values, sizes, strict=True)):
        raise CorpusError(
            f"{path} is named like a RAVDESS clip but has a number that RAVDESS does not know; expected at most "
            "03-02-08-02-02-02-24 in every place, and 01 at least. Rename or remove it."
        )
    return Utterance(
        path=path,
        emotion=EMOTIONS[emotion - 1],
        speaker=match[7],
        gender="male" if actor % 2 else "female",
        text=STATEMENTS[statement - 1],
        intensity=INTENSITIES[intensity - 1],
        channel=CHANNELS[channel - 1],
        corpus="ravdess",
    )


def load_ravdess(name: RavdessName, root: Path | None) -> Corpus:
    """Find the clips of RAVDESS speech, song or both below `root`, at any depth, in any format that is read.

    A clip may have several files: a conversion beside its original, or an archive that holds everything twice. One is
    taken: FLAC before WAV before others, then the first in path order. A note names those left out. Where the root
    holds `SYNTHETIC_MARK`, the corpus is called synthetic, and so is every result on it.

    Raises:
      CorpusError: what `find_audio` raises; no clip of the wanted channel (the message says what is there).
    """
    channels = {"ravdess": CHANNELS[:1], "ravdess-song": CHANNELS[1:], "ravdess-all": CHANNELS}[name]
    paths, left_notes = find_audio(root, name)
    assert root is not None  # find_audio has seen to it
    parsed = [utterance for path in paths if (utterance := parse_name(path))]
    there = Counter(utterance.channel for utterance in parsed)
    if not all(there[channel] for channel in channels):
        raise CorpusError(_wrong_corpus(name, root, paths, there))
    utterances, further_notes = one_file_a_clip([u for u in parsed if u.channel in channels])
    source, synthetic = FileSource(root), (root / SYNTHETIC_MARK).exists()
    return Corpus(
        name="synthetic" if synthetic else name,
        utterances=utterances,
        source=source,
        labels=tuple(emotion for emotion in EMOTIONS if any(u.emotion == emotion for u in utterances)),
        published_folds=PUBLISHED_FOLDS,
        notes=(
            *([SYNTHETIC_NOTE] if synthetic else []),
            *left_notes,
            *further_notes,
            *other_names(paths, parsed, "audio-only RAVDESS clips"),
            *_incomplete(utterances, channels),
            *duplicate_notes(utterances, source),
        ),
        offset_s=OFFSET_S,
    )


def _incomplete(utterances: Sequence[Utterance], channels: Sequence[str]) -> tuple[Note, ...]:
    notes = []
    for channel in channels:
        n_there = sum(utterance.channel == channel for utterance in utterances)
        if n_there != N_CLIPS[channel]:
            notes.append(
                Note("incomplete", f"Incomplete: {n_there} of the {N_CLIPS[channel]} {channel} clips are there")
            )
    return tuple(notes)


def _wrong_corpus(name: str, root: Path, paths: Sequence[str], there: Counter[str | None]) -> str:
    """Say what was found instead of `name`, and what to ask for."""
    wrong = f"{show(root)} is not the root of corpus '{name}'"
    if there:
        (channel,) = there
        fitting = "ravdess" if channel == "speech" else "ravdess-song"
        holds = f"of RAVDESS it holds {there[channel]} {channel} clips only"
        return f"{wrong}: {holds}. Choose '{fitting}', or another root."
    return wrong_root(name, root, paths, "RAVDESS", "03-01-05-01-02-01-12.wav")
