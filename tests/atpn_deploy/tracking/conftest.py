"""A scripted world on film: frames of faces go in, what the tracker says comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from atpn_deploy.crop import Box
from atpn_deploy.tracking.frame_faces import FrameFaces
from atpn_deploy.tracking.scripted_world import Scene, ScriptedFace, ScriptedWorld
from atpn_deploy.tracking.track import Lifecycle
from atpn_deploy.tracking.tracker import Tracker, TrackerOptions

#: A face is held when it is lost after so few frames here, so that tests stay short.
PROVEN = 2


class Film:
    """Shows a tracker one frame after the other, at 30 a second."""

    def __init__(self, options: TrackerOptions) -> None:
        self.world = ScriptedWorld()
        self.tracker = Tracker(self.world, self.world, options, cut=self.world.cut)
        self.frame = 0
        self.size = (640, 480)
        self.picture: np.ndarray | None = None  # black without

    def show(self, *faces: ScriptedFace, proposals: Sequence[Box] | None = None) -> FrameFaces:
        """The next frame; without `proposals` the detector frames every face exactly."""
        boxes = [face.box for face in faces] if proposals is None else proposals
        self.world.scene = Scene(faces, tuple(boxes))
        black = np.zeros((self.size[1], self.size[0], 3), np.uint8)
        image = black if self.picture is None else self.picture
        said = self.tracker.step(image, self.frame / 30)
        self.frame += 1
        return said

    def hold(self, *faces: ScriptedFace, frames: int = PROVEN + 1) -> FrameFaces:
        """The same for some frames, by default until a face is held when it is lost."""
        for _ in range(frames):
            said = self.show(*faces)
        return said


@pytest.fixture
def film() -> Callable[..., Film]:
    """`film(options, lost_frames=3, ...)`: a film with that lifecycle, the filter off."""

    def make(
        *,
        max_faces: int | None = None,
        rescan_frames: int = 0,
        longest_wait_frames: int = 8,
        smoothing: str = "off",
        lost_frames: int = 3,
        proven_frames: int = PROVEN,
        smallest_side: float = 40.0,
        keep: float = 0.7,
        birth: float = 0.8,
    ) -> Film:
        lifecycle = Lifecycle(keep, birth, lost_frames, proven_frames, smallest_side)
        return Film(
            TrackerOptions(
                lifecycle=lifecycle,
                max_faces=max_faces,
                rescan_frames=rescan_frames,
                longest_wait_frames=longest_wait_frames,
                smoothing=smoothing,
            )
        )

    return make


@pytest.fixture
def face() -> Callable[..., ScriptedFace]:
    """`face(x, y, size, confidence)`: by default in the middle, 80 pixels, 0.95."""

    def make(
        x: float = 320, y: float = 240, size: float = 80, confidence: float = 0.95
    ) -> ScriptedFace:
        return ScriptedFace(x, y, size, confidence)

    return make
