"""One module a corpus: from file names to utterances."""

from pathlib import Path

from serjax.data.corpora.corpus import Corpus, CorpusError
from serjax.data.corpora.ravdess import load_ravdess

CORPUS_NAMES = ("synthetic", "ravdess", "ravdess-song", "ravdess-all")


def load_corpus(name: str, root: Path | None = None, *, synthetic_clips: int | None = None) -> Corpus:
    """Load a corpus by its name; `root` is the folder of one that is read from disk.

    Args:
        name: one of `CORPUS_NAMES`.
        root: a folder that holds the clips at any depth; None for `synthetic`.
        synthetic_clips: how many clips `synthetic` has at most; None: all.

    Raises:
        CorpusError: an unknown name; what the corpus needs is missing, or it is given what it cannot use.
    """
    if synthetic_clips is not None and name != "synthetic":
        raise CorpusError(f"A number of synthetic clips is given for corpus '{name}'. Leave it out.")
    match name:
        case "synthetic":
            return _load_synthetic(root, synthetic_clips)
        case "ravdess" | "ravdess-song" | "ravdess-all":
            return load_ravdess(name, root)
        case _:
            raise CorpusError(f"There is no corpus '{name}'. Choose one of: {', '.join(CORPUS_NAMES)}.")


def _load_synthetic(root: Path | None, n_clips: int | None) -> Corpus:
    if root is not None:
        raise CorpusError(f"Corpus 'synthetic' is computed, not read from {root}. Leave the root out.")
    from serjax.data.corpora.synthetic import synthetic_corpus  # compiles a synthesiser: only when asked for

    return synthetic_corpus(n_clips)
