"""First the gender, then the emotion by a model of that gender: the fourth report's future work."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped

from serjax.models.classical.fitting import Fitted, fit
from serjax.models.classical.packages import ClassicalError
from serjax.models.classical.specs import Model


@dataclass(frozen=True)
class TwoStage:
    """A model that tells genders apart, and the kind of model that tells emotions apart within each."""

    gender: Model
    emotion: Model


@dataclass(frozen=True, eq=False)
class FittedTwoStage:
    """A fitted gender model and one emotion model for each gender, in the order of `genders`."""

    genders: tuple[str, ...]
    gender: Fitted
    by_gender: tuple[Fitted, ...]

    def predict_gender(self, x_ND: Float[np.ndarray, "N D"]) -> Int[np.ndarray, " N"]:
        """Return positions in `genders`."""
        return self.gender.predict_proba(x_ND).argmax(axis=1)

    def predict_proba(self, x_ND: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N K"]:
        """Return the probabilities under the model of the predicted gender; rows sum to 1."""
        probability_GNK = np.stack([model.predict_proba(x_ND) for model in self.by_gender])
        return probability_GNK[self.predict_gender(x_ND), np.arange(len(x_ND))]

    @property
    def n_parameters(self) -> int | None:
        """Numbers that were fitted, of all stages; None where one has none."""
        numbers = [model.n_parameters for model in (self.gender, *self.by_gender)]
        return None if None in numbers else sum(filter(None, numbers))


def fit_two_stage(
    model: TwoStage,
    x_ND: Float[np.ndarray, "N D"],
    label_N: Int[np.ndarray, " N"],
    gender_N: Shaped[np.ndarray, " N"],
    seed: int,
    n_classes: int | None = None,
    class_weights: bool = False,
) -> FittedTwoStage:
    """Fit the gender model to all training clips, and an emotion model to those of each gender.

    Args:
      model: the kinds of models.
      x_ND: finite features of N clips.
      label_N: class ids from 0.
      gender_N: the gender of each clip's speaker.
      seed: of whatever the models draw.
      n_classes: number of classes K; None: up to the highest id.
      class_weights: weigh clips inversely to the frequency of their class: genders, then each gender's emotions.

    Raises:
      ClassicalError: a gender is unknown, fewer than two genders, or as `fit`.
    """
    n_classes = int(label_N.max()) + 1 if n_classes is None else n_classes
    genders = tuple(sorted({str(gender) for gender in gender_N}))
    if len(genders) < 2 or "" in genders or "None" in genders:
        raise ClassicalError(
            f"Two stages need the gender of every speaker, and two of them at least; the training clips have {genders}."
            " Choose a corpus that says, or leave the two-stage model out."
        )
    position_N = np.array([genders.index(str(gender)) for gender in gender_N])
    first = fit(model.gender, x_ND, position_N, seed, class_weights=class_weights)
    rows = [position_N == g for g in range(len(genders))]
    by_gender = tuple(fit(model.emotion, x_ND[own], label_N[own], seed, n_classes, class_weights) for own in rows)
    return FittedTwoStage(genders, first, by_gender)
