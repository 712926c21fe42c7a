"""Element by element operators of the MIL evaluator against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose
from numpy.typing import NDArray

torch = pytest.importorskip("torch")
functional = torch.nn.functional

Apply = Callable[..., Any]
Array = NDArray[np.float32]

some = settings(max_examples=25, deadline=None)
shapes = hnp.array_shapes(min_dims=0, max_dims=4, max_side=4)


def floats(low: float, high: float) -> st.SearchStrategy[Array]:
    """Arrays of any small shape, rank 0 included, with values in [low, high]."""
    elements = st.floats(low, high, width=32, allow_subnormal=False)
    return shapes.flatmap(lambda shape: hnp.arrays(np.float32, shape, elements=elements))


#: Operator, its PyTorch twin, the values it is tried on.
UNARY = {
    "abs": (torch.abs, (-100, 100)),
    "ceil": (torch.ceil, (-100, 100)),
    "exp": (torch.exp, (-80, 80)),
    "floor": (torch.floor, (-100, 100)),
    "identity": (torch.clone, (-100, 100)),
    "relu": (torch.relu, (-100, 100)),
    "relu6": (functional.relu6, (-10, 10)),
    "round": (torch.round, (-4, 4)),
    "sigmoid": (torch.sigmoid, (-100, 100)),
    "silu": (functional.silu, (-50, 50)),
    "sqrt": (torch.sqrt, (0, 100)),
    "square": (torch.square, (-100, 100)),
    "tanh": (torch.tanh, (-20, 20)),
}


@pytest.mark.parametrize("kind", UNARY)
@some
@given(st.data())
def test_unary(apply: Apply, kind: str, data: st.DataObject) -> None:
    twin, (low, high) = UNARY[kind]
    x = data.draw(floats(low, high))

    y = np.asarray(apply(kind, x=x))

    assert y.dtype == np.float32
    assert y.shape == x.shape
    assert_allclose(y, twin(torch.from_numpy(x)).numpy(), rtol=1e-5, atol=1e-6)


BINARY = {
    "add": torch.add,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "mul": torch.mul,
    "pow": torch.pow,
    "real_div": torch.div,
    "sub": torch.sub,
}


@pytest.mark.parametrize("kind", BINARY)
@some
@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=3), st.data())
def test_binary_broadcasts(
    apply: Apply, kind: str, broadcast: hnp.BroadcastableShapes, data: st.DataObject
) -> None:
    elements = st.floats(0.5, 4, width=32)
    x, y = (
        data.draw(hnp.arrays(np.float32, shape, elements=elements))
        for shape in broadcast.input_shapes
    )

    z = np.asarray(apply(kind, x=x, y=y))

    assert z.dtype == np.float32
    assert z.shape == broadcast.result_shape
    expected = BINARY[kind](torch.from_numpy(x), torch.from_numpy(y))
    assert_allclose(z, expected.numpy(), rtol=1e-5)


def test_binary_keeps_integers(apply: Apply) -> None:
    assert apply("mul", x=np.int32([2, 3]), y=np.int32(4)).dtype == np.int32


numbers = st.floats(-3, 3, width=32)


@some
@given(floats(-10, 10), numbers)
def test_thresholded_relu_keeps_what_reaches_alpha(apply: Apply, x: Array, alpha: float) -> None:
    kept = torch.from_numpy(x) >= alpha

    y = apply("thresholded_relu", x=x, alpha=np.float32(alpha))

    assert_allclose(y, torch.where(kept, torch.from_numpy(x), 0.0).numpy(), rtol=0)


def test_thresholded_relu_keeps_alpha_itself(apply: Apply) -> None:
    y = apply("thresholded_relu", x=np.float32([-3.5, -3, 0, 2]), alpha=np.float32(-3))

    assert y.tolist() == [0, -3, 0, 2]


@some
@given(floats(-10, 10), numbers)
def test_leaky_relu(apply: Apply, x: Array, alpha: float) -> None:
    expected = functional.leaky_relu(torch.from_numpy(x), alpha).numpy()

    assert_allclose(apply("leaky_relu", x=x, alpha=np.float32(alpha)), expected, rtol=1e-6)


@some
@given(floats(-10, 10), st.floats(0, 3, width=32))
def test_elu(apply: Apply, x: Array, alpha: float) -> None:
    expected = functional.elu(torch.from_numpy(x), alpha).numpy()

    assert_allclose(apply("elu", x=x, alpha=np.float32(alpha)), expected, rtol=1e-5, atol=1e-6)


@some
@given(
    hnp.arrays(np.float32, (2, 3, 4, 2), elements=numbers),
    hnp.arrays(np.float32, 3, elements=numbers),
)
def test_prelu_has_a_slope_for_each_channel(apply: Apply, x: Array, alpha: Array) -> None:
    expected = functional.prelu(torch.from_numpy(x), torch.from_numpy(alpha)).numpy()

    assert_allclose(apply("prelu", x=x, alpha=alpha), expected, rtol=1e-6)


@some
@given(floats(-10, 10), numbers, st.floats(0, 4, width=32))
def test_clip(apply: Apply, x: Array, low: float, span: float) -> None:
    high = np.float32(low + span)
    expected = torch.clamp(torch.from_numpy(x), float(np.float32(low)), float(high)).numpy()

    assert_allclose(apply("clip", x=x, alpha=np.float32(low), beta=high), expected, rtol=0)


@some
@given(floats(-10, 10), numbers, numbers)
def test_sigmoid_hard(apply: Apply, x: Array, alpha: float, beta: float) -> None:
    expected = torch.clamp(torch.from_numpy(x) * alpha + beta, 0, 1).numpy()

    y = apply("sigmoid_hard", x=x, alpha=np.float32(alpha), beta=np.float32(beta))

    assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


def test_sigmoid_hard_is_pytorchs_with_a_sixth_and_a_half(apply: Apply) -> None:
    x = np.linspace(-5, 5, 101, dtype=np.float32)

    y = apply("sigmoid_hard", x=x, alpha=np.float32(1 / 6), beta=np.float32(0.5))

    assert_allclose(y, functional.hardsigmoid(torch.from_numpy(x)).numpy(), atol=1e-6)


#: Operator, its twin, MIL's own epsilon.
WITH_EPSILON = {
    "inverse": (torch.reciprocal, 1e-4),
    "log": (torch.log, 1e-45),
    "rsqrt": (torch.rsqrt, 1e-12),
}


@pytest.mark.parametrize("kind", WITH_EPSILON)
@some
@given(st.data())
def test_epsilon_is_added_to_x(apply: Apply, kind: str, data: st.DataObject) -> None:
    twin, own = WITH_EPSILON[kind]
    x = data.draw(floats(2.0**-10, 100))
    epsilon = data.draw(st.sampled_from([None, 0.0, 1e-3, 0.5]))
    added = torch.from_numpy(x) + (own if epsilon is None else epsilon)

    y = apply(kind, x=x, epsilon=None if epsilon is None else np.float32(epsilon))

    assert_allclose(y, twin(added).numpy(), rtol=1e-5, atol=1e-6)


def test_an_inverse_without_epsilon_has_mils_own(apply: Apply) -> None:
    """1e-4, which a converter that means 1 / x has to switch off."""
    assert apply("inverse", x=np.float32(1e-4)) == pytest.approx(5000)
    assert apply("inverse", x=np.float32(1e-4), epsilon=np.float32(0)) == pytest.approx(10000)


CASTS = {"fp32": np.float32, "int32": np.int32, "bool": np.bool_, "uint8": np.uint8}


@pytest.mark.parametrize("dtype", CASTS)
@some
@given(st.data())
def test_cast(apply: Apply, dtype: str, data: st.DataObject) -> None:
    x = data.draw(floats(0, 200))

    y = np.asarray(apply("cast", x=x, dtype=dtype))

    expected = [CASTS[dtype](int(v) if "int" in dtype else v) for v in x.ravel().tolist()]
    assert y.dtype == CASTS[dtype]
    assert y.ravel().tolist() == [value.item() for value in expected]


def test_a_cast_drops_the_fraction_towards_zero(apply: Apply) -> None:
    assert apply("cast", x=np.float32([-1.9, 1.9]), dtype="int32").tolist() == [-1, 1]


def test_a_cast_to_an_unknown_type_is_refused(apply: Apply) -> None:
    with pytest.raises(ValueError, match="'fp8'"):
        apply("cast", x=np.float32(1), dtype="fp8")


def test_infinity_and_nan_go_through_quietly(apply: Apply) -> None:
    x = np.float32([np.nan, np.inf, -np.inf, -1])

    with np.errstate(all="ignore"):
        assert np.isnan(apply("relu", x=x)[0])
        assert np.isnan(apply("sqrt", x=x)[3])
        assert apply("sigmoid", x=x)[1:3].tolist() == [1, 0]
