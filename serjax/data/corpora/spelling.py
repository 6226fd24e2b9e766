"""What counts as one word, one person: how the cells of a table and the names of folders are kept and compared.

Kept is what was written, less what cannot be seen; compared is what a reader would take for the same.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

MAX_LENGTH = 200  # of a label or a speaker: they stand in tables, pictures and the names of files
GENDERS = {"f": "female", "w": "female", "woman": "female", "m": "male", "man": "male"}  # one word, shortened

_BLANK_LETTERS = "\u034f\u115f\u1160\u2800\u3164\uffa0"  # no format characters by their class, yet not to be seen
_SELECTORS = "\ufe0e\ufe0f"  # text or picture: of one symbol
_GAP = re.compile(r"(?<=[^\W_])[\s_-]+(?=[^\W_])")  # -1 is not 1
_NUMBER = re.compile(r"[+]?0*(\d+)(\.0+)?")
_SPEAKER = re.compile(r"(?:speaker|spkr|spk)(?=\d)")


def clean(text: str) -> str:
    r"""Give the form that is kept: accents composed (NFC), blanks of any kind as one, nothing that cannot be seen.

    >>> clean("  very \u200b happy\ufeff\x1b")
    'very happy'
    """
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    seen = (" " if c.isspace() else c for c in text if c.isspace() or not _is_invisible(c))
    return " ".join(unicodedata.normalize("NFC", "".join(seen)).split())


@lru_cache(maxsize=1 << 16)
def word(text: str) -> str:
    """Give what words are compared by: no matter are capitals, width, quotes around, blanks or `-` or `_` between.

    >>> word("Pleasant_Surprise") == word("'pleasant  surprise'"), word("01") == word("1.0"), word("-1") == word("1")
    (True, True, False)
    """
    plain = unicodedata.normalize("NFKC", clean(text)).casefold().strip("\"'`\u201c\u201d\u2018\u2019 ")
    plain = "".join(c for c in unicodedata.normalize("NFKC", plain) if c not in _SELECTORS)
    number = _NUMBER.fullmatch(plain)
    return number[1] if number else _GAP.sub(" ", " ".join(plain.split()))


@lru_cache(maxsize=1 << 16)
def person(name: str) -> str:
    """Give what speakers are compared by: as words, and no matter are zeros before a number and any blank, `-`, `_`.

    Between two numbers they do matter.

    >>> [person(name) for name in ("01", "1.0", "spk_01", "Spk 1", "A-07", "1-1", "11")]
    ['1', '1', '1', '1', 'a7', '1-1', '11']
    """
    joined = re.sub(r"(?<=\d)[\s_-]+(?=\d)", "/", word(name))
    short = re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"[\s_-]+", "", joined))
    return _SPEAKER.sub("", short).replace("/", "-")


def gender(name: str) -> str:
    """Give what genders are compared by: as words, and `f` is female, `m` male."""
    return GENDERS.get(word(name), word(name))


def differing(words: Mapping[str, str]) -> tuple[str, str] | None:
    """Find two keys of one value among `words` (from a word to what it is compared by); None: there are none."""
    first: dict[str, str] = {}
    for written, compared in words.items():
        if compared in first:
            return first[compared], written
        first[compared] = written
    return None


def codes(*words: str) -> str:
    r"""Write words that an eye cannot tell apart with the codes of their letters; nothing for others.

    >>> codes("sad", "Sad"), codes("\u212b", "\u00c5") == r" ('\u212b', '\xc5')"
    ('', True)
    """
    alike = len({unicodedata.normalize("NFKC", repr(word)) for word in words}) == 1
    return f" ({', '.join(map(ascii, words))})" if alike else ""


def has_control(text: str) -> bool:
    """Tell whether a text has characters that steer a terminal."""
    return any(unicodedata.category(c) == "Cc" for c in text)


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf") or character in _BLANK_LETTERS
