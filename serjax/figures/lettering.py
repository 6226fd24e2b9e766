"""The letters of figures: text that comes from data is shown as it is, in a font that has it, and never too long."""

import functools
import re
import unicodedata
from collections.abc import Sequence

import matplotlib
from matplotlib import font_manager
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.text import Text

from serjax.escape import terminal

AT_MOST = 24  # letters of a label; what is left out stands in the tables
EMPTY = '""'
CUT = "…"
BLANK_FONTS = re.compile(r"last ?resort|blank|^\.", re.IGNORECASE)  # they have a box for every letter
HAIR_SPACE = "\u200a"
VARIANTS = range(0xFE00, 0xFE10)  # choose between two looks of the letter before


class Picture(Figure):
    """A figure that finds fonts for its letters, and knows nothing of TeX, whatever the user's settings are."""

    def draw(self, renderer: RendererBase) -> None:
        """Draw all letters in fonts that have them."""
        for text in self.findobj(Text):
            text.set_usetex(False)
            if missing := _fonts(text.get_text()):
                text.set_fontfamily(list(dict.fromkeys([*text.get_fontfamily(), *missing])))
        with matplotlib.rc_context({"text.usetex": False}):
            super().draw(renderer)


def shown(text: str, at_most: int = AT_MOST) -> str:
    r"""Write a text for a figure: no formula, nothing hidden, no letter without a picture, the middle left out if long.

    Args:
      text: a label, a name; any text.
      at_most: how many letters wide it may be; wide letters, as of Chinese, count twice.

    Returns:
      what a figure shows as the text: `\$` is a dollar sign there.

    >>> shown("a\nb"), shown("$x$"), shown("one label that is far too long", 12)
    ('a\\nb', '\\$x\\$', 'one la… long')
    """
    return quoted(legible(text, at_most))


def names_shown(names: Sequence[str], at_most: int = AT_MOST) -> list[str]:
    """Write names for a figure as `shown` does; names that would look alike are numbered.

    >>> names_shown(["happy", "a long name of a label: 1, said", "a long name of a label: 2, said"], 12)
    ['happy', 'a lo…aid (2)', 'a lo…aid (3)']
    """
    short = [shown(name, at_most) for name in names]
    alike: dict[str, set[str]] = {}
    for name, look in zip(names, short, strict=True):
        alike.setdefault(look, set()).add(name)
    return [
        look if len(alike[look]) == 1 else f"{shown(name, max(3, at_most - 3 - len(str(n))))} ({n})"
        for n, (name, look) in enumerate(zip(names, short, strict=True), 1)
    ]


def legible(text: str, at_most: int) -> str:
    """Write a text as letters that fonts have, at most so many wide; the middle is left out."""
    if len(text) > 2 * at_most:  # what is left out in any case is not looked at
        text = text[:at_most] + CUT + text[-at_most:]
    letters = [_letter(letter) for letter in text]
    if width("".join(letters)) > at_most:
        front = _taken(letters, (at_most - 1) - (at_most - 1) // 2)
        letters = [*front, CUT, *reversed(_taken(letters[: len(front) - 1 : -1], (at_most - 1) // 2))]
    return re.sub(" +", " ", "".join(letters)).strip() or EMPTY


def quoted(text: str) -> str:
    """Write legible text so that matplotlib sees no formula in it, and leaves it in the legend."""
    text = text.replace("$", r"\$")
    return HAIR_SPACE + text if text.startswith("_") else text


def width(text: str) -> int:
    """Count the letters of a text, wide ones twice."""
    return sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in text)


def _taken(letters: Sequence[str], at_most: int) -> list[str]:
    """Return the first letters that have room."""
    taken: list[str] = []
    for letter in letters:
        at_most -= width(letter)
        if at_most < 0:
            break
        taken.append(letter)
    return taken


def _letter(letter: str) -> str:
    """Return a letter as it can be drawn; one that no font has by its code point."""
    if letter.isascii() and letter.isprintable():
        return letter
    if ord(letter) in VARIANTS:
        return ""
    seen = terminal(letter)
    return f"U+{ord(letter):04X} " if seen == letter and _font(letter) is None else seen


def _fonts(text: str) -> list[str]:
    """Return the families in which the letters are that the usual font lacks."""
    return [] if text.isascii() else list(dict.fromkeys(font for letter in text if (font := _font(letter))))


@functools.cache
def _font(letter: str) -> str | None:
    """Return the family of a font that has a letter; nothing where the usual one has it, None where none has it."""
    if _has(font_manager.findfont(font_manager.FontProperties()), letter):
        return ""
    return next((name for name, path in _system_fonts() if _has(path, letter)), None)


@functools.cache
def _system_fonts() -> list[tuple[str, str]]:
    """Return family and path of the upright fonts of usual weight, without those that matplotlib has for formulas."""
    found = {
        font.name: font.fname
        for font in font_manager.fontManager.ttflist
        if font.style == "normal" and font.weight in (400, "normal", "regular")
    }
    own = matplotlib.get_data_path()
    return sorted((name, p) for name, p in found.items() if not p.startswith(own) and not BLANK_FONTS.search(name))


def _has(path: str, letter: str) -> bool:
    try:
        return font_manager.get_font(path).get_char_index(ord(letter)) != 0
    except (OSError, RuntimeError):  # a font that is listed and was removed, or cannot be read
        return False
