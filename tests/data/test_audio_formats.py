"""Files of every kind that is read: whole, cut, continued behind their end, and without a length; and what is none."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from serjax.data import audio
from serjax.data.audio import AudioError, decode

RATE_HZ = 16_000
TIME_S = np.arange(RATE_HZ) / RATE_HZ
QUIET = (0.02 * np.sin(2 * np.pi * 150 * TIME_S) * np.sin(2 * np.pi * TIME_S)).astype(np.float32)
NOISE = np.random.default_rng(5).uniform(-0.5, 0.5, RATE_HZ).astype(np.float32)

KINDS = [
    *(("WAV", kind) for kind in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")),
    *(("WAV", kind) for kind in ("IMA_ADPCM", "MS_ADPCM", "GSM610", "G721_32")),
    *(("WAVEX", kind) for kind in ("PCM_U8", "PCM_16")),
    *(("RF64", kind) for kind in ("PCM_U8", "PCM_16", "PCM_24")),
    *(("W64", kind) for kind in ("PCM_U8", "PCM_16", "PCM_24", "ULAW")),
    *(("AIFF", kind) for kind in ("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "FLOAT", "ULAW", "IMA_ADPCM", "GSM610")),
    *(("AU", kind) for kind in ("PCM_S8", "PCM_16", "FLOAT", "ULAW")),
    *(("CAF", kind) for kind in ("PCM_S8", "PCM_16", "PCM_24", "ALAW")),
    *(("NIST", kind) for kind in ("PCM_S8", "PCM_16", "ULAW")),
    *(("FLAC", kind) for kind in ("PCM_S8", "PCM_16", "PCM_24")),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]


def written(wav: np.ndarray = QUIET, kind: str = "WAV", subtype: str | None = None, **how: object) -> bytes:
    content = io.BytesIO()
    soundfile.write(content, wav, RATE_HZ, format=kind, subtype=subtype, **how)
    return content.getvalue()


def look(path: Path, content: bytes, **window: float) -> tuple[int | str, list[str]]:
    """Give the number of samples, or the code of the error, and the kinds of what is odd."""
    path.write_bytes(content)
    try:
        wav, oddities = decode(path, RATE_HZ, **window)
    except AudioError as error:
        return error.code, []
    return wav.size, [oddity.kind for oddity in oddities]


@pytest.mark.parametrize(("kind", "subtype"), KINDS)
def test_whole_continued_and_cut(tmp_path: Path, kind: str, subtype: str) -> None:
    whole = written(kind=kind, subtype=subtype)
    n_samples, odd = look(tmp_path / "whole", whole)
    assert odd == []
    assert n_samples == RATE_HZ if "ADPCM" not in subtype and "G721" not in subtype else 0 <= n_samples - RATE_HZ < 300
    says_ends = kind != "FLAC"  # of which libsndfile does not say where it stopped within some kilobytes
    assert look(tmp_path / "continued", whole + b"ab") == (n_samples, ["longer"] * says_ends)
    assert look(tmp_path / "tagged", whole + b"TAG" + bytes(125)) == (n_samples, [])
    few, odd = look(tmp_path / "less 20", whole[:-20])
    if kind in ("FLAC", "OGG"):  # their last packet is lost with its last byte
        assert few in ("damaged", "truncated")
    else:
        assert odd == ["shorter"]
        assert n_samples - 0.07 * RATE_HZ < few <= n_samples
    assert look(tmp_path / "cut", whole[: len(whole) * 2 // 3])[0] == ("damaged" if kind == "FLAC" else "truncated")


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def changed(content: bytes, *where: tuple[int, bytes]) -> bytes:
    parts = bytearray(content)
    for offset, value in where:
        parts[offset : offset + len(value)] = value
    return bytes(parts)


WAV, ODD = written(), written(QUIET[:-1], subtype="PCM_U8")
AIFF, AU, CAF, W64, RF64 = (written(kind=kind) for kind in ("AIFF", "AU", "CAF", "W64", "RF64"))
FLAC = written(NOISE, "FLAC")
VORBIS, OPUS = (written(NOISE, "OGG", subtype) for subtype in ("VORBIS", "OPUS"))
SSND, CAF_DATA = AIFF.index(b"SSND") + 4, CAF.index(b"data") + 4
GUID = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
COMMENTS = chunk(b"LIST", b"INFO" + chunk(b"ICMT", b"a" * 40) * 200)  # too much for libsndfile's log
EMPTY, DAMAGED = ("empty", []), ("damaged", [])
STREAM, LONGER, FINE = (RATE_HZ, ["streamed"]), (RATE_HZ, ["longer"]), (RATE_HZ, [])


def sized(n_riff: int, n_data: int) -> bytes:
    return changed(WAV, (4, struct.pack("<I", n_riff)), (40, struct.pack("<I", n_data)))


def flac_of(n_samples: int, content: bytes = FLAC) -> bytes:
    """Let STREAMINFO say another length: 36 bits from the lower half of byte 21."""
    high = bytes([content[21] & 0xF0 | n_samples >> 32])
    return changed(content, (21, high + struct.pack(">I", n_samples & 0xFFFFFFFF)))


HEADERS = {
    **{f"WAV of {n:#x}": (sized(n, n), STREAM) for n in (0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 0x7FFFF000, 0xFFFFFFD4)},
    "WAV of 0": (sized(0, 0), EMPTY),
    "WAV whose sound has 0": (sized(32_036, 0), EMPTY),
    "RIFF of 0": (sized(0, 32_000), FINE),
    "WAV whose sound is longer than said": (sized(32_036, 16_000), (8_000, ["longer"])),
    "chunk behind": (WAV + chunk(b"LIST", b"INFO" * 10), FINE),
    "chunk behind an odd one": (ODD + chunk(b"LIST", b"INFO" * 10), (RATE_HZ - 1, [])),
    "chunk behind an odd one without padding": (ODD[:-1] + chunk(b"LIST", b"INFO" * 10), (RATE_HZ - 1, [])),
    "half a chunk behind": (WAV + chunk(b"LIST", b"INFO" * 10)[:-9], LONGER),
    "comments": (WAV[:36] + COMMENTS + WAV[36:], FINE),
    "comments, cut": (WAV[:36] + COMMENTS + WAV[36:-10_000], ("truncated", [])),
    "ID3 before": (b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + WAV, FINE),
    "AIFF as sox pipes it": (changed(AIFF, (SSND, b"\x7f\0\0\x08")), STREAM),
    "AIFF of 0": (changed(AIFF, (SSND, bytes(4))), STREAM),
    "AIFF-C sowt": (written(kind="AIFF", endian="LITTLE"), FINE),
    "AU of -1": (changed(AU, (8, b"\xff" * 4)), STREAM),
    "CAF of -1": (changed(CAF, (CAF_DATA, b"\xff" * 8)), DAMAGED),
    "CAF shorter than it is": (changed(CAF, (CAF_DATA, struct.pack(">Q", 16_004))), (8_000, ["longer"])),
    "ALAC": (written(kind="CAF", subtype="ALAC_16"), ("format", [])),
    "W64 with a chunk behind": (W64 + b"bext" + GUID + struct.pack("<Q", 424) + b"a" * 400, FINE),
    "RF64 of 0": (changed(RF64, (28, bytes(8))), EMPTY),
    "VOC": (written(kind="VOC"), ("format", [])),
    "FLAC of 0": (flac_of(0), STREAM),
    "FLAC of 0, cut": (flac_of(0)[:-20], DAMAGED),
    "FLAC of half": (flac_of(6_000), (6_000, ["longer"])),
    "FLAC of double": (flac_of(2 * RATE_HZ), ("truncated", [])),
    "FLAC with ID3": (b"ID3\4\0\0\0\0\0\x0a" + bytes(10) + FLAC, FINE),
    "Vorbis without its last page": (VORBIS[: VORBIS.rindex(b"OggS")], ("truncated", [])),
    "Vorbis twice": (VORBIS + written(NOISE, "OGG", "VORBIS"), ("format", [])),
    "Opus twice": (OPUS + written(NOISE, "OGG", "OPUS"), ("format", [])),
}


@pytest.mark.parametrize("case", HEADERS)
def test_what_headers_say_about_the_length(tmp_path: Path, case: str) -> None:
    content, expected = HEADERS[case]
    assert look(tmp_path / "a", content) == expected


@pytest.mark.parametrize("content", [flac_of(0), sized(2**32 - 1, 2**32 - 1)], ids=["FLAC", "WAV"])
def test_windows_of_a_stream_are_slices_of_the_whole(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    whole = decode(tmp_path / "a", RATE_HZ).wav
    part = decode(tmp_path / "a", RATE_HZ, offset_s=0.25, duration_s=0.5).wav
    np.testing.assert_array_equal(part, whole[4_000:12_000])
    assert decode(tmp_path / "a", RATE_HZ, offset_s=0.75, n_samples=10**6).wav.size == 4_000
    for code, offset_s in (("offset", 3.0), ("too-short", 0.99)):
        with pytest.raises(AudioError, match=f"lasts 1.000|0.0100 s.*{code}"):
            decode(tmp_path / "a", RATE_HZ, offset_s=offset_s)


def test_a_stream_that_is_too_long_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio, "MAX_SAMPLES", 10_000)
    monkeypatch.setattr(audio, "BLOCK_VALUES", 1_000)
    assert look(tmp_path / "a", flac_of(0)[:-20]) == ("too-long", [])  # else it would be found damaged
    assert look(tmp_path / "a", flac_of(0), duration_s=0.5) == (8_000, ["streamed"])


def mp3(*seconds: float, mode: str = "VARIABLE") -> bytes:
    """Write noise for so many seconds, loud and quiet in turn; variable bit rates follow it."""
    levels = [np.full(round(s * RATE_HZ), (0.5, 1e-3)[k % 2]) for k, s in enumerate(seconds)]
    noise = np.random.default_rng(6).uniform(-1, 1, round(sum(seconds) * RATE_HZ))
    return written((noise * np.concatenate(levels)).astype(np.float32), "MP3", bitrate_mode=mode)


def bare(content: bytes) -> bytes:
    """Drop the first frame, which says how many follow: the next begins as it does."""
    return content[content.index(content[:2], 4) :]


@pytest.mark.parametrize(
    ("mode", "seconds"),
    [("VARIABLE", (0.5, 2.5)), ("VARIABLE", (0.0, 2.0, 1.0)), ("AVERAGE", (0.5, 2.5)), ("CONSTANT", (0.5, 2.5))],
)
def test_an_mp3_that_does_not_say_its_length_is_read_to_its_end(
    tmp_path: Path, mode: str, seconds: tuple[float, ...]
) -> None:
    whole = mp3(*seconds, mode=mode)
    assert look(tmp_path / "whole", whole) == (3 * RATE_HZ, [])
    n_samples, odd = look(tmp_path / "bare", bare(whole))
    assert odd == ["streamed"]
    delay = 576 + 529  # of encoder and decoder, which the first frame tells
    in_full, after_delay = (decode(tmp_path / name, RATE_HZ).wav for name in ("whole", "bare"))
    np.testing.assert_array_equal(after_delay[delay : delay + in_full.size], in_full)
    assert look(tmp_path / "0", changed(whole, (whole.index(b"\0\0\0\x0f") + 4, bytes(4))))[1] == ["streamed"]
    for behind in (b"TAG" + bytes(125), b"APETAGEX" + bytes(200)):
        assert look(tmp_path / "tagged", bare(whole) + behind) == (n_samples, ["streamed"])
    assert look(tmp_path / "again", whole + whole)[1] == ["longer"]
    n_cut, odd = look(tmp_path / "cut", bare(whole)[: len(whole) // 2])
    assert odd == ["streamed"]
    assert 0.1 * RATE_HZ < n_cut < n_samples
    n_less, odd = look(tmp_path / "less 20", bare(whole)[:-20])
    assert (odd, 0 < n_samples - n_less <= 2 * 576) == (["streamed"], True)


def test_windows_of_an_mp3_that_does_not_say_its_length(tmp_path: Path) -> None:
    content = bare(mp3(0.5, 2.5))
    (tmp_path / "a").write_bytes(content)
    whole = decode(tmp_path / "a", RATE_HZ).wav
    part = decode(tmp_path / "a", RATE_HZ, offset_s=2.0, duration_s=0.5)
    np.testing.assert_array_equal(part.wav, whole[32_000:40_000])
    assert look(tmp_path / "a", content, offset_s=9.0)[0] == "offset"


def test_an_mp3_in_a_wav_is_refused(tmp_path: Path) -> None:
    content = written(kind="MP3")
    about = struct.pack("<HHIIHHHHIHHH", 0x55, 1, RATE_HZ, 4_000, 1, 0, 12, 1, 2, 360, 1, 1393)
    chunks = b"WAVE" + chunk(b"fmt ", about) + chunk(b"fact", struct.pack("<I", RATE_HZ)) + chunk(b"data", content)
    (tmp_path / "a.wav").write_bytes(chunk(b"RIFF", chunks))
    with pytest.raises(AudioError, match=r"MPEG_LAYER_III in WAV.*ffmpeg -i IN OUT.wav.*\[format\]"):
        decode(tmp_path / "a.wav", RATE_HZ)


FOREIGN = {
    "git lfs pull": [b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"],
    "git annex get": [b"../../.git/annex/objects/Xk/1g/MD5E-s123.wav\n", b"/annex/objects/MD5E-s123.wav\n"],
    "Download it again": [
        b"<!DOCTYPE html><html><body>404</body></html>",
        b"\xef\xbb\xbf\r\n <html>",
        b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
        b'{"error": "not found"}',
        b'[\n {"message": ""}]',
    ],
    "Unpack it": [
        b"PK\3\4" + bytes(99),
        b"\x1f\x8b\x08" + bytes(99),
        b"7z\xbc\xaf\x27\x1c" + bytes(99),
        b"Rar!\x1a\7\1\0" + bytes(99),
        b"a.wav" + bytes(252) + b"ustar\0" + bytes(250),
        b"\xfd7zXZ\0\0\4" + bytes(99),
    ],
    "ffmpeg -i IN OUT.wav": [
        b"\0\0\0\x20ftypM4A " + bytes(99),
        b"\x1a\x45\xdf\xa3" + bytes(99),
        b"#!AMR\n" + bytes(99),
        b"\x30\x26\xb2\x75\x8e\x66\xcf\x11" + bytes(99),
        b"\xff\xf1\x50\x80" + bytes(99),
        b"wvpk" + bytes(99),
        b"RIFF\x10\0\0\0AVI LIST" + bytes(99),
    ],
    "Copy or download it again": [bytes(100_000), b""],
    "Remove it": [b"\0\5\x16\7\0\2\0\0Mac OS X" + bytes(99)],
}


@pytest.mark.parametrize(("advice", "content"), [(advice, one) for advice, all_ in FOREIGN.items() for one in all_])
def test_what_is_no_audio_is_named_with_the_way_out(tmp_path: Path, advice: str, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(AudioError, match=rf"a\.wav: [^.]+\. .*{advice}.*\[(format|empty)\]"):
        decode(tmp_path / "a.wav", RATE_HZ)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT", "ULAW"])
@pytest.mark.parametrize("level", [0.0, 2e-4, 0.02, 1.0])
def test_honest_samples_never_look_like_text(tmp_path: Path, subtype: str, level: float) -> None:
    """Quiet sound, few bits in many, silence with an offset: many have no carriage return, some nothing else."""
    rng = np.random.default_rng(7)
    waves = [level * rng.uniform(-1, 1, 4_000), np.full(4_000, 0x0A0D / 2**15), np.round(level * NOISE * 99) / 128]
    for wav in waves:
        content = written(wav.astype(np.float32), subtype=subtype)
        assert look(tmp_path / "more", content + b"xy" * 20)[0] == len(wav)
        assert look(tmp_path / "less", content[:-20])[0] in range(len(wav) - 20, len(wav))
