"""Write `docs/protocols.png`: which clips train, select and test in each fold of five protocols.

    python -m scripts.draw_protocols

The folds are those of the synthetic corpus (24 speakers), as `split_corpus` makes them; every fifth clip is shown.
"""

from pathlib import Path

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from serjax.data.corpora.corpus import Corpus
from serjax.data.corpora.synthetic import synthetic_corpus
from serjax.data.splits import Split, split_corpus
from serjax.figures.canvas import COLOURS, LABEL_PT, TICK_PT, canvas, save
from serjax.study.density.enrolment import Enrolment

PICTURE = Path(__file__).parents[1] / "docs" / "protocols.png"
STEP = 5  # of a speaker's 60 clips, sorted by sentence, every fifth is a column
PARTS = {
    "training": "#D6E2EC",
    "validation": COLOURS[5],
    "test": COLOURS[1],
    "not used": "white",
    "for the speaker's mean, not scored": "0.55",
}
TRAIN, VALIDATION, TEST, UNUSED, DRAWN = range(len(PARTS))


def parts(split: Split, n_clips: int) -> np.ndarray:
    """Return the part of each clip in each fold, `[folds, clips]`; clips of no part are not used."""
    part_FN = np.full((len(split.folds), n_clips), UNUSED)
    for row_N, fold in zip(part_FN, split.folds, strict=True):
        row_N[fold.train], row_N[fold.validation], row_N[fold.test] = TRAIN, VALIDATION, TEST
    return part_FN


def tables(corpus: Corpus) -> dict[str, np.ndarray]:
    """Return the parts of five protocols by title."""
    n = len(corpus.utterances)
    kept_apart = split_corpus(corpus, "speaker-6fold")
    whole_FN = parts(kept_apart, n)
    drawn_N = Enrolment.of(corpus, 20, seed=0).drawn_N
    enrolled_FN = np.where((whole_FN != TRAIN) & drawn_N, DRAWN, whole_FN)
    return {
        "speaker-6fold: new speakers": whole_FN,
        "speaker-6fold with --enrolment 20: new speakers, heard before without labels": enrolled_FN,
        "random-5fold: the speakers of training, and their sentences": parts(split_corpus(corpus, "random-5fold"), n),
        "text: new sentences of the same speakers": parts(split_corpus(corpus, "text"), n),
        "speaker-text: new sentences of new speakers": parts(split_corpus(corpus, "speaker-text"), n),
    }


def draw(corpus: Corpus) -> Figure:
    """Draw a panel for each protocol: a row per fold, a column per clip, clips in the order of speakers."""
    utterances = corpus.utterances
    order = sorted(range(len(utterances)), key=lambda row: (utterances[row].speaker, utterances[row].text or ""))
    shown = np.array(order)[::STEP]
    per_speaker = len(shown) // len(corpus.speakers)
    panels = tables(corpus)
    figure = canvas(9.0, 8.0, f"Which clips train and test · {corpus.name}, {len(corpus.speakers)} speakers")
    grid = figure.subplots(len(panels), 1, sharex=True, height_ratios=[len(part_FN) + 3 for part_FN in panels.values()])
    colours = ListedColormap(list(PARTS.values()))
    for axes, (title, part_FN) in zip(grid, panels.items(), strict=True):
        axes.imshow(part_FN[:, shown], cmap=colours, vmin=-0.5, vmax=len(PARTS) - 0.5, aspect="auto")
        axes.vlines(np.arange(1, len(corpus.speakers)) * per_speaker - 0.5, -0.5, len(part_FN) - 0.5, "white", lw=1)
        axes.hlines(np.arange(1, len(part_FN)) - 0.5, -0.5, len(shown) - 0.5, "white", lw=1)
        axes.set_title(title, fontsize=LABEL_PT, loc="left")
        axes.set(yticks=[0, len(part_FN) - 1], yticklabels=["fold 1", f"fold {len(part_FN)}"])
        axes.tick_params(length=0)
    grid[-1].set_xticks(np.arange(len(corpus.speakers)) * per_speaker + per_speaker / 2 - 0.5, sorted(corpus.speakers))
    grid[-1].set_xlabel("speaker; within one, clips by sentence")
    patches = [Patch(facecolor=face, edgecolor="0.6", label=name) for name, face in PARTS.items()]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(PARTS), fontsize=TICK_PT, frameon=False)
    return figure


if __name__ == "__main__":
    save(draw(synthetic_corpus()), PICTURE, dpi=110)
