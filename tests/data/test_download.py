"""A corpus from the web to a folder that its reader takes; nothing is fetched but from this machine."""

import hashlib
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from serjax.data.download import __main__ as download
from serjax.data.download import fetching
from serjax.data.download.__main__ import SOURCES, Config, Name, Source
from serjax.data.download.archives import ArchiveError
from serjax.data.download.fetching import DownloadError
from tests.data.flaky_server import Site, served


def sound(seed: int) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, 0.1 * np.random.default_rng(seed).standard_normal(800), 16_000, format="WAV")
    return file.getvalue()


def archive(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    return file.getvalue()


EMODB = archive({f"wav/{name}.wav": sound(n) for n, name in enumerate(("03a01Fa", "03a01Wa", "08a01Fa", "09b10Na"))})


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "WAIT_S", 0.0)


def run(monkeypatch: pytest.MonkeyPatch, name: Name, root: Path, site: Site, yes: bool = True, **about: object) -> None:
    with served(site) as address:
        source = replace(SOURCES[name], url=f"{address}/a.zip", **about)
        source = replace(source, clips=f"{address}/clips/") if source.clips else source
        monkeypatch.setattr(download, "SOURCES", {name: source})
        download.run(Config(name, root, yes, quiet=True))


def test_a_corpus_arrives_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = Site({"/a.zip": EMODB}, breaks=[1_000])
    run(monkeypatch, "emodb", tmp_path, site)
    told = capsys.readouterr().out
    assert "Licence: CC0" in told
    assert "4 clips of 3 speakers" in told
    assert "4 clips are there, 535 are published" in told
    record = json.loads((tmp_path / "download.json").read_text())["emodb"]
    assert record["sha256"] == hashlib.sha256(EMODB).hexdigest()
    assert record["sha256"] in told
    assert record["checked"].startswith("recorded at this first download")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["download.json", "emodb"]
    n_asked = len(site.asked)
    run(monkeypatch, "emodb", tmp_path, site, yes=False)
    assert len(site.asked) == n_asked == 2
    assert "4 clips of 3 speakers" in capsys.readouterr().out


def test_what_is_on_its_way_beside_it_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".download").mkdir()
    (tmp_path / ".download" / "tess.part").write_bytes(b"half")
    run(monkeypatch, "emodb", tmp_path, Site({"/a.zip": EMODB}))
    assert [path.name for path in (tmp_path / ".download").iterdir()] == ["tess.part"]


def test_a_file_that_is_not_the_published_one_is_not_unpacked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    site = Site({"/a.zip": EMODB})
    with pytest.raises(DownloadError, match=r"is not the published file, and was removed: .*hash"):
        run(monkeypatch, "emodb", tmp_path, site, checksum=f"sha256:{'0' * 64}")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    run(monkeypatch, "emodb", tmp_path, site, checksum=f"sha256:{hashlib.sha256(EMODB).hexdigest()}")
    assert (tmp_path / "emodb" / "wav" / "03a01Fa.wav").is_file()


def test_a_hostile_archive_is_removed_and_can_come_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="may lead out"):
        run(monkeypatch, "emodb", tmp_path / "deep", Site({"/a.zip": archive({"../../evil.wav": sound(0)})}))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    run(monkeypatch, "emodb", tmp_path / "deep", Site({"/a.zip": EMODB}))


def test_nothing_comes_before_the_licence_is_accepted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    site = Site({"/a.zip": EMODB})
    with pytest.raises(DownloadError, match=r"Nobody can be asked .* give --yes"):
        run(monkeypatch, "emodb", tmp_path, site, yes=False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "n")
    with pytest.raises(DownloadError, match="not accepted: nothing is downloaded"):
        run(monkeypatch, "emodb", tmp_path, site, yes=False)
    assert not site.asked
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr("builtins.input", lambda _: "Yes")
    run(monkeypatch, "emodb", tmp_path, site, yes=False)


def test_what_lies_there_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "emodb").mkdir()
    with pytest.raises(DownloadError, match=r"emodb was not downloaded by this. Remove it, or choose another --root"):
        run(monkeypatch, "emodb", tmp_path, Site({"/a.zip": EMODB}))
    (tmp_path / "download.json").write_text("[")
    with pytest.raises(DownloadError, match=r"download.json cannot be read"):
        run(monkeypatch, "emodb", tmp_path, Site({"/a.zip": EMODB}))


def pointer(content: bytes) -> bytes:
    sha256 = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(content)}\n".encode()


def test_clips_that_an_archive_points_to_are_fetched_and_checked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = (f"{actor}_DFA_{code}_XX.wav" for actor in (1001, 1002) for code in ("ANG", "SAD"))
    clips = {name: sound(n) for n, name in enumerate(names)}
    files = {f"CREMA-D-master/AudioWAV/{name}": pointer(content) for name, content in clips.items()}
    files |= {"CREMA-D-master/VideoDemographics.csv": b"ActorID,Sex\n1001,Male\n1002,Female\n"}
    files |= {"CREMA-D-master/AudioMP3/1001_DFA_ANG_XX.mp3": b"left"}
    there = {f"/clips/{name}": content for name, content in clips.items()}
    lacking, wrong = "/clips/1001_DFA_SAD_XX.wav", "/clips/1002_DFA_ANG_XX.wav"
    site = Site({"/a.zip": archive(files), **{path: sound for path, sound in there.items() if path != lacking}})
    site.files[wrong] = b"x" * len(site.files[wrong])
    with pytest.raises(DownloadError, match=r"1002_DFA_ANG_XX.wav is not the published file"):
        run(monkeypatch, "crema-d", tmp_path, site)
    assert not (tmp_path / "crema-d").exists()
    site.files[wrong], site.asked = there[wrong], []
    run(monkeypatch, "crema-d", tmp_path, site)
    asked = [path for path, _ in site.asked]
    assert "/a.zip" not in asked  # it is here already
    assert json.loads((tmp_path / "download.json").read_text())["crema-d"]["missing"] == ["1001_DFA_SAD_XX.wav"]
    assert "3 clips of 2 speakers" in capsys.readouterr().out
    found = {path.name: path.read_bytes() for path in (tmp_path / "crema-d").rglob("*.wav")}
    assert found == {name: content for name, content in clips.items() if name not in lacking}


def test_every_source_says_whose_it_is() -> None:
    assert all(source.licence and source.citation and source.url.startswith("http") for source in SOURCES.values())
    assert all(isinstance(source, Source) and source.n_most < 3e9 for source in SOURCES.values())
