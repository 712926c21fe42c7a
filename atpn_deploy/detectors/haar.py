"""OpenCV 4's Haar cascades: the detector that needs no file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.crop import Box
from atpn_deploy.detectors.detector import Placement
from atpn_deploy.errors import MissingToolError

if TYPE_CHECKING:
    import cv2


@dataclass(frozen=True)
class Cascade:
    """One of OpenCV's cascades, and where its squares lie against the crop contract's."""

    file: str
    placement: Placement
    mirrored: bool  # also look at the image in a mirror: the cascade knows one side only


#: Medians over 557 faces of WIDER FACE with 98 points (training faces, none of a test set).
#: A cascade frames brows to mouth; the contract frames brows to chin, so it is larger and lower.
#: Spread (standard deviation) of scale, right and down: 0.14, 0.09, 0.04 and 0.25, 0.10, 0.07,
#: which the network's training crops (scaled by 0.85 to 1.2, moved by 7 %) mostly cover.
FRONTAL = Cascade("haarcascade_frontalface_alt2.xml", Placement(1.30, 0.0, 0.15), mirrored=False)
PROFILE = Cascade("haarcascade_profileface.xml", Placement(1.20, -0.12, 0.16), mirrored=True)

#: Chosen on 94 photographs of WIDER FACE (146 faces of 60 px or more, 229 of 30 or more): both find
#: 118 and 173 of them with 179 false alarms. `alt2` alone: 103, 152 and 88. `default` with
#: `profileface`: the same faces as here, with 282 false alarms. All three: 121, 177 and 370.
CASCADES = (FRONTAL, PROFILE)

#: Smallest square in the searched image; the cascades are trained at 20 pixels.
SMALLEST = 24
#: How many raw hits must agree. One is few: ATPN's confidence sorts the rest out.
NEIGHBOURS = 1
#: From one size to the next; 1.2 takes 60 % of the time and finds 2 % fewer.
STEP = 1.1
#: A photograph is searched at no more than this many pixels on its longer side.
PHOTO_SIDE = 1024
#: A frame of a video is searched at fewer: in a quarter of the time as many faces of 60 px or more
#: are found on the same photographs, and a tenth fewer of 30 px or more. 256 pixels would find a
#: quarter fewer of those; a step of 1.2 would save as much and lose larger faces too.
VIDEO_SIDE = 320


class HaarDetector:
    """OpenCV 4's Haar cascades for frontal and profile faces, upright within some 20 degrees.

    Faces below 24 pixels, in the image as it is searched, are not found. Raises MissingToolError
    without OpenCV 4.
    """

    def __init__(
        self, cascades: tuple[Cascade, ...] = CASCADES, *, working_side: int = PHOTO_SIDE
    ) -> None:
        self._cascades = [(cascade, _load(cascade.file)) for cascade in cascades]
        self._working_side = working_side

    def propose(self, image: NDArray[np.uint8]) -> list[Box]:
        """(H, W, 3) RGB to the squares of both cascades, the same face more than once included."""
        import cv2

        height, width = image.shape[:2]
        zoom = min(1.0, self._working_side / max(height, width))
        grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
        if zoom < 1:
            size = (max(1, round(width * zoom)), max(1, round(height * zoom)))
            grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        searched = np.asarray(grey, np.uint8)
        boxes = []
        for cascade, classifier in self._cascades:
            boxes += [_contract_box(hit, cascade, zoom) for hit in _hits(classifier, searched)]
            if cascade.mirrored:
                seen = _hits(classifier, np.ascontiguousarray(searched[:, ::-1], np.uint8))
                found = [_contract_box(hit, cascade, zoom) for hit in seen]
                boxes += [
                    Box(searched.shape[1] / zoom - b.left - b.side, b.top, b.side) for b in found
                ]
        return sorted(boxes, key=lambda box: (-box.side, box.left, box.top))


def _load(file: str) -> cv2.CascadeClassifier:
    pip_line = "pip install -c constraints.txt 'atpn-deploy[track]'"
    try:
        import cv2
    except ImportError as error:
        raise MissingToolError(f"finding faces needs OpenCV 4: {pip_line}") from error
    folder = getattr(getattr(cv2, "data", None), "haarcascades", "")
    path = Path(folder) / file
    if not folder or not path.is_file():
        raise MissingToolError(
            f"OpenCV {cv2.__version__} has no {file} (version 5 ships no cascades): {pip_line}"
        )
    return cv2.CascadeClassifier(str(path))


def _hits(
    classifier: cv2.CascadeClassifier, grey: NDArray[np.uint8]
) -> list[tuple[float, float, float]]:
    """(left, top, side) of each square that the cascade takes for a face."""
    found = classifier.detectMultiScale(grey, STEP, NEIGHBOURS, minSize=(SMALLEST, SMALLEST))
    return [(float(x), float(y), float(w)) for x, y, w, _ in found]


def _contract_box(hit: tuple[float, float, float], cascade: Cascade, zoom: float) -> Box:
    """A cascade's square in the searched image to a contract square in the photograph."""
    left, top, side = (value / zoom for value in hit)
    return cascade.placement.square(left + side / 2, top + side / 2, side)
