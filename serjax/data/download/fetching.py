"""Downloads that go on where they broke off, and never take more than was asked for: a downloader for pooch."""

import json
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from serjax.errors import SerjaxError
from serjax.files import write_json

ATTEMPTS = 5  # without a byte in between
WAIT_S = 1.0  # before the second; doubled each time
TIMEOUT_S = 30.0
BLOCK_BYTES = 1 << 14  # so many are lost where a connection breaks, at most
BROKEN = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
Report = Callable[[int, int | None], None]  # of (bytes there, bytes in all if the server says it)


class DownloadError(SerjaxError):
    """A file cannot be downloaded."""

    exit_code = 1


class NotThereError(DownloadError):
    """The server has no such file."""


@dataclass(frozen=True)
class Resuming:
    """Download into `part`, beside which `.json` keeps what the server called the file, then move it in place.

    A part is gone on with only where the server has the same file still (`If-Range` with its ETag or date).
    """

    part: Path
    n_most: int
    report: Report = lambda done, total: None

    def __call__(self, url: str, output_file: str, pooch: Any = None, check_only: bool = False) -> None:
        """Download `url` to `output_file`, as pooch asks it of a downloader.

        Raises:
          DownloadError: the server refuses, does not answer, or sends more than `n_most` bytes or than it said.
        """
        self.part.parent.mkdir(parents=True, exist_ok=True)
        failed = 0
        while True:
            before = self._size()
            try:
                self._go_on(url)
                break
            except BROKEN as error:
                failed = 1 if self._size() > before else failed + 1
                if failed >= ATTEMPTS:
                    raise DownloadError(self._broken(url, error)) from error
                time.sleep(WAIT_S * 2 ** (failed - 1))
        os.replace(self.part, output_file)
        self._about.unlink(missing_ok=True)

    def _broken(self, url: str, error: Exception) -> str:
        if not self._size():
            return (
                f"{url} cannot be reached ({type(error).__name__}: {error}). Look at the connection, and at its page."
            )
        return (
            f"{url} broke off {ATTEMPTS} times at {self._size()} bytes ({type(error).__name__}). What came is kept: "
            "give the same command again to go on."
        )

    @property
    def _about(self) -> Path:
        return self.part.with_name(f"{self.part.name}.json")

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _go_on(self, url: str) -> None:
        """Ask for the rest, or for all, and write what comes; an end that comes too early is one of `BROKEN`."""
        validator = self._validator(url)
        start = self._size() if validator else 0
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers |= {"Range": f"bytes={start}-", "If-Range": validator}
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
            if response.status_code == 416:  # what is here is no beginning of what is there
                self.part.unlink(missing_ok=True)
                raise requests.ConnectionError("the part does not fit")
            if response.status_code >= 500 or response.status_code == 429:
                raise requests.ConnectionError(f"status {response.status_code}")
            if not response.ok:
                kind = NotThereError if response.status_code in (404, 410) else DownloadError
                raise kind(f"{url} answers {response.status_code} {response.reason}. Look at its page.")
            start, total = _span(response, start)
            self._check(url, total)
            name = response.headers.get("ETag", "")
            name = response.headers.get("Last-Modified", "") if name.startswith("W/") or not name else name
            write_json(self._about, {"url": url, "validator": name, "total": total})
            self._write(url, response, start, total)

    def _validator(self, url: str) -> str:
        """Return what the server called the file of which a part is here; empty: it cannot be gone on with."""
        try:
            about = json.loads(self._about.read_bytes())
            return str(about["validator"]) if about["url"] == url else ""
        except (OSError, ValueError, LookupError, TypeError):
            return ""

    def _check(self, url: str, total: int | None) -> None:
        if total is not None and total > self.n_most:
            raise DownloadError(f"{url} has {total} bytes; expected {self.n_most} at most. It is another file.")
        needed, free = (total or 0) - self._size(), shutil.disk_usage(self.part.parent).free
        if needed > free:
            raise DownloadError(f"{url} takes {needed} more bytes, but {free} are free in {self.part.parent}.")

    def _write(self, url: str, response: requests.Response, start: int, total: int | None) -> None:
        done = start
        with self.part.open("r+b" if start else "wb") as file:
            file.truncate(start)
            file.seek(start)
            for block in response.iter_content(BLOCK_BYTES):
                done += len(block)
                if done > min(self.n_most, self.n_most if total is None else total):
                    raise DownloadError(
                        f"{url} sends more than the {total or self.n_most} bytes expected. Do not use it."
                    )
                file.write(block)
                self.report(done, total)
        if total is not None and done < total:
            raise requests.ConnectionError(f"{done} of {total} bytes")


def _span(response: requests.Response, start: int) -> tuple[int, int | None]:
    """Return from which byte on a response holds the file, and how long the file is, if the server says so."""
    length = response.headers.get("Content-Length", "")
    if response.status_code != 206:
        return 0, int(length) if length.isdigit() else None
    span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if span is None or int(span[1]) != start:
        raise DownloadError(f"{response.url} answers with another part of the file than was asked for.")
    return start, None if span[2] == "*" else int(span[2])
