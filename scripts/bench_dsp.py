"""Time 64 clips of 2.5 s (22 050 Hz, n_fft 2048, hop 512, 128 mels): MFCCs beside peers, each function beside librosa.

    python -m scripts.bench_dsp [--devices 2] [--repeats 9] [--functions mfcc stft ...]

All of a table run in turn in this process, so that what else the machine does falls on all alike; tables give medians.
The first is of MFCCs, five calls a turn, and gives the ratio to `dsp.extract` on one device. *floor* is scipy's real
Fourier transform of all frames on all cores and one matrix product with the mel bands: no power, no decibels, no cosine
transform. Peers that are not installed (`pip install -e ".[bench]"`) are left out.

The second has each public function with a counterpart, called as a user writes it, on the whole batch; librosa clip by
clip and, where it takes one, as a batch. *first* is the first call, which compiles. `--functions` names some, else all.
"""

import importlib.util
import os
import shlex
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft
import tyro
from rich.console import Console
from rich.table import Table

from serjax import dsp
from serjax.data.features import extract_over_devices
from serjax.provenance import program
from serjax.train.parallel import request_devices

SR, N_FFT, HOP, N_MELS, N_MFCC = 22_050, 2048, 512, 128, 20
N_CLIPS, N_SAMPLES = 64, 55_125
CALLS_A_TURN = 5
FRONTEND = dsp.Mfcc(
    sample_rate_hz=SR, n_mfcc=N_MFCC, frames=1 + N_SAMPLES // HOP, n_fft=N_FFT, hop_length=HOP, n_mels=N_MELS
)


