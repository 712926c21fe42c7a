"""What is no ATPN is refused in one line; what is one runs by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.errors import ArtifactError
from atpn_exporters.onnx_graph import inspect
from atpn_exporters.onnx_session import OnnxSession, read_metadata
from atpn_exporters.session import SessionOptions

pytestmark = pytest.mark.needs("onnx", "onnxruntime")

OPTIONS = SessionOptions()
SHAPES = {"landmarks": [1, 98, 2], "pose": [1, 3], "confidence": [1, 1]}


def constant_model(
    path: Path,
    outputs: tuple[str, ...],
    *,
    image: str = "image",
    shape: tuple[int, ...] = (1, 112, 112, 3),
    metadata: str | None = None,
) -> Path:
    """A file whose outputs hold the mean of the image plus their own position, 0, 1, 2."""
    import onnx
    from onnx import TensorProto, helper

    nodes = [helper.make_node("ReduceMean", [image], ["mean"], keepdims=0)]
    tensors = []
    for position, name in enumerate(outputs):
        size = SHAPES.get(name, [1])
        values = np.full(size, position, np.float32)
        tensors.append(onnx.numpy_helper.from_array(values, f"{name}.constant"))
        nodes.append(helper.make_node("Add", [f"{name}.constant", "mean"], [name]))
    graph = helper.make_graph(
        nodes,
        "atpn",
        [helper.make_tensor_value_info(image, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, SHAPES.get(n, [1])) for n in outputs],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if metadata is not None:
        helper.set_model_props(model, {"atpn": metadata})
    onnx.save(model, path)
    return path


def test_outputs_are_bound_by_name_in_the_contracts_order(tmp_path: Path) -> None:
    path = constant_model(tmp_path / "m.onnx", ("confidence", "landmarks", "pose"))
    image = np.full((112, 112, 3), 10, np.uint8)

    with OnnxSession(path, OPTIONS) as session:
        outputs = session.run({"image": image})

    assert list(outputs) == list(session.output_names) == ["landmarks", "pose", "confidence"]
    assert [outputs[name].mean() for name in outputs] == [11, 12, 10]


def test_align_file_computes_landmarks_only(tmp_path: Path) -> None:
    path = constant_model(tmp_path / "m.onnx", ("landmarks",))

    assert OnnxSession(path, OPTIONS).output_names == ("landmarks",)
    with pytest.raises(ArtifactError, match="--signature full"):
        OnnxSession(path, SessionOptions(signature="full"))


@pytest.mark.parametrize("outputs", [("landmarks", "pose"), ("landmarks", "angle"), ("logits",)])
def test_other_outputs_are_refused(tmp_path: Path, outputs: tuple[str, ...]) -> None:
    path = constant_model(tmp_path / "m.onnx", outputs)

    with pytest.raises(ArtifactError, match="landmarks or landmarks, pose, confidence") as caught:
        OnnxSession(path, OPTIONS)
    assert ", ".join(sorted(outputs)) in str(caught.value)


@pytest.mark.parametrize(
    ("image", "shape"), [("input", (1, 112, 112, 3)), ("image", (1, 3, 112, 112))]
)
def test_another_input_is_refused(tmp_path: Path, image: str, shape: tuple[int, ...]) -> None:
    path = constant_model(tmp_path / "m.onnx", tuple(SHAPES), image=image, shape=shape)

    with pytest.raises(ArtifactError, match=r"expected image \(1, 112, 112, 3\)"):
        OnnxSession(path, OPTIONS)


@pytest.mark.parametrize("content", [b"", b"\x00" * 64, b"no model at all", b"PK\x03\x04 zip"])
@pytest.mark.parametrize("reader", [lambda p: OnnxSession(p, OPTIONS), read_metadata, inspect])
def test_a_corrupt_file_is_one_line(
    tmp_path: Path, content: bytes, reader: object, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)

    assert callable(reader)
    with pytest.raises(ArtifactError) as caught:
        reader(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = constant_model(tmp_path / "m.onnx", tuple(SHAPES))
    path.write_bytes(path.read_bytes()[:-200])

    with pytest.raises(ArtifactError, match="truncated"):
        OnnxSession(path, OPTIONS)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="absent"):
        OnnxSession(tmp_path / "absent.onnx", OPTIONS)


def test_metadata_is_an_object_or_refused(tmp_path: Path) -> None:
    read = [
        read_metadata(constant_model(tmp_path / "m.onnx", ("landmarks",), metadata=text))
        for text in (None, '{"a": 1}')
    ]
    assert read == [{}, {"a": 1}]
    for text in ("[1]", "{"):
        path = constant_model(tmp_path / "m.onnx", ("landmarks",), metadata=text)
        with pytest.raises(ArtifactError, match="JSON"):
            read_metadata(path)


def test_a_closed_session_refuses_to_run(tmp_path: Path) -> None:
    path = constant_model(tmp_path / "m.onnx", ("landmarks",))
    with OnnxSession(path, OPTIONS) as session:
        pass

    with pytest.raises(ValueError, match="closed"):
        session.run({"image": np.zeros((1, 112, 112, 3), np.uint8)})


def test_runtime_and_kernels_are_named(tmp_path: Path) -> None:
    import onnxruntime

    session = OnnxSession(constant_model(tmp_path / "m.onnx", ("landmarks",)), OPTIONS)

    assert session.runtime == f"ONNX Runtime {onnxruntime.__version__}"
    assert session.kernel_family.startswith("onnxruntime-")
    assert session.steps == {}
