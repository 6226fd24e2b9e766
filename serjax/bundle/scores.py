"""What every system gives: scores of clips under each seed, and how well a clip is explained at all."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxtyping import Array, Float

Weights = Mapping[str, Any]
CLIPS_AT_A_TIME = 2  # on CPU; see `dsp.extract`


class Scores(NamedTuple):
    """What a system says of clips under each seed: a score per class, and how well it explains the clip at all.

    Scores are log-probabilities up to a constant for each clip. `evidence_SB` is higher for clips like those of
    training; a network has none.
    """

    scores_SBK: Float[Array, "S B K"]
    evidence_SB: Float[Array, "S B"] | None
