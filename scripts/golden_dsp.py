"""Write `tests/golden/dsp.npz`: what librosa 0.11 makes in float64 of one short signal that looks like speech.

    python -m scripts.golden_dsp

The tests compare `serjax.dsp` with this file, so that they notice a change on either side even where librosa is absent.
Run it again only to add values, and look at the difference: frozen values do not change without a reason.
"""

from pathlib import Path

import librosa
import numpy as np
import scipy.fft

from tests.reference.dsp import vowel

GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "dsp.npz"
SAMPLE_RATE_HZ = 22_050


def golden_values() -> dict[str, np.ndarray]:
    """Compute every frozen value, in float64."""
    signal = vowel(8_000, SAMPLE_RATE_HZ, seed=3)
    y, short = signal.astype(np.float64), signal[3_000:4_000].astype(np.float64)
    mel = librosa.feature.melspectrogram(y=y, sr=SAMPLE_RATE_HZ, dtype=np.float64)
    coefficients = librosa.feature.mfcc(y=y, sr=SAMPLE_RATE_HZ, dtype=np.float64)
    chroma = librosa.feature.chroma_stft(y=y, sr=SAMPLE_RATE_HZ, dtype=np.float64)
    spectrum = librosa.stft(short, n_fft=256, hop_length=64)
    hz, height = librosa.piptrack(y=short, sr=SAMPLE_RATE_HZ, n_fft=256)
    one = librosa.feature
    return {
        "signal": signal,
        "stft_hann": spectrum,
        "stft_hamming_reflect": librosa.stft(
            short, n_fft=256, hop_length=64, win_length=200, window="hamming", pad_mode="reflect"
        ),
        "melspectrogram": mel,
        "power_to_db": librosa.power_to_db(mel, ref=np.max),
        "amplitude_to_db": librosa.amplitude_to_db(np.sqrt(mel), ref=0.5, top_db=40.0),
        "mfcc": coefficients,
        "mfcc_liftered_htk": librosa.feature.mfcc(
            y=y, sr=SAMPLE_RATE_HZ, n_mfcc=13, lifter=22, n_mels=40, fmin=50.0, fmax=8_000.0, htk=True, dtype=np.float64
        ),
        "delta": librosa.feature.delta(coefficients),
        "delta_order2_nearest": librosa.feature.delta(coefficients, width=7, order=2, mode="nearest"),
        "mel_filterbank_sums": librosa.filters.mel(sr=SAMPLE_RATE_HZ, n_fft=2048, dtype=np.float64).sum(axis=1),
        "mel_frequencies": librosa.mel_frequencies(40, fmin=20.0, fmax=8_000.0),
        "istft": librosa.istft(spectrum, hop_length=64),
        "phase_vocoder": librosa.phase_vocoder(spectrum, rate=1.3, hop_length=64),
        "time_stretch": librosa.effects.time_stretch(short, rate=0.85, n_fft=256),
        "preemphasis": librosa.effects.preemphasis(short),
        "db_to_amplitude": librosa.db_to_amplitude(coefficients, ref=0.5),
        "mfcc_to_mel": librosa.feature.inverse.mfcc_to_mel(coefficients, n_mels=40),
        "chroma_filterbank_sums": librosa.filters.chroma(sr=SAMPLE_RATE_HZ, n_fft=2048, tuning=0.2).sum(axis=1),
        "chroma_stft": chroma,
        "tonnetz": one.tonnetz(chroma=chroma),
        "estimate_tuning": librosa.estimate_tuning(y=y, sr=SAMPLE_RATE_HZ),
        "piptrack_hz": hz,
        "piptrack_height": height,
        "spectral_centroid": one.spectral_centroid(y=y, sr=SAMPLE_RATE_HZ),
        "spectral_bandwidth_p2": one.spectral_bandwidth(y=y, sr=SAMPLE_RATE_HZ),
        "spectral_bandwidth_p3": one.spectral_bandwidth(y=y, sr=SAMPLE_RATE_HZ, p=3),
        "spectral_rolloff": one.spectral_rolloff(y=y, sr=SAMPLE_RATE_HZ),
        "spectral_contrast": one.spectral_contrast(y=y, sr=SAMPLE_RATE_HZ),
        "spectral_flatness": one.spectral_flatness(y=y),
        "zero_crossing_rate": one.zero_crossing_rate(y),
        "rms": one.rms(y=y, dtype=np.float64),
        "yin": librosa.yin(y, fmin=65, fmax=500, sr=SAMPLE_RATE_HZ),
        **{f"dct{kind}": scipy.fft.dct(coefficients, type=kind, axis=0) for kind in (1, 2, 3)},
        **{f"dct{kind}_ortho": scipy.fft.dct(coefficients, type=kind, axis=0, norm="ortho") for kind in (1, 2, 3)},
    }


if __name__ == "__main__":
    np.savez_compressed(GOLDEN, allow_pickle=False, **golden_values())
    print(f"wrote {GOLDEN.name}: {GOLDEN.stat().st_size / 1024:.0f} KiB")
