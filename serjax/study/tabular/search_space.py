"""Which hyper-parameters of each classical model are tuned, and between which bounds.

Those of XGBoost are the bounds of the fourth report, as far as the values that it found tell (1e-8 to 1 on a
logarithmic scale); it does not name those of the other models.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from serjax.models.classical import specs
from serjax.models.classical.packages import require

Value = int | float | str


def ranges(model: specs.Single) -> Mapping[str, Any]:
    """Return what is tuned, by name, as distributions of optuna; nothing of k-means, which sees no labels.

    Raises:
      ClassicalError: optuna is not installed.
    """
    optuna = require("optuna.distributions", "tune")
    whole, choice = optuna.IntDistribution, optuna.CategoricalDistribution
    real = partial(optuna.FloatDistribution, log=True)
    match model:
        case specs.Knn():
            weights, powers = choice(("uniform", "distance")), choice((1.0, 2.0))
            return {"n_neighbors": whole(1, 40, log=True), "weights": weights, "p": powers}
        case specs.DecisionTree():
            sizes = {"max_depth": whole(2, 32), "min_samples_leaf": whole(1, 20)}
            return {**sizes, "criterion": choice(("gini", "entropy"))}
        case specs.RandomForest():
            sizes = {"n_estimators": whole(50, 500, log=True), "max_depth": whole(4, 32)}
            return {**sizes, "min_samples_leaf": whole(1, 10), "max_features": choice(("sqrt", "log2", 0.2, 0.5))}
        case specs.Bagging():
            shares = {"max_samples": real(0.3, 1.0), "max_features": real(0.2, 1.0)}
            return {"n_estimators": whole(20, 200, log=True), **shares}
        case specs.LightGbm():
            sizes = {"num_leaves": whole(7, 127, log=True), "min_child_samples": whole(5, 50)}
            penalties = {"reg_lambda": real(1e-8, 10.0), "reg_alpha": real(1e-8, 1.0)}
            return {**sizes, "learning_rate": real(0.01, 0.3), **penalties, "colsample_bytree": real(0.1, 1.0)}
        case specs.XgBoost():
            penalties = {name: real(1e-8, 1.0) for name in ("reg_lambda", "reg_alpha", "gamma", "learning_rate")}
            return {"max_depth": whole(1, 9), "grow_policy": choice(("depthwise", "lossguide")), **penalties}
        case specs.Svm():
            return {"c": real(0.01, 1000.0), "gamma": real(1e-4, 1.0), "kernel": choice(("rbf", "linear"))}
        case specs.Mlp():
            return {"hidden": whole(16, 2048, log=True), "alpha": real(1e-5, 10.0)}
        case specs.LogisticRegression():
            return {"c": real(1e-4, 100.0)}
        case _:
            return {}


def with_values(model: specs.Single, values: Mapping[str, Value]) -> specs.Single:
    """Return the model with the values that a trial drew; the width of an MLP is that of its one hidden layer."""
    if isinstance(model, specs.Mlp):
        return replace(model, **{**values, "hidden": (values["hidden"],)})  # type: ignore[arg-type]
    return replace(model, **values)  # type: ignore[arg-type]


def start(model: specs.Single) -> dict[str, Value]:
    """Return the model's own values, as far as they lie within the bounds: what the first trial tries."""
    own = {name: getattr(model, name) for name in ranges(model)}
    if isinstance(model, specs.Mlp):
        own["hidden"] = model.hidden[0] if len(model.hidden) == 1 else None
    return {name: own[name] for name, bounds in ranges(model).items() if _within(own[name], bounds)}


def _within(value: object, bounds: Any) -> bool:
    if isinstance(bounds, require("optuna.distributions").CategoricalDistribution):
        return value in bounds.choices
    return isinstance(value, int | float) and bounds.low <= value <= bounds.high
