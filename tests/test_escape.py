"""Text that comes from data is never markup: every evil text through every way out, and read back."""

import csv
import html.parser
import io
import re
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from serjax import command, escape
from serjax.explore import page as explore_page
from serjax.figures import tables as display
from serjax.figures.markdown import Code, markdown_image, markdown_table
from serjax.figures.tables import TitledTable, print_table, say
from serjax.results import classifiers, comparison_table, grid, table_page
from serjax.results.comparison_table import Row, Table
from serjax.results.table_page import TablePage
from serjax.study.progress import Progresses

EVIL = [
    "[happy]",
    "[/angry] [red]\\",
    ":smile: $x$ $",
    "a|b a\\|b",
    "<script>alert(1)</script>",
    "\"'><img src=x> &amp; &#60;",
    "=1+1",
    "+1",
    "-2+3|cmd",
    "@SUM(A1)",
    "\t=1",
    "_x",
    "__init__ *a* **b** ~~c~~ _d_",
    "`code` ``",
    "[a](http://b) ![c](d) www.a.b [e][f]",
    "[a]: http://b",
    "# - 1. > +",
    "1. a",
    "- a",
    "---",
    "===",
    "[x] done",
    r"\textbf{x} 50 % # ^ ~ { } -- '' ,,",
    "\x1b[31mred\x1b]0;title\x07",
    "two\nlines\r\n a\tb",
    "\u202ereversed\u2028\x00\x85\ufeff\udc80",
    "快乐 👩\u200d👧 😀",
    "x" * 500,
]
every = pytest.mark.parametrize("evil", EVIL)


def hidden(text: str) -> list[str]:
    """Find what moves the cursor, hides or turns text, or cannot be written."""
    return [c for c in text if unicodedata.category(c) in escape.HIDDEN and c not in "\n" + escape.JOINERS]


def squeezed(text: str) -> str:
    return "".join(text.split())


def in_terminal(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr()
    assert not hidden(said.out + said.err)
    return squeezed(re.sub("[│┃]", "", said.out + said.err))


@every
def test_terminal(evil, capsys, monkeypatch):
    monkeypatch.setattr("serjax.study.progress.BRIEF_S", -1.0)
    expected = squeezed(escape.terminal(evil))
    say(evil)
    print_table(evil, ("name", evil), [(evil, 1.0), ("a", None)])
    shown = Progresses(quiet=False)
    shown.console = Console(stderr=True, markup=False, emoji=False, highlight=False, width=1_000)
    shown.say(evil)
    shown.update(evil, 1, 1, evil)
    found = in_terminal(capsys)
    plain = expected if len(evil) <= display.LONGEST_CELL else squeezed(escape.shortened(evil, display.LONGEST_CELL))
    if "│" not in evil:
        assert found.count(plain[:9]) >= 7
    assert f"{expected}{plain}"[:300] in found or len(evil) > 40


@every
def test_errors(evil, capsys):
    command._complain(f"{evil}: it is wrong.")
    expected = "".join(map(escape.terminal, re.split(r"[\t\n\r ]", f"{evil}: it is wrong.")))
    assert squeezed(expected) == in_terminal(capsys)


@every
def test_progress_bars(evil):
    shown = Progresses(quiet=False)
    shown.bars = True
    shown.update(evil, 1, 2, evil)
    out = io.StringIO()
    Console(file=out, width=2_000, color_system=None).print(shown.progress)
    assert squeezed(out.getvalue()).count(squeezed(escape.terminal(evil))) >= 2


def rendered(text: str) -> tuple[list[str], list[str]]:
    """Return the markup that a page of Markdown has, in order, and its texts."""
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    kinds: list[str] = []
    texts: list[str] = []
    for block in reader.parse(text):
        kinds.append(block.type)
        if block.children:
            kinds += [inner.type for inner in block.children if inner.type not in ("text", "text_special")]
            texts.append("".join(inner.content for inner in block.children))
    return kinds, texts


@every
def test_markdown(evil):
    def page(text: str) -> str:
        table = markdown_table((text, "b"), [(text, 1.0), (Code(text), None)])
        parts = [f"# {escape.markdown(text)}", table, f"- {escape.markdown(text)}", f"a: {escape.markdown(text)}"]
        return "\n\n".join([*parts, escape.markdown(text), escape.markdown_code(text)])

    kinds, texts = rendered(page(evil))
    assert kinds == rendered(page("plain"))[0]
    seen = escape.terminal(evil)
    assert [text.removeprefix("a: ").strip() for text in texts if text not in ("b", "1.000", "–")] == [seen.strip()] * 8


@every
def test_html(evil):
    def page(text: str) -> str:
        return explore_page.table((text,), [(text,)]) + f'<img alt="{escape.html(text)}">'

    def read(text: str) -> tuple[list[str], list[str]]:
        found: tuple[list[str], list[str]] = ([], [])
        reader = html.parser.HTMLParser()
        reader.handle_starttag = lambda tag, attrs: (found[0].append(tag), found[1].extend(v for _, v in attrs))  # type: ignore[method-assign]
        reader.handle_data = found[1].append  # type: ignore[method-assign]
        reader.feed(page(text))
        reader.close()
        return found

    assert read(evil)[0] == read("plain")[0]
    assert read(evil)[1].count(escape.terminal(evil)) == 3


@every
def test_latex(evil):
    tex = escape.latex(evil)
    assert not hidden(tex)
    without = re.sub(r"\\(text\w+\{\}|[&%$#_{}])|\{[][*]\}|\$[-]\$|(?<=[-',])\{\}|\$\\times\$|\\dots\{\}", " ", tex)
    assert not set(without) & set(r"\{}&%$#_^~<>|[]*`"), without
    assert not re.search(r"--|''|,,", without)


@pytest.mark.parametrize(
    ("evil", "tex"), [("a_b", r"a\_b"), ("[x]", "{[}x{]}"), ("−0.1", "$-$0.1"), ("a--b", "a-{}-b")]
)
def test_latex_by_hand(evil, tex):
    assert escape.latex(evil) == tex


@every
def test_csv(evil):
    file = io.StringIO()
    csv.writer(file).writerow([escape.csv_cell(evil), "b"])
    ((cell, _),) = csv.reader(io.StringIO(file.getvalue(), newline=""))
    file.getvalue().encode()
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) or re.fullmatch(r"[+-]\d+", cell)
    assert cell.removeprefix("'") in (evil, evil.replace("\udc80", r"\udc80"))


