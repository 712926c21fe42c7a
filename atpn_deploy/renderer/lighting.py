"""Light on a synthetic face: a lamp, its shadow, coloured light from all around, and dark folds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.renderer.rasteriser import rasterise

Floats = NDArray[np.floating[Any]]
Rng = np.random.Generator

#: Skin scatters light under its surface: how far it reaches into the shade, by colour.
WRAP = np.array((0.35, 0.18, 0.12), np.float32)


@dataclass(frozen=True)
class Light:
    """Linear RGB light; directions in the camera's frame (x right, y down, z away)."""

    lamp: NDArray[np.float32]  # (3,) unit vector towards the lamp
    lamp_colour: NDArray[np.float32]
    ambient: NDArray[np.float32]  # (4, 3) spherical harmonics: constant, then x, y, z
    shadow: float  # 0 the lamp casts none, 1 hard black ones


def random_light(rng: Rng) -> Light:
    """From soft daylight to a lamp at the side, warm or cold."""
    azimuth, height = rng.normal(0, 0.8), np.clip(rng.normal(0.45, 0.4), -0.6, 1.3)
    lamp = np.array(
        (np.sin(azimuth) * np.cos(height), -np.sin(height), -np.cos(azimuth) * np.cos(height))
    )
    warmth = rng.normal(0, 0.12)
    tint = np.array((1 + warmth, 1, 1 - warmth))
    share = rng.uniform(0.15, 0.85)  # of the lamp
    exposure = np.exp(rng.normal(0.12, 0.28))
    around = np.array((1 - 0.5 * warmth, 1, 1 + 0.5 * warmth)) + rng.normal(0, 0.05, 3)
    slopes = rng.normal(0, 0.16, (3, 1)) + rng.normal(0, 0.05, (3, 3))
    slopes[1] -= 0.18  # more from above
    slopes[2] -= 0.12  # and from the camera's side
    ambient = np.vstack((np.ones((1, 3)), slopes)) * around * (1 - share) * 1.05 * exposure
    return Light(
        lamp.astype(np.float32),
        (tint * share * 1.35 * exposure).astype(np.float32),
        ambient.astype(np.float32),
        float(rng.uniform(0.4, 0.95)) if rng.random() < 0.5 else 0.0,
    )


def shade(
    light: Light, normals: Floats, open_sky: Floats, lit: Floats, wrap: Floats
) -> NDArray[np.float32]:
    """(P, 3) linear light on surfaces with (P, 3) normals.

    `open_sky` (P,) is the share of the surroundings that a place sees, `lit` (P,) the share of the
    lamp, `wrap` (P, 3) how far its light creeps round.
    """
    facing = (normals @ light.lamp)[:, None]
    direct = np.clip((facing + wrap) / (1 + wrap), 0, None) * lit[:, None]
    basis = np.concatenate((np.ones((len(normals), 1), np.float32), normals), 1)
    around = np.clip(basis @ light.ambient, 0, None) * open_sky[:, None]
    return np.asarray(direct * light.lamp_colour + around, np.float32)


def gloss(light: Light, normals: Floats, sharpness: Floats) -> NDArray[np.float32]:
    """(P,) mirrored lamp light for a camera far away in -z, by (P,) Blinn-Phong exponents."""
    half = light.lamp + np.array((0, 0, -1), np.float32)
    half = half / (np.linalg.norm(half) + 1e-9)
    return np.asarray(np.clip(normals @ half, 0, 1) ** sharpness, np.float32)


def lamp_visibility(
    towards: Floats, vertices: Floats, triangles: NDArray[np.integer[Any]], side: int = 128
) -> NDArray[np.float32]:
    """(V,) 1 where a lamp far away in the direction `towards` reaches a vertex, 0 in shadow."""
    helper = np.array((0.0, 1.0, 0.0)) if abs(towards[1]) < 0.9 else np.array((1.0, 0.0, 0.0))
    right = np.cross(helper, towards)
    right /= np.linalg.norm(right)
    frame = np.stack((right, np.cross(towards, right), -towards), 1)
    seen = vertices @ frame
    low, high = seen[:, :2].min(0), seen[:, :2].max(0)
    scale = (side - 2) / float((high - low).max())
    seen[:, :2] = (seen[:, :2] - low) * scale + 1
    drawn = rasterise(seen, triangles, (side, side), both_sides=True)
    depth = np.full(side * side, np.inf, np.float32)
    depth[drawn.pixel] = drawn.depth
    # The depth of the nearest surface anywhere about the vertex's pixel: no grains of shadow.
    column, row = (np.clip(seen[:, i].astype(int), 1, side - 2) for i in (0, 1))
    reached = np.zeros(len(vertices), np.float32)
    for down, across in ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)):
        nearest = depth[(row + down) * side + column + across]
        reached += seen[:, 2] <= nearest + 3.0 / scale
    return reached / np.float32(5)


def open_sky(vertices: Floats, triangles: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
    """(V,) share of a hemisphere of directions in front of the mean head that reaches a vertex."""
    total = np.zeros(len(vertices), np.float32)
    weight = 0.0
    golden = np.pi * (3 - np.sqrt(5))
    for i in range(28):  # a spiral over the sphere's front two thirds
        z = 1 - 1.5 * (i + 0.5) / 28
        radius = np.sqrt(1 - z * z)
        direction = np.array((radius * np.cos(golden * i), radius * np.sin(golden * i), z))
        total += lamp_visibility(direction, vertices, triangles, 160)
        weight += 1
    return np.asarray(np.clip(total / weight / 0.62, 0.12, 1), np.float32)
