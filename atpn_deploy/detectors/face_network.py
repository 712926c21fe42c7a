"""A detector that is a network: the image in its window, boxes out, one of them a face."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.crop import Box
from atpn_deploy.detectors.detector import Placement
from atpn_deploy.detectors.network_file import FileTensor, NetworkFile
from atpn_deploy.errors import DetectorError, MissingToolError

Floats = NDArray[np.floating]
Outputs = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class FaceNetwork:
    """One kind of network that finds faces: how its file is told, fed and read."""

    name: str  # "yunet"
    suffix: str
    #: What a file of this kind takes and computes, and no other file does.
    inputs: tuple[FileTensor, ...]
    outputs: tuple[FileTensor, ...]
    planes: bool  # whether the input is (1, 3, H, W); else (1, H, W, 3)
    #: The window (H, W, 3) RGB to the input as the network was trained with, its first axis left
    #: out.
    prepare: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    #: Outputs and the window's (width, height) to (N, 4) boxes, centre x, y, width and height in
    #: pixels of the window, and (N,) scores, 0 to 1.
    decode: Callable[[Outputs, tuple[int, int]], tuple[Floats, Floats]]
    #: Boxes, scores and an IoU above which two boxes are one face, to (M, 4) boxes.
    merge: Callable[[Floats, Floats, float], Floats]
    same_face: float  # that IoU
    placement: Placement  # of a box whose size is the root of its area
    threshold: float  # boxes with a higher score are proposed

    def recognises(self, network: NetworkFile) -> bool:
        """Whether a file holds this kind of network, by its tensors."""
        return _fit(self.inputs, network.inputs) and _fit(self.outputs, network.outputs)

    def described(self) -> str:
        """The tensors, for a message."""
        first = ", ".join(map(str, self.outputs[:2])) + (", ..." if len(self.outputs) > 2 else "")
        return f"{self.name} ({', '.join(map(str, self.inputs))} to {first})"


def _fit(patterns: tuple[FileTensor, ...], tensors: tuple[FileTensor, ...]) -> bool:
    return len(patterns) == len(tensors) and all(
        any(pattern.fits(tensor) for tensor in tensors) for pattern in patterns
    )


class NetworkDetector:
    """A face network on the whole image, which is scaled into its window."""

    def __init__(self, kind: FaceNetwork, network: NetworkFile) -> None:
        """Raise DetectorError where the file leaves the size of its window open."""
        shape = network.inputs[0].shape
        height, width = shape[2:] if kind.planes else shape[1:3]
        if not (width and height):
            raise DetectorError(
                f"the network's input {network.inputs[0]} leaves its size open; export it with a "
                "fixed one, such as 320 x 320"
            )
        self._kind, self._network, self._window = kind, network, (width, height)

    def propose(self, image: NDArray[np.uint8]) -> list[Box]:
        """(H, W, 3) RGB to contract squares, the surest first."""
        kind = self._kind
        window, zoom = letterbox(image, *self._window)
        outputs = self._network.run(kind.prepare(window)[None])
        boxes, scores = kind.decode(outputs, self._window)
        sure = scores > kind.threshold
        found = kind.merge(boxes[sure], scores[sure], kind.same_face) / zoom  # (N, 4)
        sizes = np.sqrt(found[:, 2] * found[:, 3])
        return [
            kind.placement.square(x, y, size)
            for (x, y), size in zip(found[:, :2].tolist(), sizes.tolist(), strict=True)
        ]


def letterbox(image: NDArray[np.uint8], width: int, height: int) -> tuple[NDArray[np.uint8], float]:
    """(H, W, 3) to (height, width, 3), the image in its top left corner, and window over image.

    Raises MissingToolError without OpenCV.
    """
    try:
        import cv2
    except ImportError as error:
        raise MissingToolError(
            "finding faces needs OpenCV 4: pip install -c constraints.txt 'atpn-deploy[track]'"
        ) from error
    zoom = min(width / image.shape[1], height / image.shape[0])
    size = (max(1, round(image.shape[1] * zoom)), max(1, round(image.shape[0] * zoom)))
    # Averaging keeps small faces that picking single pixels would break up.
    kernel = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    window = np.zeros((height, width, 3), np.uint8)
    window[: size[1], : size[0]] = cv2.resize(image, size, interpolation=kernel)
    return window, zoom
