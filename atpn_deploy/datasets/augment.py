"""Random crops for training: translate, rotate, scale, flip, channels, background (figure 5)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import CROP_SIDE
from atpn_deploy.crop import MARGIN
from atpn_deploy.datasets.faces import FaceSet, Image
from atpn_deploy.datasets.patterns import random_pattern
from atpn_deploy.errors import DatasetError
from atpn_deploy.mean_shape import mirror_map

Rng = np.random.Generator


@dataclass(frozen=True)
class Augmentation:
    """How far a training crop may stray from the exact one."""

    shift: float = 0.07  # of the face's longer side, uniform
    scale: tuple[float, float] = (0.85, 1.2)
    rotation_deg: float = 12.0  # standard deviation, cut at twice that
    blur: float = 0.15  # probability
    occlusion: float = 0.1
    grey: float = 0.05
    mixup: float = 0.08  # probability of blending a background in
    noise: float = 0.1


@dataclass(frozen=True)
class Batch:
    """B training crops; masks say what counts."""

    image: NDArray[np.uint8]  # (B, 112, 112, 3)
    points: NDArray[np.float32]  # (B, P, 2) fractions of the crop
    weights: NDArray[np.float32]  # (B, P)
    pose: NDArray[np.float32]  # (B, 3) radian, NaN where not known
    is_face: NDArray[np.bool_]  # (B,)
    names: tuple[str, ...]  # (B) where each crop came from

    def crop(self, index: int) -> Batch:
        """One of the crops as a batch of its own."""
        row = slice(index, index + 1)
        return Batch(
            self.image[row],
            self.points[row],
            self.weights[row],
            self.pose[row],
            self.is_face[row],
            self.names[row],
        )


@dataclass(frozen=True)
class Crop:
    """One training crop, a row of a Batch."""

    image: Image
    points: NDArray[np.float32]  # (P, 2)
    weights: NDArray[np.float32]  # (P,)
    pose: NDArray[np.float32]  # (3,)
    is_face: bool
    name: str


class Sampler:
    """Draws training batches; the same (seed, step) always gives the same batch.

    Every face comes once before any comes again, in an order that changes from round to round. A
    face or background whose image can't be read is replaced by another and remembered in
    `unreadable`; when more than `max_unreadable` of either are, DatasetError stops the training.
    """

    def __init__(
        self,
        faces: FaceSet,
        negatives: Sequence[Image],
        augmentation: Augmentation,
        *,
        seed: int,
        max_unreadable: float = 0.01,
    ) -> None:
        self.faces = faces
        self.negatives = negatives
        self.augmentation = augmentation
        self.seed = seed
        self.unreadable: dict[str, str] = {}  # face or background -> why
        self._max_unreadable = max_unreadable
        self._count = faces.points.shape[1]
        self._mirror = np.array(mirror_map(self._count) if self._count else (), np.intp)
        self._posed = np.flatnonzero(np.isfinite(faces.pose).all(1))
        self._order = lru_cache(maxsize=4)(self._shuffled)

    def count(self, *, posed: bool = False) -> int:
        """Faces in one round, all or those whose pose is known."""
        return len(self._posed) if posed else len(self.faces)

    def batch(
        self,
        step: int,
        size: int,
        *,
        negative_share: float = 0.0,
        posed: bool = False,
        part: tuple[int, int] = (0, 1),
    ) -> Batch:
        """Draw `size` crops for `step`, or of them the share of process `part` = (rank, world).

        `posed` takes only faces whose pose is known. Each crop has a random stream of its own, so
        that processes together draw what one alone would draw.
        """
        faces = size - round(size * negative_share)
        crops = [
            self._face(step * faces + index, posed, np.random.default_rng((self.seed, step, index)))
            if index < faces
            else self._negative(np.random.default_rng((self.seed, step, index)))
            for index in range(part[0], size, part[1])
        ]
        return Batch(
            np.stack([crop.image for crop in crops]),
            np.stack([crop.points for crop in crops]),
            np.stack([crop.weights for crop in crops]),
            np.stack([crop.pose for crop in crops]),
            np.array([crop.is_face for crop in crops]),
            tuple(crop.name for crop in crops),
        )

    def remember(self, unreadable: Mapping[str, str]) -> None:
        """Take in what other processes could not read; DatasetError where it is too much."""
        if unreadable.keys() <= self.unreadable.keys():
            return
        self.unreadable.update(unreadable)
        self._check_left("faces", self.faces.names)
        if len(self.negatives):
            self._check_left("backgrounds", [f"background {i}" for i in range(len(self.negatives))])

    def _shuffled(self, epoch: int, posed: bool) -> NDArray[np.intp]:
        """The order of one round through the faces."""
        pool = self._posed if posed else np.arange(len(self.faces))
        return np.random.default_rng((self.seed, epoch)).permutation(pool)

    def _readable(self, turn: int, posed: bool, rng: Rng) -> tuple[int, Image]:
        """The face of this turn and its image, or a random face where that can't be read."""
        pool = self._posed if posed else self.faces
        epoch, place = divmod(turn, len(pool))
        index = int(self._order(epoch, posed)[place])
        while True:
            try:
                return index, self.faces.images[index]
            except DatasetError as error:
                self.unreadable[self.faces.names[index]] = str(error)
            self._check_left("faces", [self.faces.names[int(i)] for i in self._order(0, posed)])
            index = int(rng.choice(self._order(0, posed)))

    def _backdrop(self, rng: Rng) -> Image:
        """Any of the backgrounds that can be read."""
        while True:
            index = int(rng.integers(len(self.negatives)))
            try:
                image: Image = self.negatives[index]
                return image
            except DatasetError as error:
                self.unreadable[f"background {index}"] = str(error)
            self._check_left("backgrounds", [f"background {i}" for i in range(len(self.negatives))])

    def _check_left(self, kind: str, names: Sequence[str]) -> None:
        """DatasetError where too many of these names can't be read, or none of them can."""
        bad = [name for name in names if name in self.unreadable]
        allowed = max(1, int(self._max_unreadable * len(names)))
        if len(bad) > allowed or len(bad) == len(names):
            raise DatasetError(
                f"{len(bad)} of {len(names)} {kind} can't be read, {allowed} are let pass at most; "
                f"one of them: {self.unreadable[bad[0]]}"
            )

    def _face(self, turn: int, posed: bool, rng: Rng) -> Crop:
        """One augmented face."""
        index, image = self._readable(turn, posed, rng)
        points, pose = self.faces.points[index], self.faces.pose[index].copy()
        weights = self.faces.weights[index]
        crop, moved, angle = self._warp(image, self.faces.boxes[index], points, rng)
        pose[2] += angle  # a clockwise turn on screen adds to the roll
        if rng.random() < 0.5:
            crop, moved = crop[:, ::-1], moved[self._mirror] * (-1, 1) + (1, 0)
            weights, pose = weights[self._mirror], pose * np.array((-1, 1, -1), np.float32)
        if rng.random() < self.augmentation.mixup and len(self.negatives):
            crop = self._mixed(crop, rng)
        return Crop(
            self._degrade(crop, rng),
            moved.astype(np.float32),
            weights,
            pose,
            True,
            self.faces.names[index],
        )

    def _warp(
        self, image: Image, box: NDArray[np.float32], points: NDArray[np.float32], rng: Rng
    ) -> tuple[Image, NDArray[np.float32], float]:
        """Cut the face out, turned by an angle in radians, with random borders."""
        a = self.augmentation
        low, high = box[:2], box[2:]
        extent = float((high - low).max())
        centre = (low + high) / 2 + rng.uniform(-a.shift, a.shift, 2) * extent
        side = extent * (1 + 2 * MARGIN) * rng.uniform(*a.scale)
        limit = 2 * a.rotation_deg
        angle = float(np.radians(np.clip(rng.normal(0, a.rotation_deg), -limit, limit)))
        cosine, sine = np.cos(angle), np.sin(angle)
        # As the crop contract does it: n x n bilinear samples a pixel, then their mean.
        n = max(1, math.ceil(side / CROP_SIDE))
        wide = n * CROP_SIDE
        turn = np.array([[cosine, -sine], [sine, cosine]]) * wide / side
        offset = wide / 2 - turn @ centre
        # OpenCV counts from pixel centres, the labels from pixel edges.
        index_offset = offset + turn @ (0.5, 0.5) - 0.5
        border = cv2.BORDER_REPLICATE if rng.random() < 0.7 else cv2.BORDER_CONSTANT
        matrix = np.column_stack((turn, index_offset))
        crop = cv2.warpAffine(image, matrix, (wide, wide), borderMode=border)
        if n > 1:
            crop = cv2.resize(crop, (CROP_SIDE, CROP_SIDE), interpolation=cv2.INTER_AREA)
        moved = (points @ turn.T + offset) / wide
        return crop.astype(np.uint8), moved.astype(np.float32), angle

    def _mixed(self, crop: Image, rng: Rng) -> Image:
        """Blend a background in (the paper's mix-up with background images)."""
        background = self._backdrop(rng)
        share = float(rng.uniform(0.05, 0.3))
        return cv2.addWeighted(np.ascontiguousarray(crop), 1 - share, background, share, 0).astype(
            np.uint8
        )

    def _negative(self, rng: Rng) -> Crop:
        """One crop without a face: a background, a misplaced face crop, or no photograph at all."""
        kind = rng.random()
        if kind < 0.06:
            crop, name = random_pattern(rng), "no photograph"
        elif kind < 0.3:
            crop, name = self._misplaced(rng), "a misplaced face"
        else:
            crop, name = self._background(rng), "a background"
        return Crop(
            self._degrade(crop, rng),
            np.zeros((self._count, 2), np.float32),
            np.zeros(self._count, np.float32),
            np.full(3, np.nan, np.float32),
            False,
            name,
        )

    def _background(self, rng: Rng) -> Image:
        """A face-free crop, turned and zoomed, with the borders that face crops have."""
        image = self._backdrop(rng)
        angle, zoom = rng.uniform(-30, 30), rng.uniform(0.75, 1.8)
        matrix = cv2.getRotationMatrix2D((CROP_SIDE / 2, CROP_SIDE / 2), angle, zoom)
        border = cv2.BORDER_REPLICATE if rng.random() < 0.7 else cv2.BORDER_CONSTANT
        crop = cv2.warpAffine(image, matrix, (CROP_SIDE, CROP_SIDE), borderMode=border)
        return (crop[:, ::-1] if rng.random() < 0.5 else crop).astype(np.uint8)

    def _misplaced(self, rng: Rng) -> Image:
        """A face whose box overlaps the crop's by less than 0.3: aside, too close or too far."""
        index, image = self._readable(int(rng.integers(len(self.faces))), False, rng)
        low, high = self.faces.boxes[index, :2], self.faces.boxes[index, 2:]
        extent = float((high - low).max()) * (1 + 2 * MARGIN)
        centre = (low + high) / 2
        kind = rng.integers(3)
        if kind == 0:  # aside: at 0.6 of the side the overlap is 0.4 / 1.6
            direction = rng.uniform(0, 2 * np.pi)
            reach = rng.uniform(0.65, 1.0) * extent
            centre = centre + reach * np.array((np.cos(direction), np.sin(direction)))
            side = extent * rng.uniform(0.8, 1.2)
        elif kind == 1:  # far too close: at 0.5 of the side the overlap is 0.25
            side = extent * rng.uniform(0.2, 0.42)
        else:  # far too small: at 1.9 times the side it is 0.28
            side = extent * rng.uniform(1.9, 2.8)
        zoom = CROP_SIDE / side
        matrix = np.array([[zoom, 0, 0], [0, zoom, 0]])
        matrix[:, 2] = CROP_SIDE / 2 - zoom * centre + (zoom - 1) / 2
        border = cv2.BORDER_REPLICATE if rng.random() < 0.7 else cv2.BORDER_CONSTANT
        crop = cv2.warpAffine(image, matrix, (CROP_SIDE, CROP_SIDE), borderMode=border)
        return crop.astype(np.uint8)

    def _degrade(self, crop: Image, rng: Rng) -> Image:
        """Channels, contrast, blur, noise and a rectangle over part of the face."""
        a = self.augmentation
        crop = np.ascontiguousarray(crop)
        if rng.random() < a.blur:
            if rng.random() < 0.5:
                crop = cv2.GaussianBlur(crop, (0, 0), float(rng.uniform(0.4, 1.8))).astype(np.uint8)
            else:
                small = int(rng.integers(36, 90))
                crop = cv2.resize(crop, (small, small), interpolation=cv2.INTER_AREA).astype(
                    np.uint8
                )
                crop = cv2.resize(crop, (CROP_SIDE, CROP_SIDE)).astype(np.uint8)
        if rng.random() < a.occlusion:
            crop = crop.copy()
            height, width = rng.integers(12, 50, 2)
            top, left = rng.integers(0, CROP_SIDE - height), rng.integers(0, CROP_SIDE - width)
            crop[top : top + height, left : left + width] = rng.integers(0, 256, 3)
        if rng.random() < a.grey:
            crop = np.repeat(crop.mean(-1, keepdims=True), 3, -1).astype(np.uint8)
        gain = rng.uniform(0.65, 1.35) * rng.uniform(0.88, 1.12, 3)
        shift = rng.uniform(-30, 30) + rng.uniform(-10, 10, 3)
        table = np.clip(np.arange(256)[:, None] * gain + shift, 0, 255).astype(np.uint8)
        crop = cv2.LUT(crop, table[None]).astype(np.uint8)
        if rng.random() < a.noise:
            grain = rng.standard_normal(crop.shape, np.float32) * np.float32(rng.uniform(2, 12))
            crop = np.clip(crop + grain, 0, 255).astype(np.uint8)
        return crop
