"""Text that comes from data, made safe for where it is shown: it is never markup there, and nothing in it is hidden.

Labels, names of clips, corpora and runs, notes, paths and commands come from other people's files. Each way out of the
program has its function here; figures have theirs in `serjax.figures.lettering`.
"""

import hashlib
import html as markup
import re
import unicodedata

LONGEST_NAME_BYTES = 100  # of a part of a file name; file systems take 255 in all

HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # control, format (bidi), half characters, separators of lines
JOINERS = "\u200c\u200d"  # of Persian, Indic scripts and emoji

MARKDOWN_ANYWHERE = re.compile(r"[\\`<>|~&$]")
MARKDOWN_BESIDE_TEXT = re.compile(r"\*(?=\S)|(?<=\S)\*|(?<![^\W_])_|_(?![^\W_])")  # alone they mark nothing
MARKDOWN_LINK = re.compile(r"\](?=[(\[:{])|(?<=:)/(?=/)|(?<=www)\.", re.IGNORECASE)
MARKDOWN_BEGINNING = re.compile(r"^(\d*)([-+.)#=](?=[-=#\s]|$)|\[(?=[ xX]\]))")  # a list, a heading, a rule, a task

LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "`": r"\textasciigrave{}"}
LATEX |= {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "[": "{[}", "]": "{]}", "*": "{*}"}
LATEX |= {sign: f"\\{sign}" for sign in "&%$#_{}"} | {"–": "--", "−": "$-$", "…": r"\dots{}", "×": r"$\times$"}
LATEX_SIGN = re.compile(r"([-',])(?=\1)|.")  # one that would become one sign with the next, or any

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def terminal(text: str) -> str:
    r"""Write text for a terminal: what would move the cursor, colour, turn or hide it is seen as `\x1b`, `\u202e`.

    Tools that know markup of their own, such as rich, are told to take it as plain text (see `display`).

    >>> terminal("a\x1b[31mb\nc")
    'a\\x1b[31mb\\nc'
    """
    return "".join(map(_seen, text))


def shortened(text: str, at_most: int) -> str:
    """Leave out the middle of a text that is longer than so many letters.

    >>> shortened("a label that is too long", 11)
    'a lab… long'
    """
    n_behind = (at_most - 1) // 2
    return text if len(text) <= at_most else f"{text[: at_most - 1 - n_behind]}…{text[len(text) - n_behind :]}"


def markdown(text: str) -> str:
    r"""Write text for Markdown, inside a line or a cell of a table: all of it is shown as it is.

    >>> markdown("a|b <i> *c* _d_ [e](f) 0.5 [0.4, 0.6] x_y")
    'a\\|b \\<i\\> \\*c\\* \\_d\\_ [e\\](f) 0.5 [0.4, 0.6] x_y'
    """
    text = MARKDOWN_ANYWHERE.sub(r"\\\g<0>", terminal(text).lstrip())
    text = MARKDOWN_LINK.sub(r"\\\g<0>", MARKDOWN_BESIDE_TEXT.sub(r"\\\g<0>", text))
    return MARKDOWN_BEGINNING.sub(r"\1\\\2", text)


def markdown_code(text: str) -> str:
    """Write text as code in Markdown, in as many backticks as it takes; not for a cell of a table.

    >>> print(markdown_code("a `b`"))
    `` a `b` ``
    """
    text = terminal(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}" if "`" in text or not text.strip() else f"{fence}{text}{fence}"


def html(text: str) -> str:
    """Write text for HTML, between tags or in a quoted attribute.

    >>> html('<b> & "c"')
    '&lt;b&gt; &amp; &quot;c&quot;'
    """
    return markup.escape(terminal(text), quote=True)


def latex(text: str) -> str:
    r"""Write text for LaTeX: also what is one only at the beginning of a table's line, and what would become one sign.

    >>> print(latex(r"50 % of a_b & [c]\d--e"))
    50 \% of a\_b \& {[}c{]}\textbackslash{}d-{}-e
    """
    return LATEX_SIGN.sub(lambda sign: f"{sign[1]}{{}}" if sign[1] else LATEX.get(sign[0], sign[0]), terminal(text))


def csv_cell(text: str) -> str:
    """Write text for a cell of a CSV that may be opened as a spreadsheet: never a formula; numbers stay numbers.

    An apostrophe stands before what would be computed, which is how spreadsheets mark text.

    >>> csv_cell("=1+1"), csv_cell("-0.5"), csv_cell("a-b")
    ("'=1+1", '-0.5', 'a-b')
    """
    text = text.encode("utf-8", "backslashreplace").decode()
    return f"'{text}" if text.startswith(FORMULA) and not _is_number(text) else text


def file_name(text: str) -> str:
    """Write text as a part of a file name, the same on every system: another text has another name.

    What is not letter, digit, `-`, `_`, `.`, `+`, `=` or `,` becomes `_`; a hash of the text then stands behind it.

    >>> file_name("crema-d_v1.2"), file_name("a/b")
    ('crema-d_v1.2', 'a_b-c14cddc0')
    """
    plain = re.sub(r"[^\w.+=,-]", "_", unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode()))
    plain = re.sub(r"^[.-]", "_", plain).rstrip(".")
    plain = plain.encode()[:LONGEST_NAME_BYTES].decode(errors="ignore")
    if plain == text:
        return plain
    return f"{plain}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def _seen(sign: str) -> str:
    if unicodedata.category(sign) in HIDDEN and sign not in JOINERS:
        return sign.encode("unicode_escape").decode()
    return sign


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return not text[0].isspace()
