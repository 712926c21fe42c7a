"""Draw docs/tracking.png: two faces in motion, one of them covered for a while.

Usage: python docs/draw_tracking.py MODEL, an exported file with all three tasks. The photograph is
scikit-image's astronaut (NASA, public domain).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.data import astronaut

from atpn_deploy.detectors.registry import open_detector
from atpn_deploy.draw_tracks import annotate_tracks
from atpn_deploy.tracking.tracker import Tracker
from atpn_exporters.opening import open_file
from atpn_exporters.session import SessionOptions

FPS = 25
SIZE = (440, 300)  # width, height of a frame
#: Frames during which a board passes in front of the left face.
COVERED = range(30, 38)
SHOWN = (0, 20, 34, 48)


def main() -> None:
    """Track the frames and paste four of them together."""
    pictures = []
    with open_file(Path(sys.argv[1]), SessionOptions()) as session:
        tracker = Tracker(session, open_detector("haar"))
        for index, image in enumerate(frames()):
            faces = tracker.step(image, index / FPS).faces
            if index in SHOWN:
                pictures.append(annotate_tracks(image, faces))
    margin = ((0, 4), (0, 4), (0, 0))
    apart = [np.pad(picture, margin, constant_values=255) for picture in pictures]
    sheet = np.concatenate([np.concatenate(apart[k : k + 2], 1) for k in (0, 2)])
    target = Path(__file__).with_name("tracking.png")
    Image.fromarray(sheet).quantize(256, Image.Quantize.MAXCOVERAGE).save(target, optimize=True)


def frames() -> Iterator[NDArray[np.uint8]]:
    """The photograph, panned, with a smaller one in a mirror beside it."""
    photo = astronaut()
    small = np.asarray(Image.fromarray(photo[:260, 90:350, :][:, ::-1]).resize((180, 180)))
    for index in range(max(SHOWN) + 1):
        turn = 2 * math.pi * index / 50
        x, y = round(90 + 40 * math.sin(turn)), round(25 - 20 * math.cos(turn))
        frame = np.empty((SIZE[1], SIZE[0], 3), np.uint8)
        frame[:, :260] = photo[y : y + 300, x : x + 260]
        frame[:, 260:] = photo[:1, :1]
        down = round(60 + 40 * math.sin(turn))
        frame[down : down + 180, 260:] = small
        if index in COVERED:
            frame[:, 40:230] = (120, 96, 70)
        yield frame


if __name__ == "__main__":
    main()
