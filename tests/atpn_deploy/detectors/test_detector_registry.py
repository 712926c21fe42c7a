from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.crop import Box
from atpn_deploy.detectors import network_file, registry
from atpn_deploy.detectors.haar import PHOTO_SIDE, VIDEO_SIDE
from atpn_deploy.detectors.network_file import FileTensor
from atpn_deploy.detectors.registry import FACE_NETWORKS, of_network, open_detector
from atpn_deploy.errors import ArtifactError, DetectorError, MissingToolError


def tensors(patterns: tuple[FileTensor, ...]) -> dict[str, np.ndarray]:
    return {p.name: np.zeros([length or 320 for length in p.shape], np.float32) for p in patterns}


@pytest.mark.parametrize("kind", FACE_NETWORKS, ids=lambda kind: kind.name)
def test_a_file_is_recognised_by_its_tensors_alone(kind, written):
    closed = tuple(FileTensor(p.name, tuple(n or 320 for n in p.shape)) for p in kind.inputs)
    network = written(closed, tensors(kind.outputs))

    assert [other.name for other in FACE_NETWORKS if other.recognises(network)] == [kind.name]
    assert of_network(Path("any name"), network)._kind is kind


@pytest.mark.parametrize("kind", FACE_NETWORKS, ids=lambda kind: kind.name)
def test_one_tensor_more_less_or_otherwise_named_is_another_network(kind, written):
    whole = tensors(kind.outputs)
    first = next(iter(whole))
    for answer in (
        whole | {"more": np.zeros(1, np.float32)},
        {name: array for name, array in whole.items() if name != first},
        {name + ("x" if name == first else ""): array for name, array in whole.items()},
        whole | {first: whole[first][..., None]},
    ):
        assert not kind.recognises(written(kind.inputs, answer))


def test_an_open_length_fits_any_and_a_closed_one_only_itself():
    pattern = FileTensor("a", (1, 0, 4))

    assert pattern.fits(FileTensor("a", (1, 7, 4)))
    assert not pattern.fits(FileTensor("a", (1, 7, 5)))
    assert not pattern.fits(FileTensor("a", (2, 7, 4)))
    assert not pattern.fits(FileTensor("a", (1, 7)))
    assert not pattern.fits(FileTensor("b", (1, 7, 4)))


def test_an_unknown_network_is_told_its_tensors_and_the_known_ones(written):
    network = written((FileTensor("x", (1, 0)),), {"y": np.zeros((1, 7), np.float32)})

    with pytest.raises(DetectorError) as failure:
        of_network(Path("mine.onnx"), network)

    message = str(failure.value)
    assert "mine.onnx is no detector that is known: it takes x (1, ?) and computes y (1, 7)" in (
        message
    )
    assert "yunet (input (1, 3, ?, ?) to cls_8 (1, ?, 1)" in message
    assert "\n" not in message


