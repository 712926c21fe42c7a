"""How often a moving face is lost: `python docs/measure_motion.py MODEL PHOTO...`.

Moves the square against each face found in the photographs, which is the same as the face moving,
in eight directions at constant speed, and counts the frames in which the confidence falls to 0.7
or below. After a loss the square is put back, as a detection would put it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from atpn_deploy.contract import CONFIDENCE_THRESHOLD
from atpn_deploy.crop import Box
from atpn_deploy.detectors.haar import HaarDetector
from atpn_deploy.faces import Face, Session, find_faces, look
from atpn_deploy.photo import read_photo
from atpn_exporters.opening import open_file
from atpn_exporters.session import SessionOptions

FRAMES = 8
SPEEDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)  # sides of the square a frame


def moved(box: Box, by: np.ndarray) -> Box:
    """The square, `by` (2,) pixels further right and down."""
    return Box(box.left + float(by[0]), box.top + float(by[1]), box.side)


def losses(
    image: np.ndarray, face: Face, session: Session, step: np.ndarray, *, ahead: bool
) -> int:
    """Frames of FRAMES in which a face that moves by `step` (2,) pixels a frame is lost."""
    lost = 0
    square, motion = face.box, np.zeros(2)  # as a frame would show them
    for frame in range(1, FRAMES + 1):
        shift = frame * step
        expected = moved(square, motion) if ahead else square
        seen = look(image, moved(expected, -shift), session)
        before, square = square, moved(seen.box, shift)
        if not seen.confidence > CONFIDENCE_THRESHOLD:
            lost += 1
            square = moved(face.box, shift)
        motion = np.array(
            (
                square.left + square.side / 2 - before.left - before.side / 2,
                square.top + square.side / 2 - before.top - before.side / 2,
            )
        )
    return lost


def main(model: Path, photos: list[Path]) -> None:
    """Print a line for each speed."""
    with open_file(model, SessionOptions()) as session:
        detector = HaarDetector()
        images = [read_photo(photo) for photo in photos]
        faces = [(i, f) for i in images for f in find_faces(i, session, detector, threshold=0.8)]
        turns = np.arange(8) * np.pi / 4
        print(f"{len(faces)} faces; lost in % of frames: looked for where it was, and moved on")
        for speed in SPEEDS:
            shares = []
            for ahead in (False, True):
                lost = [
                    losses(
                        image,
                        face,
                        session,
                        speed * face.box.side * np.array((np.cos(turn), np.sin(turn))),
                        ahead=ahead,
                    )
                    for image, face in faces
                    for turn in turns
                ]
                shares.append(100 * np.mean(lost) / FRAMES)
            print(f"{speed:5.2f} sides a frame: {shares[0]:5.1f} {shares[1]:5.1f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
