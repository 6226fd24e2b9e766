"""Audio files to mono float32 waveforms; whatever is wrong with a file is said with its path and a way out.

A file is read in blocks and only as far as needed; nothing is ever allocated because a header asks for it.
"""

import hashlib
import os
import re
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
import soxr
from jaxtyping import Float32

from serjax.errors import SerjaxError

MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 384_000
MAX_CHANNELS = 64
MAX_SAMPLES = 8_000_000  # of one clip, before and after resampling: 32 MB, three minutes at 44.1 kHz
MAX_ABS = 1e12  # features and their gradients are finite up to here
MIN_DURATION_S = 0.025  # one analysis frame of speech
MISSING_S = 0.05  # a header may promise this much more than comes: the last block of a codec
CANCELLED = 1e-3  # a downmix with less than this part (-30 dB) of the channels' energy has cancelled out
RESAMPLER_TAIL_S = 0.05  # decoded behind the window, so that its end is resampled as in the whole file
BLOCK_VALUES = 1 << 18
STREAMED_BYTES = 2**31 - 2**16  # sizes from here on are what recorders write when they do not know the length

AudioCode = Literal[
    "missing",
    "not-a-file",
    "format",
    "damaged",
    "truncated",
    "mangled",
    "empty",
    "offset",
    "too-short",
    "too-long",
    "rate",
    "channels",
    "non-finite",
    "implausible",
    "anti-phase",
]


class AudioWarning(UserWarning):
    """An audio file is usable but not as it should be."""


class AudioError(SerjaxError):
    """An audio file cannot be used: `code` says why for programs, `problem` and `advice` for people."""

    def __init__(self, code: AudioCode, path: Path, problem: str, advice: str) -> None:
        super().__init__(code, path, problem, advice)
        self.code, self.path, self.problem, self.advice = code, path, problem, advice

    def __str__(self) -> str:
        return f"{printable(self.path)}: {self.problem}. {self.advice} [{self.code}]"

    def with_others(self, n_bad: int, n_read: int) -> "AudioError":
        """Say as well that `n_bad` others of `n_read` files read together are bad."""
        if not n_bad:
            return self
        others = f"{self.problem} (and {n_bad} more of the {n_read} files read with it cannot be used)"
        return AudioError(self.code, self.path, others, self.advice)


def printable(path: Path) -> str:
    """Write a path so that any terminal and any UTF-8 file takes it, whatever bytes it has."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def read_audio(
    path: Path,
    sample_rate_hz: int,
    *,
    offset_s: float = 0.0,
    duration_s: float | None = None,
    n_samples: int | None = None,
) -> Float32[np.ndarray, " N"]:
    """Decode, downmix (mean of the channels) and resample (soxr HQ) a part of an audio file.

    Args:
        path: a regular file in any format that libsndfile reads.
        sample_rate_hz: wanted rate, 4 000 to 384 000.
        offset_s: where to start, at least 0.
        duration_s: how much to read at most, above 0; None: to the end.
        n_samples: how many samples to give at most; None: all.

    Returns:
        The samples that are there, never padded, every |x| <= 1e12.

    Raises:
        AudioError: see `AudioCode`. A file that ends more than 50 ms before its header says is an error, not
            a warning: nobody wants to train on half of a failed copy. (Whether an MP3 without a Xing header
            is whole cannot be told.)

    Warns:
        AudioWarning: the clip is digital silence; the header does not say how long it is (a stream);
            the file is longer, or up to 50 ms shorter, than its header says.
    """
    with _open_regular(path) as file, _open_sound(file, path) as sound:
        _check_format(sound, path)
        _check_complete(sound, path)
        start = round(offset_s * sound.samplerate)
        n_frames = _frames_to_read(sound, path, start, duration_s, n_samples, sample_rate_hz)
        wav = _decode(sound, path, start, n_frames)
        rate_hz = sound.samplerate
    if not wav.any():
        _warn(path, "every sample is zero")
    if rate_hz != sample_rate_hz:
        wav = soxr.resample(wav, rate_hz, sample_rate_hz, quality="HQ")
    return wav[:n_samples]


def file_digest(path: Path) -> str:
    """Give the sha256 (hex) of a regular file's bytes; AudioError if it is none or cannot be read."""
    with _open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_size(path: Path) -> int:
    """Give a file's size in bytes; AudioError if it cannot be looked at, such as a link to nowhere."""
    try:
        return path.stat().st_size
    except OSError as error:
        problem = f"cannot be opened: {error.strerror or error}"
        raise AudioError("missing", path, problem, "Check path and rights.") from error


def _warn(path: Path, what: str) -> None:
    warnings.warn(AudioWarning(f"{printable(path)}: {what}."), stacklevel=3)


