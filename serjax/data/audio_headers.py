"""What the bytes of an audio file say before anything is decoded: what it is, and where its sound begins and ends.

libsndfile takes a length from the size of the file where the header's does not fit, and only logs it; of an MP3 it
guesses one. Hence each container is asked here.
"""

import os
import re
import struct
from io import FileIO
from pathlib import Path
from typing import NamedTuple

import numpy as np

from serjax.data.audio_errors import CONVERT, AudioError, truncated

STREAMED_BYTES = 0x7E000000  # sizes from here on are what writers put who do not know the length
HEAD_BYTES = 4096
TAGS = (b"TAG", b"APETAGEX", b"LYRICSBEGIN", b"ID3", b"3DI")  # what taggers put behind any kind of audio
AGAIN = "Copy or download it again."

FOREIGN = (  # how a file begins that is no audio we read, what it is, what to do
    (rb"version https://git-lfs", "is a Git LFS pointer, not the audio itself", "Fetch the audio: git lfs pull."),
    (rb"\S{0,99}/annex/objects/", "is a git-annex pointer, not the audio itself", "Fetch it: git annex get FILE."),
    (rb"(?:\xef\xbb\xbf)?\s*<[!?a-zA-Z]", "is a web page or XML, perhaps an error message", "Download it again."),
    (rb'(?:\xef\xbb\xbf)?\s*[{\[]\s*["{}\[\]]', "is JSON, perhaps an error message", "Download it again."),
    (
        rb"PK[\x03\x05\x07]|\x1f[\x8b\x9d]|7z\xbc\xaf|Rar!|BZh\d|\xfd7zXZ|\x28\xb5\x2f\xfd|.{257}ustar",
        "is an archive",
        "Unpack it, and give the files inside.",
    ),
    (
        rb".{4}(?:ftyp|moov|mdat|wide)|\x1a\x45\xdf\xa3|#!AMR|\x02?#!SILK|\x30\x26\xb2\x75\x8e\x66\xcf\x11"
        rb"|\xff[\xf0\xf1\xf8\xf9]|ADIF|FLV\x01|wvpk|MAC |TTA[12]|MPCK|MP\+|DSD |BW64",
        "is in a format that is not read here (MP4, WebM, AMR, WMA, AAC or the like)",
        CONVERT,
    ),
    (rb"\0{64}", "begins with zeros, as a copy that was never filled does", AGAIN),
    (rb"\0\x05\x16\x07", "holds what macOS keeps beside a file, no audio", "Remove it."),
)

CHUNKS = {  # by magic: bytes before the first chunk, its name and size, what chunks are padded to
    b"RIFF": (12, "<4sI", 2),
    b"RIFX": (12, ">4sI", 2),
    b"RF64": (12, "<4sI", 2),
    b"FORM": (12, ">4sI", 2),
    b"riff": (40, "<16sQ", 8),  # Sony Wave64
    b"caff": (8, ">4sQ", 1),
}


class Extent(NamedTuple):
    """How long the encoded sound is, in bytes.

    Attributes:
      n_claimed: what the header says; None: it does not say.
      n_there: bytes from the begin of the sound to the end of the file.
      n_excess: those of them that are neither sound nor a chunk or tag behind it; below 0: so many are missing.
    """

    n_claimed: int | None
    n_there: int
    n_excess: int = 0


def extent_of(file: FileIO, path: Path) -> Extent:
    """Tell how long the sound in a file is; the file is at its begin afterwards.

    Raises:
      AudioError: it is no audio, of a kind that does not say whether it is whole, visibly cut, or mangled.
    """
    n_file = os.fstat(file.fileno()).st_size
    if n_file == 0:
        raise AudioError("empty", path, "has 0 bytes", AGAIN)
    start = _end_of_id3(file)
    extent = _find_extent(file, path, start, _read_at(file, start, HEAD_BYTES), n_file)
    if extent is None:
        raise _foreign(path, _read_at(file, 0, HEAD_BYTES))
    if abs(extent.n_excess) > 8 and _is_mangled(_read_at(file, 0, 1 << 24), extent.n_excess):
        advice = "Copy it again in binary mode (git: mark *.wav as binary)."
        raise AudioError("mangled", path, "had its line ends converted, as if it were text", advice)
    file.seek(0)
    return extent


def _find_extent(file: FileIO, path: Path, start: int, head: bytes, n_file: int) -> Extent | None:
    if head[:4] in CHUNKS:
        return _extent_of_chunks(file, start, head[:4], n_file)
    if head[:4] == b"OggS":
        return _extent_of_ogg(file, path, start, n_file)
    if head[:4] == b"fLaC":
        return Extent(n_file - start, n_file - start)
    if head[:4] in (b".snd", b"dns."):
        n_head, n_bytes = struct.unpack(">II" if head[:1] == b"." else "<II", head[4:12].ljust(8, b"\0"))
        return _extent(file, start + n_head, n_bytes, n_file)
    if head.startswith(b"NIST_1A"):
        counts = [re.search(name + rb" -\w+ (\d+)", head) for name in (b"sample_count", b"channel_count", b"_n_bytes")]
        n_samples, n_channels, n_bytes = (int(count[1]) if count else 0 for count in counts)
        return _extent(file, start + 1024, n_samples * n_channels * n_bytes or STREAMED_BYTES, n_file)
    if (start or re.match(rb"\xff[\xe0-\xff]", head)) and not re.match(rb"\xff[\xf0\xf1\xf8\xf9]", head):
        return _extent_of_mp3(file, start, head[:256], n_file)
    return None


