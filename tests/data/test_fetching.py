"""Downloads that break off, and servers that lie."""

from pathlib import Path

import numpy as np
import pytest

from serjax.data.download import fetching
from serjax.data.download.fetching import BLOCK_BYTES, DownloadError, NotThereError, Resuming
from tests.data.flaky_server import Site, served

CONTENT = np.random.default_rng(0).bytes(300_000)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "WAIT_S", 0.0)


def fetch(site: Site, folder: Path, n_most: int = 300_000) -> bytes:
    with served(site) as address:
        loader = Resuming(folder / "a.part", n_most)
        loader(f"{address}/a", str(folder / "a"))
    assert not list(folder.glob("a.part*"))
    return (folder / "a").read_bytes()


def test_what_broke_off_goes_on(tmp_path: Path) -> None:
    site = Site({"/a": CONTENT}, breaks=[100_000, 50_000])
    assert fetch(site, tmp_path) == CONTENT
    starts = [int(span.removeprefix("bytes=").removesuffix("-") or 0) for _, span in site.asked]
    assert starts == [0, 6 * BLOCK_BYTES, 9 * BLOCK_BYTES]
    assert site.sent < 300_000 + 2 * BLOCK_BYTES


def test_as_long_as_something_comes_it_is_asked_for_more(tmp_path: Path) -> None:
    assert fetch(Site({"/a": CONTENT}, breaks=[2 * BLOCK_BYTES] * 7), tmp_path) == CONTENT
    with pytest.raises(DownloadError, match=r"/a cannot be reached \(ConnectionError: status 503\)"):
        fetch(Site({"/a": CONTENT}, refuses=[503] * 9), tmp_path)


@pytest.mark.parametrize("how", [{"has_ranges": False}, {"etag": ""}, {"etag": 'W/"weak"'}])
def test_without_ranges_or_a_name_for_the_file_all_comes_again(tmp_path: Path, how: dict) -> None:
    site = Site({"/a": CONTENT}, breaks=[100_000], **how)
    assert fetch(site, tmp_path) == CONTENT
    assert site.sent == 400_000


def test_the_next_call_goes_on_and_a_changed_file_begins_anew(tmp_path: Path) -> None:
    site = Site({"/a": CONTENT}, breaks=[100_000, *[0] * 9])
    with served(site) as address:
        loader = Resuming(tmp_path / "a.part", 300_000)
        with pytest.raises(DownloadError, match=r"broke off 5 times at 98304 bytes .* same command again to go on"):
            loader(f"{address}/a", str(tmp_path / "a"))
        assert len(site.asked) == 5
        site.breaks, site.etag, site.files = [], '"two"', {"/a": CONTENT[::-1]}
        loader(f"{address}/a", str(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == CONTENT[::-1]


def test_a_server_in_trouble_is_asked_again(tmp_path: Path) -> None:
    assert fetch(Site({"/a": CONTENT}, refuses=[503, 429]), tmp_path) == CONTENT
    assert fetch(Site({"/a": CONTENT}, has_length=False), tmp_path) == CONTENT
    with pytest.raises(NotThereError, match="404"):
        fetch(Site({}), tmp_path)
    with pytest.raises(DownloadError, match="403"):
        fetch(Site({"/a": CONTENT}, refuses=[403]), tmp_path)


def test_lies_about_sizes(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="has 999999 bytes; expected 300000 at most"):
        fetch(Site({"/a": CONTENT}, claims=999_999), tmp_path)
    with pytest.raises(DownloadError, match="sends more than the 200000 bytes expected"):
        fetch(Site({"/a": CONTENT}, has_length=False), tmp_path, n_most=200_000)
    assert (tmp_path / "a.part").stat().st_size <= 200_000
    (tmp_path / "a.part").unlink()
    with pytest.raises(DownloadError, match="broke off 5 times at 294912 bytes"):
        fetch(Site({"/a": CONTENT}, claims=300_001, has_ranges=False), tmp_path, n_most=300_001)
    with pytest.raises(DownloadError, match="another part of the file than was asked for"):
        fetch(Site({"/b": CONTENT, "/a": CONTENT}, breaks=[20_000], shift=1), tmp_path)


def test_a_full_disk_is_seen_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = fetching.shutil.disk_usage(tmp_path)._replace(free=1_000)
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda _: free)
    with pytest.raises(DownloadError, match="takes 300000 more bytes, but 1000 are free"):
        fetch(Site({"/a": CONTENT}), tmp_path)
