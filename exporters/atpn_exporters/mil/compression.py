"""Constants as a program stores them, and the way between floats and few bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_exporters.mil.arguments import Arguments
from atpn_exporters.mil.blob import unpack

Array = NDArray[Any]


def along(parameter: Array, axis: int | None, rank: int) -> Array:
    """A scalar as it is, a vector reshaped so that it runs along `axis` of a tensor of `rank`."""
    if parameter.ndim == 0:
        return parameter
    if axis is None:
        raise ValueError(f"a parameter of shape {parameter.shape} needs an axis")
    shape = [1] * rank
    shape[axis] = -1
    return parameter.reshape(shape)


def _affine(given: Arguments, stored: Array) -> Array:
    """scale * (stored - zero point)."""
    axis = given.integer("axis") if given.has("axis") else None
    real = stored.astype(np.float32)
    if given.has("zero_point"):
        real = real - along(given.array("zero_point").astype(np.float32), axis, stored.ndim)
    return real * along(given.array("scale"), axis, stored.ndim)


def quantize(given: Arguments) -> Array:
    """round(x / scale) + zero point, halves to the even neighbour, clipped to the type's range."""
    x = given.array("input")
    axis = given.integer("axis") if given.has("axis") else None
    stored = np.rint(x / along(given.array("scale"), axis, x.ndim))
    if given.has("zero_point"):
        stored = stored + along(given.array("zero_point").astype(np.float32), axis, x.ndim)
    dtype = given.text("output_dtype", "")
    if dtype not in ("int8", "uint8"):
        raise ValueError(f"the output_dtype is {dtype!r}; expected int8 or uint8")
    limits = np.iinfo(dtype)
    clipped: Array = np.clip(np.nan_to_num(stored, nan=0.0), limits.min, limits.max)
    return clipped.astype(dtype)


def lut_to_dense(given: Arguments) -> Array:
    """Every index replaced by its entry of the table that is in force there."""
    if given.has("shape"):
        return _packed_lut(given)
    indices, lut = given.array("indices"), given.array("lut")
    palettes, width = lut.shape[-2:]
    blocks = tuple(side // count for side, count in zip(indices.shape, lut.shape, strict=False))
    # The table of each element: how far along every axis its block lies.
    places = np.ogrid[tuple(slice(side) for side in indices.shape)]
    table = tuple(place // block for place, block in zip(places, blocks, strict=True))
    if indices.size and int(indices.max()) >= palettes:
        raise ValueError(f"an index is {indices.max()}; the table has {palettes} entries")
    vectors: Array = lut[(*table, indices.astype(np.intp))]  # (*indices, width)
    axis = given.integer("vector_axis", 0) % indices.ndim
    shape = list(indices.shape)
    shape[axis] *= width
    return np.moveaxis(vectors, -1, axis + 1).reshape(shape)


def _packed_lut(given: Arguments) -> Array:
    """iOS 16's form: one table, and indices packed into bytes by its size."""
    lut = given.array("lut")
    shape = given.integers("shape")
    bits = int(lut.size - 1).bit_length()
    content = given.array("indices").astype(np.uint8).tobytes()
    dtype = f"uint{bits}"
    dense: Array = lut[unpack(content, dtype, int(np.prod(shape)))]
    return dense.reshape(shape)


def blockwise_shift_scale(given: Arguments) -> Array:
    """scale * (data - offset), where each scale and offset is in force over a block."""
    data, scale = given.array("data").astype(np.float32), given.array("scale")

    def spread(parameter: Array) -> Array:
        for axis, side in enumerate(data.shape):
            parameter = np.repeat(parameter, side // parameter.shape[axis], axis)
        return parameter

    if given.has("offset"):
        data = data - spread(given.array("offset").astype(np.float32))
    return data * spread(scale)


COMPRESSION: Mapping[str, Callable[[Arguments], Array]] = {
    "constexpr_affine_dequantize": lambda given: _affine(given, given.array("quantized_data")),
    "constexpr_blockwise_shift_scale": blockwise_shift_scale,
    "constexpr_cast": lambda given: given.array("source_val").astype(np.float32),
    "constexpr_lut_to_dense": lut_to_dense,
    "dequantize": lambda given: _affine(given, given.array("input")),
    "quantize": quantize,
}
