"""Convolution and pooling of the MIL evaluator, which is NumPy, against PyTorch.

Values are small integers, so that every sum is exact and the order of its terms does not matter.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from atpn_deploy.errors import ArtifactError

torch = pytest.importorskip("torch")
functional = torch.nn.functional

Array = NDArray[np.float32]
Apply = Callable[..., Any]

few = settings(max_examples=60, deadline=None)


def integers(draw: st.DrawFn, *shape: int) -> Array:
    seed = draw(st.integers(0, 2**32 - 1))
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(np.float32)


def each(draw: st.DrawFn, rank: int, low: int, high: int) -> list[int]:
    return draw(st.lists(st.integers(low, high), min_size=rank, max_size=rank))


@st.composite
def convolutions(draw: st.DrawFn) -> dict[str, Any]:
    """A convolution over one to three sides that has at least one position."""
    rank = draw(st.integers(1, 3))
    groups, width, outputs = (draw(st.integers(1, 3)) for _ in range(3))
    if draw(st.booleans()):
        width = outputs = 1  # depthwise
    kernel, strides, dilations = (each(draw, rank, 1, 3) for _ in range(3))
    pads = each(draw, 2 * rank, 0, 2)
    covers = [(size - 1) * gap + 1 for size, gap in zip(kernel, dilations, strict=True)]
    sides = [cover + draw(st.integers(0, 5)) for cover in covers]
    bias = draw(st.booleans())
    return {
        "x": integers(draw, draw(st.integers(1, 2)), groups * width, *sides),
        "weight": integers(draw, groups * outputs, width, *kernel),
        "bias": integers(draw, groups * outputs) if bias else None,
        "strides": strides,
        "dilations": dilations,
        "groups": groups,
        "pad": pads,
        "pad_type": "custom",
    }


def padded(x: Array, pads: list[int], value: float = 0.0) -> Any:
    """PyTorch's padding, which names the last side first."""
    pairs = [pads[i : i + 2] for i in range(0, len(pads), 2)]
    flat = [margin for pair in reversed(pairs) for margin in pair]
    return functional.pad(torch.from_numpy(x), flat, value=value)


def optional(array: Array | None) -> Any:
    return None if array is None else torch.from_numpy(array)


def torch_conv(case: dict[str, Any]) -> Array:
    convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[case["x"].ndim - 3]
    y: Array = convolve(
        padded(case["x"], case["pad"]),
        torch.from_numpy(case["weight"]),
        optional(case["bias"]),
        stride=tuple(case["strides"]),
        dilation=tuple(case["dilations"]),
        groups=case["groups"],
    ).numpy()
    return y


@few
@given(convolutions())
def test_conv_with_custom_padding(apply: Apply, case: dict[str, Any]) -> None:
    assert_array_equal(apply("conv", **case), torch_conv(case))


@few
@given(convolutions())
def test_conv_without_padding_ignores_pad(apply: Apply, case: dict[str, Any]) -> None:
    expected = torch_conv({**case, "pad": [0] * len(case["pad"])})

    assert_array_equal(apply("conv", **{**case, "pad_type": "valid"}), expected)


