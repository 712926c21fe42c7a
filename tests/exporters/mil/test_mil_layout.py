"""Operators of the MIL evaluator that move elements, against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

Apply = Callable[..., Any]
Array = NDArray[np.float32]

some = settings(max_examples=40, deadline=None)
shapes = hnp.array_shapes(min_dims=1, max_dims=4, max_side=4)


def numbered(shape: tuple[int, ...]) -> Array:
    """Every element is different, so that none can take another's place unseen."""
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


@some
@given(shapes, st.data())
def test_concat(apply: Apply, shape: tuple[int, ...], data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    sides = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    parts = []
    for side in sides:
        own = list(shape)
        own[axis] = side
        parts.append(numbered(tuple(own)) + 100 * len(parts))

    y = apply("concat", values=tuple(parts), axis=axis)

    assert_array_equal(y, torch.cat([torch.from_numpy(part) for part in parts], axis).numpy())


@some
@given(shapes, st.data())
def test_concat_interleaved_takes_one_of_each_in_turn(
    apply: Apply, shape: tuple[int, ...], data: st.DataObject
) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    parts = tuple(numbered(shape) + 100 * i for i in range(data.draw(st.integers(1, 3))))

    y = torch.from_numpy(apply("concat", values=parts, axis=axis, interleave=True))

    for i, part in enumerate(parts):
        every = torch.arange(i, y.shape[axis], len(parts))
        assert_array_equal(y.index_select(axis, every).numpy(), part)


@some
@given(shapes, st.data())
def test_stack(apply: Apply, shape: tuple[int, ...], data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape) - 1, len(shape)))
    parts = tuple(numbered(shape) + 100 * i for i in range(3))

    y = apply("stack", values=parts, axis=axis)

    assert_array_equal(y, torch.stack([torch.from_numpy(part) for part in parts], axis).numpy())