def floor(clips_BN: np.ndarray) -> Callable[[], object]:
    """Return a call that transforms the frames and multiplies spectra with the mel bands, and does nothing else."""
    padded = np.pad(clips_BN, ((0, 0), (N_FFT // 2, N_FFT // 2)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT, axis=-1)[:, ::HOP].reshape(-1, N_FFT).copy()
    bands = np.asarray(dsp.mel_filterbank(sr=SR, n_fft=N_FFT, n_mels=N_MELS)).T.copy()
    power = np.square(np.abs(scipy.fft.rfft(frames, axis=-1)))

    def call() -> object:
        return scipy.fft.rfft(frames, axis=-1, workers=os.cpu_count()), power @ bands

    return call


def ours(clips_BN: np.ndarray, device: jax.Device) -> Callable[[], object]:
    """Return a call of `dsp.extract` on one device."""
    there = jax.device_put(jnp.asarray(clips_BN), device)
    return lambda: jax.block_until_ready(dsp.extract(FRONTEND, there))


def librosa_one_by_one(clips_BN: np.ndarray) -> Callable[[], object]:
    """Return a call of librosa, clip by clip, as a script would."""
    import librosa

    def one(clip: np.ndarray) -> np.ndarray:
        return librosa.feature.mfcc(y=clip, sr=SR, n_mfcc=N_MFCC, n_fft=N_FFT, hop_length=HOP, n_mels=N_MELS)

    return lambda: [one(clip) for clip in clips_BN]


def torchaudio_formula(clips_BN: np.ndarray) -> Callable[[], object]:
    """Return torchaudio's MFCC written out in PyTorch: STFT, mel product, decibels, cosine transform, on the batch."""
    import torch

    clips = torch.from_numpy(clips_BN)
    window = torch.hann_window(N_FFT)
    bands = torch.from_numpy(np.array(dsp.mel_filterbank(sr=SR, n_fft=N_FFT, n_mels=N_MELS)))
    cosines = torch.from_numpy(np.array(dsp.dct(jnp.eye(N_MELS), axis=0, norm="ortho"))[:N_MFCC])

    def call() -> object:
        with torch.inference_mode():
            spectra = torch.stft(clips, N_FFT, HOP, window=window, pad_mode="constant", return_complex=True)
            mel = torch.matmul(bands, spectra.abs().pow(2))
            decibels = 10 * torch.log10(torch.clamp(mel, min=1e-10))
            decibels = torch.maximum(decibels, decibels.amax(dim=(-2, -1), keepdim=True) - 80)
            return torch.matmul(cosines, decibels)

    return call


def librosax_batch(clips_BN: np.ndarray) -> Callable[[], object]:
    """Return librosax's MFCC of the batch, jitted."""
    import librosax.feature

    function = jax.jit(
        lambda y: librosax.feature.mfcc(y=y, sr=SR, n_mfcc=N_MFCC, n_fft=N_FFT, hop_length=HOP, n_mels=N_MELS)
    )
    clips = jnp.asarray(clips_BN)
    return lambda: jax.block_until_ready(function(clips))


def kaldi_one_by_one(clips_BN: np.ndarray) -> Callable[[], object]:
    """Return kaldi-native-fbank's MFCC with the same sizes: Kaldi's definition, other values for the same work."""
    import kaldi_native_fbank

    options = kaldi_native_fbank.MfccOptions()
    options.frame_opts.samp_freq, options.frame_opts.dither = SR, 0
    options.frame_opts.frame_length_ms, options.frame_opts.frame_shift_ms = 1e3 * N_FFT / SR, 1e3 * HOP / SR
    options.mel_opts.num_bins, options.num_ceps = N_MELS, N_MFCC
    clips = [clip.tolist() for clip in clips_BN]

    def call() -> object:
        coefficients = []
        for clip in clips:
            computer = kaldi_native_fbank.OnlineMfcc(options)
            computer.accept_waveform(SR, clip)
            computer.input_finished()
            coefficients.append([computer.get_frame(t) for t in range(computer.num_frames_ready)])
        return coefficients

    return call


PEERS = {
    "librosa": ("librosa, clip by clip", librosa_one_by_one),
    "torch": ("torchaudio's formula, batch", torchaudio_formula),
    "librosax": ("librosax, jitted batch", librosax_batch),
    "kaldi_native_fbank": ("kaldi-native-fbank, clip by clip", kaldi_one_by_one),
}


@dataclass(frozen=True)
class Entry:
    """A function and its counterpart, both as calls on what they are given: one clip's or a batch's."""

    name: str
    given: str
    """Which of the inputs: y, D, S, mel, db, mfcc, chroma."""
    ours: Callable[[np.ndarray], object]
    theirs: Callable[[np.ndarray], object]
    batches: bool = True
    """Whether librosa takes a batch."""


def inputs(clips_BN: np.ndarray) -> dict[str, np.ndarray]:
    """Compute what functions are given: waveforms, spectra (complex, magnitude), mel bands, dB, MFCCs, chroma."""
    made = {
        "y": clips_BN,
        "D": dsp.stft(clips_BN),
        "S": dsp.spectrogram(clips_BN),
        "mel": dsp.melspectrogram(clips_BN),
        "db": dsp.power_to_db(dsp.melspectrogram(clips_BN)),
        "mfcc": dsp.mfcc(clips_BN),
        "chroma": dsp.chroma_stft(clips_BN),
    }
    return {name: np.asarray(values) for name, values in made.items()}


def entries() -> tuple[Entry, ...]:
    """List the functions that have a counterpart in librosa."""
    import librosa

    one = librosa.feature
    return (
        Entry("stft", "y", dsp.stft, librosa.stft),
        Entry("istft", "D", dsp.istft, librosa.istft),
        Entry("power_to_db", "mel", dsp.power_to_db, librosa.power_to_db),
        Entry("amplitude_to_db", "S", dsp.amplitude_to_db, librosa.amplitude_to_db),
        Entry("db_to_power", "db", dsp.db_to_power, librosa.db_to_power),
        Entry("db_to_amplitude", "db", dsp.db_to_amplitude, librosa.db_to_amplitude),
        Entry("melspectrogram", "y", dsp.melspectrogram, lambda y: one.melspectrogram(y=y)),
        Entry("melspectrogram of S", "S", lambda S: dsp.melspectrogram(S=S), lambda S: one.melspectrogram(S=S)),
        Entry("mfcc", "y", dsp.mfcc, lambda y: one.mfcc(y=y)),
        Entry("mfcc of S", "db", lambda S: dsp.mfcc(S=S), lambda S: one.mfcc(S=S)),
        Entry("delta", "mfcc", dsp.delta, one.delta),
        Entry("mfcc_to_mel", "mfcc", dsp.mfcc_to_mel, one.inverse.mfcc_to_mel),
        Entry("chroma_stft", "y", dsp.chroma_stft, lambda y: one.chroma_stft(y=y), batches=False),
        Entry("tonnetz", "chroma", dsp.tonnetz, lambda chroma: one.tonnetz(chroma=chroma)),
        Entry("piptrack", "y", dsp.piptrack, lambda y: librosa.piptrack(y=y)),
        Entry("estimate_tuning", "y", dsp.estimate_tuning, lambda y: librosa.estimate_tuning(y=y), batches=False),
        Entry("spectral_centroid", "y", dsp.spectral_centroid, lambda y: one.spectral_centroid(y=y)),
        Entry("spectral_bandwidth", "y", dsp.spectral_bandwidth, lambda y: one.spectral_bandwidth(y=y)),
        Entry("spectral_rolloff", "y", dsp.spectral_rolloff, lambda y: one.spectral_rolloff(y=y)),
        Entry("spectral_contrast", "y", dsp.spectral_contrast, lambda y: one.spectral_contrast(y=y)),
        Entry("spectral_flatness", "y", dsp.spectral_flatness, lambda y: one.spectral_flatness(y=y)),
        Entry("zero_crossing_rate", "y", dsp.zero_crossing_rate, one.zero_crossing_rate),
        Entry("rms", "y", dsp.rms, lambda y: one.rms(y=y)),
        Entry("yin", "y", lambda y: dsp.yin(y, fmin=65, fmax=500), lambda y: librosa.yin(y, fmin=65, fmax=500, sr=SR)),
        Entry("preemphasis", "y", dsp.preemphasis, librosa.effects.preemphasis),
        Entry(
            "phase_vocoder",
            "D",
            lambda D: dsp.phase_vocoder(D, rate=1.25),
            lambda D: librosa.phase_vocoder(D, rate=1.25),
        ),
        Entry(
            "time_stretch",
            "y",
            lambda y: dsp.time_stretch(y, rate=1.25),
            lambda y: librosa.effects.time_stretch(y, rate=1.25),
        ),
        Entry(
            "pitch_shift",
            "y",
            lambda y: dsp.pitch_shift(y, sr=SR, n_steps=2),
            lambda y: librosa.effects.pitch_shift(y, sr=SR, n_steps=2),
        ),
        Entry(
            "resample",
            "y",
            lambda y: dsp.resample(y, orig_sr=SR, target_sr=16_000),
            lambda y: librosa.resample(y, orig_sr=SR, target_sr=16_000),
        ),
    )


def timed(call: Callable[[], object]) -> float:
    """Return the seconds of one call, results waited for."""
    started = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - started


def in_turn(calls: dict[str, Callable[[], object]], repeats: int, calls_a_turn: int) -> dict[str, float]:
    """Return the median seconds of each call, all taken in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            time.sleep(0.2)  # threads of the one before may still wait in a loop for more work
            seconds[name] += [timed(call) for _ in range(calls_a_turn)]
    return {name: statistics.median(values) for name, values in seconds.items()}


def beside_peers(clips_BN: np.ndarray, where: list[jax.Device], repeats: int) -> Table:
    """Time MFCCs beside peers and the floor."""
    reference = "dsp.extract, one device"
    calls: dict[str, Callable[[], object]] = {
        "floor": floor(clips_BN),
        reference: ours(clips_BN, where[0]),
        "dsp.mfcc(y)": lambda: dsp.mfcc(clips_BN),
        f"over {len(where)} devices, from and to the host": lambda: extract_over_devices(
            FRONTEND, clips_BN, np.full(N_CLIPS, N_SAMPLES, np.int32), where
        ),
    }
    calls |= {name: make(clips_BN) for module, (name, make) in PEERS.items() if importlib.util.find_spec(module)}
    for call in calls.values():
        call()
    medians = in_turn(calls, repeats, CALLS_A_TURN)
    title = f"MFCCs of {N_CLIPS} clips of 2.5 s, {where[0].platform}, jax {jax.__version__}"
    table = Table("", "ms", "ratio to ours", title=title)
    for name, value in medians.items():
        table.add_row(name, f"{1e3 * value:.1f}", f"{value / medians[reference]:.2f}")
    return table


def calls_of(entry: Entry, values: np.ndarray) -> dict[str, Callable[[], object]]:
    """Return the calls of a function and of its counterpart."""
    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: entry.ours(values),
        "clip by clip": lambda: [entry.theirs(one) for one in values],
    }
    return calls | {"batch": lambda: entry.theirs(values)} if entry.batches else calls


def beside_librosa(clips_BN: np.ndarray, functions: tuple[str, ...], repeats: int) -> Table:
    """Time each function beside librosa's."""
    given = inputs(clips_BN)
    table = Table(
        "", "ms", "first, s", "clip by clip", "batch", "times as fast", title="Calls, ours and librosa's, in ms"
    )
    for entry in entries():
        if functions and entry.name not in functions:
            continue
        calls = calls_of(entry, given[entry.given])
        jax.clear_caches()
        first = timed(calls["ours"])
        for call in calls.values():
            call()
        medians = in_turn(calls, repeats, 1)
        best = min(value for name, value in medians.items() if name != "ours")
        shown = [f"{1e3 * medians[name]:.1f}" if name in medians else "" for name in ("ours", "clip by clip", "batch")]
        table.add_row(entry.name, shown[0], f"{first:.2f}", *shown[1:], f"{best / medians['ours']:.1f}")
    return table


def main(devices: int | None = None, repeats: int = 9, functions: tuple[str, ...] = ()) -> None:
    """Print milliseconds and ratios."""
    where = request_devices(devices)
    clips_BN = np.random.default_rng(0).normal(0, 0.1, (N_CLIPS, N_SAMPLES)).astype(np.float32)
    warnings.simplefilter("ignore")  # what the peers deprecate is not the point here
    if not functions:
        Console().print(beside_peers(clips_BN, where, repeats))
    if importlib.util.find_spec("librosa"):
        Console().print(beside_librosa(clips_BN, functions, repeats))


if __name__ == "__main__":
    tyro.cli(main, prog=shlex.join(program()), description=__doc__)
