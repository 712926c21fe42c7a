"""A world of scripted faces that stands in for detector, crop and network: what vectors run in.

It has no pixels. A face is a centre, a size and a confidence, all given; the network's answer to a
square is a formula that any language can repeat (docs/tracking-port.md holds it in words).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import CROP_SIDE, LANDMARKS, OUTPUTS, Tensors
from atpn_deploy.crop import MARGIN, Box

#: A square that misses its face by this much shows no face at all.
BLIND = 0.75
#: The confidence in a square that shows none.
NO_FACE = 0.05
#: How much larger than a face its square is.
SQUARE = 1 + 2 * MARGIN


@dataclass(frozen=True)
class ScriptedFace:
    """A face whose landmarks fill a square of `size` pixels round (x, y), edge based."""

    x: float
    y: float
    size: float
    confidence: float  # in a square that frames it well

    @property
    def box(self) -> Box:
        """The contract's square round its landmarks."""
        side = SQUARE * self.size
        return Box(self.x - side / 2, self.y - side / 2, side)

    def missed_by(self, box: Box) -> float:
        """How badly `box` frames the face: off the centre, in sides, and wrong in size; 0 is well.

        The larger of the two distances of the centres, in sides of `box`, and the difference of
        the sides over their sum.
        """
        right = abs(box.left + box.side / 2 - self.x) / box.side
        down = abs(box.top + box.side / 2 - self.y) / box.side
        side = SQUARE * self.size
        return max(right, down) + abs(box.side - side) / (box.side + side)


@dataclass(frozen=True)
class Scene:
    """One frame: the faces that can be seen, and what the detector proposes if it is asked."""

    faces: tuple[ScriptedFace, ...] = ()
    proposals: tuple[Box, ...] = ()


class ScriptedWorld:
    """Set `scene` before each frame; hand the world to a tracker as session, detector and `cut`."""

    output_names = tuple(spec.name for spec in OUTPUTS)

    def __init__(self) -> None:
        self.scene = Scene()
        self.looks: list[Box] = []  # the squares that the network was run on
        self._box = Box(0, 0, 1)
        self._crop = np.zeros((CROP_SIDE, CROP_SIDE, 3), np.uint8)

    def propose(self, image: NDArray[np.uint8]) -> list[Box]:
        """As a detector."""
        return list(self.scene.proposals)

    def cut(self, image: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
        """As the crop: (112, 112, 3) of black; `run` answers for this box."""
        self._box = box
        return self._crop

    def run(self, feeds: Tensors) -> Mapping[str, NDArray[Any]]:
        """As a session, for the box that was cut last."""
        self.looks.append(self._box)
        return answer(self.scene, self._box)


def answer(scene: Scene, box: Box) -> dict[str, NDArray[np.float32]]:
    """What the network says of `box`: the face that it frames best, or none.

    The confidence is the face's own where it is missed by at most a quarter, and falls to nothing
    at BLIND. Landmarks are exact even then.
    """
    face = min(scene.faces, key=lambda face: face.missed_by(box), default=None)
    if face is None or face.missed_by(box) >= BLIND:
        landmarks, pose, confidence = grid() / SQUARE + 0.5, (0.0, 0.0, 0.0), NO_FACE
    else:
        landmarks = box.from_image(grid() * face.size + (face.x, face.y))
        pose = (face.x / 1000, face.y / 1000, face.size / 1000)
        confidence = face.confidence * min(1.0, 2 * (BLIND - face.missed_by(box)))
    return {
        "landmarks": landmarks[None].astype(np.float32),
        "pose": np.array([pose], np.float32),
        "confidence": np.array([[confidence]], np.float32),
    }


def grid() -> NDArray[np.float64]:
    """(98, 2): 7 rows of 14 points that fill the square from -0.5 to 0.5."""
    k = np.arange(LANDMARKS.shape[1])
    return np.stack((k % 14 / 13, k // 14 / 6), -1) - 0.5
