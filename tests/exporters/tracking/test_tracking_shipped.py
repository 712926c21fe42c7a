from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.photo import write_photo
from atpn_exporters.following.request import TrackRequest
from atpn_exporters.following.run import run

pytestmark = pytest.mark.needs("onnx", "onnxruntime", "onnxsim", "opencv", "skimage", "torch")
pytest.importorskip("PIL", reason="Pillow is not at hand")


def test_the_shipped_network_follows_a_face_through_a_pan(shipped_onnx: Path, tmp_path: Path):
    """NASA's astronaut under a window that moves by 5 and 2 pixels a frame."""
    from skimage.data import astronaut

    photo = astronaut()
    folder = tmp_path / "frames"
    folder.mkdir()
    for k in range(8):
        x, y = 60 + 5 * k, 10 + 2 * k
        write_photo(photo[y : y + 240, x : x + 280], folder / f"{k}.png", small=False)
    records = tmp_path / "a.jsonl"

    summary = run(TrackRequest(str(folder), shipped_onnx, records=(records,)))

    frames = [json.loads(line) for line in records.read_text().splitlines()][1:]
    middles = np.array([np.mean(f["faces"][0]["landmarks"], 0) for f in frames])
    assert (summary.frames, summary.frames_with_face, summary.born) == (8, 8, 1)
    assert summary.detector_runs == 1
    assert [face["id"] for frame in frames for face in frame["faces"]] == [1] * 8
    assert np.allclose(np.diff(middles, axis=0), (-5, -2), atol=1.5)
