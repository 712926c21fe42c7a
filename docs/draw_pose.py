"""Draw docs/pose.png: a schematic head in seven poses, from the code that defines the convention.

Usage: python docs/draw_pose.py
"""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from atpn_deploy.draw import draw_axes
from atpn_deploy.pose import rotation

CELL = 260
POSES = (
    ("yaw +40°", "nose to the image's left", (40, 0, 0)),
    ("pitch +30°", "looking up", (0, 30, 0)),
    ("roll +30°", "clockwise on screen", (0, 0, 30)),
    ("0, 0, 0", "into the camera", (0, 0, 0)),
    ("yaw -40°", "nose to the image's right", (-40, 0, 0)),
    ("pitch -30°", "looking down", (0, -30, 0)),
    ("roll -30°", "counter-clockwise", (0, 0, -30)),
    ("+30, -20, +15", "yaw, pitch, roll together", (30, -20, 15)),
)
SKIN, LINE, PAPER = np.array((242, 208, 180)), (90, 62, 48), (250, 250, 248)
SCALE = 78.0


def ellipsoid(u: NDArray[np.floating], v: NDArray[np.floating]) -> NDArray[np.float64]:
    """Points of the head in camera axes at rest: u right, v down, both -1..1, on the near half."""
    depth = np.sqrt(np.clip(1 - u**2 - v**2, 0, 1))
    return np.stack((0.78 * u, 1.05 * v, -0.85 * depth), -1)


def curve(points: list[tuple[float, float]], closed: bool = False) -> NDArray[np.float64]:
    """A polyline on the face through (u, v) points, made dense."""
    corners = np.array(points + points[:1] if closed else points)
    dense = [np.linspace(a, b, 12) for a, b in itertools.pairwise(corners)]
    uv = np.concatenate(dense)
    return ellipsoid(uv[:, 0], uv[:, 1])


def ring(u: float, v: float, width: float, height: float) -> NDArray[np.float64]:
    """An ellipse on the face."""
    turn = np.linspace(0, 2 * np.pi, 40)
    return ellipsoid(u + width * np.cos(turn), v + height * np.sin(turn))


def features() -> list[tuple[NDArray[np.float64], bool, tuple[int, int, int]]]:
    """Lines of the face: points, whether filled, colour."""
    lines: list[tuple[NDArray[np.float64], bool, tuple[int, int, int]]] = []
    for side in (-1, 1):
        lines.append((ring(side * 0.4, -0.14, 0.17, 0.075), True, (255, 255, 255)))
        lines.append((ring(side * 0.4, -0.14, 0.055, 0.06), True, (60, 80, 110)))
        brow = [(side * x, y) for x, y in ((0.2, -0.34), (0.4, -0.41), (0.62, -0.33))]
        lines.append((curve(brow), False, LINE))
    mouth = [(-0.28, 0.45), (-0.12, 0.42), (0, 0.44), (0.12, 0.42), (0.28, 0.45), (0, 0.54)]
    lines.append((curve(mouth, True), True, (205, 100, 105)))
    return lines


def nose() -> NDArray[np.float64]:
    """Bridge, tip and wings: the tip stands out of the ellipsoid."""
    base = ellipsoid(np.array([0.0, 0.16, -0.16]), np.array([-0.2, 0.24, 0.24]))
    tip = np.array([0, 0.22, -1.12])
    return np.stack((base[0], tip, base[1], tip, base[2]))


def screen(points: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.int32]:
    """Head coordinates to sub-pixel positions of a cell, as OpenCV wants them."""
    turned = points @ matrix.T
    return np.round((turned[:, :2] * SCALE + (CELL / 2, CELL / 2 - 14)) * 16).astype(np.int32)


def head(pose_deg: tuple[float, float, float]) -> NDArray[np.uint8]:
    """One cell: a shaded head with its features and axes."""
    matrix = rotation(np.radians(pose_deg))
    cell = np.full((CELL, CELL, 3), PAPER, np.uint8)
    _shade(cell, matrix)
    for points, filled, colour in features():
        visible = (points @ matrix.T)[:, 2] < 0.1
        line = screen(points[visible], matrix)
        if len(line) < 3:
            continue
        if filled:
            cv2.fillPoly(cell, [line], colour, cv2.LINE_AA, 4)
        cv2.polylines(cell, [line], filled, LINE, 2, cv2.LINE_AA, 4)
    bridge = screen(nose(), matrix)
    cv2.fillPoly(cell, [bridge[[0, 2, 1, 4]]], (225, 180, 150), cv2.LINE_AA, 4)
    cv2.polylines(cell, [bridge], False, LINE, 2, cv2.LINE_AA, 4)
    tip = screen(nose()[1:2], matrix)[0] / 16
    draw_axes(cell, np.radians(pose_deg), tip, 72)
    return cell


def _shade(cell: NDArray[np.uint8], matrix: NDArray[np.float64]) -> None:
    """Fill the ellipsoid's outline, lit from the upper left; hair above and behind."""
    y, x = np.mgrid[:CELL, :CELL]
    ray = np.stack(((x - CELL / 2) / SCALE, (y - CELL / 2 + 14) / SCALE), -1)
    radii = np.array((0.78, 1.05, 0.85))
    inverse = matrix @ np.diag(1 / radii**2) @ matrix.T
    a, b = inverse[2, 2], 2 * ray @ inverse[:2, 2]
    c = np.einsum("...i,ij,...j->...", ray, inverse[:2, :2], ray) - 1
    inside = b**2 - 4 * a * c > 0
    depth = (-b - np.sqrt(np.where(inside, b**2 - 4 * a * c, 0))) / (2 * a)
    point = np.concatenate((ray, depth[..., None]), -1)
    normal = point @ inverse
    normal = normal / np.linalg.norm(normal, axis=-1, keepdims=True)
    light = np.clip(normal @ (np.array((-0.4, -0.5, -0.77))), 0, 1)[..., None]
    own = point @ matrix / radii  # in the head's own axes
    hair = (own[..., 1] < -0.62) | (own[..., 2] > 0.28)
    colour = np.where(hair[..., None], (96, 72, 58), SKIN)
    shaded = np.clip(colour * (0.62 + 0.4 * light), 0, 255)
    cell[inside] = shaded[inside].astype(np.uint8)


def main() -> None:
    """Write the picture beside this script."""
    cells = [head(pose) for _, _, pose in POSES]
    rows = [np.hstack(cells[:4]), np.hstack(cells[4:])]
    picture = Image.fromarray(np.vstack(rows))
    pen = ImageDraw.Draw(picture)
    for i, (title, note, _) in enumerate(POSES):
        x, y = (i % 4) * CELL + CELL / 2, (i // 4 + 1) * CELL - 46
        pen.text((x, y), title, (20, 20, 24), ImageFont.load_default(19), anchor="ma")
        pen.text((x, y + 23), note, (96, 96, 104), ImageFont.load_default(14), anchor="ma")
    picture.save(Path(__file__).with_name("pose.png"), optimize=True)


if __name__ == "__main__":
    main()
