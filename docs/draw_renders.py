"""Draw docs/renders.png: synthetic faces, and some of them with their 98 points.

Usage: python docs/draw_renders.py FACE_MODEL.npz
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from atpn_deploy.crop import CROP_SIDE, box_around, cut
from atpn_deploy.draw import PARTS
from atpn_deploy.renderer.render import RenderedFace, render_face, rendered
from atpn_deploy.renderer.studio import open_studio

SEED, COLUMNS, ROWS = 7, 8, 3
YAWS_DEG = (0, 25, 45, 60, 75, 90, -40, -80)
CELL = 2 * CROP_SIDE  # of the faces with points


def dotted(face: RenderedFace) -> NDArray[np.uint8]:
    """One cell: the crop at twice its size with the points in the colours of their parts."""
    box = box_around(face.points)
    cell = cv2.resize(cut(face.image, box), (CELL, CELL), interpolation=cv2.INTER_CUBIC)
    points = np.round(box.from_image(face.points) * CELL * 16).astype(int)
    for first, last, _, colour in PARTS:
        for x, y in points[first : last + 1]:
            cv2.circle(cell, (int(x), int(y)), 30, colour, -1, cv2.LINE_AA, 4)
    return np.asarray(cell, np.uint8)


def main(model_file: Path) -> None:
    """Write the picture beside this script."""
    studio = open_studio(model_file)
    plain = [rendered(studio, SEED, index) for index in range(COLUMNS * ROWS)]
    crops = [cut(face.image, box_around(face.points)) for face in plain]
    rows = [np.hstack(crops[row * COLUMNS : (row + 1) * COLUMNS]) for row in range(ROWS)]
    posed = [
        render_face(studio, np.random.default_rng((90, i)), (), np.radians((yaw, 0, 0)))
        for i, yaw in enumerate(YAWS_DEG)
    ]
    cells = [dotted(face) for face in posed]
    rows += [np.hstack(cells[:4]), np.hstack(cells[4:])]
    picture = Image.fromarray(np.vstack(rows))
    # 256 colours are enough to look at, and a third of the size.
    small = picture.quantize(256, dither=Image.Dither.NONE)
    small.save(Path(__file__).with_name("renders.png"), optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