@pytest.mark.needs("onnx", "onnxruntime", "opencv")
def test_a_network_in_a_file_proposes(tmp_path):
    """A .onnx of constants: YuNet's tensors with one face planted into a window of 64 x 32."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, outputs = [], []
    for pattern in registry.YUNET.outputs:
        stride = int(pattern.name.rpartition("_")[2])
        value = np.zeros((1, 64 * 32 // stride**2, pattern.shape[2]), np.float32)
        if pattern.name in ("cls_16", "obj_16"):
            value[0, 5] = 0.9  # row 1, column 1
        constant = numpy_helper.from_array(value)
        nodes.append(helper.make_node("Constant", [], [pattern.name], value=constant))
        outputs.append(helper.make_tensor_value_info(pattern.name, TensorProto.FLOAT, value.shape))
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, (1, 3, 32, 64))
    model = helper.make_model(
        helper.make_graph(nodes, "planted", [given], outputs),
        ir_version=10,
        opset_imports=[helper.make_opsetid("", 17)],
    )
    onnx.save(model, tmp_path / "detector.onnx")

    detector = open_detector(str(tmp_path / "detector.onnx"))
    (box,) = detector.propose(np.zeros((64, 128, 3), np.uint8))

    scale = registry.YUNET.placement.scale
    assert box.side == pytest.approx(32 * scale)
    assert box.left + box.side / 2 == pytest.approx(32)


@pytest.mark.needs("onnxruntime", "litert", "opencv", "shared")
@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("yunet_n_320.onnx", "yunet"),
        ("mediapipe_face_detection_short_range.tflite", "blazeface"),
        ("ulfg_slim_320.tflite", "ulfg"),
    ],
)
def test_the_files_of_others_are_recognised_whatever_they_are_called(peers, tmp_path, file, name):
    renamed = (tmp_path / "x").with_suffix(Path(file).suffix)
    renamed.write_bytes((peers / file).read_bytes())

    assert open_detector(str(renamed))._kind.name == name


@pytest.mark.needs("onnxruntime", "litert", "shared")
@pytest.mark.parametrize(
    ("file", "tensor"),
    [
        ("mediapipe_face_landmark.tflite", r"takes input_1 \(1, 192, 192, 3\)"),
        ("faceland98.onnx", r"takes input.* \(1, 3, 112, 112\)"),
    ],
)
def test_a_network_that_finds_no_faces_is_refused(peers, file, tensor):
    with pytest.raises(DetectorError, match=tensor):
        open_detector(str(peers / file))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("face.pt", "face.pt is unknown; give haar, a file that ends in .onnx or .tflite, or MODU"),
        ("hare", "hare is unknown"),
        ("", "is unknown"),
        ("absent.onnx", "absent.onnx does not exist"),
        ("absent.tflite", "absent.tflite does not exist"),
    ],
)
def test_what_is_no_detector_is_named(text, message):
    with pytest.raises(DetectorError, match=message.replace("(", r"\(")):
        open_detector(text)


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "a.onnx").mkdir()

    with pytest.raises(DetectorError, match="is a folder"):
        open_detector(str(tmp_path / "a.onnx"))


@pytest.mark.needs("onnxruntime")
def test_a_damaged_onnx_is_one_line(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"nothing")

    with pytest.raises(ArtifactError, match=r"a\.onnx") as failure:
        open_detector(str(tmp_path / "a.onnx"))
    assert "\n" not in str(failure.value)


@pytest.mark.needs("litert")
@pytest.mark.parametrize("content", [b"", b"\x10\x00\x00\x00TFL3"])
def test_a_damaged_tflite_is_one_line(tmp_path, content):
    (tmp_path / "a.tflite").write_bytes(content)

    with pytest.raises(ArtifactError, match=r"a\.tflite is (no .tflite|cut off)"):
        open_detector(str(tmp_path / "a.tflite"))


def test_a_missing_runtime_is_told(tmp_path, monkeypatch):
    (tmp_path / "a.onnx").write_bytes(b"x")
    monkeypatch.setattr(network_file, "find_spec", lambda name: None)

    with pytest.raises(MissingToolError, match=r"a.onnx needs ONNX Runtime: pip install"):
        open_detector(str(tmp_path / "a.onnx"))


@pytest.mark.needs("opencv")
def test_haar_searches_videos_faster():
    assert open_detector("haar")._working_side == PHOTO_SIDE
    assert open_detector("haar", video=True)._working_side == VIDEO_SIDE < PHOTO_SIDE


OWN = """
from atpn_deploy.crop import Box

class Whole:
    def propose(self, image):
        return [Box(0.0, 0.0, float(image.shape[0]))]

class Nothing:
    pass

class Tuples:
    def propose(self, image):
        return [(1, 2, 3)]

class Array:
    def propose(self, image):
        return image

number = 3
"""


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module in the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    name = f"own_detector_of_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(OWN)
    return name


def test_a_users_own_detector_is_found_in_the_working_folder(own_module):
    detector = open_detector(f"{own_module}:Whole")

    assert detector.propose(np.zeros((40, 60, 3), np.uint8)) == [Box(0, 0, 40)]


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("Nothing", r"makes a Nothing without propose\(image\)"),
        ("absent", "has no absent"),
        ("number", "holds no function or class number"),
    ],
)
def test_a_factory_that_makes_no_detector_is_named(own_module, factory, message):
    with pytest.raises(DetectorError, match=message):
        open_detector(f"{own_module}:{factory}")


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("Tuples", r"returned '\(1, 2, 3\)' among its boxes; expected atpn_deploy.crop.Box"),
        ("Array", "returned a ndarray; expected a list"),
    ],
)
def test_an_answer_without_boxes_is_named(own_module, factory, message):
    detector = open_detector(f"{own_module}:{factory}")

    with pytest.raises(DetectorError, match=message):
        detector.propose(np.zeros((4, 6, 3), np.uint8))


@pytest.mark.parametrize("module", ["absent_module", "absent.module", "atpn_deploy.absent"])
def test_an_absent_module_is_named_with_where_was_looked(module, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    with pytest.raises(DetectorError, match=rf"there is no module {module}; looked in {tmp_path}"):
        open_detector(f"{module}:make")


def test_a_users_own_mistake_keeps_its_traceback(own_module, tmp_path):
    (tmp_path / f"{own_module}_broken.py").write_text("import absent_dependency\n")

    with pytest.raises(ModuleNotFoundError, match="absent_dependency"):
        open_detector(f"{own_module}_broken:make")
