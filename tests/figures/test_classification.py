"""Figures: they build without a warning at every size, show the numbers they are given, and carry their title."""

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.text import Text

from serjax.evaluate.calibration import reliability
from serjax.evaluate.metrics import roc_auc_ovr
from serjax.evaluate.summary import CalibrationSummary
from serjax.figures import canvas as plots
from serjax.figures import classification, training
from serjax.figures import generative as plots_generative

TITLE = "vae_mfcc · synthetic · speaker-6fold · iwae · 3 seeds"
PNG = b"\x89PNG\r\n\x1a\n"


def names(n_classes: int) -> list[str]:
    return [f"emotion-{c}" for c in range(n_classes)]


def scored(n_classes: int, n_rows: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n_classes)
    truth_N = np.arange(n_rows) % n_classes
    return truth_N, rng.random((n_rows, n_classes)) + 0.4 * np.eye(n_classes)[truth_N]


def losses(n_runs: int, n_epochs: int = 30) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.exp(-np.arange(n_epochs) / 5)[None] + 0.5 + 0.1 * rng.random((n_runs, 1))


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def assert_presentable(figure: Figure, tmp_path) -> None:
    """Save it, find the title whole, and no text outside the picture (warnings are errors here)."""
    assert TITLE in figure.get_suptitle().replace("\n", " · ")
    plots.save(figure, tmp_path / "figure.png")
    content = (tmp_path / "figure.png").read_bytes()
    assert content.startswith(PNG)
    assert len(content) > 5_000
    assert [entry.name for entry in tmp_path.iterdir()] == ["figure.png"]
    drawn = figure.get_tightbbox()
    width_in, height_in = figure.get_size_inches()
    assert min(drawn.x0, drawn.y0) > -0.02
    assert drawn.x1 < width_in + 0.02
    assert drawn.y1 < height_in + 0.02


@pytest.mark.parametrize("n_classes", [2, 8, 16])
def test_confusion_matrix(tmp_path, n_classes):
    counts_KK = np.full((n_classes, n_classes), 3) + 100 * np.eye(n_classes, dtype=int)
    figure = classification.confusion_matrix(counts_KK, names(n_classes), TITLE)
    assert_presentable(figure, tmp_path)
    recall = 103 / (100 + 3 * n_classes)
    assert texts(figure).count(f"{recall:.2f}\n103") == n_classes
    assert f"emotion-1 ({100 + 3 * n_classes})" in texts(figure)


def test_confusion_matrix_colours_rows_by_their_share_and_leaves_absent_rows_grey():
    figure = classification.confusion_matrix(np.array([[1, 3], [0, 0]]), names(2), TITLE)
    shares = figure.axes[0].images[0].get_array().filled(np.nan)
    np.testing.assert_array_equal(shares, [[0.25, 0.75], [np.nan, np.nan]])


@pytest.mark.parametrize("n_classes", [2, 16])
def test_roc_curves(tmp_path, n_classes):
    truth_N, scores_NK = scored(n_classes)
    figure = classification.roc_curves(truth_N, scores_NK, names(n_classes), TITLE)
    assert_presentable(figure, tmp_path)
    area = roc_auc_ovr(truth_N, scores_NK)
    assert f"emotion-1  {area.per_class_K[1]:.2f}" in texts(figure)
    assert f"mean  {area.macro:.2f}" in texts(figure)
    _, *curves, mean = figure.axes[0].lines
    for c, curve in enumerate(curves):
        assert np.trapezoid(curve.get_ydata(), curve.get_xdata()) == pytest.approx(area.per_class_K[c], abs=1e-12)
    assert np.trapezoid(mean.get_ydata(), mean.get_xdata()) == pytest.approx(area.macro, abs=0.01)


def test_roc_curves_leave_out_absent_classes(tmp_path):
    truth_N, scores_NK = scored(3)
    figure = classification.roc_curves(np.minimum(truth_N, 1), scores_NK, names(3), TITLE)
    assert_presentable(figure, tmp_path)
    assert not any(text.startswith("emotion-2") for text in texts(figure))
    assert_presentable(classification.roc_curves(np.zeros(200, int), scores_NK, names(3), TITLE), tmp_path)


