"""What is counted of a followed video, and the command that counts it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from atpn_deploy.cli.following import app
from atpn_deploy.crop import Box
from atpn_deploy.evaluation.following import Life, following
from atpn_deploy.faces import Face
from atpn_deploy.tracking.frame_faces import Event, FrameFaces, TrackedFace


def said(*faces: tuple[int, str], told: tuple[tuple[str, int], ...] = (), detected: bool = False):
    """A frame of (id, state) and (event, id)."""
    seen = [
        Face(Box(0, 0, 10), np.zeros((98, 2)), np.zeros(3), 0.9 if state == "tracked" else 0.1)
        for _, state in faces
    ]
    return FrameFaces(
        0.0,
        tuple(
            TrackedFace(id, state, face, face, 1)  # type: ignore[arg-type]
            for (id, state), face in zip(faces, seen, strict=True)
        ),
        tuple(Event(kind, id, "") for kind, id in told),  # type: ignore[arg-type]
        detected,
    )


FILM = (
    said(detected=True),
    said((1, "tracked"), told=(("birth", 1),), detected=True),
    said((1, "tracked")),
    said((1, "lost"), told=(("lost", 1),), detected=True),
    said((1, "tracked"), told=(("recovered", 1),), detected=True),
    said((1, "tracked"), (2, "tracked"), told=(("birth", 2),), detected=True),
    said((2, "tracked"), told=(("death", 1),)),
)


def test_births_and_what_a_detector_brought_back_were_not_kept() -> None:
    figures = following(FILM)
    assert (figures.frames, figures.detector_runs) == (7, 5)
    assert figures.face_frames == 5  # frames 2 to 5 of face 1, frame 6 of face 2
    assert figures.kept_frames == 3  # frames 2 and 5, and 6
    assert figures.kept_percent == pytest.approx(60)


def test_a_life_counts_lost_frames_and_its_confidence_does_not() -> None:
    assert following(FILM).lives == (Life(1, 1, 5, 4, 0.9), Life(2, 5, 2, 2, 0.9))
    assert following(FILM).longest_life_frames == 5


def test_a_cut_is_made_good_in_the_first_frame_with_a_tracked_face() -> None:
    assert following(FILM, (0, 3, 6, 7)).recovered_frames == (1, 1, 0, None)


def test_nothing_followed_has_no_percentage() -> None:
    assert np.isnan(following([said(detected=True)]).kept_percent)
    assert following([]).longest_life_frames == 0


@pytest.mark.needs("torch", "onnx", "onnxruntime", "onnxsim", "opencv", "skimage")
def test_the_command_follows_a_folder_of_frames(shipped_onnx: Path, tmp_path: Path) -> None:
    from skimage.data import astronaut

    from atpn_deploy.photo import write_photo

    for k in range(3):
        write_photo(np.ascontiguousarray(astronaut()[:240, 100:360]), tmp_path / f"{k}.png")
    arguments = [str(tmp_path), "--model", str(shipped_onnx), "--cuts", "0,2", "--json", "-"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert (facts["frames"], facts["face_frames"], facts["kept_frames"]) == (3, 2, 2)
    assert facts["recovered_frames"] == [0, 0]
    assert "kept without the detector: 100.00 % of 2" in result.stderr
    refused = CliRunner().invoke(app, [*arguments[:3], "--cuts", "first"])
    assert "expected frames such as 20,82,211" in str(refused.exception)
