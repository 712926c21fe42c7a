"""An exported file behind the interface that evaluation measures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.errors import ArtifactError
from atpn_deploy.evaluation.network import of_session
from atpn_exporters.opening import open_file
from atpn_exporters.session import SessionOptions

pytestmark = pytest.mark.needs("onnx", "onnxruntime")

SHAPES = {"landmarks": [1, 98, 2], "pose": [1, 3], "confidence": [1, 1]}


def bright_file(path: Path, outputs: tuple[str, ...]) -> Path:
    """A file whose outputs all hold the mean of the image."""
    import onnx
    from onnx import TensorProto, helper

    nodes = [helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0)]
    zeros = []
    for name in outputs:
        value = onnx.numpy_helper.from_array(np.zeros(SHAPES[name], np.float32), f"{name}.zero")
        zeros.append(value)
        nodes.append(helper.make_node("Add", [f"{name}.zero", "mean"], [name]))

    def tensor(name: str, shape: list[int]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    image = tensor("image", [1, 112, 112, 3])
    graph = helper.make_graph(nodes, "m", [image], [tensor(n, SHAPES[n]) for n in outputs], zeros)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def test_a_file_answers_for_a_batch_crop_by_crop(tmp_path: Path) -> None:
    path = bright_file(tmp_path / "m.onnx", ("landmarks", "pose", "confidence"))
    crops = np.stack([np.full((112, 112, 3), value, np.uint8) for value in (3, 200, 7)])

    with open_file(path, SessionOptions()) as session:
        network = of_session(session, path, "hash")
        outputs = network.predict(crops)

    assert {name: array.shape for name, array in outputs.items()} == {
        "landmarks": (3, 98, 2),
        "pose": (3, 3),
        "confidence": (3, 1),
    }
    for array in outputs.values():
        assert array.reshape(3, -1).mean(1) == pytest.approx([3, 200, 7], rel=1e-5)
    assert (network.name, network.sha256, network.landmark_count) == ("m.onnx", "hash", 98)
    assert network.runtime.startswith("ONNX Runtime")
    assert network.estimates_pose
    assert network.tells_faces


def test_a_file_of_landmarks_alone_says_so(tmp_path: Path) -> None:
    path = bright_file(tmp_path / "m.onnx", ("landmarks",))
    with open_file(path, SessionOptions()) as session:
        network = of_session(session, path, "hash")
    assert not network.estimates_pose
    assert not network.tells_faces


def test_a_file_without_landmarks_is_refused() -> None:
    class Session:
        runtime = "stub 1"
        output_names = ("pose",)

        def run(self, feeds: object) -> dict[str, np.ndarray]:
            return {"pose": np.zeros((1, 3), np.float32)}

    with pytest.raises(ArtifactError, match=r"m\.onnx computes pose; expected landmarks"):
        of_session(Session(), Path("m.onnx"), "hash")
