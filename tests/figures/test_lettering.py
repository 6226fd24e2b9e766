"""Text that comes from data in every figure: as it is, inside the picture, in a font that has it, in no time."""

import time
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.ttLib.tables._g_l_y_f import Glyph
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

from serjax.figures import canvas as plots
from serjax.figures import classification, lettering, training
from serjax.figures import comparison as plots_comparison
from serjax.figures import corpus as plots_explore
from serjax.figures import generative as plots_generative
from serjax.figures import signal as plots_signal
from serjax.figures.comparison import HeatCell, Line
from serjax.figures.lettering import legible, names_shown

LONG = "a name that is as long as a sentence, and goes on, " * 10
EVIL = ["$x$ $", "_x", r"\textbf{x}\$", "a|b <i> 50 % #^{", "\x1b[31m\n\t\u202e", "快\U0001f9ff", LONG, f"{LONG}.", ""]
TITLE = f"logreg · $v_1$ [2] {LONG} · speaker-6fold"
K = len(EVIL)
CAPTIONS = [f"{EVIL[n]} · {EVIL[-n]}" for n in (0, 4, 6)]
TRUTH_N = np.arange(10 * K) % K
SCORES_NK = np.random.default_rng(0).random((len(TRUTH_N), K)) + np.eye(K)[TRUTH_N]
LOSS_RE = np.exp(-np.arange(30) / 5)[None] * np.ones((K, 1))
PICTURES = [np.random.default_rng(0).random((4, 30)) for _ in CAPTIONS]
WAVES = [np.sin(np.arange(3_000) / 5) for _ in CAPTIONS]
PAIR_NTC = np.random.default_rng(0).normal(size=(3, 30, 4))
ROWS, COLOURS = plots_signal.Rows(np.arange(5) - 0.5, "row"), plots_signal.Colours("c", "magma", 0.0, 1.0)
CURVES = {"F0": [{"F0": np.arange(30.0)}] * len(CAPTIONS), "p": [{"p": np.arange(30.0), "q": np.ones(30)}] * 3}
LINES = [Line(0.5, (0.4, 0.6), ".5")] * K

FIGURES: dict[str, tuple[Callable[[], Figure], list[str]]] = {
    "confusion": (lambda: classification.confusion_matrix(np.eye(K, dtype=int), EVIL, TITLE), names_shown(EVIL)),
    "roc": (
        lambda: classification.roc_curves(TRUTH_N, SCORES_NK, EVIL, TITLE),
        [f"{name}  1.00" for name in names_shown(EVIL)],
    ),
    "learning": (
        lambda: training.learning_curves(np.arange(30), LOSS_RE[:3], None, np.array([0, 5, 6]), EVIL, "loss", TITLE),
        [f"{names_shown(EVIL, 20)[n]} (1 runs)" for n in (0, 5, 6)],
    ),
    "reconstruction": (
        lambda: plots_generative.reconstruction_matrices({"test": np.eye(K)}, EVIL, TITLE),
        names_shown(EVIL),
    ),
    "pairs": (
        lambda: plots_generative.picture_pairs(
            PAIR_NTC, PAIR_NTC, np.ones((3, 30), bool), CAPTIONS, TITLE, frame_s=0.1
        ),
        [f"{lettering.shown(caption, 40)} · original" for caption in CAPTIONS],
    ),
    "latents": (
        lambda: plots_generative.latent_means({EVIL[0]: SCORES_NK, EVIL[6]: SCORES_NK}, TRUTH_N, EVIL, TITLE),
        [*names_shown(EVIL), r"\$x\$ \$"],
    ),
    "labels": (
        lambda: plots_explore.label_counts(np.ones((K, K), int), EVIL, EVIL, "gender", TITLE),
        names_shown(EVIL) * 2,
    ),
    "factors": (
        lambda: plots_explore.count_matrices({"$a$": (EVIL, np.ones((K, K), int))}, EVIL, TITLE),
        [*names_shown(EVIL) * 2, r"\$a\$ (clips)"],
    ),
    "speakers": (
        lambda: plots_explore.speaker_counts(np.ones((K, 2), int), EVIL, EVIL[:2], "gender", TITLE),
        names_shown(EVIL),
    ),
    "durations": (lambda: plots_explore.durations(SCORES_NK[:, 0], TRUTH_N, EVIL, TITLE), names_shown(EVIL)),
    "boxes": (
        lambda: plots_explore.feature_boxes(SCORES_NK[:, :2], ["a", "b"], TRUTH_N, EVIL, TITLE),
        names_shown(EVIL),
    ),
    "waveforms": (
        lambda: plots_signal.waveforms(WAVES, CAPTIONS, 1_000, TITLE),
        [lettering.shown(caption, 28) for caption in CAPTIONS],
    ),
    "pictures": (
        lambda: plots_signal.clip_pictures(PICTURES, CAPTIONS, ROWS, COLOURS, 0.1, TITLE),
        [lettering.shown(caption, 28) for caption in CAPTIONS],
    ),
    "curves": (
        lambda: plots_signal.curves(WAVES, CURVES, CAPTIONS, 1_000, 0.1, TITLE),
        ["\n".join(lettering.shown(part, 15) for part in caption.split(" · ")) for caption in CAPTIONS],
    ),
    "forest": (
        lambda: plots_comparison.forest_plot(EVIL, LINES, LINES, "UAR", 0.1, TITLE),
        names_shown(EVIL, 100),
    ),
    "heat map": (
        lambda: plots_comparison.heat_map([[HeatCell(0.5, ())] * K] * K, EVIL, EVIL, "UAR", 0.1, "note $ $", TITLE),
        [*names_shown(EVIL), *names_shown(EVIL, 18), r"note \$ \$"],
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_text_from_data_is_shown_as_it_is_inside_the_picture(tmp_path, name):
    """Warnings, such as of a letter that no font has, are errors here."""
    draw, expected = FIGURES[name]
    figure = draw()
    plots.save(figure, tmp_path / "figure.png", dpi=40)
    drawn = figure.get_tightbbox()
    width_in, height_in = figure.get_size_inches()
    assert min(drawn.x0, drawn.y0) > -0.02
    assert drawn.x1 < width_in + 0.02
    assert drawn.y1 < height_in + 0.02
    found = [text for text in figure.findobj(Text) if text.get_visible()]
    texts = [text.get_text().replace(" (1)", "") if name == "confusion" else text.get_text() for text in found]
    assert not [text for text in expected if texts.count(text) < expected.count(text)]
    formulas = {text.get_text() for text in found if text._preprocess_math(text.get_text())[1]}
    assert all(formula.startswith(r"$\mathdefault{") for formula in formulas)  # ticks of logarithmic axes


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("$x$ \\$", r"\$x\$ \\$"),
        ("_x", "\u200a_x"),
        ("\x00\x1b\n\t\r\udc80", r"\x00\x1b\n\t\r\udc80"),
        ("\u2028\u202e", r"\u2028\u202e"),
        ("Ärger – Ω", "Ärger – Ω"),
        ("快乐", "U+5FEB U+4E50"),
        ("❤\ufe0f", "❤"),
        ("", '""'),
        (" ", '""'),
        ("a" * 99, "aaaaaaaaaaaa…aaaaaaaaaaa"),
    ],
)
def test_what_is_seen(text, seen):
    assert lettering.shown(text) == seen


