"""Features kept on disk, under a key of the clips' contents and the front end; a damaged entry counts for nothing."""

import dataclasses
import hashlib
import json
import os
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32

from serjax.data.audio import AudioError
from serjax.data.corpora.corpus import Corpus, Window
from serjax.data.leaks import feature_digests
from serjax.data.notes import Note
from serjax.dsp import Frontend, SideBySide
from serjax.files import digest, replacing

FEATURE_VERSION = 2  # raise it when decoding or a frontend gives other numbers than before


class CacheWarning(UserWarning):
    """Features could not be kept, or what was kept is damaged; they are computed instead."""


@dataclass(frozen=True)
class Features:
    """Features of N clips; `mask_NT` tells the frames that are centred inside the clip from the padding.

    `notes` say what was odd about the clips. `errors` are the clips that could not be read, by path: their rows are
    zero, and no frame of theirs is valid.
    """

    values_NTD: Float32[np.ndarray, "N T D"]
    mask_NT: Bool[np.ndarray, "N T"]
    notes: tuple[Note, ...] = ()
    errors: Mapping[str, AudioError] = field(default_factory=dict)

    def differs(self) -> bool:
        """Whether two valid frames of any clips have other features."""
        first_TD = self.values_NTD[0][self.mask_NT[0]]
        clips = zip(self.values_NTD, self.mask_NT, strict=True)
        return any((x_TD[mask_T] != first_TD[:1]).any() for x_TD, mask_T in clips)

    def keeping(self, kept_N: Bool[np.ndarray, " N"]) -> "Features":
        """Return the features of some of the clips, without notes and errors."""
        return Features(self.values_NTD[kept_N], self.mask_NT[kept_N])

    def digests(self, silent_N: Bool[np.ndarray, " N"]) -> list[str]:
        """Return a hash of each clip, empty for silent ones."""
        return feature_digests(self.values_NTD, self.mask_NT, silent_N)


def default_cache_dir() -> Path | None:
    """Give `$SERJAX_CACHE`, else `$XDG_CACHE_HOME/serjax`, else `~/.cache/serjax`; an empty variable is none.

    None, with a CacheWarning, where the user has no home.
    """
    if own := os.environ.get("SERJAX_CACHE"):
        return Path(own)
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "serjax"
    try:
        return Path.home() / ".cache" / "serjax"
    except RuntimeError:  # $HOME is not set, and the user stands in no list, as in some containers
        warnings.warn(CacheWarning("There is no home folder: features are not kept. Set SERJAX_CACHE."), stacklevel=2)
        return None


def cache_key(corpus: Corpus, frontend: Frontend, window: Window) -> str:
    """Hash (sha256, hex) all that the features depend on: contents in order, frontend, window, version."""
    return contents_key(corpus, _about(frontend, window))


def contents_key(corpus: Corpus, about: dict[str, object]) -> str:
    """Hash (sha256, hex) what is kept about the clips, and their contents in order."""
    digests = [_digest(corpus, utterance.path) for utterance in corpus.utterances]
    return hashlib.sha256(json.dumps([about, digests], sort_keys=True).encode()).hexdigest()


def _digest(corpus: Corpus, path: str) -> str:
    """Give the digest of a clip; of one whose bytes cannot be had, why not."""
    try:
        return corpus.source.digest(path)
    except AudioError as error:
        return error.code


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


def kept(cache: Path, key: str, shape: tuple[int, int, int], corpus: Corpus) -> Features | None:
    """Give what is kept under a key, None if there is nothing; what fails its checksum is as good as nothing."""
    about_path, data_path = _entry(cache, key)
    try:
        about = json.loads(about_path.read_bytes())
        checksum = about["sha256"]
        if digest(data_path) != checksum:
            raise ValueError("its checksum is wrong")
        with np.load(data_path, allow_pickle=False) as arrays:
            features = Features(arrays["values_NTD"], arrays["mask_NT"], *_oddities(about, corpus))
        if features.values_NTD.shape != shape or features.mask_NT.shape != shape[:2]:
            raise ValueError(f"its shape is {features.values_NTD.shape}, expected {shape}")
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # what is wrong there, writing will say
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        message = f"The features kept in {data_path} are not usable ({error}); they are computed anew."
        warnings.warn(CacheWarning(message), stacklevel=3)
        return None
    return features


def _oddities(about: dict, corpus: Corpus) -> tuple[tuple[Note, ...], dict[str, AudioError]]:
    """Give notes and errors as they are kept, by the paths that their rows have in this corpus."""
    paths = [utterance.path for utterance in corpus.utterances]
    notes = tuple(
        Note(kind, what, tuple((paths[row], said) for row, said in clips)) for kind, what, clips in about["notes"]
    )
    return notes, {paths[row]: AudioError(code, Path(paths[row]), *said) for row, code, *said in about["errors"]}


def _kept_oddities(features: Features, corpus: Corpus) -> dict[str, object]:
    """Give notes and errors by rows: the key of an entry knows the contents of clips, not their names."""
    row = {utterance.path: n for n, utterance in enumerate(corpus.utterances)}
    notes = [(note.kind, note.what, [(row[path], said) for path, said in note.clips]) for note in features.notes]
    errors = [(row[path], error.code, error.problem, error.advice) for path, error in features.errors.items()]
    return {"notes": notes, "errors": errors}


def keep(cache: Path, key: str, features: Features, frontend: Frontend, window: Window, corpus: Corpus) -> None:
    """Write the arrays, then their checksum: an entry without or with another checksum does not count."""
    about_path, data_path = _entry(cache, key)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with replacing(data_path) as file:
            np.savez(file, values_NTD=features.values_NTD, mask_NT=features.mask_NT)
        about = _about(frontend, window) | {"sha256": digest(data_path), "n_clips": len(features.mask_NT)}
        about |= _kept_oddities(features, corpus)
        with replacing(about_path) as file:
            file.write(json.dumps(about, indent=1).encode())
    except OSError as error:
        message = f"Features cannot be kept in {cache} ({error}); they are computed anew each time."
        warnings.warn(CacheWarning(message), stacklevel=3)


def _entry(cache: Path, key: str) -> tuple[Path, Path]:
    return cache / f"{key}.json", cache / f"{key}.npz"
