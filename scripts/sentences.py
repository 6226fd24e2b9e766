"""Print the sentences of README and docs that have too many words, longest first.

    python -m scripts.sentences --most 35

Code blocks, tables, pictures and headings are no sentences. Inline code is one word, and so is a link's address.
"""

import argparse
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
MOST_WORDS = 35
_FENCED = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
_OTHER = re.compile(r"^(?:\||#|!\[| {4}python ).*$", re.MULTILINE)
_ITEM = re.compile(r"^ *(?:[-*]|\d+\.) ", re.MULTILINE)


def sentences(text: str) -> list[str]:
    r"""Return the sentences of a Markdown text, each on one line.

    >>> sentences("# Title\n\nOne `a. b` here. Two\nlines!\n\n- An item\n- Another: [it](a.md)")
    ['One CODE here.', 'Two lines!', 'An item', 'Another: it']
    """
    prose = _ITEM.sub("\n\n", _OTHER.sub("\n\n", _FENCED.sub("\n\n", text)))
    prose = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", re.sub(r"`[^`]+`", "CODE", prose))
    paragraphs = [" ".join(block.split()) for block in re.split(r"\n\s*\n", prose)]
    return [one for block in paragraphs for one in re.split(r"(?<=[.!?])\s+(?=[A-Z*(\"])", block) if one]


def long_sentences(text: str, most: int = MOST_WORDS) -> list[str]:
    """Return the sentences with more than `most` words, the longest first, each with its number of words."""
    counted = [(len(one.split()), one) for one in sentences(text)]
    return [f"{n} words: {one}" for n, one in sorted(counted, reverse=True) if n > most]


def main() -> None:
    """Print them page by page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=MOST_WORDS, help="words that a sentence may have (default: 35)")
    most = parser.parse_args().most
    for page in PAGES:
        for line in long_sentences(page.read_text(encoding="utf-8"), most):
            print(f"{page.relative_to(ROOT)}: {line}")


if __name__ == "__main__":
    main()