def _read_at(file: FileIO, position: int, n_bytes: int) -> bytes:
    file.seek(position)
    return file.read(n_bytes)


def _end_of_id3(file: FileIO) -> int:
    """Find where an ID3v2 tag before everything else ends; 0: there is none."""
    head = _read_at(file, 0, 10)
    if len(head) < 10 or head[:3] != b"ID3":
        return 0
    return 10 + sum(byte << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))


def _extent(file: FileIO, start: int, n_claimed: int, n_file: int, end: int | None = None) -> Extent:
    """Compare `n_claimed` bytes of sound from `start` with the file; chunks may lie behind it, up to `end`."""
    n_there = max(n_file - start, 0)
    if n_claimed == 0 or (n_claimed >= STREAMED_BYTES and n_claimed > n_there):
        return Extent(None, n_there)
    end = end or start + n_claimed
    is_tag = _read_at(file, end, 16).startswith(TAGS)
    return Extent(n_claimed, n_there, 0 if is_tag else n_file - end)


def _extent_of_chunks(file: FileIO, start: int, magic: bytes, n_file: int) -> Extent | None:
    """Walk from chunk to chunk: find the sound, and what lies behind the last chunk."""
    n_before, head, n_padded = CHUNKS[magic]
    position, n_head, n_long, sound = start + n_before, struct.calcsize(head), None, None
    while len(fields := _read_at(file, position, n_head)) == n_head:
        name, size = struct.unpack(head, fields)
        inner, size = position + n_head, max(0, size - n_head * (magic == b"riff"))  # there it counts the head
        if name == b"ds64":
            n_long = struct.unpack("<8xQ", file.read(16).ljust(16, b"\0"))[0]
        if sound is None and name[:4] in (b"data", b"SSND"):
            size = n_long if n_long is not None and size == 2**32 - 1 else size
            sound = inner, size
            if inner + size > n_file:
                break
        elif inner + size > n_file or not re.fullmatch(rb"[ -~]{4}", name[:4]):
            break
        padding = _read_at(file, inner + size, -size % n_padded)
        position = inner + size + len(padding) - len(padding.lstrip(b"\0"))
    return sound and _extent(file, *sound, n_file, max(position, sum(sound)))


def _extent_of_ogg(file: FileIO, path: Path, start: int, n_file: int) -> Extent:
    """Walk from page to page (RFC 3533, section 6): one stream, from its first page to its last."""
    position, flags, n_streams = start, 0, 0
    while (head := _read_at(file, position, 27)).startswith(b"OggS") and len(head) == 27:
        flags = head[5]
        n_streams += bool(flags & 2)
        position += 27 + head[26] + sum(file.read(head[26]))
    if n_streams > 1:
        raise AudioError("format", path, f"holds {n_streams} Ogg streams, of which only one would be read", CONVERT)
    if not flags & 4 or position > n_file:
        raise truncated(path, "its last Ogg page is missing or not whole")
    return _extent(file, start, position - start, n_file)


def _extent_of_mp3(file: FileIO, start: int, head: bytes, n_file: int) -> Extent:
    """Read the frame in which an encoder says how many frames follow, and how many bytes these have."""
    said = re.search(rb"(?:Xing|Info)\0\0\0(.)(.{4})(.{4})", head, re.DOTALL)
    if said is None or not said[1][0] & 1 or not any(said[2]):
        return Extent(None, n_file - start)
    n_claimed = int.from_bytes(said[3]) if said[1][0] & 2 else 0
    if not 0 < n_claimed < n_file - start:
        return Extent(n_file - start, n_file - start)
    extent = _extent(file, start, n_claimed, n_file)
    uncounted = extent.n_excess < 2881 and _read_at(file, start + n_claimed, 1) == b"\xff"  # some leave out a frame
    return extent._replace(n_excess=0) if uncounted else extent


def _is_mangled(content: bytes, n_excess: int) -> bool:
    """Tell whether each line feed got a carriage return, or each of these was taken away, and nothing else changed.

    Quiet sound, and sound that once had 8 bits, has few byte values; none has all of them many times, but one never.
    """
    if n_excess > 0:
        return content.count(b"\n") == content.count(b"\r\n") == n_excess
    counts = np.bincount(np.frombuffer(content, np.uint8), minlength=256)
    return bool(counts[13] == 0 and np.delete(counts, 13).min() >= 16)


def _foreign(path: Path, head: bytes) -> AudioError:
    for begin, what, advice in FOREIGN:
        if re.match(begin, head, re.DOTALL):
            return AudioError("format", path, what, advice)
    if path.suffix.lower() == ".raw":
        advice = "Bare samples do not say their rate: convert with sox -r RATE -e signed -b 16 IN.raw OUT.wav."
        return AudioError("format", path, "cannot be read as audio", advice)
    advice = "Give WAV, FLAC, AIFF, AU, CAF, Ogg or MP3 (ffmpeg -i IN OUT.wav); if it is one, copy it again."
    return AudioError("format", path, "cannot be read as audio", advice)
