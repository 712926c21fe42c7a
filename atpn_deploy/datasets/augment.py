"""Random crops for training: translate, rotate, scale, flip, channels, background (figure 5)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import CROP_SIDE
from atpn_deploy.crop import MARGIN
from atpn_deploy.datasets.faces import FaceSet, Image
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
    points: NDArray[np.float32]  # (B, 98, 2) fractions of the crop
    weights: NDArray[np.float32]  # (B, 98)
    pose: NDArray[np.float32]  # (B, 3) radian, NaN where not known
    is_face: NDArray[np.bool_]  # (B,)


class Sampler:
    """Draws training batches; the same (seed, step) always gives the same batch."""

    def __init__(
        self, faces: FaceSet, negatives: Sequence[Image], augmentation: Augmentation, *, seed: int
    ) -> None:
        self.faces = faces
        self.negatives = negatives
        self.augmentation = augmentation
        self.seed = seed
        self._mirror = np.array(mirror_map(faces.points.shape[1]))
        self._posed = np.flatnonzero(np.isfinite(faces.pose).all(1))

    def batch(
        self, step: int, size: int, *, negative_share: float = 0.0, posed: bool = False
    ) -> Batch:
        """Draw `size` crops for `step`; `posed` takes only faces whose pose is known."""
        rng = np.random.default_rng((self.seed, step))
        pool = self._posed if posed else np.arange(len(self.faces))
        negatives = round(size * negative_share)
        rows = [self._face(int(rng.choice(pool)), rng) for _ in range(size - negatives)]
        rows += [self._negative(rng) for _ in range(negatives)]
        image, points, weights, pose = (np.stack(column) for column in zip(*rows, strict=True))
        return Batch(image, points, weights, pose, np.arange(size) < size - negatives)

    def _face(self, index: int, rng: Rng) -> tuple[NDArray[np.generic], ...]:
        """One augmented face."""
        points, pose = self.faces.points[index], self.faces.pose[index].copy()
        weights = self.faces.weights[index]
        crop, moved, angle = self._warp(self.faces.images[index], points, rng)
        pose[2] += angle  # a clockwise turn on screen adds to the roll
        if rng.random() < 0.5:
            crop, moved = crop[:, ::-1], moved[self._mirror] * (-1, 1) + (1, 0)
            weights, pose = weights[self._mirror], pose * np.array((-1, 1, -1), np.float32)
        if rng.random() < self.augmentation.mixup:
            crop = self._mixed(crop, rng)
        return self._degrade(crop, rng), moved.astype(np.float32), weights, pose

    def _warp(
        self, image: Image, points: NDArray[np.float32], rng: Rng
    ) -> tuple[Image, NDArray[np.float32], float]:
        """Cut the face out, turned by an angle in radians, with random borders."""
        a = self.augmentation
        low, high = points.min(0), points.max(0)
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
        background = self.negatives[int(rng.integers(len(self.negatives)))]
        share = float(rng.uniform(0.05, 0.3))
        return cv2.addWeighted(np.ascontiguousarray(crop), 1 - share, background, share, 0).astype(
            np.uint8
        )

    def _negative(self, rng: Rng) -> tuple[NDArray[np.generic], ...]:
        """One crop without a face: a background, a misplaced face crop, or no photograph at all."""
        kind = rng.random()
        if kind < 0.06:
            crop = _synthetic(rng)
        elif kind < 0.2:
            crop = self._misplaced(rng)
        else:
            crop = self._background(rng)
        count = self.faces.points.shape[1]
        return (
            self._degrade(crop, rng),
            np.zeros((count, 2), np.float32),
            np.zeros(count, np.float32),
            np.full(3, np.nan, np.float32),
        )

    def _background(self, rng: Rng) -> Image:
        """A face-free crop, turned and zoomed, with the borders that face crops have."""
        image = self.negatives[int(rng.integers(len(self.negatives)))]
        angle, zoom = rng.uniform(-30, 30), rng.uniform(0.75, 1.8)
        matrix = cv2.getRotationMatrix2D((CROP_SIDE / 2, CROP_SIDE / 2), angle, zoom)
        border = cv2.BORDER_REPLICATE if rng.random() < 0.7 else cv2.BORDER_CONSTANT
        crop = cv2.warpAffine(image, matrix, (CROP_SIDE, CROP_SIDE), borderMode=border)
        return (crop[:, ::-1] if rng.random() < 0.5 else crop).astype(np.uint8)

    def _misplaced(self, rng: Rng) -> Image:
        """A face whose box overlaps the crop's by less than 0.3: too far aside or far too close."""
        index = int(rng.integers(len(self.faces)))
        image, points = self.faces.images[index], self.faces.points[index]
        low, high = points.min(0), points.max(0)
        extent = float((high - low).max()) * (1 + 2 * MARGIN)
        centre = (low + high) / 2
        if rng.random() < 0.5:  # aside: at 0.6 of the side the overlap is 0.4 / 1.6
            direction = rng.uniform(0, 2 * np.pi)
            reach = rng.uniform(0.65, 1.0) * extent
            centre = centre + reach * np.array((np.cos(direction), np.sin(direction)))
            side = extent * rng.uniform(0.8, 1.2)
        else:  # far too close: at 0.5 of the side the overlap is 0.25
            side = extent * rng.uniform(0.2, 0.42)
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
            grain = rng.normal(0, rng.uniform(2, 12), crop.shape)
            crop = np.clip(crop + grain, 0, 255).astype(np.uint8)
        return crop


def _synthetic(rng: Rng) -> Image:
    """A crop that no camera took: flat, noise, a ramp or stripes."""
    shape = (CROP_SIDE, CROP_SIDE, 3)
    kind = rng.integers(4)
    if kind == 0:
        return np.broadcast_to(rng.integers(0, 256, 3), shape).astype(np.uint8)
    if kind == 1:
        return rng.integers(0, 256, shape).astype(np.uint8)
    ramp = np.linspace(0, 1, CROP_SIDE)[:, None, None] * rng.uniform(0, 255, 3)
    if kind == 3:
        ramp = 127 * (1 + np.sin(ramp / rng.uniform(2, 20)))
    wide = np.broadcast_to(ramp, shape)
    return np.ascontiguousarray(wide if rng.random() < 0.5 else wide.swapaxes(0, 1)).astype(
        np.uint8
    )