@pytest.mark.parametrize("n_classes", [2, 16])
@pytest.mark.parametrize("is_calibrated", [True, False])
def test_reliability_diagrams_say_whether_probabilities_are_calibrated(tmp_path, n_classes, is_calibrated):
    truth_N, scores_NK = scored(n_classes)
    raw, fitted = (reliability(x / x.sum(axis=1, keepdims=True), truth_N) for x in (scores_NK**9, scores_NK))
    errors = (0.125, 0.0625) if is_calibrated else (None, 0.0625)
    figures = CalibrationSummary(
        temperature={}, ece=errors[0], ece_uncalibrated=errors[1], nll=None, nll_uncalibrated=1
    )
    figure = classification.reliability_diagram(raw, fitted if is_calibrated else None, figures, TITLE)
    assert_presentable(figure, tmp_path)
    assert "not calibrated\nECE 0.062" in texts(figure)
    assert ("calibrated\nECE 0.125" in texts(figure)) == is_calibrated
    assert ("no validation clips\nto calibrate by" in texts(figure)) != is_calibrated
    assert "share of right answers (15 bins, 200 clips × seeds)" in texts(figure)
    _, *curves = figure.axes[0].lines
    for curve, bins in zip(curves, (raw, fitted)[: 1 + is_calibrated], strict=True):
        np.testing.assert_array_equal(curve.get_xydata(), np.stack(bins[:2], axis=1))


@pytest.mark.parametrize(("n_groups", "n_runs"), [(1, 1), (5, 3), (16, 6)])
@pytest.mark.parametrize("validated", [True, False])
def test_learning_curves(tmp_path, n_groups, n_runs, validated):
    train_RE = losses(n_groups * n_runs)
    group_R = np.repeat(np.arange(n_groups), n_runs)
    validation_RE = train_RE + 0.1 if validated else None
    arguments = (group_R, names(n_groups), "negative ELBO / nats per clip", TITLE)
    figure = training.learning_curves(np.arange(1, 31), train_RE, validation_RE, *arguments)
    assert_presentable(figure, tmp_path)
    lines = figure.axes[0].lines
    assert len(lines) == 1 + validated
    np.testing.assert_allclose(lines[0].get_ydata(), np.median(train_RE[:n_runs], axis=0), atol=1e-12)
    assert texts(figure).count("epoch") == plots.panels(n_groups)[1]


@pytest.mark.parametrize("n_epochs", [1, 2, 25])
def test_learning_curves_skip_what_was_not_measured(tmp_path, n_epochs):
    """Validation every second epoch, one diverged run, negative losses, an emotion without runs."""
    train_RE = losses(4, n_epochs) - 3.0
    validation_RE = np.where(np.arange(n_epochs)[None] % 2 == 0, train_RE + 0.1, np.nan)
    train_RE[0, -1] = np.inf
    arguments = (np.array([0, 0, 2, 2]), names(3), "loss", TITLE)
    figure = training.learning_curves(np.arange(n_epochs), train_RE, validation_RE, *arguments)
    assert_presentable(figure, tmp_path)
    _, validation = figure.axes[0].lines
    np.testing.assert_array_equal(validation.get_xdata(), np.arange(0, n_epochs, 2))
    assert "emotion-1 (2 runs)" not in texts(figure)


def test_learning_curves_use_decades_where_the_loss_spans_them():
    steep = 10.0 ** -np.linspace(0, 3, 20)[None]
    for loss_RE, scale in ((steep, "log"), (losses(1), "linear"), (steep - 1, "linear")):
        n_epochs = loss_RE.shape[1]
        figure = training.learning_curves(np.arange(n_epochs), loss_RE, None, np.array([0]), ["all"], "loss", TITLE)
        assert figure.axes[0].get_yscale() == scale


@pytest.mark.parametrize("n_classes", [2, 8, 16])
def test_reconstruction_matrices(tmp_path, n_classes):
    table_KK = np.random.default_rng(0).random((n_classes, n_classes)) * 0.02 + 0.01
    parts = {"train": table_KK, "validation": table_KK * 1.2, "test": table_KK * 2}
    figure = plots_generative.reconstruction_matrices(parts, names(n_classes), TITLE)
    assert_presentable(figure, tmp_path)
    assert {"train", "validation", "test"} <= set(texts(figure))
    for axes in figure.axes[:3]:
        boxes = [(round(box.get_y() + 0.46), round(box.get_x() + 0.46)) for box in axes.patches]
        assert boxes == list(enumerate(table_KK.argmin(1)))
        dots = {text.get_position()[::-1] for text in axes.texts if "●" in text.get_text()}
        assert dots == {(row, column) for column, row in enumerate(table_KK.argmin(0))}


