"""Audio files to mono float32 waveforms; whatever is wrong with a file is said with its path and a way out.

A file is read in blocks and only where needed; nothing is ever allocated because a header asks for it.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr
from jaxtyping import Float32

from serjax.data.audio_errors import CONVERT, AudioCode, AudioError, Oddity, truncated
from serjax.data.audio_errors import UnreadableClips as UnreadableClips
from serjax.data.audio_errors import printable as printable
from serjax.data.audio_headers import AGAIN, Extent, extent_of
from serjax.data.audio_samples import check_cancelling, check_peak, peak_of, powers_of

MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 384_000
MAX_CHANNELS = 64
MAX_SAMPLES = 8_000_000  # of one clip, before and after resampling: 32 MB, three minutes at 44.1 kHz
MIN_DURATION_S = 0.025  # one analysis frame of speech
MISSING_S = 0.05  # a header may promise this much more than comes: the last block of a codec
RESAMPLER_TAIL_S = 0.05  # decoded behind the window, so that its end is resampled as in the whole file
BLOCK_VALUES = 1 << 18
SEEK_FROM_S = 10.0  # a part from here on is sought; exact in all formats but Opus (3e-4 of full scale away)
UNKNOWN_FRAMES = 2**63 - 1  # libsndfile's word for a FLAC that does not say how long it is
MP3_FRAME = 1_152


class Decoded(NamedTuple):
    """The samples of a part of a file, and what was noticed about it."""

    wav: Float32[np.ndarray, " N"]
    oddities: tuple[Oddity, ...]


SILENT = Oddity("silent", "Every sample is zero")
STREAMED = Oddity("streamed", "The file does not say how long it is; taken to its end")
ENDS_EARLY, LIES_BEHIND = "Ends before its header says", "Bytes behind its end are not read"


class _Sequential(soundfile.SoundFile):
    """A sound that is read once, forwards: soundfile seeks after each read, which codecs do inexactly or not at all."""

    def seekable(self) -> bool:
        return False


class _Endless(FileIO):
    """A file that claims to be very long: libsndfile estimates the length of an MP3 from it, and stops there."""

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return super().seek(1 << 40) if (offset, whence) == (0, os.SEEK_END) else super().seek(offset, whence)


def decode(
    path: Path,
    sample_rate_hz: int,
    *,
    offset_s: float = 0.0,
    duration_s: float | None = None,
    n_samples: int | None = None,
) -> Decoded:
    """Decode, downmix (mean of the channels) and resample (soxr HQ) a part of an audio file.

    Args:
      path: a regular file: WAV, RF64, Wave64, AIFF, AU, CAF, NIST, FLAC, Ogg or MP3.
      sample_rate_hz: wanted rate, 4 000 to 384 000.
      offset_s: where to start, at least 0.
      duration_s: how much to read at most, above 0; None: to the end.
      n_samples: how many samples to give at most; None: all.

    Returns:
      The samples that are there, never padded, every |x| <= 1e12, and what is odd. Odd are digital silence and a
      peak far above full scale. So is a file that does not say how long it is, or that is longer, or up to 50 ms
      shorter, than its header says. So are channels that cancel out in a share of the part.

    Raises:
      AudioError: see `AudioCode`. A file that ends more than 50 ms before its header says is an error, not
        a warning: nobody wants to train on half of a failed copy. Where a header has no length, this is not
        checked.
    """
    with _open_regular(path) as file:
        extent = extent_of(file, path)
        with _open_sound(file, path, extent) as sound:
            odd = _check_format(sound, path, extent)
            streamed = STREAMED in odd
            rate_hz, start = sound.samplerate, round(offset_s * sound.samplerate)
            window = rate_hz, start, duration_s, n_samples, sample_rate_hz
            n_frames = frames_of_window(path, _n_there(sound, extent), *window)
            if n_samples is not None:  # a little more, so that cutting comes after resampling
                n_frames = min(n_frames, round(n_samples * rate_hz / sample_rate_hz + RESAMPLER_TAIL_S * rate_hz))
            n_most = int(MAX_SAMPLES * min(1.0, rate_hz / sample_rate_hz))
            _check_too_long(path, 0 if streamed else n_frames, n_most, rate_hz)
            wav, heard, end = _read(sound, file, path, start, min(n_frames, n_most + 1), streamed)
            _check_too_long(path, len(wav), n_most, rate_hz)
            if len(wav) < n_frames:
                frames_of_window(path, end, *window)
    if not wav.any():
        heard.append(SILENT)
    if rate_hz != sample_rate_hz:
        wav = soxr.resample(wav, rate_hz, sample_rate_hz, quality="HQ")
    return Decoded(wav[:n_samples], (*odd, *heard))


def file_digest(path: Path) -> str:
    """Give the sha256 (hex) of a regular file's bytes; AudioError if it is none or cannot be read."""
    with _open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_state(path: Path) -> os.stat_result:
    """Give a file's size and times; AudioError if it cannot be looked at, such as a link to nowhere."""
    with _opening(path):
        return path.stat()


