"""CREMA-D: 91 actors say twelve sentences in six emotions, and listeners vote on what they hear.

Cao, Cooper, Keutmann, Gur, Nenkova & Verma (2014), "CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset",
IEEE Transactions on Affective Computing 5(4), 377–390. A file name is actor, sentence, intended emotion and level;
levels are acted for one sentence only. The archive has tables beside its `AudioWAV`: `VideoDemographics.csv` tells the
actors' sex, `summaryTable.csv` (in `processedResults`) the emotion that most listeners voted for.

Two corpora are made of the clips. In `crema-d` the emotion is the one the actor intended; in `crema-d-voted` it is the
one that most listeners of the voice alone heard, and clips whose vote is a tie are left out.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from serjax.data.corpora.columns import read_column
from serjax.data.corpora.corpus import Corpus, CorpusError, FileSource, Utterance
from serjax.data.corpora.defects import contradict, equal_clips, equal_notes, one_file_a_clip, silent_clips
from serjax.data.corpora.files import find_audio, find_file, show
from serjax.data.corpora.named import other_names, wrong_root
from serjax.data.notes import Note

LICENCE = "ODbL 1.0 (database), DbCL 1.0 (contents)"
CITATION = "Cao et al. (2014), CREMA-D, IEEE Transactions on Affective Computing 5(4), 377–390"
CremaDName = Literal["crema-d", "crema-d-voted"]
Defects = Literal["leave-out", "keep"]

EMOTIONS = ("neutral", "happy", "sad", "angry", "fearful", "disgust")
SENTENCES = {
    "DFA": "Don't forget a jacket",
    "IEO": "It's eleven o'clock",
    "IOM": "I'm on my way to the meeting",
    "ITH": "I think I have a doctor's appointment",
    "ITS": "I think I've seen this before",
    "IWL": "I would like a new alarm clock",
    "IWW": "I wonder what this is about",
    "MTI": "Maybe tomorrow it will be cold",
    "TAI": "The airplane is almost full",
    "TIE": "That is exactly what happened",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}
N_CLIPS, N_ACTORS = 7442, 91
DEMOGRAPHICS, VOTES = "VideoDemographics.csv", "summaryTable.csv"

_NAME = re.compile(r"(\d{4})_([A-Z]{3})_([A-Z]{3})_([A-Z]{1,2})")
_EMOTIONS = {"NEU": "neutral", "HAP": "happy", "SAD": "sad", "ANG": "angry", "FEA": "fearful", "DIS": "disgust"}
_LEVELS = {"LO": "low", "MD": "medium", "HI": "high", "XX": None, "X": None}  # the archive has a 1040_ITH_SAD_X.wav
_ACTORS = range(1001, 1092)


def parse_name(path: str) -> Utterance | None:
    """Read a path such as `AudioWAV/1001_IEO_ANG_HI.wav`; None if it is no CREMA-D name. The gender is not in it.

    >>> parse_name("AudioWAV/1001_IEO_ANG_HI.wav")
    Utterance(path='AudioWAV/1001_IEO_ANG_HI.wav', emotion='angry', speaker='1001', gender=None,
              text="It's eleven o'clock", intensity='high', channel='speech', corpus='crema-d', split=None)

    Raises:
      CorpusError: named like a clip, with an actor, sentence, emotion or level that CREMA-D does not have.
    """
    match = _NAME.fullmatch(PurePosixPath(path).stem)
    if match is None:
        return None
    actor, sentence, emotion, level = match.groups()
    if int(actor) not in _ACTORS or sentence not in SENTENCES or emotion not in _EMOTIONS or level not in _LEVELS:
        raise CorpusError(
            f"{path} is named like a CREMA-D clip, but not one that there is; expected actors 1001 to 1091, sentences "
            f"{', '.join(SENTENCES)}, emotions {', '.join(_EMOTIONS)}, levels LO, MD, HI or XX. Rename or remove it."
        )
    return Utterance(
        path=path,
        emotion=_EMOTIONS[emotion],
        speaker=actor,
        gender=None,
        text=SENTENCES[sentence],
        intensity=_LEVELS[level],
        channel="speech",
        corpus="crema-d",
    )


def load_crema_d(name: CremaDName, root: Path | None, defects: Defects = "leave-out") -> Corpus:
    """Find the clips of CREMA-D below `root`, at any depth, in any format that is read, and its tables.

    Clips without sound, and clips of equal bytes whose intended emotions differ, are found by their content. They
    are named in the notes and left out, whichever emotion is asked for.

    Args:
      name: `crema-d`: intended emotions; `crema-d-voted`: the listeners'. The intensity is the acted one in both.
      root: a folder that holds the clips and `VideoDemographics.csv`, for voted emotions `summaryTable.csv` too.
      defects: whether such clips are left out, or kept and named.

    Raises:
      CorpusError: what `find_audio` raises; no clip of CREMA-D; a table is missing, or lacks what it should tell.
    """
    paths, left_notes = find_audio(root, name)
    assert root is not None  # find_audio has seen to it
    parsed = [utterance for path in paths if (utterance := parse_name(path))]
    if not parsed:
        raise CorpusError(wrong_root(name, root, paths, "CREMA-D", "1001_DFA_ANG_XX.wav"))
    source = FileSource(root)
    one_each = one_file_a_clip(parsed)
    there = _with_gender(one_each.kept, root)
    examined = _examine(there, source, defects)
    utterances, vote_notes = _voted(examined.kept, root) if name == "crema-d-voted" else (examined.kept, ())
    if not utterances:
        why = " ".join(note.line for note in examined.notes)
        raise CorpusError(f"No clip of corpus '{name}' in {show(root)} is left: {why}")
    return Corpus(
        name=name,
        utterances=utterances,
        source=source,
        labels=tuple(emotion for emotion in EMOTIONS if any(u.emotion == emotion for u in utterances)),
        notes=(
            *left_notes,
            *one_each.notes,
            *other_names(paths, parsed, "CREMA-D clips"),
            *_incomplete(there),
            *examined.notes,
            *vote_notes,
        ),
    )


class _Examined(NamedTuple):
    kept: tuple[Utterance, ...]
    notes: tuple[Note, ...]


def _examine(utterances: Sequence[Utterance], source: FileSource, defects: Defects) -> _Examined:
    """Find the defects that the clips' content shows, and leave out what has them."""
    silent = silent_clips(utterances, source)
    equal = equal_clips([utterance for utterance in utterances if utterance not in silent], source)
    ambiguous = {utterance for same in equal if contradict(same) for utterance in same}
    is_done = "Left out" if defects == "leave-out" else "Kept"
    notes = [
        *_note_on("silent", f"{is_done}, without sound", silent),
        *_note_on("ambiguous", f"{is_done}, bytes of a clip of another emotion", sorted(ambiguous, key=_path)),
        *equal_notes(equal),
    ]
    bad = {*silent, *ambiguous} if defects == "leave-out" else set()
    return _Examined(tuple(utterance for utterance in utterances if utterance not in bad), tuple(notes))


