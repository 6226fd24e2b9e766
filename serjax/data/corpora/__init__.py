"""One module a corpus: from file names to utterances."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from serjax.data.corpora.corpus import Corpus, CorpusError
from serjax.data.corpora.crema_d import CremaDName, Defects, load_crema_d
from serjax.data.corpora.emodb import load_emodb
from serjax.data.corpora.files import show
from serjax.data.corpora.folder import load_folder
from serjax.data.corpora.joined import join, read_label_map, with_labels
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
        sub-folder per emotion (`folder.load_folder`).
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


def load_corpora(
    names: str | Sequence[str],
    roots: Path | Sequence[Path] | None = None,
    *,
    test: str | None = None,
    test_root: Path | None = None,
    label_map: Path | None = None,
    offset_s: float | None = None,
    synthetic_clips: int | None = None,
    defects: Defects | None = None,
) -> Corpus:
    """Load one corpus, or several as one (`joined.join`).

    Args:
      names: as `load_corpus` takes them.
      roots: one for each corpus that is known by name, in their order; a single CSV may have one too.
      test: a further corpus, all of whose people are the test of protocol `cross-corpus`.
      test_root: its folder.
      label_map: a JSON file from each corpus's emotions to labels (`joined.read_label_map`); None: all keep their
        emotions, and several corpora those that all of them have.
      offset_s: where clips are read from; None: each corpus's own default.
      synthetic_clips: how many clips `synthetic` has at most.
      defects: what becomes of clips of CREMA-D with defects.

    Raises:
      CorpusError: what `load_corpus` and `joined.join` raise; roots that are not as many as corpora take.
    """
    several = [names] if isinstance(names, str) else list(names)
    if test_root is not None and test is None:
        raise CorpusError(f"--test-root {test_root} is given without --test-corpus. Give the name of that corpus too.")
    places = [*_places(several, roots), *([test_root] if test else [])]
    corpora = [
        load_corpus(
            name,
            place,
            synthetic_clips=synthetic_clips if name == "synthetic" or len(places) == 1 else None,
            defects=defects if name in get_args(CremaDName) or len(places) == 1 else None,
        )
        for name, place in zip([*several, *([test] if test else [])], places, strict=True)
    ]
    if offset_s is not None:
        corpora = [replace(corpus, offset_s=offset_s) for corpus in corpora]
    if label_map is not None:
        labels = read_label_map(label_map)
        corpora = [with_labels(corpus, labels) for corpus in corpora]
    if len(corpora) == 1:
        return corpora[0]
    return join(corpora[:-1], corpora[-1]) if test else join(corpora)


def _places(names: Sequence[str], roots: Path | Sequence[Path] | None) -> list[Path | None]:
    """Give each corpus its root: the only one all that there is, of several those that take one in their order."""
    given = [] if roots is None else [roots] if isinstance(roots, Path) else list(roots)
    if not names:
        raise CorpusError("--corpus names no corpus. Give one, or leave the flag out.")
    if len(names) == 1 and len(given) <= 1:
        return [given[0] if given else None]
    taking = [name for name in names if name in CORPUS_NAMES and name != "synthetic"]
    if len(given) != len(taking):
        raise CorpusError(
            f"--root gives {len(given)} folders, but {len(taking)} of the corpora are read from one "
            f"({', '.join(taking) or 'none'}). Give one for each, in their order."
        )
    left = iter(given)
    return [next(left) if name in taking else None for name in names]


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
            "(path,emotion,speaker), or of a folder with one sub-folder per emotion."
        )
    if root is not None:
        raise CorpusError(f"Corpus {name} is the folder of its clips; {show(root)} is another. Leave the root out.")
    return load_folder(path)
