"""Archives from strangers: what comes out, and what is refused before anything is written."""

import stat
import zipfile
from pathlib import Path

import pytest

from serjax.data.download.archives import ArchiveError, Bounds, unpack

BOUNDS = Bounds(n_files=3, n_bytes=1_000)


def zipped(folder: Path, *members: str | zipfile.ZipInfo, content: bytes = b"sound") -> Path:
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for member in members:
            file.writestr(member, content)
    return folder / "a.zip"


def test_only_wanted_files_come_out(tmp_path: Path) -> None:
    names = ("wav/a.wav", "wav/B.WAV", "read.txt", "run.sh", "__MACOSX/wav/._a.wav", ".hidden/c.wav", "wav/", "x.exe")
    assert unpack(zipped(tmp_path, *names), tmp_path / "out", BOUNDS) == 3
    there = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    assert there == ["read.txt", "wav/B.WAV", "wav/a.wav"]
    assert (tmp_path / "out/wav/a.wav").read_bytes() == b"sound"
    (tmp_path / "out/old.wav").write_bytes(b"")
    unpack(zipped(tmp_path, "wav/a.wav"), tmp_path / "out", BOUNDS)
    assert [path.name for path in (tmp_path / "out").rglob("*.*")] == ["a.wav"]


def of_kind(name: str, mode: int) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.create_system, member.external_attr = 3, mode << 16
    return member


@pytest.mark.parametrize(
    ("members", "says"),
    [
        *[
            ((name,), "may lead out of the folder")
            for name in (
                "../a.wav",
                "/tmp/a.wav",
                "wav/../../a.wav",
                "C:/a.wav",
                "wav\\..\\a.wav",
                "a\n.wav",
                "wav./a.wav",
            )
        ],
        (("nul.wav",), "may lead out of the folder"),
        ((of_kind("a.wav", stat.S_IFLNK | 0o777),), "a link or a device"),
        ((of_kind("a.wav", stat.S_IFIFO | 0o644),), "a link or a device"),
        (("wav/a.wav", "wav/A.wav"), "has two files called wav/A.wav"),
        (("a.wav", "b.wav", "c.wav", "d.wav"), "more than 3 files"),
        (("a.exe",), "holds nothing that is named like"),
    ],
)
def test_hostile_archives_are_refused_whole(tmp_path: Path, members: tuple, says: str) -> None:
    good = () if "nothing" in says else ("good.wav",)
    with pytest.raises(ArchiveError, match=says):
        unpack(zipped(tmp_path, *good, *members), tmp_path / "deep" / "out", BOUNDS)
    assert [path.name for path in tmp_path.rglob("*")] == ["a.zip"]


def test_bombs_and_damage(tmp_path: Path) -> None:
    archive = zipped(tmp_path, "a.wav", content=b"\0" * 100_000)
    assert archive.stat().st_size < 1_000
    with pytest.raises(ArchiveError, match="1000 bytes, which is more than the corpus has"):
        unpack(archive, tmp_path / "out", BOUNDS)
    packed = bytearray(archive.read_bytes())
    for place in (packed.find(b"PK\1\2") + 24, packed.find(b"PK\3\4") + 22):
        packed[place : place + 4] = (900).to_bytes(4, "little")  # it claims to be small
    archive.write_bytes(packed)
    with pytest.raises(ArchiveError, match="damaged"):
        unpack(archive, tmp_path / "out", BOUNDS)
    packed = bytearray(zipped(tmp_path, "a.wav").read_bytes())
    packed[packed.find(b"PK\1\2") + 8] |= 1
    archive.write_bytes(packed)
    with pytest.raises(ArchiveError, match=r"cannot be unpacked .*encrypted"):
        unpack(archive, tmp_path / "out", BOUNDS)
    for content in (b"", b"<html>", zipped(tmp_path, "a.wav").read_bytes()[:-10]):
        archive.write_bytes(content)
        with pytest.raises(ArchiveError, match="no ZIP archive, or damaged"):
            unpack(archive, tmp_path / "out", BOUNDS)
    assert not (tmp_path / "out").exists()
