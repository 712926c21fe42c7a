"""Operators that move elements and change none: reshape, slice, concatenate, pad ..."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from atpn_exporters.mil.arguments import Arguments
from atpn_exporters.mil.windows import pairs

Array = NDArray[Any]

#: MIL's words for padding by what is there, as NumPy calls them.
PAD_MODES: Mapping[str, Literal["reflect", "edge"]] = {"reflect": "reflect", "replicate": "edge"}


def concat(given: Arguments) -> Array:
    """One behind the other, or, interleaved, one element of each in turn."""
    values, axis = given.arrays("values"), given.integer("axis")
    if not given.flag("interleave"):
        return np.concatenate(values, axis)
    stacked = np.stack(values, axis + 1 if axis >= 0 else axis)
    shape = list(values[0].shape)
    shape[axis] *= len(values)
    return stacked.reshape(shape)


def split(given: Arguments) -> tuple[Array, ...]:
    """Parts along an axis, of given sizes or equal ones."""
    x, axis = given.array("x"), given.integer("axis")
    if given.has("split_sizes"):
        ends = np.cumsum(given.integers("split_sizes"))
        if ends[-1] != x.shape[axis]:
            raise ValueError(f"parts of {ends[-1]} in all do not fill {x.shape[axis]}")
        return tuple(np.split(x, ends[:-1], axis))
    return tuple(np.split(x, given.integer("num_splits"), axis))


def slice_by_index(given: Arguments) -> Array:
    """x[begin:end:stride] on every axis; masks leave an end open or take one element alone."""
    x = given.array("x")
    rank = x.ndim
    off = (0,) * rank
    rows = zip(
        given.integers("begin"),
        given.integers("end"),
        given.integers("stride", (1,) * rank),
        given.integers("begin_mask", off),
        given.integers("end_mask", off),
        given.integers("squeeze_mask", off),
        strict=True,
    )
    index: list[int | slice] = [
        (0 if from_start else begin)
        if alone
        else slice(None if from_start else begin, None if to_end else end, stride)
        for begin, end, stride, from_start, to_end, alone in rows
    ]
    return np.asarray(x[tuple(index)])


def reshape(given: Arguments) -> Array:
    """Another shape; -1 takes what is left and 0 keeps the side that stands there."""
    x, shape = given.array("x"), given.integers("shape")
    if 0 in shape and len(shape) != x.ndim:
        raise ValueError(f"the shape {shape} keeps a side of {x.shape}, which has another rank")
    return x.reshape([side or x.shape[axis] for axis, side in enumerate(shape)])


def squeeze(given: Arguments) -> Array:
    """Without the axes of one element, or those of them that are named."""
    x = given.array("x")
    named = given.integers("axes", tuple(range(x.ndim)))
    return np.squeeze(x, tuple(axis for axis in named if x.shape[axis] == 1))


def pad(given: Arguments) -> Array:
    """More elements around the last axes: a constant, or what stands at the border."""
    x, mode = given.array("x"), given.text("mode", "constant")
    margins = pairs(given.integers("pad"))
    margins = ((0, 0),) * (x.ndim - len(margins)) + margins
    if mode == "constant":
        return np.pad(x, margins, constant_values=given.number("constant_val", 0.0))
    if mode not in PAD_MODES:
        raise ValueError(f"the mode is {mode!r}; expected constant, reflect or replicate")
    return np.pad(x, margins, PAD_MODES[mode])


def pixel_shuffle(given: Arguments) -> Array:
    """(N, C f f, H, W) to (N, C, H f, W f), as PyTorch orders the channels."""
    x, factor = given.array("x"), given.integer("upscale_factor")
    batch, channels, height, width = x.shape
    out = channels // factor**2
    parts = x.reshape(batch, out, factor, factor, height, width)
    shuffled = parts.transpose(0, 1, 4, 2, 5, 3)
    return shuffled.reshape(batch, out, height * factor, width * factor)


LAYOUT: Mapping[str, Callable[[Arguments], Array | tuple[Array, ...]]] = {
    "concat": concat,
    "expand_dims": lambda given: np.expand_dims(given.array("x"), given.integers("axes")),
    "pad": pad,
    "pixel_shuffle": pixel_shuffle,
    "reshape": reshape,
    "slice_by_index": slice_by_index,
    "split": split,
    "squeeze": squeeze,
    "stack": lambda given: np.stack(given.arrays("values"), given.integer("axis")),
    "tile": lambda given: np.tile(given.array("x"), given.integers("reps")),
    "transpose": lambda given: np.transpose(given.array("x"), given.integers("perm")),
}
