"""A source-filter speech synthesiser: a score of segments and prosody in, a waveform out.

The vocal folds give a band-limited pulse train whose frequency follows an intonation contour; turbulence gives
noise. Both pass the resonances of a vocal tract that glides from segment to segment:

    X(f, t) = [v(t) G(f) E(f, t) + b(t) W(f, t)] U(f) Π_k R(f; F_k(t)) + c(t) Q(f; f_c(t)) W(f, t)

E pulses, W white noise, G glottal pulse shape and radiation, U the upper formants, R one moving formant, Q the
frication band; v, b, c the amplitudes of voicing, breath and frication. The filters change once every `HOP`
samples by overlap-add of half-overlapped Hann windows, so that nothing runs sample after sample.

Source: Fant (1960), Acoustic Theory of Speech Production; Klatt (1980), "Software for a cascade/parallel
formant synthesizer", JASA 67; Klatt & Klatt (1990), "Analysis, synthesis, and perception of voice quality
variations among female and male talkers", JASA 87.
"""

import math
from functools import partial
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int, Key

RATE_HZ = 22_050
HOP = 256  # samples from one setting of the filters to the next
KNOT = 64  # samples from one setting of pitch and loudness to the next: about half a glottal cycle
N_FRAMES = 284
N_SAMPLES = N_FRAMES * HOP  # 3.3 s: the room that a clip has
N_FFT = 4 * HOP  # a Hann window is 2 HOP long; the other half takes up the ringing of the filter
N_MOVING, N_UPPER = 3, 5  # formants that glide with the segments, and those above them that stand still

BANDWIDTHS_HZ = (60.0, 90.0, 150.0, 220.0, 280.0, 350.0, 420.0, 500.0)  # Klatt (1980), table I, extrapolated
_FORMANT_GLIDE_S, _AMPLITUDE_GLIDE_S = 0.012, 0.004  # the tongue takes its time, the glottis and lips less
_HIGHEST = 0.45  # highest harmonic, as a share of the sample rate


Row = Float[Array | np.ndarray, "*batch S"]
Number = Float[Array | np.ndarray, "*batch"] | float


class Segments(NamedTuple):
    """What the mouth does: S segments in a row; the first and the last are silence."""

    ends_s: Row  # a pause or a padding segment may have length zero
    formants_hz: Float[Array | np.ndarray, "*batch S 3"]
    voice: Row  # amplitude, 1 = a vowel
    breath: Row  # amplitude of noise through the tract, beside the breathiness of the voice
    friction: Row  # amplitude of noise that is made near the lips
    friction_hz: Row
    accent: Row  # prominence, 0 to about 1


class Prosody(NamedTuple):
    """How the larynx moves over the sentence; semitones are relative to `f0_hz`."""

    f0_hz: Number
    range_st: Number  # height of a full accent
    declination_st: Number  # fall from the first to the last segment
    final_st: Number  # rise (or fall) over the last fifth
    wander_st: Number  # slow random movement, standard deviation
    jitter: Number  # relative standard deviation of F0 from knot to knot
    shimmer_db: Number  # standard deviation of the level from knot to knot
    accent_db: Number  # how much louder a full accent is


class Voice(NamedTuple):
    """What stays the same over the sentence."""

    tilt_db: Number  # loss of the source at 3 kHz, beyond the pulse's own (Klatt's TL), > 0
    breath_db: Number  # breath noise against the peak of the glottal spectrum
    upper_hz: Float[Array | np.ndarray, "*batch 5"]
    level_dbfs: Number  # root mean square of the speech between the silences
    floor_dbfs: Number  # root mean square of the room and the microphone
    floor_colour: Number  # -1 (hiss) to 1 (rumble)


class Score(NamedTuple):
    """All that one clip is made of, but for the noise."""

    segments: Segments
    prosody: Prosody
    voice: Voice


