"""Two trackers' words on the same frames, made by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from atpn_deploy.crop import box_around
from atpn_deploy.faces import Face
from atpn_deploy.tracking.frame_faces import Event, FrameFaces, TrackedFace
from atpn_deploy.tracking.scripted_world import grid

#: A face in a frame: id, x, y, and what else `tracked` takes.
Tell = Callable[..., FrameFaces]


@pytest.fixture
def tracked() -> Callable[..., TrackedFace]:
    """`tracked(id, x, y, size=80, yaw=0, confidence=0.95, lost=False)`: 98 points in a square."""

    def make(
        id: int,
        x: float = 200,
        y: float = 200,
        size: float = 80,
        yaw: float = 0,
        confidence: float = 0.95,
        lost: bool = False,
    ) -> TrackedFace:
        points = grid() * size + (x, y)
        pose = np.radians((yaw, 0, 0))
        face = Face(box_around(points), points, pose, confidence)
        return TrackedFace(id, "lost" if lost else "tracked", face, face, 1)

    return make


@pytest.fixture
def said() -> Tell:
    """`said(face, ..., events=())`: a frame of these faces."""

    def make(*faces: TrackedFace, events: tuple[Event, ...] = ()) -> FrameFaces:
        return FrameFaces(0.0, faces, events, False)

    return make
