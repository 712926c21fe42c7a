"""The vectors that a port is checked with, run on the code here: crop, tracker and filter.

Pure NumPy, Python 3.10: `python -m atpn_deploy.tracking.vectors` is for a board as well.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.crop import Box, box_around, cut
from atpn_deploy.faces import Face
from atpn_deploy.tracking.frame_faces import FrameFaces
from atpn_deploy.tracking.scripted_world import Scene, ScriptedFace, ScriptedWorld, grid
from atpn_deploy.tracking.smoothing import FaceFilter
from atpn_deploy.tracking.track import Lifecycle
from atpn_deploy.tracking.tracker import Tracker, TrackerOptions

#: A file of vectors as plain values; docs/tracking-port.md says what each field means.
Facts = dict[str, Any]


def run_vectors() -> list[str]:
    """Everything that does not come out as the vectors say, one line each; empty where all does."""
    return [
        line
        for name, mismatches in MISMATCHES.items()
        for case in read_vectors(name)["cases"]
        for line in mismatches(case)
    ]


def read_vectors(name: str) -> Facts:
    """The file `{name}_vectors.json` beside this module."""
    text = resources.files(__package__).joinpath(f"{name}_vectors.json").read_text("utf-8")
    facts: Facts = json.loads(text)
    return facts


def crop_mismatches(case: Facts) -> Iterator[str]:
    """One box of a pattern: some pixels exactly, the sum of each channel within its tolerance."""
    crop = cut(pattern(*case["image"]), Box(*case["box"]))
    for pixel in case["pixels"]:
        came = crop[pixel["row"], pixel["column"]].tolist()
        if came != pixel["rgb"]:
            where = f"row {pixel['row']}, column {pixel['column']}"
            yield f"crop, {case['name']}: {where} is {came}; expected {pixel['rgb']}"
    sums = crop.reshape(-1, 3).sum(0, dtype=np.int64)
    if not (np.abs(sums - case["sums"]) <= case["sum_tolerance"]).all():
        yield f"crop, {case['name']}: the sums are {sums.tolist()}; expected {case['sums']}"


def pattern(width: int, height: int) -> NDArray[np.uint8]:
    """The image that the crops are cut from; integers only, so that any language can make it."""
    row, column = np.arange(height)[:, None], np.arange(width)[None, :]
    planes = [
        (7 * row + 3 * column) % 256,
        (row * column) % 256,
        255 * (((row // 8) + (column // 8)) % 2) + 0 * row,
    ]
    return np.stack(np.broadcast_arrays(*planes), -1).astype(np.uint8)


#: Boxes may differ by so much, in pixels: a network answers in float32.
BOX_TOLERANCE = 0.01


def tracking_mismatches(case: Facts) -> Iterator[str]:
    """One scripted world, played without filter and with it, which must follow the same."""
    for strength, name_of_faces in FACES_BY_STRENGTH.items():
        came = play(case, strength)
        for number, (played, expected) in enumerate(zip(came, case["frames"], strict=True)):
            for name, value in played.described(name_of_faces).items():
                if not _same(value, expected[name]):
                    where = f"tracking, {case['name']}, filter {strength}, frame {number}"
                    yield f"{where}: {name} is {value}; expected {expected[name]}"


#: What a frame calls its faces, by the filter's strength.
FACES_BY_STRENGTH = {"off": "tracks", "light": "shown"}


@dataclass(frozen=True)
class PlayedFrame:
    """What came of one frame of a world."""

    said: FrameFaces
    looks: list[Box]  # the squares that the network was run on, in order

    def described(self, name_of_faces: str) -> Facts:
        """As plain values: whether the detector ran, looks, faces (id, state, box), events."""
        return {
            "detected": self.said.detected,
            "looks": [_values(box) for box in self.looks],
            name_of_faces: [[one.id, one.state, *_values(one.face.box)] for one in self.said.faces],
            "events": [[event.kind, event.id, event.reason] for event in self.said.events],
        }


def _values(box: Box) -> list[float]:
    return [box.left, box.top, box.side]


def play(case: Facts, strength: str) -> list[PlayedFrame]:
    """What the tracker says of each frame of a scripted world."""
    options = dict(case["options"])
    lifecycle = Lifecycle(**{field.name: options.pop(field.name) for field in fields(Lifecycle)})
    world = ScriptedWorld()
    settings = TrackerOptions(lifecycle=lifecycle, smoothing=strength, **options)
    tracker = Tracker(world, world, settings, cut=world.cut)
    frames = []
    for number, frame in enumerate(case["frames"]):
        world.scene = Scene(
            tuple(ScriptedFace(*face) for face in frame["faces"]),
            tuple(Box(*box) for box in frame["proposals"]),
        )
        width, height = frame.get("size", case["size"])
        image = PICTURES[frame.get("picture", "black")](width, height)
        world.looks.clear()
        said = tracker.step(image, frame.get("time_s", number / case["fps"]))
        frames.append(PlayedFrame(said, list(world.looks)))
    return frames


#: What the frames of a world look like, which only cuts are found by: by name, of width and height.
PICTURES: dict[str, Callable[[int, int], NDArray[np.uint8]]] = {
    "black": lambda width, height: np.zeros((height, width, 3), np.uint8),
    "pattern": pattern,
    "dark": lambda width, height: pattern(width, height) // 2,
    "mirrored": lambda width, height: pattern(width, height)[:, ::-1],
}


def _same(came: Any, expected: Any) -> bool:
    """Equal, numbers within BOX_TOLERANCE."""
    if isinstance(came, float):
        return bool(abs(came - expected) <= BOX_TOLERANCE)
    if isinstance(came, list):
        return len(came) == len(expected) and all(map(_same, came, expected))
    return bool(came == expected)


#: Filtered positions and angles may differ by so much, in pixels and radians.
PLACE_TOLERANCE, ANGLE_TOLERANCE = 1e-3, 1e-5
#: The landmarks whose filtered places the vectors hold.
HELD_LANDMARKS = (0, 49, 97)


def smoothing_mismatches(case: Facts) -> Iterator[str]:
    """One face in motion: box, pose and some landmarks as filtered, by strength and frame."""
    for strength, frames in case["expected"].items():
        came = filtered(case["measured"], strength, case["resets"])
        for number, (values, expected) in enumerate(zip(came, frames, strict=True)):
            if not (np.abs(np.subtract(values, expected)) <= TOLERANCES).all():
                where = f"smoothing, {case['name']}, {strength}, frame {number}"
                yield f"{where}: {[round(value, 6) for value in values]}; expected {expected}"


#: For left, top and side of the box, yaw, pitch and roll, x and y of each held landmark.
TOLERANCES = [PLACE_TOLERANCE] * 3 + [ANGLE_TOLERANCE] * 3 + [PLACE_TOLERANCE] * 6


def filtered(
    measured: Sequence[Sequence[float]], strength: str, resets: Sequence[int]
) -> Iterator[list[float]]:
    """What the filter makes of a face, frame by frame: 12 values in the order of TOLERANCES.

    Before the frames numbered in `resets` it is reset, as after a loss.
    """
    smoothing = FaceFilter(strength)
    for number, (time_s, *place_and_pose) in enumerate(measured):
        if number in resets:
            smoothing.reset()
        face = smoothing.step(measured_face(number, *place_and_pose), time_s)
        box, held = face.box, face.landmarks[list(HELD_LANDMARKS)]
        yield [box.left, box.top, box.side, *face.pose.tolist(), *held.flatten().tolist()]


def measured_face(
    number: int, x: float, y: float, size: float, yaw: float, pitch: float, roll: float
) -> Face:
    """The face of frame `number`: a grid round (x, y) whose points jitter by up to half a pixel."""
    k = np.arange(len(grid()))
    jitter = np.stack(
        (((37 * k + 53 * number) % 17 - 8) / 16, ((29 * k + 41 * number) % 13 - 6) / 12), -1
    )
    landmarks = grid() * size + (x, y) + jitter
    return Face(box_around(landmarks), landmarks, np.array([yaw, pitch, roll]), 0.9)


#: The files of vectors, and what checks one case of each.
MISMATCHES: dict[str, Callable[[Facts], Iterator[str]]] = {
    "crop": crop_mismatches,
    "tracking": tracking_mismatches,
    "smoothing": smoothing_mismatches,
}


def main() -> int:
    """Run all vectors and print what does not hold; the exit status is 1 where anything does."""
    mismatches = run_vectors()
    sys.stdout.writelines(f"{line}\n" for line in mismatches or ["all vectors hold"])
    return int(bool(mismatches))


if __name__ == "__main__":
    sys.exit(main())
