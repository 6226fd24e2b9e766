"""Figures of single clips: waveforms, spectrograms and other pictures over time, curves over the waveform.

As in `canvas`: functions take arrays, return a `Figure`, keep no state, and take a `title` that names the corpus.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from serjax.evaluate.metrics import AnyArray
from serjax.figures.canvas import (
    ABSENT,
    COLOURS,
    LABEL_PT,
    LINES,
    SEPARATOR,
    TICK_PT,
    canvas,
    colour_bar,
    hide_empty,
    panels,
)
from serjax.figures.lettering import shown

WAVE = "#5B7083"
PALE_WAVE = "0.86"
CAPTION, CAPTION_BESIDE = 28, 15  # letters that have room above a panel, and in each line beside it
POINTS = 2_000  # a waveform is drawn by the extremes of so many pieces


@dataclass(frozen=True, eq=False)
class Rows:
    """The vertical axis of pictures: F + 1 edges of the rows, its name, and the ticks (position → text), if chosen."""

    edges: Float[np.ndarray, "_"]
    name: str
    scale: Literal["linear", "log"] = "linear"
    ticks: Mapping[float, str] | None = None


@dataclass(frozen=True)
class Colours:
    """What colours mean: a name with its unit, a map, the values at its ends, and at which of them there is more."""

    name: str
    cmap: str
    low: float
    high: float
    extend: Literal["neither", "min", "both"] = "neither"


def waveforms(
    waves: Sequence[Float[AnyArray, "_"]], captions: Sequence[str], sample_rate_hz: int, title: str
) -> Figure:
    """Draw waveforms on common axes, amplitude against time.

    Args:
      waves: samples of each clip, −1 to 1.
      captions: a line for each clip.
      sample_rate_hz: of all clips.
      title: names the corpus.
    """
    figure, grid = _clip_grid(len(waves), 1.3, title)
    for axes, wave_N, caption in zip(grid.flat, waves, captions, strict=False):
        _draw_wave(axes, np.asarray(wave_N), sample_rate_hz, WAVE, 1.0)
        axes.set_title(shown(caption, CAPTION), fontsize=TICK_PT)
    loudest = max((float(np.abs(wave_N).max()) for wave_N in waves if len(wave_N)), default=0.0)
    grid[0, 0].set_ylim(-1.05 * (loudest or 1.0), 1.05 * (loudest or 1.0))
    hide_empty(grid, len(waves), "time / s")
    figure.supylabel("amplitude (full scale = 1)", fontsize=LABEL_PT)
    return figure


def clip_pictures(
    pictures: Sequence[Float[AnyArray, "F _"]],
    captions: Sequence[str],
    rows: Rows,
    colours: Colours,
    frame_s: float,
    title: str,
    columns: int = 4,
) -> Figure:
    """Draw a picture per clip, such as a spectrogram, all on one colour scale and one time axis.

    Args:
      pictures: [row, frame] of each clip; NaN is grey, as is what lies behind the clip.
      captions: a line for each clip.
      rows: the vertical axis.
      colours: what colours mean.
      frame_s: time from one frame to the next in s; frame 0 is centred at 0 s.
      title: names the corpus.
      columns: pictures side by side, at most.
    """
    figure, grid = _clip_grid(len(pictures), 1.75, title, columns)
    for axes, picture_FT, caption in zip(grid.flat, pictures, captions, strict=False):
        edges_s = (np.arange(picture_FT.shape[1] + 1) - 0.5) * frame_s
        look = {"cmap": colours.cmap, "vmin": colours.low, "vmax": colours.high, "rasterized": True}
        image = axes.pcolormesh(edges_s, rows.edges, np.asarray(picture_FT), **look)
        axes.set_facecolor(ABSENT)
        axes.set_title(shown(caption, CAPTION), fontsize=TICK_PT)
        _scale_rows(axes, rows)
    hide_empty(grid, len(pictures), "time / s")
    figure.supylabel(rows.name, fontsize=LABEL_PT)
    shape = {"fraction": 0.03, "pad": 0.01, "aspect": 15 * grid.shape[0], "extend": colours.extend}
    colour_bar(figure, image, list(grid.flat), colours.name, **shape)
    return figure


def curves(
    waves: Sequence[Float[AnyArray, "_"]],
    columns: Mapping[str, Sequence[Mapping[str, Float[AnyArray, "_"]]]],
    captions: Sequence[str],
    sample_rate_hz: int,
    frame_s: float,
    title: str,
) -> Figure:
    """Draw curves over the waveform (pale), a row per clip and a column per quantity; a column has one scale.

    Args:
      waves: samples of each clip.
      columns: by the name of the quantity with its unit: for each clip its curves by name; NaN is not drawn.
      captions: a line for each clip, broken at its dots.
      sample_rate_hz: of all clips.
      frame_s: time from one frame to the next in s.
      title: names the corpus.
    """
    n_clips = len(waves)
    figure = canvas(2.75 * len(columns) + 0.8, 1.15 * n_clips + 1.3, title)
    grid = figure.subplots(n_clips, len(columns), sharex=True, sharey="col", squeeze=False)
    for c, (quantity, clips) in enumerate(columns.items()):
        for n, curves_of_clip in enumerate(clips):
            axes = grid[n, c]
            _draw_curves(axes, curves_of_clip, frame_s)
            _draw_wave_behind(axes, np.asarray(waves[n]), sample_rate_hz)
            axes.tick_params(labelsize=TICK_PT - 1)
        grid[0, c].set_title(quantity, fontsize=TICK_PT)
        if len(clips[0]) > 1:
            # inside the panel a legend would hide a curve somewhere: below the column there is room
            names = dict(ncols=len(clips[0]), fontsize=TICK_PT - 1, frameon=False, handlelength=1.6, columnspacing=0.9)
            grid[-1, c].legend(loc="upper center", bbox_to_anchor=(0.5, -0.5), borderaxespad=0.0, **names)
        grid[-1, c].set_xlabel("time / s", fontsize=TICK_PT)
    for n, caption in enumerate(captions):
        lines = [shown(part, CAPTION_BESIDE) for part in caption.split(SEPARATOR)]
        grid[n, 0].set_ylabel("\n".join(lines), fontsize=TICK_PT)
    return figure


def _clip_grid(n_clips: int, height_in: float, title: str, at_most: int = 4) -> tuple[Figure, np.ndarray]:
    n_rows, n_columns = panels(n_clips, at_most)
    figure = canvas(max(5.0, 2.7 * n_columns + 0.9), height_in * n_rows + 1.1, title)
    return figure, figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)


def _scale_rows(axes: Axes, rows: Rows) -> None:
    axes.set_yscale(rows.scale)
    if rows.ticks is not None:
        axes.yaxis.set_major_locator(FixedLocator(list(rows.ticks)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: rows.ticks.get(value, "")))  # type: ignore[union-attr]
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.minorticks_off()
    axes.set_ylim(rows.edges[0], rows.edges[-1])


def _draw_curves(axes: Axes, by_name: Mapping[str, Num[AnyArray, "_"]], frame_s: float) -> None:
    for k, (name, value_T) in enumerate(by_name.items()):
        time_s_T = np.arange(len(value_T)) * frame_s
        axes.plot(time_s_T, np.asarray(value_T), color=COLOURS[k], ls=LINES[k], lw=1.2, label=name)


def _draw_wave_behind(axes: Axes, wave_N: Float[np.ndarray, "_"], sample_rate_hz: int) -> None:
    """Draw the waveform behind the curves, scaled to the panel: its place in time is what matters."""
    behind = axes.twinx()
    behind.set_zorder(axes.get_zorder() - 1)
    axes.patch.set_visible(False)
    loudest = float(np.abs(wave_N).max()) if wave_N.size else 0.0
    _draw_wave(behind, wave_N / (loudest or 1.0), sample_rate_hz, PALE_WAVE, 1.0)
    behind.set_ylim(-1.05, 1.05)
    behind.axis("off")


def _draw_wave(axes: Axes, wave_N: Float[np.ndarray, "_"], sample_rate_hz: int, shade: str, alpha: float) -> None:
    """Fill between the extremes of short pieces: what a line through every sample would look like, in little."""
    piece = max(1, -(-len(wave_N) // POINTS))
    padded_PL = np.pad(wave_N, (0, -len(wave_N) % piece), mode="edge").reshape(-1, piece)
    time_s_P = (np.arange(len(padded_PL)) + 0.5) * piece / sample_rate_hz
    axes.fill_between(time_s_P, padded_PL.min(axis=1), padded_PL.max(axis=1), color=shade, alpha=alpha, lw=0.4)
