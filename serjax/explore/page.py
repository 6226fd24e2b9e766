"""One HTML page of an exploration that needs nothing but itself: tables, and pictures inside it."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

from serjax.data.notes import Note
from serjax.escape import html
from serjax.explore.figures import Picture
from serjax.files import write_text

FEW_LEVELS = 8
BY_SPEAKER = "Labels by speaker"
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 76rem; margin: 2rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; border-bottom: 1px solid #ccc; }
nav a { margin-right: .9rem; white-space: nowrap; } a { color: #0b5a94; }
table { border-collapse: collapse; font-size: .9rem; margin: .8rem 0; }
td, th { padding: .15rem .7rem; text-align: right; border-bottom: 1px solid #e3e3e3; }
td:first-child, th:first-child { text-align: left; } tr.hit td { color: #a84300; font-weight: 600; }
figure { margin: .6rem 0; } figure img { max-width: 100%; } figcaption, .made { color: #555; font-size: .88rem; }
.wide { overflow: auto; max-height: 36rem; } table.text * { text-align: left; }
td { max-width: 40rem; overflow-wrap: anywhere; } .bad { color: #a84300; font-weight: 600; }
"""


def write_page(summary: dict, pictures: Sequence[Picture], path: Path) -> None:
    """Write the page; every picture is part of the file."""
    listed = {"Corpus": _corpus(summary), **_lists(summary)}
    headings = [*listed, *(picture.heading for picture in pictures), "Features and outliers", "How it was made"]
    links = " ".join(f'<a href="#s{n}">{html(heading)}</a>' for n, heading in enumerate(headings))
    parts = [*listed.values(), *map(_figure, pictures), _features(summary), _made(summary)]
    sections = [
        f'<section id="s{n}"><h2>{html(heading)}</h2>\n{part}\n</section>'
        for n, (heading, part) in enumerate(zip(headings, parts, strict=True))
    ]
    title = f"{html(summary['corpus'])}: {summary['n_clips']} clips, {summary['n_speakers']} speakers"
    page = (
        f'<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
        f"<style>{STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n<nav>{links}</nav>\n"
    )
    write_text(path, page + "\n".join(sections) + "\n</body>\n</html>\n")


def table(
    header: Sequence[str], rows: Sequence[Sequence[object]], marked: Sequence[bool] = (), *, text: bool = False
) -> str:
    """Return an HTML table, with numbers to the right unless it is of `text`; marked rows stand out."""
    lines = ["<tr>" + "".join(f"<th>{html(name)}</th>" for name in header) + "</tr>"]
    for n, row in enumerate(rows):
        kind = ' class="hit"' if n < len(marked) and marked[n] else ""
        lines.append(f"<tr{kind}>" + "".join(f"<td>{html(str(cell))}</td>" for cell in row) + "</tr>")
    start = '<div class="wide"><table class="text">' if text else '<div class="wide"><table>'
    return f"{start}\n" + "\n".join(lines) + "\n</table></div>"


def _corpus(summary: dict) -> str:
    seconds, longer, files = summary["duration_s"], summary["longer_than_read"], summary["files"]
    genders = ", ".join(f"{n} {gender}" for gender, n in summary["speakers_by_gender"].items())
    rows = [
        ("clips", summary["n_clips"]),
        ("speakers", f"{summary['n_speakers']} ({genders})"),
        ("total duration", f"{seconds['total'] / 60:.1f} min"),
        ("a clip", f"{seconds['min']:.2f} to {seconds['max']:.2f} s, median {seconds['median']:.2f} s"),
        (f"clips longer than {longer['seconds']:.2f} s (features and pictures end there)", longer["n_clips"]),
        ("sample rates", _counted(files["rate_hz"], " Hz")),
        ("formats", _counted(files["format"])),
        ("channels", _counted(files["channels"])),
        ("peak", _spread(summary["peak_dbfs"])),
        ("level (RMS)", _spread(summary["level_dbfs"])),
        *((factor, _levels(table)) for factor, table in summary["clips_by"].items()),
    ]
    bad = summary["unreadable"]
    told = f'<p class="bad">{len(bad)} more clips cannot be read and are left out: see below.</p>' if bad else ""
    notes = "".join(f"<li>{html(Note.from_json(n).line)}</li>" for n in summary["corpus_notes"] + summary["file_notes"])
    labels = table(("label", "clips", "share"), _label_rows(summary))
    return (
        told
        + table(("", ""), rows, text=True)
        + labels
        + (f"<p>Noted in the corpus:</p><ul>{notes}</ul>" if notes else "")
    )


def _lists(summary: dict) -> dict[str, str]:
    """Return by heading what is to be looked at clip by clip, whole; and who says what."""
    speakers, labels = summary["labels_by_speaker"], list(summary["labels"])
    counts = [(s, *(row.get(k, 0) for k in labels), sum(row.values())) for s, row in speakers.items()]
    bad = [tuple(clip[name] for name in ("path", "code", "problem", "advice")) for clip in summary["unreadable"]]
    loud = [(path, f"{peak:+.1f} dB") for path, peak in summary["peaks_above_full_scale_dbfs"].items()]
    equal = [
        (n, clip["path"], clip["label"], clip["speaker"])
        for n, group in enumerate(summary["equal_clips"], 1)
        for clip in group
    ]
    lists = {
        "Unreadable clips": (("clip", "code", "problem", "what to do"), bad),
        "Silent clips": (("clip",), [(path,) for path in summary["silent"]]),
        "Clips above full scale": (("clip", "peak"), loud),
        "Clips of one sound": (("group", "clip", "label", "speaker"), equal),
        BY_SPEAKER: (("speaker", *labels, "all"), counts),
    }
    return {
        heading: table(header, rows, text=heading != BY_SPEAKER) for heading, (header, rows) in lists.items() if rows
    }


def _counted(counts: Mapping[str, int], unit: str = "") -> str:
    return ", ".join(f"{value}{unit} ({n})" for value, n in counts.items())


def _spread(found: Mapping[str, float] | None) -> str:
    """Write a loudness: of a corpus that is silent from end to end there is none."""
    if found is None:
        return "none"
    return f"{found['min']:.1f} to {found['max']:.1f} dB of full scale, median {found['median']:.1f} dB"


def _levels(by_label: Mapping[str, Mapping[str, int]]) -> str:
    """Name the levels of a factor, or count them where there are many."""
    levels = list(next(iter(by_label.values())))
    return ", ".join(levels) if len(levels) <= FEW_LEVELS else f"{len(levels)} different"


def _label_rows(summary: dict) -> list[tuple[object, ...]]:
    return [(label, n, f"{100 * n / summary['n_clips']:.1f} %") for label, n in summary["labels"].items()]


def _figure(picture: Picture) -> str:
    content = base64.b64encode(picture.path.read_bytes()).decode("ascii")
    image = f'<img alt="{html(picture.heading)}" src="data:image/png;base64,{content}">'
    return f"<figure>{image}<figcaption>{html(picture.caption)}</figcaption></figure>"


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
    examples = ", ".join(f"<code>{html(path)}</code>" for path in summary["examples"])
    return (
        f'<p class="made">Command: <code>{html(summary["command"])}</code><br>Example clips: {examples}<br>'
        f"{html(summary['machine'])}, serjax {html(summary['versions']['serjax'])}, "
        f"git {html(str(summary['git']))}, {summary['seconds']:.0f} s</p>"
    )