def test_reconstruction_matrices_show_the_published_digits(tmp_path):
    table_KK = np.array([[0.0098, 0.0235], [np.nan, 1234.5]])
    figure = plots_generative.reconstruction_matrices({"test": table_KK}, ["happy", "sad"], TITLE)
    assert_presentable(figure, tmp_path)
    cells = [text.get_text().split("\n")[0] for text in figure.axes[0].texts]
    assert cells == [".00980", ".0235", "1.2e+03"]


@pytest.mark.parametrize("n_clips", [1, 4])
def test_picture_pairs(tmp_path, n_clips):
    rng = np.random.default_rng(0)
    original_NTC = rng.normal(size=(n_clips, 108, 20))
    mask_NT = np.arange(108)[None] < np.array([90, 108, 50, 1])[:n_clips, None]
    captions = ["happy · Actor_01/" + "03-01-03-01-01-01-01" * 3 + ".wav"] * n_clips
    pair = (original_NTC, original_NTC / 2)
    figure = plots_generative.picture_pairs(*pair, mask_NT, captions, TITLE, frame_s=512 / 22_050)
    assert_presentable(figure, tmp_path)
    images = [axes.images[0] for axes in figure.axes[: 2 * n_clips]]
    assert len({image.get_clim() for image in images}) == 1
    shown_CT = images[1].get_array().filled(np.nan)
    np.testing.assert_array_equal(shown_CT[:, :90], original_NTC[0, :90].T / 2)
    assert np.isnan(shown_CT[:, 90:]).all()


@pytest.mark.parametrize(("n_classes", "n_encoders"), [(2, 1), (16, 1), (5, 5)])
def test_latent_means(tmp_path, n_classes, n_encoders):
    rng = np.random.default_rng(0)
    truth_N = np.arange(120) % n_classes
    means = {f"VAE of {name}": rng.normal(size=(120, 128)) for name in names(n_encoders)}
    figure = plots_generative.latent_means(means, truth_N, names(n_classes), TITLE)
    assert_presentable(figure, tmp_path)
    clouds = [cloud for cloud in figure.axes[0].collections if isinstance(cloud, PathCollection)]
    assert [len(cloud.get_offsets()) for cloud in clouds] == np.bincount(truth_N).tolist()


def test_the_principal_plane_holds_the_largest_variance():
    """Points on a known plane in eight dimensions, scaled 3 : 1, come back up to sign."""
    rng = np.random.default_rng(0)
    basis_Z2, _ = np.linalg.qr(rng.normal(size=(8, 2)))
    plane_N2, _ = np.linalg.qr(rng.normal(size=(50, 2)))
    plane_N2 = (plane_N2 - plane_N2.mean(0, keepdims=True)) * np.array([[3.0, 1.0]])
    points_NZ = plane_N2 @ basis_Z2.T + 7
    found_N2, share_2 = plots_generative.principal_plane(points_NZ)
    covariance = np.cov(points_NZ.T)
    variances = np.sort(np.linalg.eigvalsh(covariance))[::-1]
    np.testing.assert_allclose(found_N2.var(axis=0, ddof=1), variances[:2], rtol=1e-10)
    np.testing.assert_allclose(share_2, variances[:2] / variances.sum(), rtol=1e-10)
    distances = [np.linalg.norm(x[:, None] - x[None], axis=2) for x in (found_N2, points_NZ)]
    np.testing.assert_allclose(*distances, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 4), (5, 1), (3, 2)])
def test_the_principal_plane_of_too_little(shape):
    coordinates_N2, share_2 = plots_generative.principal_plane(np.ones(shape))
    np.testing.assert_array_equal(coordinates_N2, np.zeros((shape[0], 2)))
    np.testing.assert_array_equal(share_2, [0, 0])


def test_the_same_figure_gives_the_same_bytes(tmp_path):
    for name in ("first.png", "second.png"):
        plots.save(classification.confusion_matrix(np.eye(3, dtype=int), names(3), TITLE), tmp_path / name)
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()


def test_classes_stay_distinct_up_to_sixteen():
    assert len({(plots.colour(c), plots.line(c)) for c in range(16)}) == 16