def test_a_font_that_has_the_letters_is_found_and_used(tmp_path, monkeypatch):
    builder = FontBuilder(1000)
    builder.setupGlyphOrder([".notdef", "kuai"])
    builder.setupCharacterMap({ord("快"): "kuai"})
    builder.setupGlyf({".notdef": Glyph(), "kuai": Glyph()})
    builder.setupHorizontalMetrics({".notdef": (1000, 0), "kuai": (1000, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupOS2(usWeightClass=400)
    builder.setupNameTable({"familyName": "Made Up", "styleName": "Regular"})
    builder.setupPost()
    builder.save(tmp_path / "made_up.ttf")
    monkeypatch.setattr(font_manager.fontManager, "ttflist", list(font_manager.fontManager.ttflist))
    font_manager.fontManager.addfont(tmp_path / "made_up.ttf")
    monkeypatch.setattr(lettering, "_font", lettering._font.__wrapped__)  # without what was found before
    monkeypatch.setattr(lettering, "_system_fonts", lettering._system_fonts.__wrapped__)
    assert lettering.shown("快乐") == "快U+4E50"
    figure = plots.canvas(3.0, 2.0, "快")
    plots.save(figure, tmp_path / "figure.png", dpi=40)
    assert figure.get_suptitle() == "快"
    assert "Made Up" in figure._suptitle.get_fontfamily()


def test_settings_of_the_user_for_tex_do_not_matter(tmp_path):
    with matplotlib.rc_context({"text.usetex": True}):
        figure = classification.confusion_matrix(np.eye(2, dtype=int), ["50 %_", "#&"], "a_b")
        plots.save(figure, tmp_path / "figure.png", dpi=40)


def test_labels_of_any_length_take_no_time(tmp_path):
    labels = ["a" * 100_000, "a" * 99_999 + "b"]
    begun_s = time.perf_counter()
    plots.save(
        classification.confusion_matrix(np.eye(2, dtype=int), labels, "t" * 100_000), Path(tmp_path / "f.png"), 40
    )
    assert time.perf_counter() - begun_s < 10


def test_names_that_look_alike_are_numbered():
    assert names_shown(["a\n", r"a\n", "b"]) == [r"a\n (1)", r"a\n (2)", "b"]
    assert len(set(names_shown([f"{LONG}{n}{LONG}" for n in range(20)]))) == 20
    assert names_shown(["a", "a"]) == ["a", "a"]
    assert all(lettering.width(name) <= 24 for name in map(lambda text: legible(text, 24), EVIL))
