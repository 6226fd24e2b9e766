"""Windows by name, with a parameter, as an array or as a function: those of scipy."""

import numpy as np
import pytest

from serjax import dsp

NAMED = ["hann", "hamming", "blackman", "blackmanharris", "bartlett", "boxcar", ("hann",)]
WITH_PARAMETERS = [
    ("kaiser", 4.0), ("kaiser", 0), ("kaiser", np.float64(14.0)), ("gaussian", 7), ("gaussian", 0.8),
    ("tukey", 0.25), ("tukey", 1), ("tukey", 0.0), ("tukey", 1.5), (np.str_("tukey"), 0.5),
]  # fmt: skip


@pytest.fixture(autouse=True)
def without_type_checks(monkeypatch):
    """Meet the values as a user does, without the run-time type checks that tests switch on."""
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)


@pytest.mark.parametrize("window", [*NAMED, *WITH_PARAMETERS], ids=str)
def test_equals_scipy(window):
    signal = pytest.importorskip("scipy.signal")
    theirs = tuple(one.item() if isinstance(one, np.generic) else one for one in window)
    for length in (1, 2, 9, 64):
        for fftbins in (True, False):
            expected = signal.get_window(window if isinstance(window, str) else theirs, length, fftbins=fftbins)
            np.testing.assert_allclose(dsp.get_window(window, length, fftbins=fftbins), expected, atol=1e-6)


@pytest.mark.parametrize(
    "window", [np.hanning, np.hanning(48), np.hanning(48).tolist()], ids=["function", "array", "list"]
)
def test_functions_and_arrays_are_taken_as_they_are(window):
    y = np.random.default_rng(0).standard_normal(400).astype(np.float32)
    expected = dsp.stft(y, n_fft=64, win_length=48, window=np.hanning(48).astype(np.float32))
    np.testing.assert_array_equal(dsp.stft(y, n_fft=64, win_length=48, window=window), expected)
    np.testing.assert_array_equal(dsp.get_window(np.ones(5, int), 5), np.ones(5))


WRONG = [
    "kaiser", ("kaiser",), ("kaiser", 4.0, 2.0), ("kaiser", "4"), ("kaiser", np.nan), ("gaussian", 0), ("dpss", 2.5),
    ("general_gaussian", 1.5, 7), ("hann", 1), (), 4.0, None, np.ones(7), np.ones((8, 8)), lambda n: np.ones(n + 1),
    lambda n: "hann", object(),
]  # fmt: skip


@pytest.mark.parametrize("window", WRONG)
def test_other_windows_are_refused(window):
    with pytest.raises(dsp.ParameterError, match="window"):
        dsp.stft(np.ones(400, np.float32), n_fft=8, window=window)
