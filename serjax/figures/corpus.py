"""Figures of a corpus and its features: counts, durations, histograms, box plots, correlations.

As in `canvas`: functions take arrays, return a `Figure`, keep no state, and take a `title` that names the corpus.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int, Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from serjax.evaluate.metrics import AnyArray
from serjax.figures.canvas import COLOURS, LABEL_PT, TICK_PT, canvas, colour, colour_bar, extra_in, label_cells, panels
from serjax.figures.lettering import names_shown, shown, width

BAR = "#7F9DB5"
LIMIT = "#D55E00"
SMALL_PT = 7.5
FLIERS = {"marker": ".", "markersize": 2.5, "markerfacecolor": "0.4", "markeredgewidth": 0}


def label_counts(
    count_LV: Int[AnyArray, "L V"], labels: Sequence[str], levels: Sequence[str], factor: str, title: str
) -> Figure:
    """Draw how many clips each label has, as bars stacked by the levels of a factor, totals at their ends.

    Args:
      count_LV: clips of each label and level.
      labels: names of the L labels.
      levels: names of the V levels.
      factor: what the levels are of, such as gender.
      title: names the corpus.
    """
    count_LV = np.asarray(count_LV)
    names, levels = names_shown(labels), names_shown(levels)
    figure = canvas(6.5 + extra_in(names) + extra_in(levels), 0.32 * max(len(labels), len(levels)) + 1.5, title)
    axes = figure.add_subplot()
    starts_LV = np.cumsum(count_LV, axis=1) - count_LV
    for v, level in enumerate(levels):
        axes.barh(range(len(labels)), count_LV[:, v], left=starts_LV[:, v], height=0.7, color=colour(v), label=level)
    for row, total in enumerate(count_LV.sum(axis=1)):
        axes.annotate(f"{total}", (total, row), (4, 0), textcoords="offset points", va="center", fontsize=TICK_PT)
    axes.set_yticks(range(len(labels)), names)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.margins(x=0.1)
    axes.set_xlabel("clips")
    figure.legend(loc="outside right center", title=factor, fontsize=TICK_PT, title_fontsize=TICK_PT, frameon=False)
    return figure


def count_matrices(
    tables: Mapping[str, tuple[Sequence[str], Int[AnyArray, "L _"]]], labels: Sequence[str], title: str
) -> Figure:
    """Draw how often each label meets each level of a few factors, a matrix of counts for each factor.

    Args:
      tables: by factor the names of its levels, and clips of each label and level.
      labels: names of the L labels.
      title: names the corpus.
    """
    widths = [max(2, len(levels)) for levels, _ in tables.values()]
    names, shown_levels = names_shown(labels), [names_shown(levels) for levels, _ in tables.values()]
    longest = max(width(level) for levels in shown_levels for level in levels)
    width_in = 0.5 * sum(widths) + 0.3 * len(widths) + 1.6 + extra_in(names)
    size_in = (width_in, 0.36 * len(labels) + 1.3 + 0.055 * longest)
    figure = canvas(*size_in, title)
    grid = figure.subplots(1, len(tables), squeeze=False, sharey=True, width_ratios=widths)[0]
    for axes, levels, (factor, (_, count_LV)) in zip(grid, shown_levels, tables.items(), strict=True):
        count_LV = np.asarray(count_LV)
        most = max(int(count_LV.max()), 1)
        axes.imshow(count_LV, cmap="Blues", vmin=0, vmax=2.5 * most, aspect="auto")
        label_cells(axes, names, levels)
        for (row, column), count in np.ndenumerate(count_LV):
            shade = "black" if count else "0.6"
            axes.text(column, row, f"{count}", ha="center", va="center", fontsize=SMALL_PT, color=shade)
        axes.set_title(f"{shown(factor)} (clips)", fontsize=TICK_PT)
    return figure


def speaker_counts(
    count_SV: Int[AnyArray, "S V"], speakers: Sequence[str], levels: Sequence[str], factor: str, title: str
) -> Figure:
    """Draw how many clips each speaker has, coloured by a factor such as gender."""
    count_SV = np.asarray(count_SV)
    names, levels = names_shown(speakers), names_shown(levels)
    longest = max(map(width, names))
    size_in = (min(15.0, max(6.0, 0.24 * len(speakers) + 2.0)) + extra_in(levels), 3.0 + 0.07 * max(0, longest - 8))
    figure = canvas(*size_in, title)
    axes = figure.add_subplot()
    starts_SV = np.cumsum(count_SV, axis=1) - count_SV
    for v, level in enumerate(levels):
        axes.bar(range(len(speakers)), count_SV[:, v], bottom=starts_SV[:, v], width=0.75, color=colour(v), label=level)
    crowded = len(speakers) > 40
    axes.set_xticks(range(len(speakers)), names)
    axes.set(xlabel="speaker", ylabel="clips")
    axes.tick_params(axis="x", rotation=90 if longest > 2 else 0, labelsize=6 if crowded else TICK_PT)
    axes.set_xlim(-0.7, len(speakers) - 0.3)
    axes.set_ylim(0, 1.08 * max(1, int(count_SV.sum(axis=1).max())))
    figure.legend(loc="outside right center", title=factor, fontsize=TICK_PT, title_fontsize=TICK_PT, frameon=False)
    return figure


def durations(
    duration_s_N: Float[AnyArray, "N"], label_N: Int[AnyArray, "N"], labels: Sequence[str], title: str
) -> Figure:
    """Draw how long clips are: a histogram of all, and a box per label on the same axis.

    Args:
      duration_s_N: duration of each clip in s.
      label_N: label ids, positions in `labels`.
      labels: names of the labels.
      title: names the corpus.
    """
    duration_s_N, label_N = np.asarray(duration_s_N), np.asarray(label_N)
    names = names_shown(labels)
    figure = canvas(6.5 + extra_in(names), 2.6 + 0.28 * len(labels), title)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[2.0, 0.3 * len(labels) + 0.3])
    above.hist(duration_s_N, bins=_bins(duration_s_N), color=BAR)
    median_s = float(np.median(duration_s_N))
    above.axvline(median_s, color="black", lw=1)
    above.set_title(f"median {median_s:.2f} s", fontsize=TICK_PT, loc="right")
    above.set_ylabel("clips")
    _boxes(below, [duration_s_N[label_N == k] for k in range(len(labels))])
    below.set_yticks(range(len(labels)), names)
    below.set_xlabel("duration / s")
    return figure


def feature_histograms(
    values_ND: Float[AnyArray, "N D"],
    names: Sequence[str],
    limits_D2: Float[AnyArray, "D 2"],
    title: str,
) -> Figure:
    """Draw a histogram of each feature as it is, and where its outliers are clipped.

    Args:
      values_ND: features of N clips, before clipping.
      names: names of the D features, with their units.
      limits_D2: lowest and highest value that is kept; lines where anything lies beyond, with its number.
      title: names the corpus.
    """
    values_ND, limits_D2 = np.asarray(values_ND), np.asarray(limits_D2)
    figure, grid = _feature_grid(len(names), 1.45, title)
    for d, name in enumerate(names):
        axes, value_N = grid.flat[d], values_ND[:, d]
        axes.hist(value_N, bins=_bins(value_N), color=BAR)
        low, high = (value_N < limits_D2[d, 0]), (value_N > limits_D2[d, 1])
        for bound, beyond in zip(limits_D2[d], (low, high), strict=True):
            if beyond.any():
                axes.axvline(bound, color=LIMIT, lw=1)
        n_clipped = int(low.sum() + high.sum())
        clipped = f", {n_clipped} clipped" if n_clipped else ""
        axes.set_title(name + clipped, fontsize=SMALL_PT + 0.5, color=LIMIT if n_clipped else "black")
        axes.tick_params(labelsize=SMALL_PT)
        axes.locator_params(axis="x", nbins=4)
        axes.locator_params(axis="y", nbins=3)
    figure.supylabel("clips", fontsize=LABEL_PT)
    return figure


def feature_boxes(
    values_ND: Float[AnyArray, "N D"],
    names: Sequence[str],
    label_N: Int[AnyArray, "N"],
    labels: Sequence[str],
    title: str,
) -> Figure:
    """Draw the quartiles of each feature for each label; whiskers reach to 1.5 interquartile ranges.

    Args:
      values_ND: features of N clips.
      names: names of the D features, with their units.
      label_N: label ids, positions in `labels`.
      labels: names of the labels.
      title: names the corpus.
    """
    values_ND, label_N = np.asarray(values_ND), np.asarray(label_N)
    label_names = names_shown(labels)
    figure, grid = _feature_grid(len(names), 0.6 + 0.16 * len(labels), title, sharey=True)
    for d, name in enumerate(names):
        axes = grid.flat[d]
        _boxes(axes, [values_ND[label_N == k, d] for k in range(len(labels))])
        axes.set_yticks(range(len(labels)), label_names)
        axes.set_title(name, fontsize=SMALL_PT + 0.5)
        axes.tick_params(labelsize=SMALL_PT)
        axes.locator_params(axis="x", nbins=4)
    return figure


def correlation(correlation_DD: Float[AnyArray, "D D"], names: Sequence[str], title: str) -> Figure:
    """Draw the correlation of each feature with each; NaN (a constant feature) is grey.

    Args:
      correlation_DD: Pearson's r, −1 to 1.
      names: names of the D features.
      title: names the corpus.
    """
    correlation_DD = np.asarray(correlation_DD)
    side_in = 0.31 * len(names)
    figure = canvas(side_in + 2.6, side_in + 1.8, title, fixed_aspect=True)
    axes = figure.add_subplot()
    image = axes.imshow(correlation_DD, cmap="RdBu_r", vmin=-1, vmax=1)
    axes.set_facecolor("0.75")
    label_cells(axes, names, names)
    for (row, column), r in np.ndenumerate(correlation_DD):
        if row != column and abs(r) >= 0.3:
            text = f"{r:.1f}".replace("-", "−").replace("0.", ".")
            axes.text(
                column, row, text, ha="center", va="center", fontsize=6, color="white" if abs(r) > 0.6 else "black"
            )
    colour_bar(figure, image, axes, "correlation r (written from ±.3)", fraction=0.04, pad=0.02)
    return figure


def _feature_grid(n_features: int, height_in: float, title: str, sharey: bool = False) -> tuple[Figure, np.ndarray]:
    n_rows, n_columns = panels(n_features, 5)
    figure = canvas(11.0, height_in * n_rows + 0.8, title)
    grid = figure.subplots(n_rows, n_columns, squeeze=False, sharey=sharey)
    for axes in list(grid.flat)[n_features:]:
        axes.set_visible(False)
    return figure, grid


def _boxes(axes: Axes, values: Sequence[Num[np.ndarray, "_"]]) -> None:
    """Draw a horizontal box for each array, the first on top; an empty array has none."""
    there = [k for k, value_n in enumerate(values) if len(value_n)]
    axes.boxplot(
        [values[k] for k in there],
        positions=there,
        orientation="horizontal",
        widths=0.6,
        patch_artist=True,
        boxprops={"facecolor": "#D6E2EC", "edgecolor": "0.3", "linewidth": 0.7},
        medianprops={"color": COLOURS[1], "linewidth": 1.3},
        whiskerprops={"color": "0.3", "linewidth": 0.7},
        capprops={"color": "0.3", "linewidth": 0.7},
        flierprops=FLIERS,
    )
    axes.set_ylim(len(values) - 0.4, -0.6)


def _bins(values_N: Float[np.ndarray, "N"]) -> int:
    """Return a number of bins that shows the shape of the distribution: about the square root of the clips."""
    return int(np.clip(np.sqrt(len(values_N)), 8, 40))
