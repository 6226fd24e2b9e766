"""One HTML page of an exploration that needs nothing but itself: tables, and pictures inside it."""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

from serjax.experiments.explore_figures import Picture

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 76rem; margin: 2rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; border-bottom: 1px solid #ccc; }
nav a { margin-right: .9rem; white-space: nowrap; } a { color: #0b5a94; }
table { border-collapse: collapse; font-size: .9rem; margin: .8rem 0; }
td, th { padding: .15rem .7rem; text-align: right; border-bottom: 1px solid #e3e3e3; }
td:first-child, th:first-child { text-align: left; } tr.hit td { color: #a84300; font-weight: 600; }
figure { margin: .6rem 0; } figure img { max-width: 100%; } figcaption, .made { color: #555; font-size: .88rem; }
.wide { overflow-x: auto; }
"""


def write_page(summary: dict, pictures: Sequence[Picture], path: Path) -> None:
    """Write the page; every picture is part of the file."""
    headings = ["Corpus", *(picture.heading for picture in pictures), "Features and outliers", "How it was made"]
    links = " ".join(f'<a href="#s{n}">{escape(heading)}</a>' for n, heading in enumerate(headings))
    parts = [_corpus(summary), *map(_figure, pictures), _features(summary), _made(summary)]
    sections = [
        f'<section id="s{n}"><h2>{escape(heading)}</h2>\n{part}\n</section>'
        for n, (heading, part) in enumerate(zip(headings, parts, strict=True))
    ]
    title = f"{escape(summary['corpus'])}: {summary['n_clips']} clips, {summary['n_speakers']} speakers"
    page = (
        f'<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
        f"<style>{STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n<nav>{links}</nav>\n"
    )
    path.write_text(page + "\n".join(sections) + "\n</body>\n</html>\n", encoding="utf-8")


def table(header: Sequence[str], rows: Sequence[Sequence[object]], marked: Sequence[bool] = ()) -> str:
    """Return an HTML table; marked rows stand out."""
    lines = ["<tr>" + "".join(f"<th>{escape(name)}</th>" for name in header) + "</tr>"]
    for n, row in enumerate(rows):
        kind = ' class="hit"' if n < len(marked) and marked[n] else ""
        lines.append(f"<tr{kind}>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>")
    return '<div class="wide"><table>\n' + "\n".join(lines) + "\n</table></div>"


def _corpus(summary: dict) -> str:
    seconds, longer = summary["duration_s"], summary["longer_than_read"]
    genders = ", ".join(f"{n} {gender}" for gender, n in summary["speakers_by_gender"].items())
    rows = [
        ("clips", summary["n_clips"]),
        ("speakers", f"{summary['n_speakers']} ({genders})"),
        ("total duration", f"{seconds['total'] / 60:.1f} min"),
        ("a clip", f"{seconds['min']:.2f} to {seconds['max']:.2f} s, median {seconds['median']:.2f} s"),
        (f"clips of {longer['seconds']:.2f} s or more (read up to there)", longer["n_clips"]),
    ]
    notes = "".join(f"<li>{escape(note)}</li>" for note in summary["corpus_notes"])
    labels = table(("label", "clips", "share"), _label_rows(summary))
    return table(("", ""), rows) + labels + (f"<p>Noted in the corpus:</p><ul>{notes}</ul>" if notes else "")


def _label_rows(summary: dict) -> list[tuple[object, ...]]:
    return [(label, n, f"{100 * n / summary['n_clips']:.1f} %") for label, n in summary["labels"].items()]


def _figure(picture: Picture) -> str:
    content = base64.b64encode(picture.path.read_bytes()).decode("ascii")
    image = f'<img alt="{escape(picture.heading)}" src="data:image/png;base64,{content}">'
    return f"<figure>{image}<figcaption>{escape(picture.caption)}</figcaption></figure>"


def _features(summary: dict) -> str:
    rows, marked = [], []
    for name, limits in summary["clipped"].items():
        found = summary["features"][name]
        numbers = [*(found[key] for key in ("mean", "sd", "min", "median", "max")), limits["low"], limits["high"]]
        rows.append((name, *(f"{value:.4g}" for value in numbers), limits["n_below"], limits["n_above"]))
        marked.append(limits["n_below"] + limits["n_above"] > 0)
    header = ("feature", "mean", "sd", "min", "median", "max", "clipped below", "above", "clips below", "clips above")
    return "<p>Of the clips as they are (<code>features.csv</code>), before clipping.</p>" + table(header, rows, marked)


def _made(summary: dict) -> str:
    examples = ", ".join(f"<code>{escape(path)}</code>" for path in summary["examples"])
    return (
        f'<p class="made">Command: <code>{escape(summary["command"])}</code><br>Example clips: {examples}<br>'
        f"{escape(summary['machine'])}, serjax {escape(summary['versions']['serjax'])}, "
        f"git {escape(str(summary['git']))}, {summary['seconds']:.0f} s</p>"
    )
