"""What surrounds a synthetic face: backgrounds, shoulders, things in front of it, the camera."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from atpn_deploy.datasets.faces import Image
from atpn_deploy.renderer.appearance import Rng, linear, noise

Floats = NDArray[np.floating[Any]]


#: A torso round the foot of the neck, (x, y) in cm, y down.
SHOULDERS = (
    (-7.5, -1.0), (-12, 0.6), (-17, 2.5), (-20.5, 6), (-23, 40),
    (23, 40), (20.5, 6), (17, 2.5), (12, 0.6), (7.5, -1.0),
)  # fmt: skip


def background(side: int, pictures: Sequence[Image], rng: Rng) -> NDArray[np.float32]:
    """(side, side, 3) linear RGB: a part of one of the pictures, or something drawn."""
    if len(pictures):
        picture = pictures[int(rng.integers(len(pictures)))]
        share = rng.uniform(0.6, 1.0)
        height, width = (max(8, int(extent * share)) for extent in picture.shape[:2])
        top = int(rng.integers(picture.shape[0] - height + 1))
        left = int(rng.integers(picture.shape[1] - width + 1))
        part = picture[top : top + height, left : left + width]
        scene = cv2.resize(part, (side, side), interpolation=cv2.INTER_LINEAR).astype(np.float32)
        if rng.random() < 0.5:
            scene = scene[:, ::-1]
    else:
        scene = _drawn(side, rng)
    blurred = cv2.GaussianBlur(scene, (0, 0), float(rng.choice((0.5, 3.0, 7.0))) * side / 320)
    return linear(blurred * float(rng.uniform(0.6, 1.1)))


def muted(rng: Rng) -> NDArray[np.float64]:
    """(3,) 8-bit sRGB: a colour as things have it, seldom a pure one."""
    purity = rng.choice((8.0, 25.0, 60.0), p=(0.5, 0.35, 0.15))
    colour = rng.uniform(15, 240) + rng.normal(0, 1, 3) * purity
    return np.asarray(np.clip(colour, 5, 250))


def _drawn(side: int, rng: Rng) -> NDArray[np.float32]:
    """A wall with a slope of light, or blocks and spots as of a room or a garden."""
    base, other = muted(rng), muted(rng)
    slope = np.linspace(0, 1, side, dtype=np.float32)[:, None, None]
    scene = np.broadcast_to(base + slope * (other - base), (side, side, 3)).astype(np.float32)
    scene = np.ascontiguousarray(scene if rng.random() < 0.5 else scene.swapaxes(0, 1))
    for _ in range(int(rng.integers(0, 9))):
        colour = tuple(float(c) for c in muted(rng))
        x, y = (int(c) for c in rng.integers(0, side, 2))
        width, height = (int(c) for c in rng.integers(side // 16, side // 2, 2))
        if rng.random() < 0.6:
            cv2.rectangle(scene, (x, y), (x + width, y + height), colour, -1)
        else:
            cv2.ellipse(
                scene, (x, y), (width // 2, height // 2), rng.uniform(0, 180), 0, 360, colour, -1
            )
    grain = noise(rng, side, side, float(rng.uniform(2, 60)))[..., None]
    return np.clip(scene + grain * float(rng.uniform(2, 22)), 0, 255).astype(np.float32)


def draw_shoulders(
    scene: NDArray[np.float32], neck: Floats, lean: float, scale: float, cloth: Floats
) -> None:
    """A torso below the neck's foot (x, y) in pixels, in place; `scale` is pixels per cm."""
    outline = np.array(SHOULDERS)
    cosine, sine = np.cos(lean * 0.4), np.sin(lean * 0.4)
    turned = outline @ np.array([[cosine, sine], [-sine, cosine]]) * scale + neck
    mask = np.zeros(scene.shape[:2], np.float32)
    cv2.fillPoly(mask, [np.round(turned * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
    mask = cv2.GaussianBlur(mask, (0, 0), max(0.5, 0.12 * scale)).astype(np.float32)
    row = np.arange(scene.shape[0], dtype=np.float32)[:, None, None]
    fall = np.clip(1.05 - (row - neck[1]) / (60 * scale), 0.5, 1.1)
    scene += mask[..., None] * (cloth * fall - scene)


def draw_occluder(scene: NDArray[np.float32], centre: Floats, extent: float, rng: Rng) -> None:
    """Something in front of a part of the face: a bar, a disc or a blurred patch, in place."""
    side = len(scene)
    colour = linear(muted(rng))
    middle = centre + rng.uniform(-0.55, 0.55, 2) * extent
    mask = np.zeros((side, side), np.float32)
    if rng.random() < 0.4:
        half = rng.uniform(0.04, 0.1) * extent
        way = rng.normal(0, 1, 2)
        reach = way / np.linalg.norm(way) * extent
        ends = [tuple(int(c) for c in middle + sign * reach) for sign in (-1, 1)]
        cv2.line(mask, ends[0], ends[1], 1.0, max(1, int(2 * half)), cv2.LINE_AA)
    else:
        axes = tuple(int(c) for c in rng.uniform(0.1, 0.28, 2) * extent)
        spot = tuple(int(c) for c in middle)
        cv2.ellipse(mask, spot, axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1, cv2.LINE_AA)
    mask = cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(0.7, 3))).astype(np.float32)
    texture = 1 + 0.2 * noise(rng, side, side, float(rng.uniform(3, 40)))
    scene += mask[..., None] * (colour * texture[..., None] - scene)


def developed(scene: NDArray[np.float32]) -> NDArray[np.float32]:
    """(2 h, 2 w, 3) linear light to an (h, w, 3) picture, sRGB 0..255, without grain."""
    height, width = scene.shape[0] // 2, scene.shape[1] // 2
    light = cv2.resize(scene, (width, height), interpolation=cv2.INTER_AREA)
    light = np.clip(light / (1 + 0.12 * np.clip(light, 0, None) ** 2) * 1.05, 0, 1)
    return np.asarray(255 * light ** (1 / 2.2), np.float32)


def photographed(scene: NDArray[np.float32], rng: Rng) -> Image:
    """(2 n, 2 n, 3) linear light to an (n, n, 3) picture: pixels, tone, grain and compression."""
    picture = developed(scene)
    picture += rng.standard_normal(picture.shape, np.float32) * float(rng.uniform(0.3, 4))
    if rng.random() < 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.3, 0.9))).astype(np.float32)
    image = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        quality = int(rng.integers(55, 95))
        _, encoded = cv2.imencode(".jpg", image[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, quality))
        image = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]
    return np.ascontiguousarray(image)