@few
@given(convolutions(), st.sampled_from(["same", "same_lower"]))
def test_conv_same_pads_just_enough(apply: Apply, case: dict[str, Any], kind: str) -> None:
    pads = []
    for side, size, stride, gap in zip(
        case["x"].shape[2:],
        case["weight"].shape[2:],
        case["strides"],
        case["dilations"],
        strict=True,
    ):
        cover, wanted = (size - 1) * gap + 1, -(-side // stride)
        total = next(t for t in count() if (side + t - cover) // stride + 1 >= wanted)
        small, large = total // 2, total - total // 2
        pads += [small, large] if kind == "same" else [large, small]

    y = apply("conv", **{**case, "pad_type": kind, "pad": None})

    assert y.shape[2:] == tuple(
        -(-side // stride)
        for side, stride in zip(case["x"].shape[2:], case["strides"], strict=True)
    )
    assert_array_equal(y, torch_conv({**case, "pad": pads}))


def test_conv_defaults_are_stride_one_no_padding_one_group(apply: Apply) -> None:
    rng = np.random.default_rng(0)
    x, weight = rng.integers(-3, 4, (1, 2, 5, 6)), rng.integers(-3, 4, (3, 2, 3, 2))
    x, weight = x.astype(np.float32), weight.astype(np.float32)

    expected = functional.conv2d(torch.from_numpy(x), torch.from_numpy(weight))

    assert_array_equal(apply("conv", x=x, weight=weight), expected.numpy())


def test_a_kernel_larger_than_its_input_is_refused(apply: Apply) -> None:
    with pytest.raises(ArtifactError, match="kernel of 5 does not fit into a side of 4"):
        apply("conv", x=np.zeros((1, 1, 4, 4)), weight=np.zeros((1, 1, 5, 5)))


def test_an_unknown_padding_is_refused(apply: Apply) -> None:
    with pytest.raises(ArtifactError, match="'mirror'"):
        apply("conv", x=np.zeros((1, 1, 4)), weight=np.zeros((1, 1, 1)), pad_type="mirror")


def test_channels_that_do_not_fit_the_weight_are_refused(apply: Apply) -> None:
    with pytest.raises(ValueError, match="4 channels"):
        apply("conv", x=np.zeros((1, 4, 4)), weight=np.zeros((2, 3, 1)))


@st.composite
def deconvolutions(draw: st.DrawFn) -> dict[str, Any]:
    """A transposed convolution whose padding leaves something of every side."""
    rank = draw(st.integers(1, 3))
    groups, width, outputs = (draw(st.integers(1, 3)) for _ in range(3))
    kernel, strides, dilations, sides = (each(draw, rank, 1, 3) for _ in range(4))
    full = [
        (side - 1) * stride + (size - 1) * gap + 1
        for side, stride, size, gap in zip(sides, strides, kernel, dilations, strict=True)
    ]
    margins = [draw(st.integers(0, (length - 1) // 2)) for length in full]
    return {
        "x": integers(draw, draw(st.integers(1, 2)), groups * width, *sides),
        "weight": integers(draw, groups * width, outputs, *kernel),
        "bias": integers(draw, groups * outputs) if draw(st.booleans()) else None,
        "strides": strides,
        "dilations": dilations,
        "groups": groups,
        "pad": margins,
    }


def torch_deconv(case: dict[str, Any], more: list[int] | None = None) -> Array:
    rank = case["x"].ndim - 2
    deconvolve = (
        functional.conv_transpose1d,
        functional.conv_transpose2d,
        functional.conv_transpose3d,
    )[rank - 1]
    y: Array = deconvolve(
        torch.from_numpy(case["x"]),
        torch.from_numpy(case["weight"]),
        optional(case["bias"]),
        stride=tuple(case["strides"]),
        padding=tuple(case["pad"]),
        output_padding=tuple(more or [0] * rank),
        groups=case["groups"],
        dilation=tuple(case["dilations"]),
    ).numpy()
    return y


def twice(margins: list[int]) -> list[int]:
    return [margin for margin in margins for _ in range(2)]


@few
@given(deconvolutions())
def test_conv_transpose_with_custom_padding(apply: Apply, case: dict[str, Any]) -> None:
    y = apply("conv_transpose", **{**case, "pad": twice(case["pad"]), "pad_type": "custom"})

    assert_array_equal(y, torch_deconv(case))


@few
@given(deconvolutions())
def test_conv_transpose_without_padding(apply: Apply, case: dict[str, Any]) -> None:
    bare = {**case, "pad": [0] * len(case["pad"])}

    assert_array_equal(apply("conv_transpose", **{**case, "pad": None}), torch_deconv(bare))


@few
@given(deconvolutions(), st.data())
def test_conv_transpose_to_an_output_shape(
    apply: Apply, case: dict[str, Any], data: st.DataObject
) -> None:
    # PyTorch's output padding is below the stride or the dilation.
    limits = [max(pair) - 1 for pair in zip(case["strides"], case["dilations"], strict=True)]
    more = [data.draw(st.integers(0, limit)) for limit in limits]
    expected = torch_deconv(case, more)

    y = apply(
        "conv_transpose",
        **{**case, "pad": twice(case["pad"]), "pad_type": "custom"},
        output_shape=list(expected.shape),
    )

    assert_array_equal(y, expected)


@few
@given(deconvolutions())
def test_conv_transpose_same_is_the_gradient_of_conv_same(
    apply: Apply, case: dict[str, Any]
) -> None:
    """Its definition: what sends the gradient of a `same` convolution back to its input."""
    flat = {**case, "bias": None, "pad": None, "pad_type": "same"}
    x = case["x"]
    grown = [side * s for side, s in zip(x.shape[2:], case["strides"], strict=True)]
    zeros = np.zeros((x.shape[0], case["weight"].shape[1] * case["groups"], *grown), np.float32)

    y = apply("conv_transpose", **flat)

    assert y.shape == zeros.shape
    # <conv(u), x> = <u, conv_transpose(x)> for every u.
    u = np.random.default_rng(0).integers(-3, 4, zeros.shape).astype(np.float32)
    assert float((apply("conv", **{**flat, "x": u}) * x).sum()) == float((u * y).sum())


@st.composite
def poolings(draw: st.DrawFn) -> dict[str, Any]:
    """A pooling over one to three sides whose symmetric padding PyTorch takes.

    No stride exceeds its kernel: MIL's own shape rule then keeps a last window that begins behind
    the input, and PyTorch's drops it.
    """
    kernel = each(draw, draw(st.integers(1, 3)), 1, 4)
    strides = [draw(st.integers(1, size)) for size in kernel]
    return {
        "x": integers(draw, 1, 2, *(size + draw(st.integers(0, 6)) for size in kernel)),
        "kernel_sizes": kernel,
        "strides": strides,
        "margins": [draw(st.integers(0, size // 2)) for size in kernel],
        "ceil_mode": draw(st.booleans()),
    }


def pooled(apply: Apply, kind: str, case: dict[str, Any], **more: Any) -> Array:
    given = {name: value for name, value in case.items() if name != "margins"}
    pad = twice(case["margins"])
    y: Array = apply(kind, **given, pad=pad, pad_type="custom", **more)
    return y


@few
@given(poolings())
def test_max_pool(apply: Apply, case: dict[str, Any]) -> None:
    rank = len(case["strides"])
    pool = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[rank - 1]
    expected = pool(
        torch.from_numpy(case["x"]),
        case["kernel_sizes"],
        case["strides"],
        case["margins"],
        ceil_mode=case["ceil_mode"],
    )

    assert_array_equal(pooled(apply, "max_pool", case), expected.numpy())


@few
@given(poolings(), st.booleans())
def test_avg_pool(apply: Apply, case: dict[str, Any], excluded: bool) -> None:
    rank = len(case["strides"])
    pool = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[rank - 1]
    expected = pool(
        torch.from_numpy(case["x"]),
        case["kernel_sizes"],
        case["strides"],
        case["margins"],
        ceil_mode=case["ceil_mode"],
        count_include_pad=not excluded,
    )

    y = pooled(apply, "avg_pool", case, exclude_padding_from_average=excluded)

    np.testing.assert_allclose(y, expected.numpy(), rtol=1e-6, atol=1e-6)


@few
@given(poolings(), st.data())
def test_pools_pad_each_end_as_asked(
    apply: Apply, case: dict[str, Any], data: st.DataObject
) -> None:
    pads = [data.draw(st.integers(0, 2)) for _ in range(2 * len(case["strides"]))]
    rank = len(case["strides"])
    given = {"x": case["x"], "kernel_sizes": case["kernel_sizes"], "strides": case["strides"]}
    largest = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[rank - 1]
    mean = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[rank - 1]
    shape = (case["kernel_sizes"], case["strides"])

    highest = apply("max_pool", **given, pad=pads, pad_type="custom")
    average = apply("avg_pool", **given, pad=pads, pad_type="custom")

    assert_array_equal(highest, largest(padded(case["x"], pads, -torch.inf), *shape).numpy())
    np.testing.assert_allclose(
        average, mean(padded(case["x"], pads), *shape).numpy(), rtol=1e-6, atol=1e-6
    )
