"""A bundle as a folder of files, written whole: weights first, `bundle.json` last."""

from dataclasses import replace
from pathlib import Path

from serjax.bundle.about import BUNDLE, FINGERPRINTS, WEIGHTS
from serjax.bundle.bundle import Bundle
from serjax.bundle.parts import BundleError
from serjax.files import digest, replacing, write_json
from serjax.models.weights import save_weights


def check_free(folder: Path) -> None:
    """Raise BundleError unless a bundle can be written there: a new or empty folder, or one that holds a bundle."""
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not (folder / BUNDLE).is_file()):
        raise BundleError(f"{folder} is there and is no bundle: give a new folder.")


def write_bundle(bundle: Bundle, folder: Path) -> Bundle:
    """Write weights, fingerprints and `bundle.json`; return the bundle with the sha256 of the two files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / BUNDLE).unlink(missing_ok=True)  # that of before belongs to other weights
    save_weights(folder / WEIGHTS, bundle.weights)
    training = replace(bundle.about.training, fingerprints_sha256=_write_fingerprints(bundle, folder / FINGERPRINTS))
    about = replace(bundle.about, weights_sha256=digest(folder / WEIGHTS), training=training)
    write_json(folder / BUNDLE, about.as_json)
    return replace(bundle, about=about)


def _write_fingerprints(bundle: Bundle, path: Path) -> str | None:
    """Write them, where there are some, and return the sha256 of the file."""
    path.unlink(missing_ok=True)
    if bundle.known is None:
        return None
    with replacing(path) as file:
        file.write(bundle.known.to_bytes())
    return digest(path)
