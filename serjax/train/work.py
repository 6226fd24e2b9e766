"""How much a program computes, told before it is compiled."""

import math
from collections.abc import Callable
from typing import Any

import chex
import jax
from jax.extend.core import Jaxpr, JaxprEqn

from serjax.train.memory import parts


def program_products(program: Callable, *arguments: chex.ArrayTree) -> int:
    """Return how many pairs of numbers `program(*arguments)` multiplies and adds up, of which shapes are enough.

    Those of matrix products and convolutions, which take most of a network's time. A loop counts as often as it runs
    (once where that is not known beforehand), of branches the one that has most.
    """
    return _products(jax.make_jaxpr(program)(*arguments).jaxpr)


def _products(jaxpr: Jaxpr) -> int:
    return sum(_of_equation(equation) for equation in jaxpr.eqns)


def _of_equation(equation: JaxprEqn) -> int:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        (summed, _), _ = params["dimension_numbers"]
        left = _shape(equation.invars[0])
        return math.prod(_shape(equation.outvars[0])) * math.prod(left[axis] for axis in summed)
    if name == "conv_general_dilated":
        kernel = _shape(equation.invars[1])
        each = math.prod(kernel) // kernel[params["dimension_numbers"].rhs_spec[0]]
        return math.prod(_shape(equation.outvars[0])) * each
    inside = [_products(part) for part in parts(params)]
    if name == "cond":
        return max(inside)
    return params.get("length", 1) * sum(inside)


def _shape(array: Any) -> tuple[int, ...]:
    return array.aval.shape  # type: ignore[no-any-return]