@contextmanager
def _open_regular(path: Path) -> Iterator[FileIO]:
    """Open without waiting (a FIFO would wait for ever), refuse what is no regular file."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise AudioError("missing", path, f"cannot be opened: {reason}", "Check path and rights.") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise AudioError("not-a-file", path, "is no regular file", "Give an audio file.")
        with FileIO(descriptor, closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


@contextmanager
def _open_sound(file: FileIO, path: Path) -> Iterator[soundfile.SoundFile]:
    """Open by descriptor: libsndfile then sees no name, which may be in any encoding, or end in .raw."""
    n_bytes = os.fstat(file.fileno()).st_size
    if n_bytes == 0:
        raise AudioError("empty", path, "has 0 bytes", "Copy or download it again.")
    try:
        sound = soundfile.SoundFile(file.fileno(), closefd=False)
    except soundfile.LibsndfileError as error:
        advice = "Give WAV, FLAC, AIFF, Ogg or MP3 (ffmpeg -i IN OUT.wav); if it is one, copy it again."
        if path.suffix.lower() == ".raw":
            advice = "Bare samples do not say their rate: convert with sox -r RATE -e signed -b 16 IN.raw OUT.wav."
        code: AudioCode = "damaged" if "malformed" in error.error_string else "format"
        problem = f"cannot be read as audio ({error.error_string.rstrip('.')})"
        raise AudioError(code, path, problem, advice) from error
    with sound:
        yield sound


def _check_format(sound: soundfile.SoundFile, path: Path) -> None:
    if not MIN_RATE_HZ <= sound.samplerate <= MAX_RATE_HZ:
        problem = f"has a sample rate of {sound.samplerate} Hz; expected {MIN_RATE_HZ} to {MAX_RATE_HZ}"
        raise AudioError("rate", path, problem, "Its header is damaged: write it again at its true rate.")
    if sound.channels > MAX_CHANNELS:
        problem = f"has {sound.channels} channels; expected at most {MAX_CHANNELS}"
        raise AudioError("channels", path, problem, "Keep the microphone's channel only.")
    if sound.frames == 0:
        advice = "Copy it again; if it was recorded as a stream, write its header again (ffmpeg -i IN OUT.wav)."
        raise AudioError("empty", path, "holds no samples according to its header", advice)


def _check_complete(sound: soundfile.SoundFile, path: Path) -> None:
    """Compare what the header says with what is there; libsndfile itself only logs the difference."""
    log = sound.extra_info
    lie = re.search(r"(?:data|SSND|Data Size|riff|Riff size)\s*: (\d+) \(should be (\d+)\)", log)
    length = re.search(r"Length : (\d+)\nRIFF : (\d+)\n", log)
    if lie:
        _check_too_short(sound, path, claimed=int(lie[1]), there=int(lie[2]))
    elif length and int(length[1]) > int(length[2]) + 9:  # 8 for the outermost chunk's head, 1 for padding
        _refuse_text_transfer(path)
        _warn(path, f"is {int(length[1]) - int(length[2]) - 8} bytes longer than its header says; ignored")
    elif sound.format == "OGG" and not _ogg_ends(path):
        raise _truncated(path, "no last page")


def _check_too_short(sound: soundfile.SoundFile, path: Path, claimed: int, there: int) -> None:
    if claimed >= STREAMED_BYTES:
        _warn(path, "its header does not say how long it is (a stream); taken to its end")
        return
    if (claimed / max(there, 1) - 1) * sound.frames / sound.samplerate > MISSING_S:
        raise _truncated(path, f"{there} of {claimed} bytes")
    if claimed > there + 16:  # a padding byte or an incomplete last frame is nothing
        _refuse_text_transfer(path)
        _warn(path, f"ends {claimed - there} bytes before its header says")


def _truncated(path: Path, found: str) -> AudioError:
    advice = "Copy or download it again; if this is all there is, write it anew (ffmpeg -i IN OUT.wav)."
    return AudioError("truncated", path, f"is cut off: {found}", advice)


def _refuse_text_transfer(path: Path) -> None:
    """Find converted line ends: no carriage return at all, or one before every line feed (by chance 1/256)."""
    with _open_regular(path) as file:
        head = file.read(1 << 20)
    n_returns, n_feeds, n_pairs = (head.count(end) for end in (b"\r", b"\n", b"\r\n"))
    if (n_feeds >= 3 and n_pairs == n_feeds) or (n_returns == 0 and len(head) > 1 << 12):
        advice = "Copy it again in binary mode (git: mark *.wav as binary)."
        raise AudioError("mangled", path, "had its line ends converted, as if it were text", advice)


def _ogg_ends(path: Path) -> bool:
    """Tell whether the last Ogg page carries the end-of-stream flag (RFC 3533, section 6)."""
    with _open_regular(path) as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - (1 << 17)))
        tail = file.read()
    page = tail.rfind(b"OggS")
    return 0 <= page < len(tail) - 5 and bool(tail[page + 5] & 4)


def frames_of_window(
    path: Path,
    n_there: int,
    rate_hz: int,
    start: int,
    duration_s: float | None,
    n_samples: int | None,
    sample_rate_hz: int,
) -> int:
    """Count the frames that a clip of `n_there` has from `start` on, at most `duration_s`.

    Raises:
        AudioError: `start` lies behind its end, or less is left than can be used.
    """
    if start >= n_there:
        problem = f"lasts {n_there / rate_hz:.3f} s and the offset is {start / rate_hz:.3f} s"
        raise AudioError("offset", path, problem, "Choose a smaller offset.")
    n_frames = n_there - start
    if duration_s is not None:
        n_frames = min(n_frames, round(duration_s * rate_hz))
    shortest_s = min([MIN_DURATION_S] + ([] if n_samples is None else [n_samples / sample_rate_hz]))
    if n_frames / rate_hz < shortest_s:
        problem = f"gives {n_frames / rate_hz:.4f} s of sound; expected at least {MIN_DURATION_S} s"
        raise AudioError("too-short", path, problem, "Remove the clip, or choose another offset and duration.")
    return n_frames


def _frames_to_read(
    sound: soundfile.SoundFile,
    path: Path,
    start: int,
    duration_s: float | None,
    n_samples: int | None,
    sample_rate_hz: int,
) -> int:
    """Count the frames of the window, and a little more so that cutting comes after resampling."""
    rate_hz, ratio = sound.samplerate, sound.samplerate / sample_rate_hz
    n_frames = frames_of_window(path, sound.frames, rate_hz, start, duration_s, n_samples, sample_rate_hz)
    if n_samples is not None:
        n_frames = min(n_frames, round(n_samples * ratio + RESAMPLER_TAIL_S * rate_hz))
    n_held = n_frames + (start if sound.format == "MP3" else 0)
    if max(n_held, n_frames / ratio) > MAX_SAMPLES:
        problem = f"claims {n_held / rate_hz:.0f} s of sound, more than {MAX_SAMPLES} samples"
        raise AudioError("too-long", path, problem, "Give a duration; if the file is short, write it anew.")
    return n_frames


def _decode(sound: soundfile.SoundFile, path: Path, start: int, n_frames: int) -> Float32[np.ndarray, " N"]:
    """Read `n_frames` from `start` as mono, checking every sample."""
    mono: list[np.ndarray] = []
    energy_mono = energy_channels = 0.0
    try:
        for block_NC in _blocks(sound, start, n_frames):
            _check_samples(block_NC, path)
            mono.append(block_NC.mean(axis=1))
            if sound.channels > 1:
                energy_mono += float(np.square(mono[-1], dtype=np.float64).sum())
                energy_channels += float(np.square(block_NC, dtype=np.float64).sum()) / sound.channels
    except soundfile.LibsndfileError as error:
        problem = f"is damaged, or shorter than its header says ({error.error_string.rstrip('.')})"
        raise AudioError("damaged", path, problem, "Copy or download it again.") from error
    if sum(map(len, mono)) < n_frames - MISSING_S * sound.samplerate or not mono:
        raise _truncated(path, f"{sum(map(len, mono))} of {n_frames} samples")
    if energy_mono < CANCELLED * energy_channels:
        advice = "Keep one channel (sox IN OUT remix 1), or turn the polarity of one."
        raise AudioError("anti-phase", path, "has channels that cancel out in the mean", advice)
    return np.concatenate(mono)


def _blocks(sound: soundfile.SoundFile, start: int, n_frames: int) -> Iterator[Float32[np.ndarray, "N C"]]:
    """Give the frames from `start` on in blocks of bounded size, reading over what is before: codecs seek inexactly.

    MP3 comes in one block: soundfile seeks after each read, which makes libmpg123 lose the bits that a frame has
    stored in the one before; what follows is then wrong, or silent.
    """
    n_block = start + n_frames if sound.format == "MP3" else BLOCK_VALUES // sound.channels
    position = 0
    while position < start + n_frames:
        block_NC = sound.read(min(n_block, start + n_frames - position), dtype="float32", always_2d=True)
        if not len(block_NC):
            return
        wanted_NC = block_NC[max(0, start - position) :]
        position += len(block_NC)
        if len(wanted_NC):
            yield wanted_NC


def _check_samples(block_NC: Float32[np.ndarray, "N C"], path: Path) -> None:
    peak = max(float(block_NC.max()), -float(block_NC.min()))  # NaN goes through max and min
    if not np.isfinite(peak):
        raise AudioError("non-finite", path, "holds NaN or infinite samples", "Write it again as 16-bit PCM.")
    if peak > MAX_ABS:
        problem = f"holds samples of {peak:.3g}; full scale is 1 and {MAX_ABS:.0e} the limit"
        raise AudioError("implausible", path, problem, "Write it again as 16-bit PCM.")
