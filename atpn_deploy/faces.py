"""The faces of a photograph: a detector proposes, ATPN aligns and decides."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import CONFIDENCE_THRESHOLD, OUTPUTS, Tensors
from atpn_deploy.crop import MARGIN, Box, box_around, cut
from atpn_deploy.detector import Detector
from atpn_deploy.errors import ArtifactError

#: A proposal is looked at, then cropped anew round the landmarks it gave, and looked at again:
#: the first crop is as good as the detector, the second is the one that the network is trained for.
PASSES = 2
#: Proposals below this confidence in the first pass are given up: a face in a crop that is 30 %
#: too large or too small still gets more.
FIRST_PASS_THRESHOLD = 0.2
#: Two faces that share more than this of the smaller one's area, margins left out, are one face
#: seen twice, or a face and a false alarm inside it. Faces cheek to cheek share 0.1 to 0.2.
SAME_FACE = 0.5
#: Squares smaller than this, in pixels of the photograph, hold no face that could be aligned.
SMALLEST_SIDE = 12.0


class Session(Protocol):
    """An open deployable file, as far as it is needed here."""

    @property
    def output_names(self) -> tuple[str, ...]:
        """The contract outputs that the file computes."""

    def run(self, feeds: Tensors) -> Mapping[str, NDArray[Any]]:
        """{"image": (1, 112, 112, 3)} to the outputs by name."""


@dataclass(frozen=True)
class Face:
    """One face, in pixels of the photograph (edge based, as `Box`)."""

    box: Box  # the contract's square round the landmarks
    landmarks: NDArray[np.float64]  # (98, 2), (x, y)
    pose: NDArray[np.float64]  # (3,), (yaw, pitch, roll) in radians
    confidence: float  # probability that the crop holds a face


def find_faces(
    image: NDArray[np.uint8],
    session: Session,
    detector: Detector,
    *,
    threshold: float = CONFIDENCE_THRESHOLD,
    max_faces: int | None = None,
) -> list[Face]:
    """The faces of an (H, W, 3) RGB image whose confidence is above `threshold`, largest first.

    Raises ArtifactError for a file that does not compute all three tasks.
    """
    lacking = [spec.name for spec in OUTPUTS if spec.name not in session.output_names]
    if lacking:
        raise ArtifactError(
            f"the file computes no {' and no '.join(lacking)}; finding faces needs all three "
            "tasks: export one with atpn-export --signature full"
        )
    faces = [look(image, box, session) for box in detector.propose(image) if _usable(box, image)]
    for _ in range(PASSES - 1):
        kept = [face for face in faces if face.confidence > min(FIRST_PASS_THRESHOLD, threshold)]
        faces = [
            look(image, face.box, session)
            for face in without_duplicates(kept)
            if _usable(face.box, image)
        ]
    sure = [face for face in faces if face.confidence > threshold and _usable(face.box, image)]
    found = sorted(without_duplicates(sure), key=lambda face: -face.box.side)
    return found[:max_faces]


def look(image: NDArray[np.uint8], box: Box, session: Session) -> Face:
    """Run the network once on `box` of the image."""
    outputs = session.run({"image": cut(image, box)[None]})
    landmarks = box.to_image(outputs["landmarks"][0])
    return Face(
        box_around(landmarks),
        landmarks,
        np.asarray(outputs["pose"][0], np.float64),
        float(outputs["confidence"][0, 0]),
    )


def without_duplicates(faces: Sequence[Face]) -> list[Face]:
    """Of faces that overlap by more than SAME_FACE, the most confident one; that one first."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.confidence):
        if all(overlap(face.box, other.box) <= SAME_FACE for other in kept):
            kept.append(face)
    return kept


def overlap(one: Box, other: Box) -> float:
    """The share of the smaller face that the larger one covers, both without margin, 0 to 1."""
    a, b = _without_margin(one), _without_margin(other)
    width = min(a.left + a.side, b.left + b.side) - max(a.left, b.left)
    height = min(a.top + a.side, b.top + b.side) - max(a.top, b.top)
    return max(0.0, width) * max(0.0, height) / min(a.side, b.side) ** 2


def _without_margin(box: Box) -> Box:
    """The square round the landmarks themselves."""
    side = box.side / (1 + 2 * MARGIN)
    inset = (box.side - side) / 2
    return Box(box.left + inset, box.top + inset, side)


def _usable(box: Box, image: NDArray[np.uint8]) -> bool:
    """Whether a square has a finite, sensible size and its centre inside the image.

    On a false alarm the landmarks can shrink to a dot or leave the photograph.
    """
    height, width = image.shape[:2]
    if not all(math.isfinite(value) for value in (box.left, box.top, box.side)):
        return False
    x, y = box.left + box.side / 2, box.top + box.side / 2
    sensible = SMALLEST_SIDE <= box.side <= 4 * max(height, width)
    return bool(sensible and 0 <= x <= width and 0 <= y <= height)
