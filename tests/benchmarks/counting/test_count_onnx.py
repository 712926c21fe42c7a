"""Small .onnx files whose answer is arithmetic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from atpn_benchmarks.counting.files import cost_of, counted_operators
from atpn_deploy.errors import ArtifactError

if TYPE_CHECKING:
    import onnx

pytestmark = pytest.mark.needs("onnx", "onnxruntime")


def saved(
    path: Path,
    nodes: list[onnx.NodeProto],
    given: tuple[int | str, ...],
    constants: dict[str, NDArray[np.generic]],
    dtype: str = "FLOAT",
) -> Path:
    """A file that takes `x` and gives `y`, whose shape it does not say."""
    import onnx
    from onnx import helper, numpy_helper

    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", getattr(onnx.TensorProto, dtype), given)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.UNDEFINED, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return path


def node(kind: str, *inputs: str, out: str = "y", **attributes: object) -> onnx.NodeProto:
    from onnx import helper

    return helper.make_node(kind, list(inputs), [out], name=f"{kind}_{out}", **attributes)


def weights(*shape: int, dtype: str = "float32") -> NDArray[np.generic]:
    return np.ones(shape, dtype)


@pytest.mark.parametrize(
    ("layer", "given", "shape", "macs"),
    [
        (("Conv", {"strides": [2, 2], "pads": [1, 1, 1, 1]}), (1, 3, 8, 8), (5, 3, 3, 3), 80 * 27),
        (("Conv", {"group": 4}), (1, 8, 6, 6), (8, 2, 3, 3), 8 * 16 * 2 * 9),
        (("Conv", {"dilations": [2, 2]}), (1, 2, 9, 9), (3, 2, 3, 3), 3 * 25 * 2 * 9),
        (("ConvTranspose", {"strides": [2, 2]}), (1, 4, 5, 5), (4, 6, 2, 2), 25 * 4 * 6 * 4),
        (("ConvTranspose", {"group": 4}), (1, 4, 5, 5), (4, 1, 2, 2), 25 * 4 * 4),
        (("Gemm", {"transB": 1}), (2, 12), (7, 12), 2 * 7 * 12),
        (("Gemm", {}), (2, 12), (12, 7), 2 * 7 * 12),
        (("MatMul", {}), (3, 2, 12), (12, 7), 3 * 2 * 7 * 12),
    ],
)
def test_multiply_adds_of_an_onnx_layer(
    tmp_path: Path,
    layer: tuple[str, dict[str, object]],
    given: tuple[int, ...],
    shape: tuple[int, ...],
    macs: int,
) -> None:
    kind, attributes = layer
    path = saved(
        tmp_path / "layer.onnx", [node(kind, "x", "w", **attributes)], given, {"w": weights(*shape)}
    )
    found = cost_of(path)
    assert (found.macs, found.parameters) == (macs, np.prod(shape))
    assert found.uncounted == {}


def test_an_open_batch_is_one(tmp_path: Path) -> None:
    path = saved(
        tmp_path / "b.onnx", [node("Gemm", "x", "w")], ("batch", 12), {"w": weights(12, 7)}
    )
    assert cost_of(path).macs == 84


def test_an_unknown_operator_is_listed(tmp_path: Path) -> None:
    nodes = [node("Conv", "x", "w", out="a"), node("Inverse", "a", domain="com.microsoft")]
    path = saved(tmp_path / "odd.onnx", nodes, (1, 2, 4, 4), {"w": weights(3, 2, 1, 1)})
    found = cost_of(path)
    assert found.uncounted == {"Inverse": 1}
    assert found.macs == 16 * 3 * 2


def test_shapes_that_only_a_run_tells_are_known(tmp_path: Path) -> None:
    nodes = [
        node("Shape", "x", out="s"),
        node("Slice", "s", "zero", "two", out="front"),
        node("Concat", "front", "sides", out="size", axis=0),
        node("Resize", "x", "", "", "size", out="big"),
        node("Conv", "big", "w"),
    ]
    constants = {
        "zero": np.array([0]),
        "two": np.array([2]),
        "sides": np.array([8, 8]),
        "w": weights(3, 2, 1, 1),
    }
    found = cost_of(saved(tmp_path / "resize.onnx", nodes, ("batch", 2, 4, 4), constants))
    assert (found.macs, found.uncounted) == (8 * 8 * 2 * 3, {})


def test_a_convolution_fused_by_onnx_runtime_is_one(tmp_path: Path) -> None:
    nodes = [node("FusedConv", "x", "w", domain="com.microsoft", activation="Relu")]
    found = cost_of(saved(tmp_path / "f.onnx", nodes, (1, 2, 4, 4), {"w": weights(3, 2, 1, 1)}))
    assert (found.macs, found.uncounted) == (96, {})


def test_an_integer_convolution_is_int8(tmp_path: Path) -> None:
    nodes = [node("ConvInteger", "x", "w")]
    constants = {"w": weights(3, 2, 1, 1, dtype="int8")}
    found = cost_of(saved(tmp_path / "i.onnx", nodes, (1, 2, 4, 4), constants, dtype="UINT8"))
    assert (found.macs, found.int8_macs, found.weight_bytes) == (96, 96, 6)
    assert found.moved_bytes == 32 + 6 + 4 * 48  # it writes 32-bit sums


def qdq(tmp_path: Path, requantised: bool) -> Path:
    """A convolution between casts; without the last one it has no integer kernel."""
    nodes = [
        node("QuantizeLinear", "x", "scale", "zero", out="q"),
        node("DequantizeLinear", "q", "scale", "zero", out="real"),
        node("DequantizeLinear", "stored", "scale", out="w"),
        node("Conv", "real", "w", out="z" if requantised else "y"),
    ]
    if requantised:
        nodes.append(node("QuantizeLinear", "z", "scale", "zero"))
    constants = {
        "scale": np.float32(0.1),
        "zero": np.uint8(0),
        "stored": weights(3, 2, 1, 1, dtype="int8"),
    }
    return saved(tmp_path / "qdq.onnx", nodes, (1, 2, 4, 4), constants)


def test_a_convolution_in_casts_runs_in_integers(tmp_path: Path) -> None:
    path = qdq(tmp_path, requantised=True)
    assert [operator.kind for operator in counted_operators(path)] == ["QuantizeLinear", "Conv"]
    found = cost_of(path)
    assert (found.int8_macs, found.weight_bytes, found.parameters) == (96, 6, 6)
    assert found.moved_bytes == (128 + 32) + (32 + 6 + 48)


def test_one_that_hands_on_float_does_not(tmp_path: Path) -> None:
    found = cost_of(qdq(tmp_path, requantised=False))
    assert (found.macs, found.int8_macs) == (96, 0)


def test_names_and_positions_are_the_file_s(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "x", "w", out="/stem/conv/Conv_output_0"),
        node("Abs", "/stem/conv/Conv_output_0"),
    ]
    path = saved(tmp_path / "n.onnx", nodes, (1, 2, 4, 4), {"w": weights(3, 2, 1, 1)})
    conv, absolute = counted_operators(path)
    assert (conv.name, conv.position, conv.module) == (
        "Conv_/stem/conv/Conv_output_0",
        0,
        "stem.conv",
    )
    assert (absolute.position, absolute.module) == (1, "")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.onnx", None, "none.onnx does not exist"),
        ("text.onnx", b"no protobuf", "is no .onnx file"),
        ("model.bin", b"", "ends in '.bin'; expected .onnx, .tflite"),
    ],
)
def test_a_file_that_is_none_is_refused(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=message):
        cost_of(tmp_path / name)
