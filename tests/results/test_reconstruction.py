"""Losses of a model of one of two emotions, read from what a run wrote."""

import math

import pytest

from serjax.results.reconstruction import Losses, losses_of


def parts(happy: float, sad: float) -> dict[str, list[list[float]]]:
    """Return matrices [model][clips] of labels sad, happy; the model of happy has these losses on all clips."""
    return {
        "train": [[0.5, 9.0], [8.0, happy / 2]],
        "test": [[1.5, 7.0], [6.0, happy * 2]],
        "all": [[1.0, 5.0], [sad, happy]],
    }


CONTENT = {
    "labels": ["sad", "happy"],
    "train": [[0.0, 0.0], [0.0, 0.0]],  # other units
    "minmax": {"unit": "shares of the range"}
    | parts(2.0, 3.0)
    | {"by_seed": {"0": parts(1.0, 2.0), "1": parts(3.0, 3.0)}},
}


def test_the_order_is_own_then_other_whatever_that_of_labels() -> None:
    happy, sad = (losses_of(CONTENT, own) for own in ("happy", "sad"))
    assert happy.over_seeds == Losses((1.0, 8.0), (4.0, 6.0), (2.0, 3.0))
    assert happy.over_seeds.figures == (1.0, 4.0, 2.0, 3.0, 1.5)
    assert sad.over_seeds.figures == (0.5, 1.5, 1.0, 5.0, 5.0)


def test_spread_over_seeds() -> None:
    found = losses_of(CONTENT, "happy")
    assert [seed.ratio for seed in found.by_seed] == [2.0, 1.0]
    spread = found.sd()
    assert spread is not None
    assert spread["all"] == pytest.approx([math.sqrt(2), math.sqrt(0.5)])
    assert spread["train"] == pytest.approx([math.sqrt(0.5), 0.0])
    assert spread["ratio"] == pytest.approx([math.sqrt(0.5)])
    assert list(spread) == ["train", "test", "all", "ratio"]


def test_one_seed_has_no_spread_and_no_loss_no_ratio() -> None:
    one = CONTENT | {"minmax": parts(0.0, 3.0) | {"by_seed": {"0": parts(0.0, 3.0)}}}
    assert losses_of(one, "happy").sd() is None
    assert losses_of(one, "happy").over_seeds.ratio == math.inf


@pytest.mark.parametrize("change", [{"labels": ["sad", "happy", "angry"]}, {"labels": ["sad", "calm"]}])
def test_other_emotions_are_refused(change: dict) -> None:
    with pytest.raises(ValueError, match="expected two emotions, happy among them"):
        losses_of(CONTENT | change, "happy")
