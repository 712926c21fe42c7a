"""Ranges are minima and maxima, and the quantiser takes nothing but them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from atpn_deploy.errors import CalibrationError, ExportError
from atpn_exporters.onnx_quantize import collect_ranges, planned, to_float16, to_static_int8

if TYPE_CHECKING:
    import onnx

pytestmark = pytest.mark.needs("onnx", "onnxruntime")


def tiny_model(weight: float = 2.0) -> onnx.ModelProto:
    """landmarks = 1x1 convolution of the planar image with a large weight tensor, plus one."""
    import onnx
    from onnx import TensorProto, helper

    kernel = np.full((700, 3, 1, 1), weight, np.float32)
    kernel[1] *= -1
    nodes = [
        helper.make_node("Transpose", ["image"], ["planar"], "/Transpose", perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planar", "kernel", "bias"], ["conv"], "/conv"),
        helper.make_node("Relu", ["conv"], ["landmarks"], "/relu"),
    ]
    graph = helper.make_graph(
        nodes,
        "atpn",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 112, 112, 3))],
        [helper.make_tensor_value_info("landmarks", TensorProto.FLOAT, (1, 700, 112, 112))],
        [
            onnx.numpy_helper.from_array(kernel, "kernel"),
            onnx.numpy_helper.from_array(np.ones(700, np.float32), "bias"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    import onnx

    path = tmp_path / "tiny.onnx"
    onnx.save(tiny_model(), path)
    return path


def flat_crops(*levels: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.stack([np.full((112, 112, 3), level, np.uint8) for level in levels])


def test_ranges_are_the_least_and_the_greatest_value_over_all_crops(tiny: Path) -> None:
    seen: list[int] = []

    ranges = collect_ranges(tiny, flat_crops(20, 100, 50), seen.append)

    assert ranges == {
        "image": (20, 100),
        "planar": (20, 100),
        "conv": (1 - 600, 1 + 600),  # no moving average, no percentile
        "landmarks": (0, 601),
    }
    assert seen == [1, 2, 3]


def test_halves_of_a_set_add_up_to_the_set(tiny: Path) -> None:
    whole = collect_ranges(tiny, flat_crops(20, 100, 50, 0))
    one, other = (collect_ranges(tiny, flat_crops(*half)) for half in ((20, 100), (50, 0)))

    assert whole == {
        name: (min(one[name][0], other[name][0]), max(one[name][1], other[name][1]))
        for name in whole
    }


@pytest.mark.parametrize("shape", [(0, 112, 112, 3), (2, 64, 64, 3)])
def test_crops_of_another_shape_are_refused(tiny: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(CalibrationError, match="112"):
        collect_ranges(tiny, np.zeros(shape, np.uint8))


def quantised_scale(ranges: dict[str, tuple[float, float]], tensor: str) -> tuple[float, int]:
    """Scale and zero point of an activation in the int8 model made from these ranges."""
    import onnx

    model = to_static_int8(tiny_model(), ranges)
    values = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    node = next(
        n
        for n in model.graph.node
        if n.op_type == "QuantizeLinear" and n.input[0].startswith(tensor)
    )
    return float(values[node.input[1]].item()), int(values[node.input[2]].item())


def test_scales_come_from_the_ranges_and_the_images_from_the_contract(tiny: Path) -> None:
    ranges = collect_ranges(tiny, flat_crops(20, 100))

    assert quantised_scale(ranges, "image") == (1.0, 0)
    scale, zero = quantised_scale(ranges | {"landmarks": (0.0, 510.0)}, "landmarks")
    assert (scale, zero) == (pytest.approx(2.0), 0)


def test_equal_ranges_give_equal_bytes_in_any_order(tiny: Path) -> None:
    ranges = collect_ranges(tiny, flat_crops(20, 100))
    shuffled = dict(reversed(ranges.items()))

    first, second = (
        to_static_int8(tiny_model(), r).SerializeToString() for r in (ranges, shuffled)
    )

    assert first == second


@pytest.mark.parametrize("bad", [(float("nan"), 1.0), (0.0, float("inf")), (2.0, 1.0)])
def test_a_range_that_is_none_is_refused(tiny: Path, bad: tuple[float, float]) -> None:
    ranges = collect_ranges(tiny, flat_crops(20, 100)) | {"conv": bad}

    with pytest.raises(CalibrationError, match="conv"):
        to_static_int8(tiny_model(), ranges)


def test_a_recipes_modules_stay_float(tiny: Path) -> None:

    ranges = collect_ranges(tiny, flat_crops(0, 255))

    def named() -> onnx.ModelProto:
        model = tiny_model()
        for node, name in zip(model.graph.node, ("/T", "/one/conv/Conv", "/two/Relu"), strict=True):
            node.name = name
        return model

    assert [op.module for op in planned(named())] == ["", "one.conv", "two"]
    assert [op.in_float for op in planned(named())] == [False] * 3
    for modules, stored in (((), "kernel_quantized"), (("one",), "kernel"), (("two",), "kernel_")):
        kinds = [t.name for t in to_static_int8(named(), ranges, modules).graph.initializer]
        assert any(name.startswith(stored) for name in kinds), modules
        assert ("kernel" in kinds) == (modules == ("one",))


def test_float16_rounds_large_weights_and_keeps_biases() -> None:
    import onnx

    model = to_float16(tiny_model(weight=1 + 2**-11 + 2**-20))
    values = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}

    assert values["kernel.float16"].dtype == np.float16
    assert values["kernel.float16"][0, 0] == 1 + 2**-10
    assert values["bias"].dtype == np.float32
    assert model.graph.node[0].op_type == "Cast"
    assert [i.type.tensor_type.elem_type for i in (*model.graph.input, *model.graph.output)] == [
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.FLOAT,
    ]


def test_a_weight_beyond_float16_is_refused() -> None:
    with pytest.raises(ExportError, match="kernel"):
        to_float16(tiny_model(weight=70000))
