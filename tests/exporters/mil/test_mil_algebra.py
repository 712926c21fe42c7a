"""Matrix products, reductions, softmax and batch norm of the MIL evaluator against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

torch = pytest.importorskip("torch")
functional = torch.nn.functional

Apply = Callable[..., Any]
Array = NDArray[np.float32]

some = settings(max_examples=40, deadline=None)
sides = st.integers(1, 4)
shapes = hnp.array_shapes(min_dims=1, max_dims=4, max_side=4)


def integers(data: st.DataObject, *shape: int) -> Array:
    """Small integers, whose sums and products are exact."""
    seed = data.draw(st.integers(0, 2**32 - 1))
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(np.float32)


@some
@given(hnp.array_shapes(min_dims=0, max_dims=2, max_side=3), sides, sides, st.data())
def test_linear(
    apply: Apply, leading: tuple[int, ...], inputs: int, outputs: int, data: st.DataObject
) -> None:
    x, weight = integers(data, *leading, inputs), integers(data, outputs, inputs)
    bias = integers(data, outputs) if data.draw(st.booleans()) else None
    expected = functional.linear(
        torch.from_numpy(x),
        torch.from_numpy(weight),
        None if bias is None else torch.from_numpy(bias),
    )

    assert_array_equal(apply("linear", x=x, weight=weight, bias=bias), expected.numpy())


@some
@given(
    hnp.mutually_broadcastable_shapes(signature="(n,k),(k,m)->(n,m)", max_dims=2, max_side=3),
    st.booleans(),
    st.booleans(),
    st.data(),
)
def test_matmul(
    apply: Apply, shapes: hnp.BroadcastableShapes, swap_x: bool, swap_y: bool, data: st.DataObject
) -> None:
    x, y = (integers(data, *shape) for shape in shapes.input_shapes)
    expected = torch.matmul(torch.from_numpy(x), torch.from_numpy(y)).numpy()

    z = apply(
        "matmul",
        x=x.swapaxes(-1, -2) if swap_x else x,
        y=y.swapaxes(-1, -2) if swap_y else y,
        transpose_x=swap_x,
        transpose_y=swap_y,
    )

    assert_array_equal(z, expected)


REDUCTIONS = {
    "reduce_max": torch.amax,
    "reduce_mean": torch.mean,
    "reduce_min": torch.amin,
    "reduce_sum": torch.sum,
}


@pytest.mark.parametrize("kind", REDUCTIONS)
@some
@given(shapes, st.booleans(), st.data())
def test_reduce(
    apply: Apply, kind: str, shape: tuple[int, ...], keep: bool, data: st.DataObject
) -> None:
    x = integers(data, *shape)
    axes = data.draw(
        st.lists(st.integers(0, len(shape) - 1), min_size=1, max_size=len(shape), unique=True)
    )
    signed = [axis - len(shape) if data.draw(st.booleans()) else axis for axis in axes]

    y = apply(kind, x=x, axes=signed, keep_dims=keep)

    expected = REDUCTIONS[kind](torch.from_numpy(x), dim=axes, keepdim=keep).numpy()
    assert y.shape == expected.shape
    assert_allclose(y, expected, rtol=1e-6, atol=1e-6)


def test_reduce_without_axes_takes_all_of_them(apply: Apply) -> None:
    y = apply("reduce_sum", x=np.ones((2, 3), np.float32))

    assert (y.shape, y.item()) == ((), 6)


def test_reduce_keeps_integers(apply: Apply) -> None:
    assert apply("reduce_sum", x=np.int32([1, 2])).dtype == np.int32


@some
@given(shapes, st.data())
def test_softmax(apply: Apply, shape: tuple[int, ...], data: st.DataObject) -> None:
    x = 10 * integers(data, *shape)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))

    y = apply("softmax", x=x, axis=axis)

    assert_allclose(y, functional.softmax(torch.from_numpy(x), axis).numpy(), rtol=1e-5, atol=1e-7)


def test_softmax_survives_large_values(apply: Apply) -> None:
    assert apply("softmax", x=np.float32([1e4, 1e4])).tolist() == [0.5, 0.5]


@some
@given(hnp.array_shapes(min_dims=3, max_dims=5, max_side=3), st.booleans(), st.data())
def test_batch_norm(
    apply: Apply, shape: tuple[int, ...], scaled: bool, data: st.DataObject
) -> None:
    x, mean = integers(data, *shape), integers(data, shape[1])
    variance = np.abs(integers(data, shape[1])) + np.float32(0.5)
    gamma, beta = integers(data, shape[1]), integers(data, shape[1])
    epsilon = data.draw(st.sampled_from([None, 1e-3, 0.5]))

    y = apply(
        "batch_norm",
        x=x,
        mean=mean,
        variance=variance,
        gamma=gamma if scaled else None,
        beta=beta if scaled else None,
        epsilon=None if epsilon is None else np.float32(epsilon),
    )

    expected = functional.batch_norm(
        torch.from_numpy(x),
        torch.from_numpy(mean),
        torch.from_numpy(variance),
        torch.from_numpy(gamma) if scaled else None,
        torch.from_numpy(beta) if scaled else None,
        eps=1e-5 if epsilon is None else epsilon,
    )
    assert_allclose(y, expected.numpy(), rtol=1e-5, atol=1e-5)