@some
@given(shapes, st.data())
def test_split_by_sizes(apply: Apply, shape: tuple[int, ...], data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = numbered(shape)
    cut = data.draw(st.integers(0, shape[axis]))
    sizes = [cut, shape[axis] - cut]

    parts = apply("split", x=x, axis=axis, split_sizes=sizes)

    expected = torch.split(torch.from_numpy(x), sizes, axis)
    assert [part.tolist() for part in parts] == [part.tolist() for part in expected]


def test_split_into_equal_parts(apply: Apply) -> None:
    x = numbered((2, 6))

    parts = apply("split", x=x, axis=1, num_splits=3)

    expected = torch.chunk(torch.from_numpy(x), 3, 1)
    assert [part.tolist() for part in parts] == [part.tolist() for part in expected]
    with pytest.raises(ValueError, match="equal"):
        apply("split", x=x, axis=1, num_splits=4)
    with pytest.raises(ValueError, match="do not fill 6"):
        apply("split", x=x, axis=1, split_sizes=[2, 3])


@some
@given(shapes, st.data())
def test_slice_by_index(apply: Apply, shape: tuple[int, ...], data: st.DataObject) -> None:
    def masks() -> list[bool]:
        return data.draw(st.lists(st.booleans(), min_size=len(shape), max_size=len(shape)))

    begin = [data.draw(st.integers(-side, side - 1)) for side in shape]
    end = [data.draw(st.integers(-side, side)) for side in shape]
    stride = [data.draw(st.integers(1, 3)) for _ in shape]
    begin_mask, end_mask, squeeze_mask = masks(), masks(), masks()
    x = numbered(shape)
    expected = torch.from_numpy(x)
    for axis in reversed(range(len(shape))):
        first = 0 if begin_mask[axis] else begin[axis] % shape[axis]
        if squeeze_mask[axis]:
            expected = expected.select(axis, first)
            continue
        last = shape[axis] if end_mask[axis] else end[axis]
        last = last + shape[axis] if last < 0 else last
        kept = torch.arange(first, max(first, last), stride[axis])
        expected = expected.index_select(axis, kept)

    y = apply(
        "slice_by_index",
        x=x,
        begin=begin,
        end=end,
        stride=stride,
        begin_mask=begin_mask,
        end_mask=end_mask,
        squeeze_mask=squeeze_mask,
    )

    assert y.shape == tuple(expected.shape)
    assert_array_equal(y, expected.numpy())


def test_slice_by_index_without_options_is_a_plain_slice(apply: Apply) -> None:
    y = apply("slice_by_index", x=numbered((4, 5)), begin=[1, 2], end=[3, 4])

    assert y.tolist() == [[7, 8], [12, 13]]


@some
@given(shapes, st.data())
def test_reshape(apply: Apply, shape: tuple[int, ...], data: st.DataObject) -> None:
    x = numbered(shape)
    shuffled = data.draw(st.permutations(shape))
    left = data.draw(st.integers(0, len(shape) - 1))
    asked = [-1 if axis == left else side for axis, side in enumerate(shuffled)]

    y = apply("reshape", x=x, shape=asked)

    assert_array_equal(y, torch.from_numpy(x).reshape(asked).numpy())


def test_reshape_keeps_a_side_for_a_zero(apply: Apply) -> None:
    assert apply("reshape", x=numbered((2, 3, 4)), shape=[0, -1, 2]).shape == (2, 6, 2)
    with pytest.raises(ValueError, match="another rank"):
        apply("reshape", x=numbered((2, 3)), shape=[0, 3, 1])


@some
@given(shapes, st.data())
def test_transpose(apply: Apply, shape: tuple[int, ...], data: st.DataObject) -> None:
    x = numbered(shape)
    perm = data.draw(st.permutations(range(len(shape))))

    y = apply("transpose", x=x, perm=perm)

    assert_array_equal(y, torch.from_numpy(x).permute(*perm).numpy())


@some
@given(shapes, st.data())
def test_expand_dims_and_squeeze(apply: Apply, shape: tuple[int, ...], data: st.DataObject) -> None:
    x = numbered(shape)
    rank = len(shape) + 2
    axes = data.draw(st.lists(st.integers(0, rank - 1), min_size=2, max_size=2, unique=True))
    expected = torch.from_numpy(x)
    for axis in sorted(axes):
        expected = expected.unsqueeze(axis)

    wide = apply("expand_dims", x=x, axes=[axes[0], axes[1] - rank])

    assert_array_equal(wide, expected.numpy())
    assert_array_equal(apply("squeeze", x=wide, axes=axes), x)
    assert_array_equal(apply("squeeze", x=wide), torch.squeeze(expected).numpy())


def test_squeeze_leaves_an_axis_of_several_elements(apply: Apply) -> None:
    assert apply("squeeze", x=numbered((1, 3)), axes=[0, 1]).shape == (3,)


PADS = {"constant": "constant", "reflect": "reflect", "replicate": "replicate"}


@pytest.mark.parametrize("mode", PADS)
@some
@given(hnp.array_shapes(min_dims=3, max_dims=3, min_side=2, max_side=4), st.data())
def test_pad_the_last_axes(
    apply: Apply, mode: str, shape: tuple[int, ...], data: st.DataObject
) -> None:
    x = numbered(shape)
    margins = [data.draw(st.integers(0, side - 1)) for side in shape[-2:] for _ in range(2)]

    y = apply("pad", x=x, pad=margins, mode=mode, constant_val=np.float32(7))

    expected = torch.nn.functional.pad(
        torch.from_numpy(x),
        [*margins[2:], *margins[:2]],  # the last axis comes first
        PADS[mode],
        7.0 if mode == "constant" else None,
    )
    assert_array_equal(y, expected.numpy())


def test_an_unknown_pad_mode_is_refused(apply: Apply) -> None:
    with pytest.raises(ValueError, match="'wrap'"):
        apply("pad", x=numbered((2, 2)), pad=[1, 1], mode="wrap")


@some
@given(shapes, st.data())
def test_tile(apply: Apply, shape: tuple[int, ...], data: st.DataObject) -> None:
    x = numbered(shape)
    reps = [data.draw(st.integers(1, 3)) for _ in shape]

    assert_array_equal(apply("tile", x=x, reps=reps), torch.from_numpy(x).tile(reps).numpy())


@some
@given(*[st.integers(1, 3)] * 5)
def test_pixel_shuffle(
    apply: Apply, batch: int, channels: int, factor: int, height: int, width: int
) -> None:
    x = numbered((batch, channels * factor**2, height, width))

    y = apply("pixel_shuffle", x=x, upscale_factor=factor)

    assert_array_equal(y, torch.pixel_shuffle(torch.from_numpy(x), factor).numpy())