@pytest.mark.parametrize("number", ["-0.5", "+1", "-1e-3", "-inf", "0"])
def test_numbers_stay_numbers(number):
    assert escape.csv_cell(number) == number


def test_names_of_files(tmp_path):
    texts = [*EVIL, "", ".", "..", "../../x", "a/b", "a\\b", "-rf", "CON:", "x" * 100_000, "é", "e\u0301", "快" * 200]
    names = [escape.file_name(f"{text}") for text in texts]
    assert len(set(names)) == len(names)
    for name in names:
        (tmp_path / f"run-{name}.json").touch()
        assert not set(name) & set('/\\:*?"<>|\n\x00')
        assert not name.startswith(("-", "."))
    assert len(list(tmp_path.iterdir())) == len(names)


ROW = Row(
    name="a",
    mean=0.5,
    **dict.fromkeys(("experiment", "corpus", "protocol"), "a"),
    n_labels=2,
    n_seeds=1,
    n_parameters=None,
    seconds=1.0,
    unlike=(),
)


def compared(text: str) -> Table:
    row = replace(ROW, name=text, experiment=text, corpus=text, protocol=text, unlike=(text,))
    made = {"command": text, "versions": dict.fromkeys(("python", "jax", "serjax"), "1"), "machine": "m", "git": "g"}
    below = TitledTable(text, (text, "b"), ((text, 0.5),))
    return Table("uar", (row, row), {text: {text: text}}, (text,), made, (below,))


@every
def test_compared_runs(evil, capsys):
    """Every form of the table that `compare` writes."""
    table, plain = compared(evil), compared("plain")
    kinds, _ = rendered(comparison_table.markdown(table, "a b|(.png"))
    assert kinds == rendered(comparison_table.markdown(plain, "a.png"))[0]
    tex = comparison_table.latex(table)
    assert tex.count("\n") == comparison_table.latex(plain).count("\n")
    assert tex.count(r" \\" + "\n") == 3
    rows = list(csv.reader(io.StringIO(comparison_table.csv_text(table))))
    assert {len(row) for row in rows} == {len(rows[0])}
    assert rows[1][1] == escape.csv_cell(evil)
    comparison_table.print_comparison(table)
    assert squeezed(escape.terminal(evil))[:9] in in_terminal(capsys)


@every
def test_pages(evil):
    """The pages of classifiers, of features × models, and of one table."""

    def pages(text: str) -> list[str]:
        one = classifiers.Row(name=text, about=text, mean=0.5, war=0.5, macro_f1=0.5, chosen={text: text})
        page = classifiers.Page(text, "about", (one,), 2, None, {"command": escape.markdown_code(text)})
        entry = grid.Entry(text, text, 0.5, replace(ROW, name=text))
        cells = grid.GridPage(text, "about", (text,), (text,), (entry,), text, 2, {}, (text,), {})
        made = {"command": text, "machine": "m", "git": "g"}
        table = TablePage(text, ({text: text, "b": 0.5},), "notes", 1, made)
        written = [classifiers.markdown(page, "a.png"), grid.markdown(cells, "a.png"), table_page.markdown(table)]
        return [kind for text in written for kind in rendered(text)[0]]

    assert pages(evil) == pages("plain")


def test_a_picture_of_any_name_is_found():
    reader = MarkdownIt("commonmark")
    (image,) = reader.parse(markdown_image("]($x$", "a b)|%<.png"))[1].children or []
    assert image.attrs["src"] == "a%20b%29%7C%25%3C.png"
    assert Path(str(image.attrs["src"])).suffix == ".png"
