"""Peers: any file that a runtime takes, its open lengths filled in or asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atpn_benchmarks.guest.peer_session import open_peer
from atpn_deploy.errors import ArtifactError
from atpn_exporters.session import SessionOptions

pytestmark = pytest.mark.needs("onnx", "onnxruntime")


def relu_file(folder: Path, shape: tuple[int | str, ...]) -> Path:
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Relu", ["picture"], ["out"])],
        "peer",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)],
    )
    opset = helper.make_opsetid("", 18)
    path = folder / "peer.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=10), path)
    return path


def test_an_open_first_length_is_one(tmp_path: Path) -> None:
    path = relu_file(tmp_path, ("batch", 3, 4, 4))
    session = open_peer(path, SessionOptions(), {})
    assert session._feeds["picture"].shape == (1, 3, 4, 4)  # type: ignore[attr-defined]
    session.repeat()
    assert session.runtime.startswith("ONNX Runtime ")


def test_other_open_lengths_are_asked_for_and_taken(tmp_path: Path) -> None:
    path = relu_file(tmp_path, (1, 3, "height", "width"))
    with pytest.raises(ArtifactError, match=r"shape of .picture. open .*peer\.bench\.json"):
        open_peer(path, SessionOptions(), {})
    session = open_peer(path, SessionOptions(), {"picture": (1, 3, 6, 8)})
    assert session._feeds["picture"].shape == (1, 3, 6, 8)  # type: ignore[attr-defined]
    session.repeat()


def test_a_foreign_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"peer.bin ends in '.bin'; a peer is"):
        open_peer(tmp_path / "peer.bin", SessionOptions(), {})


@pytest.mark.needs("litert")
def test_a_damaged_tflite_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "peer.tflite"
    path.write_bytes(np.random.default_rng(0).bytes(4096))
    with pytest.raises(ArtifactError, match=r"peer\.tflite"):
        open_peer(path, SessionOptions(), {})
