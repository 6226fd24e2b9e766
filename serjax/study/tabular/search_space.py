"""Which hyper-parameters of each classical model are tuned, and between which bounds.

Those of XGBoost are the bounds of the fourth report, as far as the values that it found tell (1e-8 to 1 on a
logarithmic scale); it does not name those of the other models.
"""

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from serjax.models.classical import (
    Bagging,
    DecisionTree,
    Knn,
    LightGbm,
    LogisticRegression,
    Mlp,
    RandomForest,
    Single,
    Svm,
    XgBoost,
)

Value = int | float | str


@dataclass(frozen=True)
class Whole:
    """A whole number."""

    name: str
    low: int
    high: int
    log: bool = False


@dataclass(frozen=True)
class Real:
    """A number, drawn on a logarithmic scale."""

    name: str
    low: float
    high: float


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    name: str
    values: tuple[Value, ...]


Range = Whole | Real | Choice


@runtime_checkable
class Trial(Protocol):
    """What draws values: a trial of optuna, or a finished one that repeats its own."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool) -> int:
        """Draw a whole number."""
        ...

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float:
        """Draw a number."""
        ...

    def suggest_categorical(self, name: str, choices: tuple[Value, ...]) -> Value:
        """Draw one of several values."""
        ...


def ranges(model: Single) -> tuple[Range, ...]:
    """Return what is tuned; nothing of k-means, which sees no labels."""
    match model:
        case Knn():
            return Whole("n_neighbors", 1, 40, log=True), Choice("weights", ("uniform", "distance")), _powers()
        case DecisionTree():
            impurity = Choice("criterion", ("gini", "entropy"))
            return Whole("max_depth", 2, 32), Whole("min_samples_leaf", 1, 20), impurity
        case RandomForest():
            share = Choice("max_features", ("sqrt", "log2", 0.2, 0.5))
            return Whole("n_estimators", 50, 500, log=True), Whole("max_depth", 4, 32), _leaf(), share
        case Bagging():
            return (
                Whole("n_estimators", 20, 200, log=True),
                Real("max_samples", 0.3, 1.0),
                Real("max_features", 0.2, 1.0),
            )
        case LightGbm():
            shape = Whole("num_leaves", 7, 127, log=True), Whole("min_child_samples", 5, 50)
            return (
                *shape,
                Real("learning_rate", 0.01, 0.3),
                Real("reg_lambda", 1e-8, 10.0),
                Real("reg_alpha", 1e-8, 1.0),
                Real("colsample_bytree", 0.1, 1.0),
            )
        case XgBoost():
            penalties = (Real(name, 1e-8, 1.0) for name in ("reg_lambda", "reg_alpha", "gamma", "learning_rate"))
            return Whole("max_depth", 1, 9), Choice("grow_policy", ("depthwise", "lossguide")), *penalties
        case Svm():
            return Real("c", 0.01, 1000.0), Real("gamma", 1e-4, 1.0), Choice("kernel", ("rbf", "linear"))
        case Mlp():
            return Whole("hidden", 16, 2048, log=True), Real("alpha", 1e-5, 10.0)
        case LogisticRegression():
            return (Real("c", 1e-4, 100.0),)
        case _:
            return ()


def suggest(model: Single, trial: Trial) -> Single:
    """Return the model with the values that a trial draws."""
    values = {bounds.name: _suggest(bounds, trial) for bounds in ranges(model)}
    if isinstance(model, Mlp):
        return replace(model, **{**values, "hidden": (values["hidden"],)})  # type: ignore[arg-type]
    return replace(model, **values)  # type: ignore[arg-type]


def start(model: Single) -> dict[str, Value]:
    """Return the model's own values, as far as they lie within the bounds: what the first trial tries."""
    own = {bounds.name: (getattr(model, bounds.name), bounds) for bounds in ranges(model)}
    if isinstance(model, Mlp):
        own["hidden"] = (model.hidden[0] if len(model.hidden) == 1 else None, own["hidden"][1])
    return {name: value for name, (value, bounds) in own.items() if _within(value, bounds)}


def _suggest(bounds: Range, trial: Trial) -> Value:
    if isinstance(bounds, Whole):
        return trial.suggest_int(bounds.name, bounds.low, bounds.high, log=bounds.log)
    if isinstance(bounds, Real):
        return trial.suggest_float(bounds.name, bounds.low, bounds.high, log=True)
    return trial.suggest_categorical(bounds.name, bounds.values)


def _within(value: object, bounds: Range) -> bool:
    if isinstance(bounds, Choice):
        return value in bounds.values
    return isinstance(value, int | float) and bounds.low <= value <= bounds.high


def _powers() -> Choice:
    return Choice("p", (1.0, 2.0))


def _leaf() -> Whole:
    return Whole("min_samples_leaf", 1, 10)
