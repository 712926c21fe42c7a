"""Photographs with a box round every face: where faces are found, and where none is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.crop import Box, box_around, cut
from atpn_deploy.datasets.faces import FaceSet, Image, Picked, unknown_pose
from atpn_deploy.datasets.images import LARGEST_SIDE, Cached, Regions
from atpn_deploy.errors import DatasetError

#: Where the landmarks' box begins in a WIDER box, as a share of its height. A WIDER box reaches
#: from the forehead to the chin, landmarks begin at the brows; the other three sides agree to 1 %
#: (medians over the 2,225 WIDER faces of train98). The crop round the box so shortened has a median
#: IoU of 0.885 with the crop round the landmarks, 0.636 without.
LANDMARK_TOP = 0.234

#: A crop with a smaller IoU with every face's crop is a negative (section 4.2).
NEGATIVE_IOU = 0.3

#: A face whose box is smaller than this, on either side, is no positive (section 4.2).
SMALLEST_FACE = 60

#: The smallest background crop, in pixels of its photograph, where the photograph allows one.
SMALLEST_CROP = 40

#: Places drawn for one background crop before a smaller side is tried.
TRIES = 20


@dataclass(frozen=True)
class Scenes:
    """N photographs and the boxes of all their faces, forehead to chin."""

    images: Sequence[Image]  # N times (H, W, 3), RGB, decoded when asked for
    boxes: tuple[NDArray[np.float32], ...]  # N times (K, 4) left, top, right, bottom in pixels
    usable: tuple[NDArray[np.bool_], ...]  # N times (K,), False where the labels call it invalid
    places: tuple[tuple[str, ...], ...]  # N times K: file and line of each box, for messages


def landmark_boxes(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """(K, 4) boxes from forehead to chin to those that the landmarks would have."""
    shortened = boxes.copy()
    shortened[:, 1] += LANDMARK_TOP * (boxes[:, 3] - boxes[:, 1])
    return shortened


def faces_in(
    scenes: Scenes, *, smallest: float = SMALLEST_FACE, largest: int | None = LARGEST_SIDE
) -> FaceSet:
    """The usable faces of at least `smallest` pixels either way: boxes without points (P = 0).

    Each image is the region round a face, at most `largest` pixels; None keeps the resolution.
    Raises DatasetError where no face is left.
    """
    photos, boxes, names = [], [], []
    for photo, (of_photo, usable, places) in enumerate(
        zip(scenes.boxes, scenes.usable, scenes.places, strict=True)
    ):
        size = (of_photo[:, 2:] - of_photo[:, :2]).min(1, initial=np.inf)
        for index in np.flatnonzero(usable & (size >= smallest)):
            photos.append(photo)
            boxes.append(of_photo[index])
            names.append(places[index])
    if not photos:
        raise DatasetError(f"no face of at least {smallest:g} pixels in {len(scenes.boxes)} images")
    tight = landmark_boxes(np.stack(boxes))
    regions = Regions(Picked(scenes.images, np.array(photos)), tight, names, largest)
    return FaceSet(
        images=Cached(regions),
        boxes=regions.to_region(tight.reshape(-1, 2, 2)).reshape(-1, 4),
        points=np.zeros((len(photos), 0, 2), np.float32),
        weights=np.zeros((len(photos), 0), np.float32),
        pose=unknown_pose(len(photos)),
        names=tuple(names),
    )


class _BackgroundCrops(Sequence[Image]):
    """112x112 crops of photographs whose IoU with the crop of every face there is below 0.3.

    Sides are spread evenly over their logarithm, from 40 pixels to the photograph's shorter side.
    The same seed and index always give the same crop. A photograph is decoded for all of its crops
    at once; they are kept as `Cached` keeps images.
    """

    def __init__(self, scenes: Scenes, seed: int, per_image: int) -> None:
        self._per_image = per_image
        self._crops = Cached(_CropsOfPhotographs(scenes, seed, per_image))

    def __len__(self) -> int:
        return len(self._crops) * self._per_image

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # int only, as images are used
        if not 0 <= index < len(self):
            raise IndexError(f"crop {index} of {len(self)}")
        return self._crops[int(index) // self._per_image][int(index) % self._per_image]


class _CropsOfPhotographs(Sequence[Image]):
    """For each photograph its crops in one array, (per_image, 112, 112, 3)."""

    def __init__(self, scenes: Scenes, seed: int, per_image: int) -> None:
        self._scenes = scenes
        self._seed = seed
        self._per_image = per_image

    def __len__(self) -> int:
        return len(self._scenes.boxes)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # int only, as images are used
        image, boxes = self._scenes.images[index], self._scenes.boxes[index]
        rng = np.random.default_rng((self._seed, index))
        drawn = [background_box(image.shape[:2], boxes, rng) for _ in range(self._per_image)]
        return np.stack([cut(image, box) for box in drawn])


def background_crops(scenes: Scenes, *, seed: int, per_image: int = 10) -> Sequence[Image]:
    """`per_image` negatives of each photograph, by photograph; the paper takes 10 a positive."""
    return _BackgroundCrops(scenes, seed, per_image)


def background_box(
    size: tuple[int, int], boxes: NDArray[np.float32], rng: np.random.Generator
) -> Box:
    """A square inside an image of (height, width) that is a negative for (K, 4) face boxes.

    Where no place for the drawn side is found, the side shrinks: within a face's crop, one of half
    its side has an IoU of a quarter.
    """
    height, width = size
    crops = [box_around(box.reshape(2, 2)) for box in landmark_boxes(boxes)]
    longest = min(height, width)
    side = float(np.exp(rng.uniform(np.log(min(SMALLEST_CROP, longest)), np.log(longest))))
    while True:
        for _ in range(TRIES):
            left, top = rng.uniform(0, width - side), rng.uniform(0, height - side)
            drawn = Box(float(left), float(top), side)
            if all(overlap(drawn, crop) < NEGATIVE_IOU for crop in crops):
                return drawn
        side *= 0.8


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two squares, 0..1."""
    across = min(one.left + one.side, other.left + other.side) - max(one.left, other.left)
    down = min(one.top + one.side, other.top + other.side) - max(one.top, other.top)
    shared = max(0.0, across) * max(0.0, down)
    return shared / (one.side**2 + other.side**2 - shared)
