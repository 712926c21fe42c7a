"""Convolution, its transpose, and pooling, over one to three spatial sides.

NumPy, not PyTorch: the program is held against PyTorch, and a fault that both shared would go
unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_exporters.mil.arguments import Arguments
from atpn_exporters.mil.windows import Sliding, extents, pairs, sliding


def conv(given: Arguments) -> NDArray[Any]:
    """(N, C, *sides) with a weight (O, C / groups, *kernel) to (N, O, *positions)."""
    x, weight = given.array("x"), given.array("weight")
    windows = sliding(given, x.shape[2:], weight.shape[2:])
    groups = given.integer("groups", 1)
    depthwise = groups == x.shape[1] == weight.shape[0]
    y = _depthwise(x, weight, windows) if depthwise else _dense(x, weight, windows, groups)
    return _with_bias(y, given.optional("bias"))


def _depthwise(x: NDArray[Any], weight: NDArray[Any], windows: Sliding) -> NDArray[Any]:
    """One kernel a channel: a sum over its elements, each over all positions at once."""
    y = np.zeros((*x.shape[:2], *windows.positions), np.float32)
    ones = (1,) * len(windows.sides)
    flat = weight.reshape(len(weight), -1)  # the taps' order
    for tap, under in enumerate(windows.taps(windows.pad(x, 0.0))):
        y += flat[:, tap].reshape(-1, *ones) * under
    return y


def _dense(x: NDArray[Any], weight: NDArray[Any], windows: Sliding, groups: int) -> NDArray[Any]:
    """A matrix product of the weights and, column by column, the values under the kernel."""
    batch, channels = x.shape[:2]
    outputs, width = weight.shape[:2]
    if channels != width * groups:
        raise ValueError(f"{channels} channels do not fit a weight of {weight.shape}")
    taps = prod(windows.kernel)
    columns = np.stack([under for under in windows.taps(windows.pad(x, 0.0))], 2)
    columns = columns.reshape(batch, groups, width * taps, -1)
    y: NDArray[Any] = weight.reshape(groups, outputs // groups, width * taps) @ columns
    return y.reshape(batch, outputs, *windows.positions)


def _with_bias(y: NDArray[Any], bias: NDArray[Any] | None) -> NDArray[Any]:
    if bias is None:
        return y
    biased: NDArray[Any] = y + bias.reshape(-1, *(1,) * (y.ndim - 2))
    return biased


def conv_transpose(given: Arguments) -> NDArray[Any]:
    """(N, C, *sides) with a weight (C, O / groups, *kernel): each value spreads a kernel."""
    x, weight = given.array("x"), given.array("weight")
    sides, kernel = x.shape[2:], weight.shape[2:]
    strides = given.integers("strides", (1,) * len(sides))
    dilations = given.integers("dilations", (1,) * len(sides))
    groups = given.integer("groups", 1)
    full = tuple(
        (side - 1) * stride + extent
        for side, stride, extent in zip(sides, strides, extents(kernel, dilations), strict=True)
    )
    starts, wanted = _kept(given, sides, strides, full)
    room = tuple(max(f, s + w) for f, s, w in zip(full, starts, wanted, strict=True))
    y = np.zeros((x.shape[0], weight.shape[1] * groups, *room), np.float32)
    elements = weight.reshape(*weight.shape[:2], -1)  # (C, O / groups, elements of the kernel)
    for element, tap in enumerate(product(*(range(size) for size in kernel))):
        window = tuple(
            slice(t * gap, t * gap + stride * (side - 1) + 1, stride)
            for t, gap, stride, side in zip(tap, dilations, strides, sides, strict=True)
        )
        y[(slice(None), slice(None), *window)] += _spread(x, elements[:, :, element], groups)
    kept = tuple(slice(start, start + side) for start, side in zip(starts, wanted, strict=True))
    return _with_bias(y[(slice(None), slice(None), *kept)], given.optional("bias"))


def _spread(x: NDArray[Any], weight: NDArray[Any], groups: int) -> NDArray[Any]:
    """What one element of the kernel, (C, O / groups), makes of every input value."""
    batch, channels = x.shape[:2]
    flat = x.reshape(batch, groups, channels // groups, -1)
    matrix = weight.reshape(groups, channels // groups, -1).swapaxes(1, 2)
    spread: NDArray[Any] = matrix @ flat
    return spread.reshape(batch, -1, *x.shape[2:])


def _kept(
    given: Arguments, sides: tuple[int, ...], strides: tuple[int, ...], full: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(first, size) of what is kept of each side of the full result; it may reach beyond it."""
    kind = given.text("pad_type", "valid")
    starts, wanted = (0,) * len(sides), full
    if kind == "custom":
        pads = pairs(given.integers("pad", (0, 0) * len(sides)))
        starts = tuple(before for before, _ in pads)
        wanted = tuple(f - sum(pad) for f, pad in zip(full, pads, strict=True))
    elif kind == "same":
        wanted = tuple(side * stride for side, stride in zip(sides, strides, strict=True))
        starts = tuple(max(0, f - w) // 2 for f, w in zip(full, wanted, strict=True))
    elif kind != "valid":
        raise ValueError(f"the pad_type is {kind!r}; expected valid, custom or same")
    if given.has("output_shape"):
        wanted = given.integers("output_shape")[2:]
    return starts, wanted


def max_pool(given: Arguments) -> NDArray[Any]:
    """The largest value of each window; padding never wins."""
    x = given.array("x")
    windows = sliding(given, x.shape[2:], given.integers("kernel_sizes"))
    y = np.full((*x.shape[:2], *windows.positions), -np.inf, np.float32)
    for under in windows.taps(windows.pad(x, -np.inf)):
        np.maximum(y, under, out=y)
    return y


def avg_pool(given: Arguments) -> NDArray[Any]:
    """The mean of each window; padding counts as zeros unless it is excluded.

    What a last window of `ceil_mode` covers behind the padding never counts, as in PyTorch.
    """
    x = given.array("x")
    windows = sliding(given, x.shape[2:], given.integers("kernel_sizes"))
    padded = windows.pad(x, 0.0)
    counted = np.zeros((1, 1, *padded.shape[2:]), np.float32)
    if given.flag("exclude_padding_from_average"):
        inside = (
            slice(before, before + side)
            for side, (before, _) in zip(windows.sides, windows.pads, strict=True)
        )
    else:
        inside = (
            slice(side + before + after)
            for side, (before, after) in zip(windows.sides, windows.pads, strict=True)
        )
    counted[(slice(None), slice(None), *inside)] = 1.0
    mean: NDArray[Any] = _summed(padded, windows) / _summed(counted, windows)
    return mean


def _summed(padded: NDArray[Any], windows: Sliding) -> NDArray[Any]:
    """The sum of each window."""
    y = np.zeros((*padded.shape[:2], *windows.positions), np.float32)
    for under in windows.taps(padded):
        y += under
    return y


CONVOLUTION: Mapping[str, Callable[[Arguments], NDArray[Any]]] = {
    "avg_pool": avg_pool,
    "conv": conv,
    "conv_transpose": conv_transpose,
    "max_pool": max_pool,
}
