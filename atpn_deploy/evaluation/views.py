"""What networks see and say: crops of a face set, cut once and shown to every network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import CONFIDENCE, LANDMARKS, POSE
from atpn_deploy.crop import MARGIN, box_around, cut
from atpn_deploy.datasets.faces import Image
from atpn_deploy.errors import DatasetError
from atpn_deploy.evaluation.network import Network

#: Crops that are held at once: enough for PyTorch to be fast, few enough for any machine.
BATCH = 64

#: Told how many more faces or frames are done.
Advance = Callable[[int], None]


def ignore(count: int) -> None:
    """Show no progress."""


@dataclass(frozen=True)
class Seen:
    """What one network said of N crops."""

    landmarks: NDArray[np.float64]  # (N, P, 2) as the function says that returns it
    pose: NDArray[np.float64] | None  # (N, 3) radian; None from a file that computes none
    confidence: NDArray[np.float64] | None  # (N,) 0..1; None from a file that computes none


class Crops(Sequence[Image]):
    """The contract's 112x112 crop of each box, cut when it is asked for."""

    def __init__(
        self, images: Sequence[Image], boxes: NDArray[np.float32], margin: float = MARGIN
    ) -> None:
        """Take (N, 4) boxes, left, top, right and bottom in pixels of their images."""
        self._images = images
        self.squares = tuple(box_around(box.reshape(2, 2), margin) for box in boxes)

    def __len__(self) -> int:
        return len(self.squares)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # int only, as images are used
        return cut(self._images[index], self.squares[index])


def look(
    networks: Sequence[Network],
    images: Sequence[Image],
    boxes: NDArray[np.float32],
    advance: Advance = ignore,
) -> list[Seen]:
    """Show each network its crop round each box (N, 4) of its image; landmarks are pixels of that.

    Networks with the contract's crop share one pass. Raises DatasetError where there is nothing to
    look at or an image can't be read.
    """
    seen: dict[int, Seen] = {}
    for number, margin in enumerate(dict.fromkeys(network.margin for network in networks)):
        alike = [i for i, network in enumerate(networks) if network.margin == margin]
        crops = Crops(images, boxes, margin)
        corners = np.array([(square.left, square.top) for square in crops.squares]).reshape(-1, 2)
        sides = np.array([square.side for square in crops.squares])
        told = ignore if number else advance  # the faces are counted once
        views = look_at_crops([networks[i] for i in alike], crops, told)
        for index, view in zip(alike, views, strict=True):
            pixels = view.landmarks * sides[:, None, None] + corners[:, None]
            seen[index] = replace(view, landmarks=pixels)
    return [seen[index] for index in range(len(networks))]


def look_at_crops(
    networks: Sequence[Network], crops: Sequence[Image], advance: Advance = ignore
) -> list[Seen]:
    """Show each network each crop (112, 112, 3); landmarks are fractions of its side.

    A crop is asked for once and shown to all; BATCH of them are held at a time. Raises DatasetError
    where there is nothing to look at.
    """
    if len(crops) == 0:
        raise DatasetError("there are no faces to measure on; expected one at least")
    said: list[list[Seen]] = [[] for _ in networks]
    for start in range(0, len(crops), BATCH):
        indices = range(start, min(start + BATCH, len(crops)))
        batch = np.stack([crops[index] for index in indices])
        for network, parts in zip(networks, said, strict=True):
            parts.append(_seen(network.predict(batch)))
        advance(len(indices))
    return [_joined(parts) for parts in said]


def _seen(outputs: dict[str, NDArray[np.float32]]) -> Seen:
    """A batch's outputs in double precision."""
    pose, confidence = outputs.get(POSE.name), outputs.get(CONFIDENCE.name)
    return Seen(
        outputs[LANDMARKS.name].astype(np.float64),
        None if pose is None else pose.astype(np.float64),
        None if confidence is None else confidence[:, 0].astype(np.float64),
    )


def _joined(parts: Sequence[Seen]) -> Seen:
    """The batches of one network one after the other."""
    poses = [part.pose for part in parts if part.pose is not None]
    confidences = [part.confidence for part in parts if part.confidence is not None]
    return Seen(
        np.concatenate([part.landmarks for part in parts]),
        np.concatenate(poses) if poses else None,
        np.concatenate(confidences) if confidences else None,
    )