@contextmanager
def _opening(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        problem = f"cannot be opened: {getattr(error, 'strerror', None) or error}"
        raise AudioError("missing", path, problem, "Check path and rights.") from error


@contextmanager
def _open_regular(path: Path) -> Iterator[FileIO]:
    """Open without waiting (a FIFO would wait for ever), refuse what is no regular file."""
    with _opening(path):
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise AudioError("not-a-file", path, "is no regular file", "Give an audio file.")
        with FileIO(descriptor, closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


@contextmanager
def _open_sound(file: FileIO, path: Path, extent: Extent) -> Iterator[soundfile.SoundFile]:
    """Open by descriptor: libsndfile then sees no name, which may be in any encoding, or end in .raw."""
    try:
        sound = _Sequential(file.fileno(), closefd=False)
        if sound.format == "MP3" and extent.n_claimed is None:
            file.seek(0)
            sound = _Sequential(_Endless(file.fileno(), closefd=False))
    except soundfile.LibsndfileError as error:
        if extent.n_excess < 0:
            raise truncated(path, f"{extent.n_there} of {extent.n_claimed} bytes") from error
        code: AudioCode = "damaged" if "malformed" in error.error_string else "format"
        problem = f"cannot be read as audio ({error.error_string.rstrip('.')})"
        raise AudioError(code, path, problem, f"{CONVERT} If that fails, copy or download it again.") from error
    with sound:
        yield sound


def _check_format(sound: soundfile.SoundFile, path: Path, extent: Extent) -> list[Oddity]:
    """Refuse what cannot be told whole from cut, and what no recording has; give what is odd."""
    if not MIN_RATE_HZ <= sound.samplerate <= MAX_RATE_HZ:
        problem = f"has a sample rate of {sound.samplerate} Hz; expected {MIN_RATE_HZ} to {MAX_RATE_HZ}"
        raise AudioError("rate", path, problem, "Its header is damaged: write it again at its true rate.")
    if sound.channels > MAX_CHANNELS:
        problem = f"has {sound.channels} channels; expected at most {MAX_CHANNELS}"
        raise AudioError("channels", path, problem, "Keep the microphone's channel only.")
    if sound.frames == 0:
        advice = "Copy it again; if it was recorded as a stream, write its header again (ffmpeg -i IN OUT.wav)."
        raise AudioError("empty", path, "holds no samples according to its header", advice)
    if sound.format != "MP3" and sound.subtype.startswith(("MPEG", "ALAC", "DWVW")):
        raise AudioError("format", path, f"holds {sound.subtype} in {sound.format}, which is not read", CONVERT)
    return _check_extent(sound, path, extent)


def _check_extent(sound: soundfile.SoundFile, path: Path, extent: Extent) -> list[Oddity]:
    if extent.n_claimed is None or sound.frames == UNKNOWN_FRAMES:
        return [STREAMED]
    n_excess = extent.n_excess
    if -n_excess / max(extent.n_there, 1) * sound.frames / sound.samplerate > MISSING_S:
        raise truncated(path, f"{extent.n_there} of {extent.n_claimed} bytes")
    if n_excess < -16:  # a padding byte or an incomplete last frame is nothing
        return [Oddity("shorter", ENDS_EARLY, f"{-n_excess} bytes")]
    return [Oddity("longer", LIES_BEHIND, f"{n_excess} bytes")] if n_excess > 1 else []


def _n_there(sound: soundfile.SoundFile, extent: Extent) -> int:
    """Count the frames; libsndfile reads two formats to the end of the file, whatever lies there."""
    if sound.format in ("W64", "NIST") and extent.n_claimed:
        return min(sound.frames, -(-sound.frames * extent.n_claimed // extent.n_there))
    return sound.frames


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


def _check_too_long(path: Path, n_frames: int, n_most: int, rate_hz: int) -> None:
    if n_frames > n_most:
        problem = f"has {n_frames / rate_hz:.0f} s of sound or more, which is over {MAX_SAMPLES} samples"
        raise AudioError("too-long", path, problem, "Give a duration; if the file is short, write it anew.")


def _read(
    sound: soundfile.SoundFile, file: FileIO, path: Path, start: int, n_frames: int, streamed: bool
) -> tuple[Float32[np.ndarray, " N"], list[Oddity], int]:
    """Read `n_frames` from `start` as mono, checking every sample; give as well where reading ended."""
    mono: list[np.ndarray] = [np.zeros(0, np.float32)]
    powers: list[np.ndarray] = []
    peak, end = 0.0, 0
    try:
        end = _seek(sound, start, streamed)
        for block_NC in _blocks(sound, end, start + n_frames, streamed):
            end += len(block_NC)
            if end > start:
                wanted_NC = block_NC[-(end - start) :]  # what is before is read over
                peak = max(peak, peak_of(wanted_NC, path))
                mono.append(wanted_NC.mean(axis=1))
                powers.append(powers_of(wanted_NC, mono[-1], sound.samplerate // 50))
    except soundfile.LibsndfileError as error:
        if not (streamed and sound.format == "MP3" and _n_unread(file) <= 0):  # then its last frame is cut
            problem = f"is damaged, or shorter than its header says ({error.error_string.rstrip('.')})"
            raise AudioError("damaged", path, problem, AGAIN) from error
    wav = np.concatenate(mono)
    came = [] if streamed else _check_came(sound, file, path, n_frames, len(wav), end)
    return wav, came + check_peak(peak) + check_cancelling(powers, path), end


def _seek(sound: soundfile.SoundFile, start: int, streamed: bool) -> int:
    """Go to `start` where it is far away and the length is known; give the frame where reading begins."""
    far = start >= SEEK_FROM_S * sound.samplerate
    return sound.seek(start) if far and not streamed and soundfile.SoundFile.seekable(sound) else 0


def _blocks(
    sound: soundfile.SoundFile, position: int, end: int, streamed: bool
) -> Iterator[Float32[np.ndarray, "N C"]]:
    n_block = MP3_FRAME if streamed and sound.format == "MP3" else BLOCK_VALUES // sound.channels
    while position < end:
        block_NC = sound.read(min(n_block, end - position), dtype="float32", always_2d=True)
        if not len(block_NC):
            return
        position += len(block_NC)
        yield block_NC


def _check_came(
    sound: soundfile.SoundFile, file: FileIO, path: Path, n_frames: int, n_came: int, end: int
) -> list[Oddity]:
    """Compare what came with what the header says."""
    if n_came == 0 or n_came < n_frames - MISSING_S * sound.samplerate:
        raise truncated(path, f"{n_came} of {n_frames} samples")
    if n_came < n_frames:
        return [Oddity("shorter", ENDS_EARLY, f"{n_frames - n_came} samples")]
    if sound.format == "FLAC" and end == sound.frames and _n_unread(file) > 0:
        return [Oddity("longer", LIES_BEHIND, f"{_n_unread(file)} bytes or more")]
    return []


def _n_unread(file: FileIO) -> int:
    return os.fstat(file.fileno()).st_size - os.lseek(file.fileno(), 0, os.SEEK_CUR)
