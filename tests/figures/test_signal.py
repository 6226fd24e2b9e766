"""Figures of clips: pictures on one scale, waveforms with their extremes, curves where they belong in time."""

import numpy as np
import pytest

from serjax.figures import canvas as plots
from serjax.figures import signal as plots_signal
from serjax.figures.signal import Colours, Rows

TITLE = "synthetic · clips"
RATE_HZ = 1_000


def captions(n: int) -> list[str]:
    return [f"happy · {k}" for k in range(n)]


def waves(n: int) -> list[np.ndarray]:
    """Return clips of other lengths, one with a single loud sample that no drawing may lose."""
    clips = [np.sin(np.arange(3_000 + 500 * k) / 5).astype(np.float32) / 10 for k in range(n)]
    clips[0][1_234] = 0.9
    return clips


@pytest.mark.parametrize("n_clips", [1, 3, 8])
def test_waveforms_keep_their_extremes(tmp_path, n_clips):
    figure = plots_signal.waveforms(waves(n_clips), captions(n_clips), RATE_HZ, TITLE)
    plots.save(figure, tmp_path / "figure.png", dpi=50)
    outline = figure.axes[0].collections[0].get_paths()[0].vertices
    peak_s, peak = outline[outline[:, 1].argmax()]
    assert peak == pytest.approx(0.9)
    assert peak_s == pytest.approx(1.234, abs=0.003)
    assert figure.axes[0].get_ylim() == pytest.approx((-0.945, 0.945))


def test_silence_is_drawn(tmp_path):
    plots.save(plots_signal.waveforms([np.zeros(50)], captions(1), RATE_HZ, TITLE), tmp_path / "figure.png", dpi=50)


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_pictures_share_scale_and_time(tmp_path, scale):
    rng = np.random.default_rng(0)
    pictures = [rng.normal(size=(5, 20 + k)) for k in range(3)]
    pictures[0][:, 3] = np.nan
    rows = Rows(np.array([50.0, 100, 200, 400, 800, 1600]), "frequency / Hz", scale, {100.0: "100", 1000.0: "1k"})
    colours = Colours("level / dB", "magma", -2.0, 1.0, "both")
    figure = plots_signal.clip_pictures(pictures, captions(3), rows, colours, 0.01, TITLE)
    plots.save(figure, tmp_path / "figure.png", dpi=50)
    meshes = [axes.collections[0] for axes in figure.axes[:3]]
    for mesh, picture_FT in zip(meshes, pictures, strict=True):
        np.testing.assert_array_equal(mesh.get_array().filled(np.nan), picture_FT)
        assert mesh.get_clim() == (-2.0, 1.0)
    axes = figure.axes[2]
    assert axes.get_xlim()[1] == pytest.approx(0.215)
    assert axes.get_ylim() == (50.0, 1600.0)
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["100", "1k"]


@pytest.mark.parametrize("n_clips", [1, 4])
def test_curves_lie_over_their_waveform(tmp_path, n_clips):
    values_T = np.where(np.arange(30) < 5, np.nan, np.arange(30.0))
    columns = {
        "F0 / Hz": [{"F0": values_T}] * n_clips,
        "bandwidth": [{"p = 2": values_T, "p = 3": -values_T}] * n_clips,
    }
    figure = plots_signal.curves(waves(n_clips), columns, captions(n_clips), RATE_HZ, 0.1, TITLE)
    plots.save(figure, tmp_path / "figure.png", dpi=50)
    panels = figure.axes[: 2 * n_clips]
    (line,) = panels[-2].lines
    np.testing.assert_array_equal(line.get_ydata(), values_T)
    np.testing.assert_allclose(line.get_xdata(), np.arange(30) * 0.1)
    assert len(panels[-1].lines) == 2
    assert panels[-1].get_legend() is not None
    assert panels[0].get_ylabel() == "happy\n0"
