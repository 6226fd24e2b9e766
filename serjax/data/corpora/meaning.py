"""Columns of a table that are not ours: those that would change what a line means, and those that ours may be called.

Such a column is never passed over: who reads whole files where a part is meant trains on other seconds.
"""

import re
from collections.abc import Sequence

from serjax.data.corpora.spelling import clean, word

_OF = "segment|seg|utterance|utt|clip|word|turn|audio|sample|time|speech|chunk|frame|file"
_IN = "timestamp|times?|position|pos|point|index|idx|in|s|secs?|seconds?|ms|msecs?|millis|milliseconds|samples?|frames?"
_PART = re.compile(
    rf"(?:{_OF})?(?:start|end|begin|stop|onset|offset|duration|dur|from|to)(?:{_IN})*|[tx](?:min|max)|t[01]"
)
_SIDE = re.compile(r"(?:audio|wav|file)?(?:channel|chan|ch)(?:id|idx|index|no|nr|num|number)|audiochannel|chan|ch")
_CHOICE = re.compile(r"(?:exclude|ignore|skip|include|use)d?|drop|dropped|skipped|keep|kept")
_SIDES = re.compile(r"(?:ch|channel)? ?\d+|l|r|left|right")
_OTHERS = {  # what others call a column of ours
    "path": "file files filename filepath audio audiopath audiofile wav wavfile wavpath clip fname",
    "emotion": "label labels class category emotionlabel emotions target",
    "speaker": "speakerid spk spkid spkr speakername actor actorid subject subjectid participant person talker",
    "gender": "sex speakergender",
    "text": "sentence transcript transcription utterance statement",
    "split": "subset partition set usage",
}


def plain(column: str) -> str:
    """Give what names of columns are compared by.

    >>> plain(" Speaker_ID ")
    'speakerid'
    """
    return "".join(c for c in column.casefold() if c.isalnum())


def changes_meaning(column: str) -> str | None:
    """Say why a line with this column may mean something else, and what to do; None: it may be passed over.

    >>> changes_meaning("Start (ms)") == changes_meaning("offset"), changes_meaning("age")
    (True, None)
    """
    name = plain(column)
    if _PART.fullmatch(name):
        return "segments are told by columns start and end, in seconds. Call them so, and write seconds"
    if _SIDE.fullmatch(name):
        return "the channels of a file are averaged. Write the one that counts (sox IN OUT.wav remix NUMBER)"
    if _CHOICE.fullmatch(name):
        return "every line is taken. Remove the lines that should not be"
    return None


def is_side(channel: str) -> bool:
    """Tell whether the channel of a line is one of a file's, and not speech or song.

    >>> is_side("left"), is_side("1"), is_side("song")
    (True, True, False)
    """
    return _SIDES.fullmatch(word(channel)) is not None


def ours(column: str) -> str | None:
    """Give the name that a column has here if it is what it seems to be; None: it seems none of ours.

    >>> ours("Speaker_ID"), ours("age")
    ('speaker', None)
    """
    return next((name for name, others in _OTHERS.items() if plain(column) in others.split()), None)


def suggestion(columns: Sequence[str], missing: Sequence[str]) -> str:
    """Say which columns may be the missing ones.

    >>> suggestion(["file", "label", "age"], ["path", "emotion", "speaker"])
    ' Rename file to path, label to emotion?'
    """
    pairs = [f"{clean(column)} to {name}" for column in columns if (name := ours(column)) in missing]
    return f" Rename {', '.join(pairs)}?" if pairs else ""
