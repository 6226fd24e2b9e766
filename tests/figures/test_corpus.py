"""Figures of a corpus: they build without a warning at every size and show the numbers they are given."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from serjax.figures import canvas as plots
from serjax.figures import corpus as plots_explore

TITLE = "synthetic · features"


def names(n: int) -> list[str]:
    return [f"label-{k}" for k in range(n)]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def assert_presentable(figure: Figure, tmp_path) -> None:
    """Save it (warnings are errors), find the title, and no text outside the picture."""
    assert figure.get_suptitle() == TITLE
    plots.save(figure, tmp_path / "figure.png", dpi=50)
    drawn, (width_in, height_in) = figure.get_tightbbox(), figure.get_size_inches()
    assert min(drawn.x0, drawn.y0) > -0.02
    assert drawn.x1 < width_in + 0.02
    assert drawn.y1 < height_in + 0.02


@pytest.mark.parametrize(("n_labels", "n_levels"), [(1, 1), (8, 2), (16, 3)])
def test_label_counts_are_stacked(tmp_path, n_labels, n_levels):
    count_LV = np.arange(n_labels * n_levels).reshape(n_labels, n_levels)
    figure = plots_explore.label_counts(count_LV, names(n_labels), names(n_levels), "gender", TITLE)
    assert_presentable(figure, tmp_path)
    (axes,) = figure.axes
    widths = np.array([[bar.get_width() for bar in bars] for bars in axes.containers]).T
    np.testing.assert_array_equal(widths, count_LV)
    assert axes.patches[-1].get_x() + axes.patches[-1].get_width() == count_LV[-1].sum()
    assert {str(total) for total in count_LV.sum(axis=1)} <= set(texts(figure))


def test_count_matrices_write_every_count(tmp_path):
    tables = {
        "text": (tuple(f"sentence-{k}" for k in range(12)), np.arange(72).reshape(6, 12)),
        "intensity": (("normal", "strong"), np.zeros((6, 2), np.int64)),
    }
    figure = plots_explore.count_matrices(tables, names(6), TITLE)
    assert_presentable(figure, tmp_path)
    assert [text.get_text() for text in figure.axes[0].texts] == [str(n) for n in range(72)]
    assert figure.axes[1].get_title() == "intensity (clips)"


@pytest.mark.parametrize("n_speakers", [1, 24, 91])
def test_speaker_counts(tmp_path, n_speakers):
    count_SV = np.stack([np.arange(n_speakers), np.ones(n_speakers, np.int64)], axis=1)
    speakers = [f"{s + 1001}" for s in range(n_speakers)]
    figure = plots_explore.speaker_counts(count_SV, speakers, ("female", "male"), "gender", TITLE)
    assert_presentable(figure, tmp_path)
    heights = np.array([[bar.get_height() for bar in bars] for bars in figure.axes[0].containers]).T
    np.testing.assert_array_equal(heights, count_SV)


def test_durations_show_all_clips_and_the_median(tmp_path):
    duration_s_N = np.linspace(2.0, 4.0, 41)
    label_N = np.arange(41) % 3
    figure = plots_explore.durations(duration_s_N, label_N, names(4), TITLE)  # the last label has no clip
    assert_presentable(figure, tmp_path)
    above, below = figure.axes
    assert sum(bar.get_height() for bar in above.patches) == 41
    assert above.get_title(loc="right") == "median 3.00 s"
    assert len(below.patches) == 3


@pytest.mark.parametrize("n_clips", [1, 60])
def test_histograms_mark_what_is_clipped(tmp_path, n_clips):
    values_ND = np.random.default_rng(0).normal(size=(n_clips, 26))
    limits_D2 = np.tile([[-9.0, 9.0]], (26, 1))
    limits_D2[3] = -9.0, np.sort(values_ND[:, 3])[-2] if n_clips > 1 else values_ND[0, 3] - 1
    figure = plots_explore.feature_histograms(values_ND, names(26), limits_D2, TITLE)
    assert_presentable(figure, tmp_path)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[3] == "label-3, 1 clipped"
    assert titles[4] == "label-4"
    assert [line.get_xdata()[0] for line in figure.axes[3].lines] == [limits_D2[3, 1]]
    assert not figure.axes[4].lines
    assert sum(bar.get_height() for bar in figure.axes[0].patches) == n_clips


def test_boxes_show_the_medians_of_each_label(tmp_path):
    values_ND = np.random.default_rng(0).normal(size=(60, 7))
    label_N = np.arange(60) % 2
    figure = plots_explore.feature_boxes(values_ND, names(7), label_N, names(2), TITLE)
    assert_presentable(figure, tmp_path)
    medians = [line.get_xdata()[0] for line in figure.axes[6].lines if line.get_color() == plots.COLOURS[1]]
    np.testing.assert_allclose(medians, [np.median(values_ND[label_N == k, 6]) for k in (0, 1)])


def test_correlations_are_shown_and_written_where_large(tmp_path):
    correlation_DD = np.array([[1.0, -0.64, 0.1], [-0.64, 1.0, np.nan], [0.1, np.nan, 1.0]])
    figure = plots_explore.correlation(correlation_DD, names(3), TITLE)
    assert_presentable(figure, tmp_path)
    shown = figure.axes[0].images[0].get_array().filled(np.nan)
    np.testing.assert_array_equal(shown, correlation_DD)
    assert [text.get_text() for text in figure.axes[0].texts] == ["−.6", "−.6"]
