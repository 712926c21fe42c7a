"""Networks of others: described in JSON, shown their own crop, measured in pixels of the image."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.contract import LANDMARKS
from atpn_deploy.errors import ArtifactError
from atpn_deploy.evaluation.network import Network
from atpn_deploy.evaluation.peers import of_peer, read_peer
from atpn_deploy.evaluation.views import look

onnx = pytest.importorskip("onnx")


@pytest.fixture
def peer_file(tmp_path: Path) -> Path:
    """A network whose points are all at (r, b) of the mean colour that it is given."""
    helper = onnx.helper
    floats = onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=0),
        helper.make_node("Gather", ["mean", "picked"], ["two"], axis=1),
        helper.make_node("Tile", ["two", "times"], ["points"]),
    ]
    constants = [
        onnx.numpy_helper.from_array(np.array(values, np.int64), name)
        for name, values in (("axes", [2, 3]), ("picked", [0, 2]), ("times", [1, 98]))
    ]
    graph = helper.make_graph(
        nodes,
        "peer",
        [helper.make_tensor_value_info("x", floats, [1, 3, 112, 112])],
        [helper.make_tensor_value_info("points", floats, [1, 196])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "peer.onnx")
    return tmp_path / "peer.onnx"


def described(folder: Path, **values: object) -> Path:
    path = folder / "one.peer.json"
    path.write_text(json.dumps({"file": "peer.onnx", "output": "points"} | values))
    return path


@pytest.mark.parametrize(("order", "seen"), [("RGB", (0.2, 0.6)), ("BGR", (0.6, 0.2))])
def test_channels_come_in_the_order_that_the_network_wants(
    peer_file: Path, order: str, seen: tuple[float, float]
) -> None:
    network = of_peer(described(peer_file.parent, order=order))
    crops = np.tile(np.array([51, 102, 153], np.uint8), (2, 112, 112, 1))
    points = network.predict(crops)[LANDMARKS.name]
    assert points.shape == (2, 98, 2)
    np.testing.assert_allclose(points, np.broadcast_to(seen, points.shape), atol=1e-4)


def test_a_peer_sees_its_own_crop_beside_the_contract_s(peer_file: Path) -> None:
    peer = of_peer(described(peer_file.parent, margin=0.1))
    ours = Network(
        "ours",
        "",
        "",
        98,
        (LANDMARKS.name,),
        lambda crops: {LANDMARKS.name: np.zeros((len(crops), 98, 2), np.float32)},
    )
    image = np.zeros((100, 100, 3), np.uint8)  # black: the peer points to its crop's corner too
    told: list[int] = []
    boxes = np.array([[20, 30, 60, 70]], np.float32)
    views = look([ours, peer, ours], [image], boxes, told.append)
    corners = [view.landmarks[0, 0].tolist() for view in views]
    assert corners == [[10, 20], [16, 26], [10, 20]]
    assert told == [1]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "can't be read as JSON"),
        ("[]", "describes no network; expected file and output"),
        ('{"file": "peer.onnx"}', "describes no network"),
        ('{"file": "peer.onnx", "output": "points", "crop": 1}', "describes no network"),
        ('{"file": "peer.onnx", "output": "points", "order": "GBR"}', "expected RGB or BGR"),
        ('{"file": "peer.onnx", "output": "points", "margin": "wide"}', "two numbers"),
    ],
)
def test_a_description_that_says_something_else(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "bad.peer.json"
    path.write_text(text)
    with pytest.raises(ArtifactError, match=complaint):
        read_peer(path)


def test_a_file_that_does_not_fit_its_description(peer_file: Path) -> None:
    with pytest.raises(ArtifactError, match=r"absent\.onnx, which one\.peer\.json names"):
        of_peer(described(peer_file.parent, file="absent.onnx"))
    with pytest.raises(ArtifactError, match=r"does not run as one\.peer\.json says"):
        of_peer(described(peer_file.parent, output="landmarks"))
