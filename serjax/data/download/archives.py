"""Archives from strangers: only named kinds of plain files come out, below one folder, within bounds."""

import re
import shutil
import stat
import unicodedata
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from serjax.errors import SerjaxError

_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # devices on Windows


class ArchiveError(SerjaxError):
    """An archive cannot be unpacked, or holds what it should not."""


@dataclass(frozen=True)
class Bounds:
    """What an archive may hold: so many files and bytes, and files of which names (without folders)."""

    n_files: int
    n_bytes: int
    wanted: str = r".*\.(wav|flac|csv|txt|md)"

    def wants(self, path: PurePosixPath) -> bool:
        """Tell whether a file is unpacked: of a wanted name, and nothing that a system hides."""
        hidden = any((part[:1] == "." and part != "..") or part == "__MACOSX" for part in path.parts)
        return not hidden and re.fullmatch(self.wanted, path.name, re.IGNORECASE | re.DOTALL) is not None


def unpack(archive: Path, folder: Path, bounds: Bounds) -> int:
    """Unpack the wanted files of a ZIP into a folder that is made anew, all of them or none; return their number.

    Names and sizes are checked before anything is written. `zipfile` reads no more of a member than its size says, and
    compares its checksum.

    Raises:
      ArchiveError: it is damaged or encrypted, has a link, a device, a path that leads out, two files of one name,
        or more than the bounds allow.
    """
    new = folder.with_name(f"{folder.name}.new")
    for old in (new, folder):
        shutil.rmtree(old, ignore_errors=True)
    with opened(archive) as zipped:
        members = wanted_members(archive, zipped, bounds)
        for path, member in members.items():
            target = new / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with zipped.open(member) as source, target.open("xb") as file:
                shutil.copyfileobj(source, file)
    new.rename(folder)
    return len(members)


@contextmanager
def opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    """Open a ZIP; ArchiveError for one that is damaged or encrypted, now or while it is read."""
    try:
        with zipfile.ZipFile(archive) as zipped:
            yield zipped
    except (zipfile.BadZipFile, EOFError, NotImplementedError, zipfile.zlib.error) as error:  # type: ignore[attr-defined]
        raise ArchiveError(
            f"{archive} is no ZIP archive, or damaged ({error}). Remove it and download again."
        ) from error
    except RuntimeError as error:  # the word of zipfile for encryption
        raise ArchiveError(f"{archive} cannot be unpacked ({error}). Download it again.") from error


def wanted_members(archive: Path, zipped: zipfile.ZipFile, bounds: Bounds) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """Return the wanted files of an archive by their paths, all checked; ArchiveError as `unpack`."""
    found: dict[PurePosixPath, zipfile.ZipInfo] = {}
    names: set[str] = set()
    for member in zipped.infolist():
        path = PurePosixPath(member.filename)
        if member.is_dir() or not bounds.wants(path):
            continue
        _check(archive, member, path)
        same = unicodedata.normalize("NFC", str(path)).casefold()
        if same in names:
            raise ArchiveError(f"{archive.name} has two files called {path!s:.200}. Do not use it.")
        names.add(same)
        found[path] = member
    if not found:
        raise ArchiveError(f"{archive.name} holds nothing that is named like {bounds.wanted}. It is another archive.")
    if len(found) > bounds.n_files or sum(member.file_size for member in found.values()) > bounds.n_bytes:
        raise _too_much(archive, bounds)
    return found


def _check(archive: Path, member: zipfile.ZipInfo, path: PurePosixPath) -> None:
    """Refuse what is no plain file, or would not lie below the folder on every system."""
    name, kind = member.filename, stat.S_IFMT(member.external_attr >> 16)
    bad = path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or not name.isprintable()
    if bad or any(_RESERVED.fullmatch(part) or part != part.rstrip(". ") for part in path.parts):
        raise ArchiveError(f"{archive.name} has {name[:200]!a}, which may lead out of the folder. Do not use it.")
    if kind not in (0, stat.S_IFREG):
        raise ArchiveError(f"{archive.name} has {name[:200]!a}, which is a link or a device. Do not use it.")


def _too_much(archive: Path, bounds: Bounds) -> ArchiveError:
    return ArchiveError(
        f"{archive.name} holds more than {bounds.n_files} files or {bounds.n_bytes} bytes, which is more than the "
        "corpus has. Do not use it."
    )
