"""Corpus × frontend → feature arrays, computed in blocks and kept on disk under a key of content and frontend."""

import dataclasses
import hashlib
import json
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import jax
import numpy as np
from jaxtyping import Bool, Float32, Int32

from serjax.data.corpora.corpus import Corpus, Waveforms, Window
from serjax.dsp import Frontend, SideBySide, extract, frame_mask

FEATURE_VERSION = 1  # raise it when decoding or a frontend gives other numbers than before
CLIPS_A_BLOCK = 2  # clips that a CPU device computes at a time: one group of `dsp.extract`
BLOCK = 64  # clips decoded ahead: 14 MB of waveforms with the default frontend


class CacheWarning(UserWarning):
    """Features could not be kept, or what was kept is damaged; they are computed instead."""


@dataclass(frozen=True)
class Features:
    """Features of N clips; `mask_NT` tells the frames that are centred inside the clip from the padding."""

    values_NTD: Float32[np.ndarray, "N T D"]
    mask_NT: Bool[np.ndarray, "N T"]


def load_features(
    corpus: Corpus,
    frontend: Frontend,
    offset_s: float = 0.0,
    duration_s: float | None = None,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Features:
    """Give the features of all utterances of a corpus, in their order.

    Threads decode a block of clips while the device computes the one before; one block has one shape, so that the
    frontend is compiled once.

    Args:
        corpus: N utterances.
        frontend: gives T frames of D features from the first `frontend.n_samples` samples behind the offset.
        offset_s: where clips begin, in seconds, at least 0.
        duration_s: how much of a clip is read at most, in seconds; None: as much as the frontend takes.
        cache: folder of kept features (see `default_cache_dir`); None: keep nothing.
        progress: called with (rows done, rows in all) after each block.

    Raises:
        AudioError: a clip cannot be read; the message counts the others in its block that cannot either.
        CorpusError: offset or duration out of range.

    Warns:
        CacheWarning: an entry of the cache is damaged, or cannot be written; the result is not affected.
    """
    window = Window(frontend.sample_rate_hz, frontend.n_samples, offset_s, duration_s)
    if cache is None:
        return _compute(corpus, frontend, window, progress)
    key = cache_key(corpus, frontend, window)
    shape = (len(corpus.utterances), frontend.n_frames, frontend.n_features)
    features = _load(cache, key, shape)
    if features is None:
        features = _compute(corpus, frontend, window, progress)
        _store(cache, key, features, frontend, window)
    return features


def default_cache_dir() -> Path:
    """Give `$SERJAX_CACHE`, else `$XDG_CACHE_HOME/serjax`, else `~/.cache/serjax`; an empty variable is none."""
    if own := os.environ.get("SERJAX_CACHE"):
        return Path(own)
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "serjax"
    return Path.home() / ".cache" / "serjax"


def cache_key(corpus: Corpus, frontend: Frontend, window: Window) -> str:
    """Hash (sha256, hex) all that the features depend on: contents in order, frontend, window, version."""
    about = _about(frontend, window)
    digests = [corpus.source.digest(utterance.path) for utterance in corpus.utterances]
    return hashlib.sha256(json.dumps([about, digests], sort_keys=True).encode()).hexdigest()


def _about(frontend: Frontend, window: Window) -> dict[str, object]:
    return {
        "version": FEATURE_VERSION,
        "frontend": _describe(frontend),
        "window": dataclasses.asdict(window),
    }


def _describe(frontend: Frontend) -> dict[str, object]:
    """Give a frontend's kind and fields; `asdict` alone would not tell the kinds of its parts apart."""
    about: dict[str, object] = {"kind": type(frontend).__name__} | dataclasses.asdict(frontend)
    if isinstance(frontend, SideBySide):
        about["parts"] = [_describe(part) for part in frontend.parts]
    return about


def _compute(
    corpus: Corpus, frontend: Frontend, window: Window, progress: Callable[[int, int], None] | None
) -> Features:
    n_clips = len(corpus.utterances)
    values_NTD = np.empty((n_clips, frontend.n_frames, frontend.n_features), np.float32)
    mask_NT = np.empty((n_clips, frontend.n_frames), bool)
    done = 0
    for block in _read_ahead(corpus, window):
        n_block = len(block.n_valid_B)
        full_BN = np.pad(block.values_BN, ((0, BLOCK - n_block), (0, 0)))
        n_valid_B = np.pad(block.n_valid_B, (0, BLOCK - n_block))
        features_BTD = extract_over_devices(frontend, full_BN, n_valid_B, jax.local_devices())
        values_NTD[done : done + n_block] = features_BTD[:n_block]
        mask_NT[done : done + n_block] = np.asarray(frame_mask(frontend, block.n_valid_B))
        done += n_block
        if progress is not None:
            progress(done, n_clips)
    return Features(values_NTD, mask_NT)


def extract_over_devices(
    frontend: Frontend,
    clips_BN: Float32[np.ndarray, "B N"],
    n_valid_B: Int32[np.ndarray, " B"],
    devices: Sequence[jax.Device],
) -> Float32[np.ndarray, "B T D"]:
    """Give the features of a batch of clips, computed by all devices at once, each its share.

    Shares are whole blocks of `dsp.extract`, so that a clip's features are the same to the last bit whatever the number
    of devices of a kind.
    """
    blocks = np.array_split(np.arange(0, len(clips_BN), CLIPS_A_BLOCK), len(devices))
    edges = [*(int(share[0]) for share in blocks if share.size), len(clips_BN)]
    block = CLIPS_A_BLOCK if devices[0].platform == "cpu" else None
    shares = []
    for device, start, stop in zip(devices, edges[:-1], edges[1:], strict=False):
        share_BN, valid_B = jax.device_put((clips_BN[start:stop], n_valid_B[start:stop]), device)
        shares.append(extract(frontend, share_BN, n_valid=valid_B, block=block))
    return np.concatenate([np.asarray(share) for share in shares])


def _read_ahead(corpus: Corpus, window: Window) -> Iterator[Waveforms]:
    """Give the waveforms in blocks; the next is being read while the caller works on one."""
    paths = [utterance.path for utterance in corpus.utterances]
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(corpus.source.read, paths[:BLOCK], window)
        for start in range(BLOCK, len(paths) + BLOCK, BLOCK):
            block = coming.result()
            if start < len(paths):
                coming = reader.submit(corpus.source.read, paths[start : start + BLOCK], window)
            yield block


def _load(cache: Path, key: str, shape: tuple[int, int, int]) -> Features | None:
    """Give what is kept under a key, None if there is nothing; what fails its checksum is as good as nothing."""
    about_path, data_path = _entry(cache, key)
    try:
        checksum = json.loads(about_path.read_bytes())["sha256"]
        with data_path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != checksum:
                raise ValueError("its checksum is wrong")
        with np.load(data_path, allow_pickle=False) as arrays:
            features = Features(arrays["values_NTD"], arrays["mask_NT"])
        if features.values_NTD.shape != shape or features.mask_NT.shape != shape[:2]:
            raise ValueError(f"its shape is {features.values_NTD.shape}, expected {shape}")
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # what is wrong there, writing will say
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"The features kept in {data_path} are not usable ({error}); they are computed anew."
        warnings.warn(CacheWarning(message), stacklevel=3)
        return None
    return features


def _store(cache: Path, key: str, features: Features, frontend: Frontend, window: Window) -> None:
    """Write the arrays, then their checksum: an entry without or with another checksum does not count."""
    about_path, data_path = _entry(cache, key)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _replacing(data_path) as file:
            np.savez(file, values_NTD=features.values_NTD, mask_NT=features.mask_NT)
        with data_path.open("rb") as file:
            checksum = hashlib.file_digest(file, "sha256").hexdigest()
        about = _about(frontend, window) | {"sha256": checksum, "n_clips": len(features.mask_NT)}
        with _replacing(about_path) as file:
            file.write(json.dumps(about, indent=1).encode())
    except OSError as error:
        message = f"Features cannot be kept in {cache} ({error}); they are computed anew each time."
        warnings.warn(CacheWarning(message), stacklevel=3)


def _entry(cache: Path, key: str) -> tuple[Path, Path]:
    return cache / f"{key}.json", cache / f"{key}.npz"


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """Write beside `path` and move there when all is written: nobody ever sees half of it."""
    partial = path.with_name(f".new-{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        with partial.open("wb") as file:  # with the rights that new files get: others may share the folder
            yield file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
