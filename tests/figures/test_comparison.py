"""The forest plot and the heat map show the values and intervals they are given."""

import numpy as np
import pytest

from serjax.figures import canvas as plots
from serjax.figures.comparison import HeatCell, Line, forest_plot, heat_map

NAMES = ["vae_mfcc-ravdess-0123abcd", "pca"]
REACHED = [Line(0.45, (0.4, 0.5), "0.450"), Line(0.4, None, "0.400")]


@pytest.mark.parametrize("differences", [None, [Line(None, None, ""), Line(-0.05, (-0.1, 0.01), "−0.050")]])
def test_points_and_intervals(tmp_path, differences):
    figure = forest_plot(NAMES, REACHED, differences, "UAR", 0.125, "ravdess · speaker-6fold")
    plots.save(figure, tmp_path / "figure.png")
    left, *right = figure.axes
    assert len(right) == (differences is not None)
    chance, interval, first, second = left.lines
    np.testing.assert_array_equal(chance.get_xdata(), [0.125, 0.125])
    np.testing.assert_array_equal(interval.get_xdata(), (0.4, 0.5))
    assert [(float(p.get_xdata()[0]), float(p.get_ydata()[0])) for p in (first, second)] == [(0.45, 0.0), (0.4, 1.0)]
    assert [text.get_text() for text in left.get_yticklabels()] == NAMES
    if right:
        zero, interval, point = right[0].lines
        assert zero.get_xdata()[0] == 0
        np.testing.assert_array_equal(interval.get_xdata(), (-0.1, 0.01))
        assert point.get_xdata()[0] == -0.05
    assert figure.get_tightbbox().x0 > -0.02


def test_heat_map(tmp_path):
    value_IJ = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    cells = [[HeatCell(value, (f"{value / 2:.2f} – 1.00", "+0.010 *")) for value in row] for row in value_IJ.tolist()]
    figure = heat_map(
        cells, ["mfcc", "descriptors"], ["logreg", "cnn", "vae"], "UAR", 0.125, "a note", "ravdess · speaker-6fold"
    )
    plots.save(figure, tmp_path / "figure.png")
    axes, bar = figure.axes
    (image,) = axes.images
    np.testing.assert_array_equal(image.get_array(), value_IJ)
    assert image.get_clim() == (0.125, 0.6)
    assert bar.get_ylabel().startswith("UAR")
    assert figure.get_supxlabel() == "a note"
    texts = {text.get_text(): text for text in axes.texts}
    assert {"0.100", "0.600", "0.30 – 1.00\n+0.010 *"} <= set(texts)
    np.testing.assert_allclose(texts["0.600"].get_position(), (2, 1), atol=0.1)
    assert (texts["0.100"].get_color(), texts["0.600"].get_color()) == ("black", "white")
    assert [text.get_text() for text in axes.get_yticklabels()] == ["mfcc", "descriptors"]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["logreg", "cnn", "vae"]
    assert figure.get_tightbbox().x0 > -0.02
