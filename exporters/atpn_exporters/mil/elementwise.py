"""Operators that compute each element by itself, with NumPy's broadcast where there are two."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_exporters.mil.arguments import Arguments

Array = NDArray[Any]
Operator = Callable[[Arguments], Array]

#: Element types by the words of MIL's cast; what a float is rounded to is the evaluator's matter.
CAST_TYPES = {
    "fp16": np.float32,
    "fp32": np.float32,
    "bool": np.bool_,
    "int8": np.int8,
    "uint8": np.uint8,
    "int16": np.int16,
    "uint16": np.uint16,
    "int32": np.int32,
}


def unary(function: Callable[[Array], Array]) -> Operator:
    """An operator of `x` alone."""
    return lambda given: function(given.array("x"))


def binary(function: Callable[[Array, Array], Array]) -> Operator:
    """An operator of `x` and `y`, broadcast."""
    return lambda given: function(given.array("x"), given.array("y"))


def with_alpha(function: Callable[[Array, float], Array]) -> Operator:
    """An operator of `x` and the number `alpha`."""
    return lambda given: function(given.array("x"), given.number("alpha"))


def with_alpha_and_beta(function: Callable[[Array, float, float], Array]) -> Operator:
    """An operator of `x` and the numbers `alpha` and `beta`."""
    return lambda given: function(given.array("x"), given.number("alpha"), given.number("beta"))


def with_epsilon(function: Callable[[Array], Array], default: float) -> Operator:
    """An operator of `x + epsilon`; `default` is MIL's own, which a converter may have left out."""
    return lambda given: function(given.array("x") + np.float32(given.number("epsilon", default)))


def relu(x: Array) -> Array:
    """max(x, 0); NaN stays NaN."""
    return np.maximum(x, 0)


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x), written so that e^ cannot overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def prelu(given: Arguments) -> Array:
    """x where it is positive, else alpha * x with one alpha for each channel (axis 1)."""
    x, alpha = given.array("x"), given.array("alpha")
    return np.where(x > 0, x, x * alpha.reshape(-1, *(1,) * (x.ndim - 2)))


def cast(given: Arguments) -> Array:
    """Another element type; to an integer the fraction is dropped."""
    name = given.text("dtype", "")
    if name not in CAST_TYPES:
        raise ValueError(f"the dtype is {name!r}; expected one of {', '.join(CAST_TYPES)}")
    return given.array("x").astype(CAST_TYPES[name])


ELEMENTWISE: Mapping[str, Operator] = {
    "abs": unary(np.abs),
    "add": binary(np.add),
    "cast": cast,
    "ceil": unary(np.ceil),
    "clip": with_alpha_and_beta(lambda x, low, high: np.minimum(np.maximum(x, low), high)),
    "elu": with_alpha(lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))),
    "exp": unary(np.exp),
    "floor": unary(np.floor),
    "identity": unary(np.array),
    "inverse": with_epsilon(np.reciprocal, 1e-4),
    "leaky_relu": with_alpha(lambda x, alpha: np.where(x >= 0, x, alpha * x)),
    "log": with_epsilon(np.log, 1e-45),
    "maximum": binary(np.maximum),
    "minimum": binary(np.minimum),
    "mul": binary(np.multiply),
    "pow": binary(np.power),
    "prelu": prelu,
    "real_div": binary(np.divide),
    "relu": unary(relu),
    "relu6": unary(lambda x: np.minimum(relu(x), 6)),
    "round": unary(np.rint),  # halves to the even neighbour
    "rsqrt": with_epsilon(lambda x: 1 / np.sqrt(x), 1e-12),
    "sigmoid": unary(sigmoid),
    "sigmoid_hard": with_alpha_and_beta(
        lambda x, alpha, beta: np.minimum(relu(alpha * x + beta), 1)
    ),
    "silu": unary(lambda x: x * sigmoid(x)),
    "sqrt": unary(np.sqrt),
    "square": unary(np.square),
    "sub": binary(np.subtract),
    "tanh": unary(np.tanh),
    "thresholded_relu": with_alpha(lambda x, alpha: np.where(x >= alpha, x, 0)),
}
