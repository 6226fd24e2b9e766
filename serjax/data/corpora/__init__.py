"""One module a corpus: from file names to utterances."""

import os
from pathlib import Path
from typing import get_args

from serjax.data.corpora.corpus import Corpus, CorpusError
from serjax.data.corpora.crema_d import CremaDName, Defects, load_crema_d
from serjax.data.corpora.emodb import load_emodb
from serjax.data.corpora.files import show
from serjax.data.corpora.folder import load_folder
from serjax.data.corpora.ravdess import load_ravdess
from serjax.data.corpora.savee import load_savee
from serjax.data.corpora.table import load_table
from serjax.data.corpora.tess import load_tess

CORPUS_NAMES = (
    "synthetic",
    "ravdess",
    "ravdess-song",
    "ravdess-all",
    "crema-d",
    "crema-d-voted",
    "emodb",
    "savee",
    "tess",
)


def load_corpus(
    name: str, root: Path | None = None, *, synthetic_clips: int | None = None, defects: Defects | None = None
) -> Corpus:
    """Load a corpus by its name or path; `root` is the folder of one that is read from disk.

    Args:
        name: one of `CORPUS_NAMES`; else the path of a CSV table (`table.load_table`), or of a folder with one
            sub-folder an emotion (`folder.load_folder`).
        root: a folder that holds the clips at any depth; None for `synthetic` and a folder. For a table it is where
            the paths start, None: beside it.
        synthetic_clips: how many clips `synthetic` has at most; None: all.
        defects: whether clips of CREMA-D that have no sound, or the bytes of a clip of another emotion, are left out
            or kept; None: left out.

    Raises:
        CorpusError: an unknown name; what the corpus needs is missing or wrong, or it is given what it cannot use.
    """
    if synthetic_clips is not None and name != "synthetic":
        raise CorpusError(f"A number of synthetic clips is given for corpus '{name}'. Leave it out.")
    if defects is not None and name not in get_args(CremaDName):
        raise CorpusError(
            f"--defects is given for corpus '{name}', but only {' and '.join(get_args(CremaDName))} are searched for "
            "them. Leave it out."
        )
    match name:
        case "synthetic":
            return _load_synthetic(root, synthetic_clips)
        case "ravdess" | "ravdess-song" | "ravdess-all":
            return load_ravdess(name, root)
        case "crema-d" | "crema-d-voted":
            return load_crema_d(name, root, defects or "leave-out")
        case "emodb":
            return load_emodb(root)
        case "savee":
            return load_savee(root)
        case "tess":
            return load_tess(root)
        case _:
            return _load_path(name, root)


def _load_synthetic(root: Path | None, n_clips: int | None) -> Corpus:
    if root is not None:
        raise CorpusError(f"Corpus 'synthetic' is computed, not read from {root}. Leave the root out.")
    from serjax.data.corpora.synthetic import synthetic_corpus  # compiles a synthesiser: only when asked for

    return synthetic_corpus(n_clips)


def _load_path(name: str, root: Path | None) -> Corpus:
    path = Path(name)
    if path.suffix.lower() == ".csv":
        return load_table(path, root)
    if os.path.isfile(path) and path.suffix.lower() in (".tsv", ".txt", ".xls", ".xlsx", ".ods", ".json", ".parquet"):
        raise CorpusError(f"{name} is a table, but no CSV. Save it as CSV in UTF-8, with commas, and give that.")
    if not name or not os.path.isdir(path):
        raise CorpusError(
            f"There is no corpus '{name}'. Choose one of: {', '.join(CORPUS_NAMES)}; or give the path of a CSV "
            "(path,emotion,speaker), or of a folder with one sub-folder an emotion."
        )
    if root is not None:
        raise CorpusError(f"Corpus {name} is the folder of its clips; {show(root)} is another. Leave the root out.")
    return load_folder(path)
