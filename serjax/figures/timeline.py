"""Figures of a long recording: how likely each label is over time."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from serjax.figures.canvas import LABEL_PT, TICK_PT, canvas, colour_bar, save
from serjax.figures.lettering import names_shown


def draw_timeline(
    time_W: Float[np.ndarray, " W"],
    half_s: float,
    probability_WK: Float[np.ndarray, "W K"],
    labels: tuple[str, ...],
    title: str,
    path: Path,
) -> None:
    """Draw the probability of each label against time.

    Args:
      time_W: the middle of each window in seconds, rising.
      half_s: half of what lies between two of them.
      probability_WK: the probability of each label in it; NaN where there is none.
      labels: the labels.
      title: names the recording and the bundle.
      path: the picture.
    """
    names = names_shown(labels)
    figure = canvas(9.0, 1.6 + 0.26 * len(names), title)
    axes = figure.add_subplot()
    edges_W = np.concatenate([time_W - half_s, time_W[-1:] + half_s])
    image = axes.pcolormesh(edges_W, np.arange(len(names) + 1), probability_WK.T, vmin=0.0, vmax=1.0, cmap="magma_r")
    axes.set_yticks(np.arange(len(names)) + 0.5, names, fontsize=TICK_PT)
    axes.invert_yaxis()
    axes.set_xlabel("time / s", fontsize=LABEL_PT)
    colour_bar(figure, image, axes, "probability")
    save(figure, path)
