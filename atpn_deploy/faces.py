"""The faces of a photograph: a detector proposes, ATPN aligns and decides."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import CONFIDENCE_THRESHOLD, OUTPUTS, Tensors
from atpn_deploy.crop import MARGIN, Box, box_around, cut
from atpn_deploy.detectors.detector import Detector
from atpn_deploy.errors import ArtifactError
from atpn_deploy.stage_times import StageTimes

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


#: What resamples a square of an image for the network, as `crop.cut` does.
Cut = Callable[[NDArray[np.uint8], Box], NDArray[np.uint8]]


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
    require_all_tasks(session)
    return judge(image, detector.propose(image), session, threshold=threshold)[:max_faces]


def require_all_tasks(session: Session) -> None:
    """Raise ArtifactError for a file that does not compute landmarks, pose and confidence."""
    lacking = [spec.name for spec in OUTPUTS if spec.name not in session.output_names]
    if lacking:
        raise ArtifactError(
            f"the file computes no {' and no '.join(lacking)}; finding faces needs all three "
            "tasks: export one with atpn-export --signature full"
        )


def judge(
    image: NDArray[np.uint8],
    boxes: Sequence[Box],
    session: Session,
    *,
    threshold: float = CONFIDENCE_THRESHOLD,
    times: StageTimes | None = None,
    cut: Cut = cut,
) -> list[Face]:
    """The faces among the proposed squares whose confidence is above `threshold`, largest first."""

    def above(faces: list[Face], threshold: float) -> list[Face]:
        sure = [face for face in faces if face.confidence > threshold and usable(face.box, image)]
        return without_duplicates(sure)

    faces = [look(image, box, session, times, cut) for box in boxes if usable(box, image)]
    for _ in range(PASSES - 1):
        kept = above(faces, min(FIRST_PASS_THRESHOLD, threshold))
        faces = [look(image, face.box, session, times, cut) for face in kept]
    return sorted(above(faces, threshold), key=lambda face: -face.box.side)


def look(
    image: NDArray[np.uint8],
    box: Box,
    session: Session,
    times: StageTimes | None = None,
    cut: Cut = cut,
) -> Face:
    """Run the network once on `box` of the image; `times` counts the stages crop and infer.

    Another `cut` is for a scripted world, which has no pixels.
    """
    watch = times or StageTimes()
    began = watch.clock()
    crop = cut(image, box)[None]
    began = watch.add("crop", began)
    outputs = session.run({"image": crop})
    watch.add("infer", began)
    landmarks = box.to_image(outputs["landmarks"][0])
    return Face(
        box_around(landmarks),
        landmarks,
        np.asarray(outputs["pose"][0], np.float64),
        float(outputs["confidence"][0, 0]),
    )


def without_duplicates(faces: Sequence[Face]) -> list[Face]:
    """Of faces that overlap by more than SAME_FACE, the most confident one; that one first."""
    ordered = sorted(faces, key=lambda face: -face.confidence)
    squares = _inner_squares([face.box for face in ordered])
    left = np.arange(len(ordered))
    kept: list[Face] = []
    while len(left):
        first, left = left[0], left[1:]
        kept.append(ordered[first])
        left = left[_shares(squares[:, first], squares[:, left]) <= SAME_FACE]
    return kept


def overlaps(ones: Sequence[Box], others: Sequence[Box]) -> NDArray[np.float64]:
    """`overlap` of each of N boxes with each of M, (N, M)."""
    return _shares(_inner_squares(ones)[:, :, None], _inner_squares(others)[:, None])


def _inner_squares(boxes: Sequence[Box]) -> NDArray[np.float64]:
    """(3, N): x and y of the centre, and the side, of each box without its margin."""
    left, top, side = np.array([(b.left, b.top, b.side) for b in boxes]).reshape(-1, 3).T
    return np.stack((left + side / 2, top + side / 2, side / (1 + 2 * MARGIN)))


def _shares(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of the smaller square that the larger one covers; a and b (3, ...), sides > 0."""
    smaller = np.minimum(a[2], b[2])
    width = np.minimum((a[2] + b[2]) / 2 - np.abs(a[0] - b[0]), smaller)
    height = np.minimum((a[2] + b[2]) / 2 - np.abs(a[1] - b[1]), smaller)
    shared = np.maximum(width, 0.0) * np.maximum(height, 0.0)
    return np.asarray(shared / smaller**2, np.float64)


def overlap(one: Box, other: Box) -> float:
    """The share of the smaller face that the larger one covers, both without margin, 0 to 1."""
    a, b = one.side / (1 + 2 * MARGIN), other.side / (1 + 2 * MARGIN)
    across = abs((one.left + one.side / 2) - (other.left + other.side / 2))  # between the centres
    down = abs((one.top + one.side / 2) - (other.top + other.side / 2))
    width = min((a + b) / 2 - across, a, b)
    height = min((a + b) / 2 - down, a, b)
    return max(0.0, width) * max(0.0, height) / min(a, b) ** 2


def usable(box: Box, image: NDArray[np.uint8]) -> bool:
    """Whether a square has a finite, sensible size and its centre inside the image.

    On a false alarm the landmarks can shrink to a dot or leave the photograph.
    """
    height, width = image.shape[:2]
    if not all(math.isfinite(value) for value in (box.left, box.top, box.side)):
        return False
    x, y = box.left + box.side / 2, box.top + box.side / 2
    sensible = SMALLEST_SIDE <= box.side <= 4 * max(height, width)
    return bool(sensible and 0 <= x <= width and 0 <= y <= height)
