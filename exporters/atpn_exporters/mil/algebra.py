"""Operators that combine elements: matrix products, reductions, softmax, normalisation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_exporters.mil.arguments import Arguments

Array = NDArray[Any]


def linear(given: Arguments) -> Array:
    """x @ weight.T + bias, with a weight (outputs, inputs)."""
    y: Array = given.array("x") @ given.array("weight").T
    bias = given.optional("bias")
    return y if bias is None else y + bias


def matmul(given: Arguments) -> Array:
    """x @ y; each may have its last two axes swapped before."""
    x, y = given.array("x"), given.array("y")
    if given.flag("transpose_x"):
        x = x.swapaxes(-1, -2)
    if given.flag("transpose_y"):
        y = y.swapaxes(-1, -2)
    return np.asarray(x @ y)


def reduction(function: Callable[..., Array]) -> Callable[[Arguments], Array]:
    """An operator that reduces `axes`, by default all of them."""

    def reduce(given: Arguments) -> Array:
        x = given.array("x")
        axes = given.integers("axes", tuple(range(x.ndim)))
        reduced = function(x, axis=axes, keepdims=given.flag("keep_dims"))
        return np.asarray(reduced, x.dtype)

    return reduce


def softmax(given: Arguments) -> Array:
    """e^x over its sum along an axis; the largest element is taken off first."""
    x, axis = given.array("x"), given.integer("axis", -1)
    e = np.exp(x - x.max(axis, keepdims=True))
    return np.asarray(e / e.sum(axis, keepdims=True))


def batch_norm(given: Arguments) -> Array:
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta, one of each a channel (axis 1)."""
    x = given.array("x")

    def column(parameter: str) -> Array:
        return given.array(parameter).reshape(-1, *(1,) * (x.ndim - 2))

    deviation = np.sqrt(column("variance") + np.float32(given.number("epsilon", 1e-5)))
    y = (x - column("mean")) / deviation
    if given.has("gamma"):
        y = y * column("gamma")
    return y + column("beta") if given.has("beta") else y


ALGEBRA: Mapping[str, Callable[[Arguments], Array]] = {
    "batch_norm": batch_norm,
    "linear": linear,
    "matmul": matmul,
    "reduce_max": reduction(np.max),
    "reduce_mean": reduction(np.mean),
    "reduce_min": reduction(np.min),
    "reduce_sum": reduction(np.sum),
    "softmax": softmax,
}