def _path(utterance: Utterance) -> str:
    return utterance.path


def _note_on(kind: str, what: str, utterances: Sequence[Utterance]) -> list[Note]:
    return [Note(kind, what, tuple((utterance.path, "") for utterance in utterances))] if utterances else []


def _with_gender(utterances: Sequence[Utterance], root: Path) -> tuple[Utterance, ...]:
    table = _find_table(root, DEMOGRAPHICS, "The actors' sex")
    genders = read_column(table, "ActorID", "Sex")
    lacking = sorted({u.speaker for u in utterances if genders.get(u.speaker, "").lower() not in ("male", "female")})
    if lacking:
        raise CorpusError(
            f"{show(table)} does not say whether actor {', '.join(lacking)} is Male or Female "
            "(columns ActorID and Sex). Take the table of the official archive."
        )
    return tuple(dataclasses.replace(u, gender=genders[u.speaker].lower()) for u in utterances)


def _voted(utterances: Sequence[Utterance], root: Path) -> tuple[tuple[Utterance, ...], tuple[Note, ...]]:
    """Give the clips the emotion that most listeners of the voice heard; leave ties and clips without a vote out."""
    table = _find_table(root, VOTES, "What listeners voted (corpus 'crema-d-voted')")
    votes = read_column(table, "FileName", "VoiceVote")
    heard = [_heard(votes, utterance, table) for utterance in utterances]
    kept = [
        dataclasses.replace(utterance, emotion=emotions[0])
        for utterance, emotions in zip(utterances, heard, strict=True)
        if len(emotions) == 1
    ]
    n_agreed = sum(emotions == (u.emotion,) for u, emotions in zip(utterances, heard, strict=True))
    what = f"The emotion is what most listeners of the voice heard; for {n_agreed} of {len(kept)} clips the intended"
    ties = [u for u, emotions in zip(utterances, heard, strict=True) if len(emotions) > 1]
    unheard = [u for u, emotions in zip(utterances, heard, strict=True) if not emotions]
    notes = (
        Note("voted", what),
        *_note_on("tie", "Left out, the vote is a tie", ties),
        *_note_on("no-vote", f"Left out, without a voice vote in {VOTES}", unheard),
    )
    return tuple(kept), notes


def _heard(votes: Mapping[str, str], utterance: Utterance, table: Path) -> tuple[str, ...]:
    """Give the emotions with most votes: several for a tie such as "A:D", none for a clip that nobody voted on."""
    initials = {emotion[0].upper(): emotion for emotion in EMOTIONS}
    clip = re.sub("_X$", "_XX", PurePosixPath(utterance.path).stem)  # the table has the whole name
    vote = votes.get(clip, "").replace("NA", "")
    unknown = [letter for letter in vote.split(":") if vote and letter not in initials]
    if unknown:
        raise CorpusError(
            f"{show(table)}: the VoiceVote of {clip} is {vote!r}; expected letters of {':'.join(initials)} "
            "with colons between them. Take the table of the official archive."
        )
    return tuple(initials[letter] for letter in vote.split(":")) if vote else ()


def _find_table(root: Path, name: str, what: str) -> Path:
    table = find_file(root, name)
    if table is None:
        above = root.absolute().parent
        hint = f"It lies in {show(above)}: give that" if (above / name).is_file() else "Put it there"
        raise CorpusError(
            f"{what} is told by {name}, which is not in {show(root)} or below. {hint} "
            "(github.com/CheyneyComputerScience/CREMA-D has it)."
        )
    return table


def _incomplete(utterances: Sequence[Utterance]) -> list[Note]:
    if len(utterances) == N_CLIPS:
        return []
    n_actors = len({utterance.speaker for utterance in utterances})
    there = f"{len(utterances)} of the {N_CLIPS} clips are there, of {n_actors} of the {N_ACTORS} actors"
    return [Note("incomplete", f"Incomplete: {there}")]
