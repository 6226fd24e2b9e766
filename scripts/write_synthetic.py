"""Write the synthetic corpus as WAV files with RAVDESS names: `python -m scripts.write_synthetic --out DIR`.

The folder can then be read like RAVDESS itself (`--corpus ravdess --root DIR`). The whole corpus takes about
180 MB and half a minute on two cores.
"""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from serjax.data.corpora.corpus import CorpusError
from serjax.data.corpora.synthetic import synthetic_corpus, write_wav
from serjax.provenance import program


@dataclass(frozen=True)
class Config:
    """Write the synthetic corpus as 16-bit WAV files at 22 050 Hz."""

    out: Path
    """Folder to write to; Actor_01 … Actor_24 are made in it, clips of the same name are replaced."""
    synthetic_clips: int | None = None
    """Shorten the corpus to so many clips; default: all 1440."""
    seed: int = 0
    """Another seed is another 24 people."""


def main(config: Config) -> int:
    """Write the clips and say how many."""
    try:
        n_written = write_wav(synthetic_corpus(config.synthetic_clips, config.seed), config.out)
    except CorpusError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{n_written} clips of synthetic speech in {config.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Config, prog=shlex.join(program()), description=__doc__)))
