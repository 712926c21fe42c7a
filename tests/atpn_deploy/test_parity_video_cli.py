"""atpn-parity --video on a real file: the face of a photograph, moved from frame to frame."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from atpn_deploy.cli.parity import app
from atpn_deploy.photo import write_photo

pytestmark = pytest.mark.needs(
    "torch", "onnx", "onnxruntime", "onnxsim", "opencv", "matplotlib", "skimage"
)

FRAMES = 40


def parity(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of frames: the astronaut's face, which wanders by a pixel a frame."""
    from skimage.data import astronaut

    folder = tmp_path_factory.mktemp("frames")
    photo = astronaut()
    for k in range(FRAMES):
        shift = k if k < FRAMES // 2 else FRAMES - k
        window = photo[shift // 2 : shift // 2 + 240, 100 + shift : 360 + shift]
        write_photo(np.ascontiguousarray(window), folder / f"{k:03}.png")
    return folder


def test_a_right_file_keeps_every_track(shipped_onnx: Path, video: Path, tmp_path: Path) -> None:
    json_path, junit_path = tmp_path / "loop.json", tmp_path / "loop.xml"
    result = parity(shipped_onnx, "--video", video, "--json", json_path, "--junit", junit_path)
    assert result.exit_code == 0, result.output
    document = json.loads(json_path.read_text())
    assert document["video"] == str(video)
    (entry,) = document["files"]
    assert entry["ok"] is True
    assert entry["reference"] == "atpn-lite.safetensors in PyTorch"
    measured = entry["measured"]
    assert measured["frames"] == measured["reference_frames"] == measured["paired_frames"] == FRAMES
    assert {rule["rule"] for rule in entry["rules"]} >= {"tracks lost", "landmarks, median"}
    assert all(rule["reason"] for rule in entry["rules"])
    suite = ET.parse(junit_path).getroot()[0]
    assert int(suite.get("tests", "0")) == len(entry["rules"])
    assert suite.get("failures") == "0"


def test_a_file_of_other_weights_drifts_and_is_status_1(
    own_file: Path, video: Path, tmp_path: Path
) -> None:
    plot, junit_path = tmp_path / "drift.png", tmp_path / "loop.xml"
    wanted = ("--model", "atpn-lite", "--video", video, "--frames", "20")
    result = parity(own_file, *wanted, "--plot", plot, "--junit", junit_path, "--json", "-")
    assert result.exit_code == 1
    (entry,) = json.loads(result.stdout)["files"]
    off = {rule["rule"]: rule for rule in entry["rules"] if not rule["ok"]}
    assert off["landmarks, median"]["measured"] == pytest.approx(1e-3 * 112 * 2**0.5, rel=0.3)
    assert entry["measured"]["frames"] == 20
    assert "FAIL" in result.stderr
    assert plot.is_file()
    failure = ET.parse(junit_path).getroot().find(".//failure")
    assert failure is not None
    assert "px of the crop, the limit is 0.1" in str(failure.get("message"))


def test_a_file_of_unknown_weights_needs_a_reference(
    own_file: Path, shipped_onnx: Path, video: Path
) -> None:
    asked = parity(own_file, shipped_onnx, "--video", video, "--frames", "16")
    assert asked.exit_code == 2
    assert "--weights FILE" in asked.stderr
    assert "--reference FILE" in asked.stderr
    assert "closed loop on ONNX Runtime" in asked.stdout  # the other file was still followed
    given = parity(own_file, "--reference", own_file, "--video", video, "--frames", "16")
    assert given.exit_code == 0


def test_a_video_without_a_face_compares_nothing(shipped_onnx: Path, tmp_path: Path) -> None:
    write_photo(np.zeros((120, 160, 3), np.uint8), tmp_path / "black.png")
    result = parity(shipped_onnx, "--video", tmp_path)
    assert result.exit_code == 2
    assert "nothing was compared" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--plot", "drift.png"), "--plot needs --video"),
        (("--frames", "3"), "--frames needs --video"),
        (("--reference", "x.onnx"), "--reference needs --video"),
        (("--video", "gone.mp4"), "gone.mp4 does not exist"),
        (("--video", ".", "--device", "ssh:me@there"), "leave it"),
        (("--video", ".", "--plot", "drift.pdf"), "does not end in .png"),
    ],
)
def test_what_does_not_go_together_is_refused(shipped_onnx: Path, arguments, said) -> None:
    result = parity(shipped_onnx, *arguments)
    assert result.exit_code != 0
    assert said in str(result.exception)
