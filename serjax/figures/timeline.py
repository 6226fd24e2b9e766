"""Figures of a long recording: how likely each label is over time."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from serjax.figures.canvas import LABEL_PT, TICK_PT, canvas, colour, extra_in, line, save
from serjax.figures.lettering import names_shown


def draw_timeline(
    time_W: Float[np.ndarray, " W"],
    probability_WK: Float[np.ndarray, "W K"],
    labels: tuple[str, ...],
    title: str,
    path: Path,
) -> None:
    """Draw the probability of each label against time.

    Args:
      time_W: the middle of each window in seconds.
      probability_WK: the probability of each label in it.
      labels: the labels.
      title: names the recording and the bundle.
      path: the picture.
    """
    names = names_shown(labels)
    figure = canvas(9.0 + extra_in(names), 3.6, title)
    axes = figure.add_subplot()
    for k, name in enumerate(names):
        axes.plot(time_W, probability_WK[:, k], line(k), color=colour(k), label=name, marker="." * (len(time_W) < 30))
    axes.set_ylim(0.0, 1.0)
    axes.set_xlabel("time / s", fontsize=LABEL_PT)
    axes.set_ylabel("probability", fontsize=LABEL_PT)
    axes.legend(fontsize=TICK_PT, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    save(figure, path)
