"""Time 64 clips of 2.5 s (22 050 Hz, n_fft 2048, hop 512, 128 mels): MFCCs beside peers, each function beside librosa.

    python -m scripts.bench_dsp [--devices 2] [--repeats 9] [--functions mfcc stft ...]

All of a table run in turn in this process, so that what else the machine does falls on all alike; tables give medians.
The first is of MFCCs, five calls a turn, and gives the ratio to `dsp.mfcc(y)`, the call that a user makes. *floor* is
scipy's real Fourier transform of all frames on all cores and one matrix product with the mel bands: no power, no
decibels, no cosine transform. Peers that are not installed (`pip install -e ".[bench]"`) are left out.

The second has each public function with a counterpart, called as a user writes it, on the whole batch; librosa clip by
clip and, where it takes one, as a batch. *first* is the first call, which compiles. *× jit* is the ratio to
`jax.jit(jax.vmap(function))`, *× extract* that to the frontend that computes the same. The third table tells what it
costs to return an array as large as that of `stft`. `--functions` names some rows of the second, else all.
"""

import importlib.util
import os
import shlex
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:  # it needs librosa, a peer that may be absent
    from scripts.counterparts import Counterpart

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


def librosa_mfcc(y: np.ndarray) -> np.ndarray:
    """Compute MFCCs as a script would."""
    import librosa

    return librosa.feature.mfcc(y=y, sr=SR, n_mfcc=N_MFCC, n_fft=N_FFT, hop_length=HOP, n_mels=N_MELS)


def librosa_one_by_one(clips_BN: np.ndarray) -> Callable[[], object]:
    """Return a call of librosa, clip by clip."""
    return lambda: [librosa_mfcc(clip) for clip in clips_BN]


def librosa_batch(clips_BN: np.ndarray) -> Callable[[], object]:
    """Return a call of librosa with the whole batch."""
    return lambda: librosa_mfcc(clips_BN)


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


# The package of each, and what makes its call.
PEERS = {
    "librosa, clip by clip": ("librosa", librosa_one_by_one),
    "librosa, batch": ("librosa", librosa_batch),
    "torchaudio's formula, batch": ("torch", torchaudio_formula),
    "librosax, jitted batch": ("librosax", librosax_batch),
    "kaldi-native-fbank, clip by clip": ("kaldi_native_fbank", kaldi_one_by_one),
}


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
    reference = "dsp.mfcc(y)"
    calls: dict[str, Callable[[], object]] = {
        "floor": floor(clips_BN),
        reference: lambda: dsp.mfcc(clips_BN),
        "dsp.extract, one device": ours(clips_BN, where[0]),
        f"over {len(where)} devices, from and to the host": lambda: extract_over_devices(
            FRONTEND, clips_BN, np.full(N_CLIPS, N_SAMPLES, np.int32), where
        ),
    }
    calls |= {name: make(clips_BN) for name, (module, make) in PEERS.items() if importlib.util.find_spec(module)}
    for call in calls.values():
        call()
    medians = in_turn(calls, repeats, CALLS_A_TURN)
    title = f"MFCCs of {N_CLIPS} clips of 2.5 s, {where[0].platform}, jax {jax.__version__}"
    table = Table("", "ms", "ratio to ours", title=title)
    for name, value in medians.items():
        table.add_row(name, f"{1e3 * value:.1f}", f"{value / medians[reference]:.2f}")
    return table


def calls_of(entry: "Counterpart", clips_BN: np.ndarray, values: np.ndarray) -> dict[str, Callable[[], object]]:
    """Return the calls of a function in its ways, and of its counterpart."""
    ours, theirs = entry.ours(), entry.theirs()
    jitted = jax.jit(jax.vmap(ours))
    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: ours(values),
        "jit": lambda: jitted(values),
        "clip by clip": lambda: [theirs(one) for one in values],
    }
    if entry.frontend is not None:
        calls["extract"] = partial(dsp.extract, entry.frontend, clips_BN)
    return calls | {"batch": lambda: theirs(values)} if entry.batches else calls


def beside_librosa(clips_BN: np.ndarray, functions: tuple[str, ...], repeats: int) -> Table:
    """Time each function beside librosa's, beside its own program as a user would jit it, and beside its frontend."""
    from scripts.counterparts import COUNTERPARTS, inputs

    given = inputs(clips_BN)
    heads = ("", "ms", "first, s", "clip by clip", "batch", "times as fast", "× jit", "× extract")
    table = Table(*heads, title="Calls, ours and librosa's, in ms")
    for entry in COUNTERPARTS:
        if not entry.takes or (functions and entry.label not in functions):
            continue
        calls = calls_of(entry, clips_BN, given[entry.takes])
        jax.clear_caches()
        first = timed(calls["ours"])
        for call in calls.values():
            call()
        ms = {name: 1e3 * seconds for name, seconds in in_turn(calls, repeats, 1).items()}
        fastest = min(ms[name] for name in ("clip by clip", "batch") if name in ms)
        ratios = [f"{ms['ours'] / ms[name]:.2f}" if name in ms else "" for name in ("jit", "extract")]
        shown = [f"{ms[name]:.1f}" if name in ms else "" for name in ("ours", "clip by clip", "batch")]
        table.add_row(entry.label, shown[0], f"{first:.2f}", *shown[1:], f"{fastest / ms['ours']:.1f}", *ratios)
    return table


def cost_of_results(clips_BN: np.ndarray, repeats: int) -> Table:
    """Time an array of the size of all spectra, newly filled, which no call that returns it can undercut."""
    like = dsp.stft(clips_BN)
    fill = jax.jit(partial(jnp.full, like.shape, dtype=like.dtype))
    calls: dict[str, Callable[[], object]] = {
        "stft": lambda: dsp.stft(clips_BN),
        "jnp.full of its shape": lambda: fill(0.5),
        "numpy.full of its shape": lambda: np.full(like.shape, 0.5, like.dtype),
    }
    table = Table("", "ms", title=f"What it costs to return {like.nbytes / 1e6:.0f} MB")
    for name, seconds in in_turn(calls, repeats, CALLS_A_TURN).items():
        table.add_row(name, f"{1e3 * seconds:.1f}")
    return table


def main(devices: int | None = None, repeats: int = 9, functions: tuple[str, ...] = ()) -> None:
    """Print milliseconds and ratios."""
    where = request_devices(devices)
    clips_BN = np.random.default_rng(0).normal(0, 0.1, (N_CLIPS, N_SAMPLES)).astype(np.float32)
    warnings.simplefilter("ignore")  # what the peers deprecate is not the point here
    if not functions:
        Console().print(beside_peers(clips_BN, where, repeats), cost_of_results(clips_BN, repeats))
    if importlib.util.find_spec("librosa"):
        Console().print(beside_librosa(clips_BN, functions, repeats))


if __name__ == "__main__":
    tyro.cli(main, prog=shlex.join(program()), description=__doc__)
