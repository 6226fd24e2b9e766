"""Write `docs/dsp.md`: each function of `serjax.dsp`, its counterpart in librosa, and how far the two are apart.

    python -m scripts.dsp_page

Twelve clips of the synthetic corpus, four seconds each, go through both: ours in float32, librosa in float64 on the
same samples. The error is the largest difference divided by the largest magnitude, the worst of the clips.
"""

from importlib import metadata
from pathlib import Path

import jax
import numpy as np

from scripts.counterparts import COUNTERPARTS, SR, Counterpart, inputs
from serjax.data import Window
from serjax.data.corpora.synthetic import synthetic_corpus

PAGE = Path(__file__).parents[1] / "docs" / "dsp.md"


def worst_error(entry: Counterpart, clips_BN: np.ndarray) -> float:
    """Return the largest error relative to the largest magnitude over the clips."""
    errors = []
    for clip in clips_BN:
        given = inputs(clip.astype(np.float64))[entry.takes]
        # Of piptrack's two results, the frequencies.
        expected = np.asarray(jax.tree.leaves(entry.theirs()(given))[0])
        single = given.astype(np.complex64 if np.iscomplexobj(given) else np.float32)
        actual = np.asarray(jax.tree.leaves(entry.ours()(single))[0]).reshape(expected.shape)
        errors.append(np.abs(actual - expected).max() / np.abs(expected).max())
    return float(max(errors))


def main() -> None:
    """Measure and write the page."""
    corpus = synthetic_corpus(96)
    window = Window(sample_rate_hz=SR, n_samples=4 * SR)
    clips_BN = corpus.source.read([u.path for u in corpus.utterances[::8]], window).values_BN
    lines = [
        "# `serjax.dsp` and librosa",
        "",
        "Names, defaults and layout are librosa's; leading axes are a batch of independent clips. What differs "
        "everywhere stands in the docstring of `serjax.dsp`. Largest error: ours in float32 against librosa "
        f"{metadata.version('librosa')} in float64, relative to the largest magnitude, worst of {len(clips_BN)} clips "
        "of the synthetic corpus. Written by `python -m scripts.dsp_page`.",
        "",
        "| function | librosa | largest error | differs on purpose |",
        "| --- | --- | ---: | --- |",
    ]
    for entry in COUNTERPARTS:
        error = worst_error(entry, clips_BN)
        lines.append(f"| `{entry.label}` | `librosa.{entry.path}` | {error:.1e} | {entry.differs} |")
        print(lines[-1])
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
