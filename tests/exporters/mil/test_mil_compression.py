"""Compressed constants and integers of the MIL evaluator against plain Python, element by element.

Scales are powers of two and zero points small, so that every expected value is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

Apply = Callable[..., Any]
Array = NDArray[Any]

some = settings(max_examples=40, deadline=None)
shapes = hnp.array_shapes(min_dims=1, max_dims=4, max_side=4)
LIMITS = {"int8": (-128, 127), "uint8": (0, 255)}


def places(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    return list(product(*(range(side) for side in shape)))


def powers(data: st.DataObject, shape: int | tuple[int, ...]) -> Array:
    exponents = data.draw(hnp.arrays(np.int32, shape, elements=st.integers(-4, 3)))
    return np.exp2(exponents).astype(np.float32)


@st.composite
def affine(draw: st.DrawFn, dtype: str) -> tuple[tuple[int, ...], int | None, Array, Array | None]:
    """(shape, axis or None, scale, zero point or None): per tensor or per channel."""
    shape = draw(shapes)
    axis = draw(st.none() | st.integers(-len(shape), len(shape) - 1))
    count: tuple[int, ...] = () if axis is None else (shape[axis],)
    exponents = draw(hnp.arrays(np.int32, count, elements=st.integers(-4, 3)))
    low, high = LIMITS[dtype]
    zeros = hnp.arrays(dtype, count, elements=st.integers(low, high))
    return shape, axis, np.exp2(exponents).astype(np.float32), draw(st.none() | zeros)


def entry(parameter: Array | None, axis: int | None, place: tuple[int, ...]) -> float:
    """A scale or zero point as it is in force at one place."""
    if parameter is None:
        return 0
    return float(parameter if axis is None else parameter[place[axis]])


@pytest.mark.parametrize("kind", ["dequantize", "constexpr_affine_dequantize"])
@pytest.mark.parametrize("dtype", LIMITS)
@some
@given(st.data())
def test_dequantize(apply: Apply, kind: str, dtype: str, data: st.DataObject) -> None:
    shape, axis, scale, zero = data.draw(affine(dtype))
    low, high = LIMITS[dtype]
    stored = data.draw(hnp.arrays(dtype, shape, elements=st.integers(low, high)))
    name = "input" if kind == "dequantize" else "quantized_data"

    y = apply(kind, **{name: stored}, scale=scale, zero_point=zero, axis=axis)

    assert y.dtype == np.float32
    for place in places(shape):
        expected = entry(scale, axis, place) * (int(stored[place]) - entry(zero, axis, place))
        assert y[place] == expected


@pytest.mark.parametrize("dtype", LIMITS)
@some
@given(st.data())
def test_quantize(apply: Apply, dtype: str, data: st.DataObject) -> None:
    shape, axis, scale, zero = data.draw(affine(dtype))
    quarters = data.draw(hnp.arrays(np.int32, shape, elements=st.integers(-900, 900)))
    x = (quarters / 4).astype(np.float32)

    y = apply("quantize", input=x, scale=scale, zero_point=zero, axis=axis, output_dtype=dtype)

    low, high = LIMITS[dtype]
    assert y.dtype == dtype
    for place in places(shape):
        steps = round(Fraction(float(x[place])) / Fraction(entry(scale, axis, place)))
        assert y[place] == min(max(steps + int(entry(zero, axis, place)), low), high)


def test_quantize_rounds_a_half_to_the_even_neighbour(apply: Apply) -> None:
    x = np.float32([0.5, 1.5, 2.5, -0.5, -1.5])

    y = apply("quantize", input=x, scale=np.float32(1), output_dtype="int8")

    assert y.tolist() == [0, 2, 2, 0, -2]


def test_quantize_to_another_type_is_refused(apply: Apply) -> None:
    with pytest.raises(ValueError, match="'int16'"):
        apply("quantize", input=np.zeros(2), scale=np.float32(1), output_dtype="int16")


def test_a_vector_of_scales_needs_an_axis(apply: Apply) -> None:
    with pytest.raises(ValueError, match="axis"):
        apply("dequantize", input=np.zeros((2, 2), np.int8), scale=np.ones(2, np.float32))


@some
@given(shapes, st.booleans(), st.data())
def test_blockwise_shift_scale(
    apply: Apply, blocks: tuple[int, ...], shifted: bool, data: st.DataObject
) -> None:
    sizes = [data.draw(st.integers(1, 3)) for _ in blocks]
    shape = tuple(count * size for count, size in zip(blocks, sizes, strict=True))
    stored = data.draw(hnp.arrays(np.int8, shape, elements=st.integers(-128, 127)))
    scale = powers(data, blocks)
    offset = data.draw(hnp.arrays(np.int8, blocks, elements=st.integers(-128, 127)))

    y = apply(
        "constexpr_blockwise_shift_scale",
        data=stored,
        scale=scale,
        offset=offset if shifted else None,
    )

    for place in places(shape):
        block = tuple(at // size for at, size in zip(place, sizes, strict=True))
        shift = int(offset[block]) if shifted else 0
        assert y[place] == scale[block] * (int(stored[place]) - shift)


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 8])
@some
@given(shapes, st.data())
def test_packed_lut(apply: Apply, bits: int, shape: tuple[int, ...], data: st.DataObject) -> None:
    """iOS 16: indices lie bit by bit one behind the other, the lowest bit first."""
    count = int(np.prod(shape))
    chosen = data.draw(st.lists(st.integers(0, 2**bits - 1), min_size=count, max_size=count))
    stream = sum(index << (bits * i) for i, index in enumerate(chosen))
    packed = np.frombuffer(stream.to_bytes((bits * count + 7) // 8, "little"), np.uint8)
    lut = np.arange(2**bits, dtype=np.float32) * 3 - 5

    y = apply("constexpr_lut_to_dense", indices=packed, lut=lut, shape=np.array(shape, np.uint32))

    assert y.shape == shape
    assert y.ravel().tolist() == [3 * index - 5 for index in chosen]


@some
@given(shapes, st.integers(1, 3), st.integers(1, 3), st.data())
def test_blockwise_vector_lut(
    apply: Apply, tables: tuple[int, ...], bits: int, width: int, data: st.DataObject
) -> None:
    """iOS 18: a table for each block, and entries that may be vectors along one axis."""
    sizes = [data.draw(st.integers(1, 2)) for _ in tables]
    shape = tuple(count * size for count, size in zip(tables, sizes, strict=True))
    indices = data.draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 2**bits - 1)))
    lut = np.arange(np.prod(tables) * 2**bits * width, dtype=np.float32)
    lut = lut.reshape(*tables, 2**bits, width)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    named = axis if width > 1 or data.draw(st.booleans()) else None

    y = apply("constexpr_lut_to_dense", indices=indices, lut=lut, vector_axis=named)

    expected_shape = list(shape)
    expected_shape[axis] *= width
    assert y.shape == (shape if width == 1 else tuple(expected_shape))
    for place in places(y.shape):
        at = list(place)
        at[axis], element = divmod(place[axis], width)
        table = tuple(i // size for i, size in zip(at, sizes, strict=True))
        assert y[place] == lut[(*table, indices[tuple(at)], element)]


def test_the_tables_of_the_specification(apply: Apply) -> None:
    """Two groups of scalars, and vectors along axis 1: the examples of Core ML's documentation."""
    lut = np.float32([1, 5, 9, 13, 2, 10, 18, 26]).reshape(2, 1, 4, 1)
    indices = np.uint8([2, 3, 3, 0, 1, 0, 3, 0, 2, 1, 0, 3]).reshape(6, 2)

    y = apply("constexpr_lut_to_dense", indices=indices, lut=lut)

    assert y.tolist() == [[9, 13], [13, 1], [5, 1], [26, 2], [18, 10], [2, 26]]
    vectors = np.float32([[10, 11, 12], [20, 21, 22]]).reshape(1, 1, 1, 2, 3)
    indices = np.uint8([0, 0, 1, 0, 1, 1, 0, 0]).reshape(2, 2, 2)
    y = apply("constexpr_lut_to_dense", indices=indices, lut=vectors, vector_axis=1)
    a, b = [[10, 10], [11, 11], [12, 12]], [[20, 10], [21, 11], [22, 12]]
    c = [[20, 20], [21, 21], [22, 22]]
    assert y.tolist() == [a + b, c + a]


def test_an_index_beyond_its_table_is_refused(apply: Apply) -> None:
    with pytest.raises(ValueError, match="index is 5"):
        apply("constexpr_lut_to_dense", indices=np.uint8([5]), lut=np.zeros((1, 4, 1), np.float32))


def test_constexpr_cast_widens(apply: Apply) -> None:
    y = apply("constexpr_cast", source_val=np.float16([0.1]), output_dtype="fp32")

    assert_array_equal(y, np.float32(np.float16([0.1])))
