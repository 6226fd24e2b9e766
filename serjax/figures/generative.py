"""Figures of generative models: reconstruction matrices, reconstructed MFCCs, latent means.

As in `canvas`: functions return a `Figure`, keep no state, and take a `title` that names the corpus.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter

from serjax.evaluate.metrics import AnyArray
from serjax.figures.canvas import ABSENT, LABEL_PT, TICK_PT, canvas, colour, colour_bar, extra_in, label_cells, panels
from serjax.figures.classification import MOST_WRITTEN
from serjax.figures.lettering import names_shown, shown

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def reconstruction_matrices(parts: Mapping[str, Float[AnyArray, "K K"]], labels: Sequence[str], title: str) -> Figure:
    """Draw the loss of each emotion's clips (column) under each emotion's model (row), parts side by side.

    A box marks the clips that a model reconstructs best (least of the row). A dot marks the model that reconstructs an
    emotion's clips best (least of the column). The classifier works where both are on the diagonal.

    Args:
      parts: [model emotion, clip emotion] mean loss by name, such as train, validation, test; NaN = no clip.
      labels: names of the K emotions.
      title: names the corpus.
    """
    tables = {name: np.asarray(table_KK, np.float64) for name, table_KK in parts.items()}
    n_classes = len(labels)
    cell_in = 0.62 if n_classes <= 8 else 0.46
    side_in = max(1.9, cell_in * n_classes)
    names = names_shown(labels)
    more_in = extra_in(names)
    size_in = (len(tables) * (side_in + 0.2) + 2.2 + more_in, side_in + 1.9 + 0.7 * more_in)
    figure = canvas(*size_in, title, fixed_aspect=True)
    grid = figure.subplots(1, len(tables), squeeze=False, sharey=True)[0]
    norm = _loss_norm(np.concatenate([table_KK.ravel() for table_KK in tables.values()]))
    for axes, (name, table_KK) in zip(grid, tables.items(), strict=True):
        image = axes.imshow(table_KK, cmap="viridis_r", norm=norm)
        axes.set_facecolor(ABSENT)
        axes.set_title(name, fontsize=LABEL_PT)
        axes.set_xlabel("clips of")
        label_cells(axes, names, names)
        if n_classes <= MOST_WRITTEN:
            _write_losses(axes, table_KK, norm, 7.5 if n_classes <= 8 else 5.5)
    grid[0].set_ylabel("model of")
    look = {"fraction": 0.03, "pad": 0.01, "format": FuncFormatter(_tick)}
    bar = colour_bar(figure, image, list(grid), "mean squared error", **look)
    bar.ax.yaxis.set_minor_formatter(FuncFormatter(_tick))
    note = "□ least of the row: what this model reconstructs best     ● least of the column: which model does best"
    figure.supxlabel(note if len(tables) > 1 or n_classes > 6 else note.replace("     ", "\n"), fontsize=TICK_PT)
    return figure


def picture_pairs(
    original_NTC: Float[AnyArray, "N T C"],
    reconstruction_NTC: Float[AnyArray, "N T C"],
    mask_NT: Bool[AnyArray, "N T"],
    captions: Sequence[str],
    title: str,
    *,
    frame_s: float,
    feature: str = "MFCC",
) -> Figure:
    """Draw clips beside their reconstructions, all on one colour scale; frames behind a clip's end are grey.

    Args:
      original_NTC: normalised features, [clip, frame, feature].
      reconstruction_NTC: the same from the decoder.
      mask_NT: true where a frame lies inside the clip.
      captions: a line for each clip.
      title: names the corpus.
      frame_s: time from one frame to the next in s.
      feature: what the rows of a picture are.
    """
    pair = [np.asarray(x, np.float64) for x in (original_NTC, reconstruction_NTC)]
    mask_NT = np.asarray(mask_NT)
    n_clips, n_frames, n_features = pair[0].shape
    limit = _colour_limit(np.concatenate([x[mask_NT].ravel() for x in pair]))
    figure = canvas(8.5, 1.45 * n_clips + 1.1, title)
    grid = figure.subplots(n_clips, 2, sharex=True, sharey=True, squeeze=False)
    extent = (-frame_s / 2, (n_frames - 0.5) * frame_s, -0.5, n_features - 0.5)
    for n, caption in enumerate(captions):
        for axes, values, name in zip(
            grid[n], pair, (f"{shown(caption, 40)} · original", "reconstruction"), strict=True
        ):
            picture_CT = np.where(mask_NT[n][:, None], values[n], np.nan).T
            look = {"origin": "lower", "aspect": "auto", "extent": extent, "interpolation": "nearest"}
            image = axes.imshow(picture_CT, cmap="RdBu_r", vmin=-limit, vmax=limit, **look)
            axes.set_facecolor("0.75")
            axes.set_title(name, fontsize=TICK_PT, loc="left")
    figure.supxlabel("time / s", fontsize=LABEL_PT)
    figure.supylabel(f"{feature} index", fontsize=LABEL_PT)
    shape = {"fraction": 0.03, "pad": 0.01, "aspect": 12 * n_clips, "extend": "both"}
    colour_bar(figure, image, list(grid.flat), f"normalised {feature}", **shape)
    return figure


def principal_plane(mean_NZ: Float[AnyArray, "N Z"]) -> tuple[Float[np.ndarray, "N 2"], Float[np.ndarray, "2"]]:
    """Project points on the plane of their largest variance: U S of the centred X = U S Vᵀ, first two columns.

    Signs are fixed (the largest loading of an axis is positive), so that equal data give an equal picture.
    Source: Jolliffe, "Principal Component Analysis", 2002, ch. 3.

    Args:
      mean_NZ: points, N ≥ 1.

    Returns:
      coordinates, and the share of the variance that each axis holds, in [0, 1]. Missing axes are zero.

    >>> coordinates, share = principal_plane(np.array([[0.0, 0.0], [2.0, 0.0], [4.0, 0.0]]))
    >>> coordinates[:, 0].tolist(), share.tolist()
    ([-2.0, 0.0, 2.0], [1.0, 0.0])
    """
    centred_NZ = np.asarray(mean_NZ, np.float64)
    centred_NZ = centred_NZ - centred_NZ.mean(axis=0, keepdims=True)
    _, scale_S, axes_SZ = np.linalg.svd(centred_NZ, full_matrices=False)
    axes_2Z, variance_2 = np.zeros((2, centred_NZ.shape[1])), np.zeros(2)
    n_axes = min(2, len(scale_S))
    axes_2Z[:n_axes], variance_2[:n_axes] = axes_SZ[:n_axes], scale_S[:n_axes] ** 2
    largest_2 = np.take_along_axis(axes_2Z, np.abs(axes_2Z).argmax(axis=1)[:, None], axis=1)
    axes_2Z = np.where(largest_2 < 0, -axes_2Z, axes_2Z)
    total = float((scale_S**2).sum())
    return centred_NZ @ axes_2Z.T, variance_2 / total if total > 0 else variance_2


def latent_means(
    means: Mapping[str, Float[AnyArray, "N Z"]], truth_N: Int[AnyArray, "N"], labels: Sequence[str], title: str
) -> Figure:
    """Draw the latent means of the same clips under one or more encoders, each in its own principal plane.

    Args:
      means: latent means μ(x) by name of the encoder.
      truth_N: emotion ids of the clips.
      labels: names of the emotions.
      title: names the corpus.
    """
    truth_N = np.asarray(truth_N)
    n_rows, n_columns = panels(len(means))
    side_in = 4.2 if len(means) == 1 else 2.7
    names = names_shown(labels)
    size_in = (side_in * n_columns + 1.6 + extra_in(names), max(side_in * n_rows + 0.6, 0.22 * len(labels) + 1.2))
    figure = canvas(*size_in, title)
    grid = figure.subplots(n_rows, n_columns, squeeze=False)
    encoders = names_shown(list(means), 34)
    for axes, name, mean_NZ in zip(grid.flat, encoders, means.values(), strict=False):
        point_N2, share_2 = principal_plane(mean_NZ)
        _scatter(axes, point_N2, truth_N, names)
        axes.set_title(name, fontsize=TICK_PT)
        x, y = (f"PC {k + 1} ({100 * share_2[k]:.0f} % of variance)" for k in range(2))
        axes.set(xlabel=x, ylabel=y)
    for axes in list(grid.flat)[len(means) :]:
        axes.set_visible(False)
    marks = grid[0, 0].get_legend_handles_labels()
    figure.legend(*marks, loc="outside right center", fontsize=TICK_PT, markerscale=1.7, frameon=False)
    return figure


def _loss_norm(losses: Float[np.ndarray, "L"]) -> Normalize:
    finite = losses[np.isfinite(losses)]
    if not finite.size:
        return Normalize(0, 1)
    low, high = float(finite.min()), float(finite.max())
    return LogNorm(low, high) if low > 0 and high > 5 * low else Normalize(low, high)


def _write_losses(axes: Axes, table_KK: np.ndarray, norm: Normalize, size_pt: float) -> None:
    """Write the losses into their cells, box the least of each row, dot the least of each column."""
    with_max = np.where(np.isfinite(table_KK), table_KK, np.inf)
    for (row, column), loss in np.ndenumerate(table_KK):
        if np.isfinite(loss):
            red, green, blue, _ = colormaps["viridis_r"](norm(loss))
            tone = "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"
            text = _three_digits(float(loss)) + ("\n●" if with_max[:, column].argmin() == row else "")
            axes.text(column, row, text, ha="center", va="center", fontsize=size_pt, color=tone)
    for row in np.flatnonzero(np.isfinite(with_max).any(axis=1)):
        corner = (with_max[row].argmin() - 0.46, row - 0.46)
        axes.add_patch(Rectangle(corner, 0.92, 0.92, fill=False, ec="#D55E00", lw=2))


def _three_digits(loss: float) -> str:
    return f"{loss:#.3g}".rstrip(".").removeprefix("0") if 1e-4 <= loss < 1000 else f"{loss:.1e}"


def _tick(loss: float, _position: int | None) -> str:
    return f"{loss:.2g}"


def _colour_limit(values: Float[np.ndarray, "L"]) -> float:
    """Return the 99th percentile of the magnitudes, so that single outliers do not wash out the picture."""
    limit = float(np.quantile(np.abs(values), 0.99)) if values.size else 0.0
    return limit if limit > 0 else 1.0


def _scatter(axes: Axes, point_N2: np.ndarray, truth_N: np.ndarray, labels: Sequence[str]) -> None:
    size_pt2 = 22 if len(truth_N) < 300 else 10
    for c, name in enumerate(labels):
        x_n, y_n = point_N2[truth_N == c].T
        # beyond eight classes colours repeat, with the markers shifted by one
        marker = MARKERS[(c + c // len(MARKERS)) % len(MARKERS)]
        axes.scatter(x_n, y_n, s=size_pt2, color=colour(c), marker=marker, alpha=0.7, lw=0, label=name)
