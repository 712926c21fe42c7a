"""`atpn-track many` from end to end: real videos, a real file, real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture(scope="module")
def faces() -> list[NDArray[np.uint8]]:
    """Twelve frames in which a face moves a little to the right."""
    data = pytest.importorskip("skimage.data")
    photo = data.astronaut()[:240, 100:420]
    return [np.ascontiguousarray(np.roll(photo, 2 * k, 1)) for k in range(12)]


def write_video(path: Path, images: Sequence[NDArray[np.uint8]]) -> None:
    import av

    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg4", 25)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for image in images:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        output.mux(stream.encode(None))


def track_many(*arguments: object) -> subprocess.CompletedProcess[str]:
    program = "from atpn_deploy.cli.track import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, "many", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "100"},
    )


@pytest.mark.needs("av", "onnx", "onnxruntime", "opencv", "skimage", "torch")
def test_a_folder_of_videos(
    tmp_path: Path, faces: list[NDArray[np.uint8]], shipped_onnx: Path
) -> None:
    videos, results = tmp_path / "videos", tmp_path / "results"
    (videos / "deep").mkdir(parents=True)
    write_video(videos / "deep" / "ü 1.mkv", faces)
    write_video(videos / "2.mkv", faces)
    whole = (videos / "2.mkv").read_bytes()
    (videos / "cut.mkv").write_bytes(whole[: len(whole) * 9 // 10])
    (videos / "empty.mp4").touch()
    options = [videos, "--model", shipped_onnx, "--output-dir", results, "--workers", 2]
    first = track_many(*options)

    assert (first.returncode, first.stderr) == (1, "")
    for name in ("deep/ü 1.mkv", "2.mkv"):
        facts, *frames = (results / f"{name}.jsonl").read_text().splitlines()
        assert json.loads(facts)["input"] == str(videos / name)
        assert [len(json.loads(frame)["faces"]) for frame in frames] == [1] * 12
        summary = json.loads((results / f"{name}.summary.json").read_text())
        assert (summary["state"], summary["frames"], summary["frames_with_face"]) == (
            "whole",
            12,
            12,
        )
    kept = (results / "cut.mkv.jsonl").read_text().splitlines()
    assert 2 < len(kept) < 13
    assert kept[1:] == (results / "2.mkv.jsonl").read_text().splitlines()[1 : len(kept)]
    failures = json.loads((results / "failures.json").read_text())
    assert [(failure["video"], failure["state"]) for failure in failures] == [
        ("cut.mkv", "damaged"),
        ("empty.mp4", "failed"),
    ]
    assert "cut off" in failures[0]["reason"]
    assert failures[1]["reason"] == "is empty (0 bytes); expected a video file"

    (videos / "cut.mkv").unlink()
    (videos / "empty.mp4").unlink()
    again = track_many(*options)
    assert again.returncode == 0, again.stderr
    assert "2 videos: 2 done before; nothing to do" in again.stdout

    changed = track_many(*options, "--every", 4, "--format", "csv", "--draw")
    assert changed.returncode == 0, changed.stderr
    assert "to do 2: 2 another set of options" in changed.stdout
    assert len((results / "2.mkv.csv").read_text().splitlines()) == 1 + 3
    assert (results / "2.mkv.tracked.mp4").stat().st_size > 0
    assert not (results / "2.mkv.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "--model", "m.tflite"], "nowhere does not exist; expected a folder of videos"),
        ([".", "--model", "m.tflite"], "m.tflite does not exist; expected a file written by"),
        ([".", "--model", "a.onnx", "--format", "xml"], "xml is unknown; choose jsonl, csv"),
        ([".", "--model", "a.onnx", "--smoothing", "fierce"], "fierce"),
        ([".", "--model", "a.onnx"], "a.onnx (8 bytes) is no .onnx file"),
    ],
)
@pytest.mark.needs("onnxruntime")
def test_a_mistake_is_one_line_and_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.mp4").touch()
    (tmp_path / "a.onnx").write_text("no model")
    result = track_many(*arguments, "--output-dir", "results")

    assert result.returncode == 2
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1