def synthesize(key: Key[Array, ""], score: Score) -> Float[Array, " N"]:
    """Speak one score: `N_SAMPLES` at `RATE_HZ`, |x| < 1, zero behind the last segment.

    A clip that would clip is turned down as a whole.
    """
    f0_key, shimmer_key, breath_key, floor_key = jax.random.split(key, 4)
    segments, prosody, voice = score
    knots_s = jnp.arange(N_SAMPLES // KNOT + 1) * (KNOT / RATE_HZ)
    pulses_N = pulse_train(f0_contour(f0_key, segments, prosody, knots_s))
    gain_P = voice_gain(shimmer_key, segments, prosody, knots_s)
    speech_N = _tract(breath_key, pulses_N * _ramps(gain_P).ravel(), segments, voice)

    spoken_s = segments.ends_s[-2] - segments.ends_s[0]
    rms = jnp.sqrt(jnp.sum(speech_N**2) / (spoken_s * RATE_HZ))
    wav_N = speech_N * (_amplitude(voice.level_dbfs) / rms) + _floor(floor_key, voice)
    wav_N = wav_N / jnp.maximum(1.0, jnp.abs(wav_N).max() / 0.98)
    return jnp.where(jnp.arange(N_SAMPLES) < segments.ends_s[-1] * RATE_HZ, wav_N, 0.0)


@jax.jit
def synthesize_block(root: Key[Array, ""], ids_B: Int[Array, " B"], scores: Score) -> Float[Array, "B N"]:
    """Speak a block of scores; the noise of a clip depends on `root` and its own id, never on its neighbours."""

    def speak(clip_id: Int[Array, ""], score: Score) -> Float[Array, " N"]:
        return synthesize(jax.random.fold_in(root, clip_id), score)

    return jax.vmap(speak)(ids_B, scores)


def f0_contour(
    key: Key[Array, ""], segments: Segments, prosody: Prosody, times_s: Float[Array, " P"]
) -> Float[Array, " P"]:
    """Fundamental frequency in Hz: accents on a falling line, a final movement, wander and jitter.

    f0(t) = f0 · 2^(st(t)/12) · (1 + jitter·n),  st = -declination (x - ½) + range Σ accents + final s(x) + wander
    with x = 0…1 over the sentence. This is Pierrehumbert's (1981) picture of English intonation, much reduced.
    """
    wander_key, jitter_key = jax.random.split(key)
    x = jnp.clip((times_s - segments.ends_s[0]) / (segments.ends_s[-2] - segments.ends_s[0]), 0.0, 1.0)
    final = jax.nn.sigmoid((x - 0.9) / 0.03)
    st = prosody.range_st * _accents(segments, times_s) - prosody.declination_st * (x - 0.5)
    st += prosody.final_st * final + prosody.wander_st * _wander(wander_key, times_s)
    rough = jnp.clip(prosody.jitter * jax.random.normal(jitter_key, times_s.shape), -0.3, 0.3)
    return jnp.exp2(st / 12) * (1 + rough) * prosody.f0_hz


def voice_gain(
    key: Key[Array, ""], segments: Segments, prosody: Prosody, times_s: Float[Array, " P"]
) -> Float[Array, " P"]:
    """Amplitude of voicing: that of the segment, with louder accents and shimmer."""
    db = prosody.accent_db * _accents(segments, times_s)
    db += prosody.shimmer_db * jax.random.normal(key, times_s.shape)
    return _glide(segments.voice, segments.ends_s, times_s, _AMPLITUDE_GLIDE_S) * _amplitude(db)


def pulse_train(f0_hz_P: Float[Array, " P"]) -> Float[Array, " N"]:
    """Band-limited pulses of unit power, F0 running straight from knot to knot; N = (P - 1)·KNOT.

    e(n) = (2K)^(-½) Σ_{k=1}^{K} 2 cos(2πkφ_n) = (2K)^(-½) [sin((2K+1)πφ_n) / sin(πφ_n) - 1]

    The closed form costs two sines per sample instead of K (Stilson & Smith 1996, "Alias-free digital synthesis
    of classic analog waveforms"). K is the number of harmonics below 0.45 of the sample rate.
    """
    slopes_P = jnp.diff(f0_hz_P)
    advance_P = (f0_hz_P[:-1] + 0.5 * slopes_P) * (KNOT / RATE_HZ)
    start_P = (jnp.cumsum(advance_P) - advance_P) % 1.0  # whole cycles dropped: float32 has few digits to lose
    u = jnp.arange(KNOT)[None, :] / KNOT
    within_PU = (f0_hz_P[:-1, None] * u + 0.5 * slopes_P[:, None] * u**2) * (KNOT / RATE_HZ)
    phase_PU = start_P[:, None] + within_PU
    phase_PU = phase_PU - jnp.round(phase_PU)
    n_harmonics_P1 = jnp.floor(_HIGHEST * RATE_HZ / f0_hz_P[:-1, None])
    below = jnp.sin(jnp.pi * phase_PU)
    at_peak = jnp.abs(below) < 1e-6
    ratio = jnp.sin((2 * n_harmonics_P1 + 1) * jnp.pi * phase_PU) / jnp.where(at_peak, 1.0, below)
    kernel_PU = jnp.where(at_peak, 2 * n_harmonics_P1 + 1, ratio) - 1
    return (kernel_PU / jnp.sqrt(2 * n_harmonics_P1)).ravel()


def resonances(
    freqs_F: Float[Array, " F"], formants_TK: Float[Array | np.ndarray, "T K"], bandwidths_hz: tuple[float, ...]
) -> Complex[Array, "T F"]:
    """Complex response of K of Klatt's (1980) digital resonators in a row, 1 at 0 Hz.

    R(z) = Π (1 - β - γ) / (1 - β z⁻¹ - γ z⁻²),  γ = -e^{-2πb/fs},  β = 2 e^{-πb/fs} cos(2πF/fs)

    The digital form repeats above half the sample rate, which stands in for the formants above the last one.
    """
    chex.assert_axis_dimension(formants_TK, 1, len(bandwidths_hz))
    delay_1F = jnp.exp(-2j * jnp.pi * freqs_F / RATE_HZ)[None, :]
    above_T1, below_TF = jnp.ones((1, 1)), jnp.ones((1, 1))  # one division at the end: it is the dearest step
    for place, bandwidth_hz in enumerate(bandwidths_hz):
        radius = math.exp(-math.pi * bandwidth_hz / RATE_HZ)
        beta_T1 = 2 * radius * jnp.cos(2 * jnp.pi * formants_TK[:, place, None] / RATE_HZ)
        above_T1 = above_T1 * (1 - beta_T1 + radius**2)
        below_TF = below_TF * (1 - delay_1F * (beta_T1 - radius**2 * delay_1F))
    return above_T1 / below_TF


def _tract(key: Key[Array, ""], voiced_N: Float[Array, " N"], segments: Segments, voice: Voice) -> Float[Array, " N"]:
    """Send the pulses, breath and frication through the filters, frame by frame."""
    freqs_F = jnp.arange(N_FFT // 2 + 1) * (RATE_HZ / N_FFT)
    frames_s = jnp.arange(N_FRAMES + 1) * (HOP / RATE_HZ)  # frame t is centred at sample t·HOP
    follow = partial(_glide, ends_s=segments.ends_s, times_s=frames_s)
    formants_T3 = follow(segments.formants_hz, glide_s=_FORMANT_GLIDE_S)
    voicing_T = follow(segments.voice, glide_s=_AMPLITUDE_GLIDE_S)
    breath_T = follow(segments.breath, glide_s=_AMPLITUDE_GLIDE_S)
    friction_T = follow(segments.friction, glide_s=_AMPLITUDE_GLIDE_S)
    friction_hz_T = follow(segments.friction_hz, glide_s=_FORMANT_GLIDE_S)

    noise_N = jax.random.uniform(key, (N_SAMPLES,), minval=-(3**0.5), maxval=3**0.5)
    pulses_TF, noise_TF = _spectra(voiced_N), _spectra(noise_N)
    upper_F = resonances(freqs_F, voice.upper_hz[None, :], BANDWIDTHS_HZ[N_MOVING:])[0]
    source_TF = pulses_TF * (upper_F * _glottis(freqs_F, voice.tilt_db))[None, :]
    breath_T = _amplitude(voice.breath_db) * voicing_T + breath_T
    source_TF += breath_T[:, None] * noise_TF * upper_F[None, :]
    source_TF *= resonances(freqs_F, formants_T3, BANDWIDTHS_HZ[:N_MOVING])
    band_TF = jnp.exp(-0.5 * ((freqs_F[None, :] - friction_hz_T[:, None]) / (0.25 * friction_hz_T[:, None])) ** 2)
    return _overlap_add(source_TF + friction_T[:, None] * band_TF * noise_TF)


def _glottis(freqs_F: Float[Array, " F"], tilt_db: Number) -> jax.Array:
    """Pulse shape with radiation, 2ix/(1+ix)² with x = f/180 Hz, and a one-pole loss of `tilt_db` at 3 kHz."""
    x = freqs_F / 180.0
    corner_hz = 3000.0 / jnp.sqrt(jnp.power(10.0, tilt_db / 10) - 1)
    return 2j * x / (1 + 1j * x) ** 2 / (1 + 1j * freqs_F / corner_hz)


def _spectra(wav_N: Float[Array, " N"]) -> jax.Array:
    """Spectra of the Hann windows around every multiple of HOP, zero padded to N_FFT."""
    chunks = jnp.pad(wav_N, HOP).reshape(-1, HOP)
    windows = jnp.concatenate([chunks[:-1], chunks[1:]], axis=1)
    hann = 0.5 - 0.5 * jnp.cos(jnp.pi * jnp.arange(2 * HOP) / HOP)
    return jnp.fft.rfft(windows * hann[None, :], N_FFT)


def _overlap_add(spectra_TF: jax.Array) -> Float[Array, " N"]:
    """Undo `_spectra`, the ringing of each frame added to the frames after it (no scatter: same sums each time)."""
    chex.assert_shape(spectra_TF, (N_FRAMES + 1, N_FFT // 2 + 1))
    parts = jnp.fft.irfft(spectra_TF, N_FFT).reshape(N_FRAMES + 1, N_FFT // HOP, HOP)
    late = [jnp.pad(parts[:, lag], ((lag, 0), (0, 0)))[: N_FRAMES + 1] for lag in range(N_FFT // HOP)]
    return sum(late[1:], late[0])[1:].ravel()  # the first window begins HOP samples before the clip


def _glide(values: Array | np.ndarray, ends_s: Row, times_s: Float[Array, " T"], glide_s: float) -> jax.Array:
    """Values of the segments [S] or [S, k] at `times_s`, a logistic step of width `glide_s` at every border."""
    passed_TS = jax.nn.sigmoid((times_s[:, None] - ends_s[None, :-1]) / glide_s)
    return jnp.asarray(values[:1]) + jnp.tensordot(passed_TS, jnp.diff(values, axis=0), axes=1)


def _accents(segments: Segments, times_s: Float[Array, " T"]) -> Float[Array, " T"]:
    """Bumps of prominence, each as wide as its segment."""
    starts_s = jnp.pad(segments.ends_s[:-1], (1, 0))
    centres_s, widths_s = 0.5 * (starts_s + segments.ends_s), 0.02 + 0.6 * (segments.ends_s - starts_s)
    bumps_TS = jnp.exp(-0.5 * ((times_s[:, None] - centres_s[None, :]) / widths_s[None, :]) ** 2)
    return bumps_TS @ segments.accent


def _wander(key: Key[Array, ""], times_s: Float[Array, " T"]) -> Float[Array, " T"]:
    """Three sines of unit power together, 0.7 to 3 Hz, random phases."""
    rates_hz = jnp.array([0.7, 1.6, 3.0])
    phases = jax.random.uniform(key, (3,))
    return jnp.sqrt(2 / 3) * jnp.sin(2 * jnp.pi * (times_s[:, None] * rates_hz[None, :] + phases[None, :])).sum(1)


def _ramps(values_P: Float[Array, " P"]) -> Float[Array, "Q U"]:
    """Straight lines from knot to knot."""
    return values_P[:-1, None] + jnp.diff(values_P)[:, None] * (jnp.arange(KNOT)[None, :] / KNOT)


def _floor(key: Key[Array, ""], voice: Voice) -> Float[Array, " N"]:
    """White noise through a first-order filter, at its level."""
    noise = jax.random.uniform(key, (N_SAMPLES + 1,), minval=-(3**0.5), maxval=3**0.5)
    coloured = (noise[1:] + voice.floor_colour * noise[:-1]) / jnp.sqrt(1 + voice.floor_colour**2)
    return _amplitude(voice.floor_dbfs) * coloured


def _amplitude(db: Array | np.ndarray | float) -> jax.Array:
    """10^(dB/20)."""
    return jnp.power(10.0, db / 20)
