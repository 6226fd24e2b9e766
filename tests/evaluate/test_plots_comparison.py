"""The forest plot shows the values and intervals it is given."""

import numpy as np
import pytest

from serjax.evaluate import plots
from serjax.evaluate.plots_comparison import Line, forest_plot

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
