"""The synthesiser does what the score says, seen from the waveform."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal

from serjax.data import synthesis
from serjax.data.synthesis import N_SAMPLES, RATE_HZ, Prosody, Score, Segments, Voice

START_S, END_S, TAIL_S = 0.4, 2.4, 2.8
VOWEL_HZ = (700.0, 1250.0, 2600.0)


def f32(value):
    return jnp.asarray(value, jnp.float32)


def steady_vowel(f0_hz=120.0, formants_hz=VOWEL_HZ, **changes):
    """One vowel between two silences, nothing moving and nothing rough unless asked for."""
    segments = Segments(
        ends_s=f32([START_S, END_S, TAIL_S]),
        formants_hz=f32([formants_hz] * 3),
        voice=f32([0, 1, 0]),
        breath=f32([0, 0, 0]),
        friction=f32([0, 0, 0]),
        friction_hz=f32([4000] * 3),
        accent=f32([0, 0, 0]),
    )
    prosody = Prosody(f32(f0_hz), *[f32(0)] * 7)
    voice = Voice(f32(8), f32(-60), f32([3500, 4500, 5500, 6500, 7500]), f32(-20), f32(-90), f32(0))
    parts = [
        part._replace(**{k: f32(v) for k, v in changes.items() if k in part._fields})
        for part in (segments, prosody, voice)
    ]
    return Score(*parts)


@jax.jit
def speak(score):
    return synthesis.synthesize(jax.random.key(3), score)


def middle(wav):
    return np.asarray(wav, np.float64)[round(0.8 * RATE_HZ) : round(2.0 * RATE_HZ)]


def measured_f0_hz(wav):
    """The first high peak of the autocorrelation, to a fraction of a sample."""
    x = middle(wav)
    spectrum = np.abs(np.fft.rfft(x, 4 * len(x))) ** 2
    correlation = np.fft.irfft(spectrum)[: len(x)] / np.arange(len(x), 0, -1)
    lags = np.arange(RATE_HZ // 500, RATE_HZ // 60)
    peaks = signal.find_peaks(correlation[lags], height=0.9 * correlation[lags].max())[0]
    lag = lags[peaks[0]]  # multiples of the period are peaks as well
    before, at, after = correlation[lag - 1 : lag + 2]
    return RATE_HZ / (lag + 0.5 * (before - after) / (before - 2 * at + after))


def stack(*scores):
    return jax.tree.map(lambda *leaves: np.stack(leaves), *scores)


@pytest.mark.parametrize("f0_hz", [83.0, 120.0, 211.3, 397.0])
def test_steady_vowel_has_the_f0_that_was_asked_for(f0_hz):
    # measured error: below 0.05 %
    np.testing.assert_allclose(measured_f0_hz(speak(steady_vowel(f0_hz))), f0_hz, rtol=0.002)


@pytest.mark.parametrize("formants_hz", [VOWEL_HZ, (300.0, 2200.0, 2900.0)])
def test_formants_are_where_they_were_asked_for(formants_hz):
    """A whisper shows the tract without harmonics: the peaks of its smooth spectrum are the formants."""
    wav = middle(speak(steady_vowel(formants_hz=formants_hz, voice=[0, 0, 0], breath=[0, 1, 0])))
    freqs_hz, power = signal.welch(wav, RATE_HZ, nperseg=1024)
    db = 10 * np.log10(signal.savgol_filter(power, 5, 1))
    peaks_hz = freqs_hz[signal.find_peaks(db, prominence=4, distance=8)[0]]
    for formant_hz in formants_hz:
        assert np.abs(peaks_hz - formant_hz).min() < 60


def test_pulse_train_is_the_sum_of_its_harmonics():
    f0_hz = 151.0
    pulses = np.asarray(synthesis.pulse_train(jnp.full(41, f0_hz)), np.float64)
    phase = 2 * np.pi * f0_hz * np.arange(pulses.size) / RATE_HZ
    n_harmonics = int(0.45 * RATE_HZ / f0_hz)
    wanted = sum(2 * np.cos(k * phase) for k in range(1, n_harmonics + 1)) / np.sqrt(2 * n_harmonics)
    # float32 phases: 4e-3 at the steepest flanks of peaks of 11
    np.testing.assert_allclose(pulses, wanted, atol=0.02)
    n_periods = round(17 * RATE_HZ / f0_hz)
    np.testing.assert_allclose(np.mean(wanted[:n_periods] ** 2), 1.0, rtol=0.01)
    np.testing.assert_allclose(np.mean(pulses[:n_periods] ** 2), 1.0, rtol=0.01)


def test_pulse_train_glides_without_a_jump():
    """The phase of a glide is the integral of its frequency, knots or not."""
    f0_hz = 100 * 2 ** (np.linspace(0, 1, 200))
    times_s = np.arange(200) * synthesis.KNOT / RATE_HZ
    fine_s = np.arange(199 * synthesis.KNOT) / RATE_HZ
    f0_fine_hz = np.interp(fine_s, times_s, f0_hz)
    cycles = np.concatenate([[0], np.cumsum(0.5 * (f0_fine_hz[:-1] + f0_fine_hz[1:]))]) / RATE_HZ
    pulses = np.asarray(synthesis.pulse_train(f32(f0_hz)))
    nearest = [np.argmin(np.abs(cycles - cycle)) for cycle in range(int(cycles[-1]) + 1)]
    # a pulse has its peak on the sample nearest to a whole cycle, or, half way between two, beside it
    around = np.array([pulses[max(0, at - 30) : at + 30].argmax() - min(at, 30) for at in nearest])
    assert len(nearest) == 84
    assert np.abs(around).max() <= 1
    assert np.mean(around == 0) > 0.9


def test_resonance_matches_scipy():
    radius = np.exp(-np.pi * 90 / RATE_HZ)
    beta = 2 * radius * np.cos(2 * np.pi * 1500 / RATE_HZ)
    freqs_hz = np.linspace(0, 11_000, 300)
    _, wanted = signal.freqz([1 - beta + radius**2], [1, -beta, radius**2], worN=freqs_hz, fs=RATE_HZ)
    response = synthesis.resonances(f32(freqs_hz), f32([[1500.0]]), (90.0,))
    np.testing.assert_allclose(response[0], wanted, rtol=2e-3)  # measured 4e-4, at the peak


def test_filters_at_rest_change_nothing():
    """Windows and overlap-add give back what went in: their sum is one everywhere."""
    wav = jax.random.normal(jax.random.key(0), (N_SAMPLES,))
    np.testing.assert_allclose(synthesis._overlap_add(synthesis._spectra(wav)), wav, atol=1e-5)


def test_filtering_frame_by_frame_is_filtering():
    """With a filter that stands still, overlap-add equals the recursive resonator run sample after sample."""
    wav = np.asarray(jax.random.normal(jax.random.key(0), (N_SAMPLES,)), np.float64)
    freqs = f32(np.arange(synthesis.N_FFT // 2 + 1) * RATE_HZ / synthesis.N_FFT)
    response = synthesis.resonances(freqs, f32([[900.0]]), (150.0,))
    ours = synthesis._overlap_add(synthesis._spectra(f32(wav)) * response)
    radius = np.exp(-np.pi * 150 / RATE_HZ)
    beta = 2 * radius * np.cos(2 * np.pi * 900 / RATE_HZ)
    wanted = signal.lfilter([1 - beta + radius**2], [1, -beta, radius**2], wav)
    assert np.abs(ours - wanted).max() < 1e-3 * np.abs(wanted).max()


def test_level_silence_and_length():
    wav = np.asarray(speak(steady_vowel(level_dbfs=-23)), np.float64)
    spoken = wav[round(START_S * RATE_HZ) : round(END_S * RATE_HZ)]
    np.testing.assert_allclose(10 * np.log10(np.mean(spoken**2)), -23, atol=0.1)
    lead_db = 10 * np.log10(np.mean(wav[: round(0.3 * RATE_HZ)] ** 2))
    np.testing.assert_allclose(lead_db, -90, atol=0.5)
    assert wav.shape == (N_SAMPLES,)
    assert not wav[round(TAIL_S * RATE_HZ) + 1 :].any()
    assert wav[round(TAIL_S * RATE_HZ) - 50 : round(TAIL_S * RATE_HZ) - 1].any()


def test_a_clip_that_is_too_loud_is_turned_down_as_a_whole():
    loud, quiet = speak(steady_vowel(level_dbfs=0, floor_dbfs=-200)), speak(steady_vowel(floor_dbfs=-200))
    np.testing.assert_allclose(np.abs(loud).max(), 0.98, rtol=1e-6)
    np.testing.assert_allclose(loud / np.abs(loud).max(), quiet / np.abs(quiet).max(), atol=1e-5)


def high_share_db(wav):
    freqs_hz, power = signal.welch(middle(wav), RATE_HZ, nperseg=2048)
    return 10 * np.log10(power[freqs_hz > 2000].sum() / power[freqs_hz < 1000].sum())


def roughness(wav):
    """Share of power that does not come back one period of 120 Hz later."""
    x, period = middle(wav), RATE_HZ / 120
    later = np.interp(np.arange(len(x) - 400) + period, np.arange(len(x)), x)
    return np.mean((x[:-400] - later) ** 2) / np.mean(x**2)


@pytest.mark.parametrize(
    ("change", "measure", "at_least"),
    [
        ({"tilt_db": 20}, lambda wav: -high_share_db(wav), 5.0),
        ({"breath_db": -20}, roughness, 0.01),
        ({"jitter": 0.02}, roughness, 0.02),
        ({"shimmer_db": 2.0}, roughness, 0.02),
    ],
)
def test_voice_quality_is_heard(change, measure, at_least):
    assert measure(speak(steady_vowel(**change))) - measure(speak(steady_vowel())) > at_least


def test_contour_is_the_equation():
    """Accent, declination and final rise against the same sum in float64."""
    score = steady_vowel(f0_hz=100, range_st=4, declination_st=3, final_st=5, accent=[0, 0.5, 0])
    times_s = np.linspace(0, 3, 50)
    contour = synthesis.f0_contour(jax.random.key(0), score.segments, score.prosody, f32(times_s))
    x = np.clip((times_s - START_S) / (END_S - START_S), 0, 1)
    bump = 0.5 * np.exp(-0.5 * ((times_s - (START_S + END_S) / 2) / (0.02 + 0.6 * (END_S - START_S))) ** 2)
    # Only the gap before the last border is a silence: the middle one of the three segments carries the accent.
    st = 4 * bump - 3 * (x - 0.5) + 5 / (1 + np.exp(-(x - 0.9) / 0.03))
    np.testing.assert_allclose(contour, 100 * 2 ** (st / 12), rtol=1e-4)


def test_loudness_follows_the_accent():
    plain, accented = (speak(steady_vowel(accent=[0, 1, 0], accent_db=db, floor_dbfs=-200)) for db in (0, 6))
    here, there = round(1.4 * RATE_HZ), round(0.5 * RATE_HZ)  # the middle of the vowel and near its edge

    def rise_db(wav):
        powers = [np.mean(np.asarray(wav[at - 900 : at + 900], np.float64) ** 2) for at in (here, there)]
        return 10 * np.log10(powers[0] / powers[1])

    bump_at_edge = np.exp(-0.5 * (0.9 / (0.02 + 0.6 * 2.0)) ** 2)
    np.testing.assert_allclose(rise_db(accented) - rise_db(plain), 6 * (1 - bump_at_edge), atol=0.15)


@pytest.mark.slow
def test_jit_eager_and_vmap_agree():
    score = steady_vowel(jitter=0.01, shimmer_db=0.5, breath_db=-30, wander_st=0.5)
    compiled = jax.jit(synthesis.synthesize)(jax.random.key(7), score)
    eager = synthesis.synthesize(jax.random.key(7), score)
    keys = jax.vmap(jax.random.key)(jnp.array([8, 7]))
    mapped = jax.jit(jax.vmap(synthesis.synthesize))(keys, stack(score, score))
    # the phase is a float32 of cycles: other fusions, other last digits (measured 2e-5 to 2.3e-4 of a peak of 0.4)
    np.testing.assert_allclose(eager, compiled, atol=1e-3)
    np.testing.assert_allclose(mapped[1], compiled, atol=1e-3)


def test_a_clip_does_not_know_its_neighbours():
    root = jax.random.key(0)
    scores = [steady_vowel(f0_hz, jitter=0.01, breath_db=-30) for f0_hz in (90, 130, 170, 250)]
    together = synthesis.synthesize_block(root, np.array([5, 6, 7, 8], np.int32), stack(*scores))
    other = stack(scores[2], scores[1], scores[0], scores[0])
    moved = synthesis.synthesize_block(root, np.array([7, 9, 1, 2], np.int32), other)
    np.testing.assert_array_equal(together[2], moved[0])
    assert np.abs(np.asarray(together[1] - moved[1])).max() > 1e-3  # same score, another id: another noise
