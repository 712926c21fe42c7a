"""The scripted worlds of the tracker's vectors: faces, and what a detector proposes of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from atpn_deploy.tracking.scripted_world import ScriptedFace
from atpn_deploy.tracking.tracker import TrackerOptions

Facts = dict[str, Any]
#: A face: x, y, size, confidence.
Row = tuple[float, float, float, float]

#: The options of every world that does not say otherwise: the tracker's own.
OPTIONS = TrackerOptions()
DEFAULTS = {
    "max_faces": OPTIONS.max_faces,
    "rescan_frames": OPTIONS.rescan_frames,
    "longest_wait_frames": OPTIONS.longest_wait_frames,
    "cut_correlation": OPTIONS.cut_correlation,
    **asdict(OPTIONS.lifecycle),
}
#: A face that was tracked for so many frames is held when it is lost.
PROVEN = OPTIONS.lifecycle.proven_frames + 1


def frame(*faces: Row, proposals: Iterable[tuple[float, float, float]] | None = None) -> Facts:
    """One frame; without `proposals` the detector frames every face well."""
    boxes = [ScriptedFace(*face).box for face in faces]
    good = [(box.left, box.top, box.side) for box in boxes]
    return {
        "faces": [rounded(face) for face in faces],
        "proposals": [rounded(box) for box in (good if proposals is None else proposals)],
    }


def rounded(values: Iterable[float], digits: int = 3) -> list[float]:
    """Few digits, so that the files stay small and exact to read."""
    return [round(float(value), digits) for value in values]


def still(*confidences: float, at: tuple[float, float, float] = (150, 110, 60)) -> list[Facts]:
    """A face that stays where it is, of these confidences."""
    return [frame((*at, confidence)) for confidence in confidences]


def proven(*, at: tuple[float, float, float] = (150, 110, 60)) -> list[Facts]:
    """A face for long enough to be held when it is lost."""
    return still(*[0.95] * PROVEN, at=at)


def nothing(count: int, proposals: Iterable[tuple[float, float, float]] = ()) -> list[Facts]:
    """Frames without faces."""
    return [frame(proposals=list(proposals)) for _ in range(count)]


def worlds() -> Iterator[tuple[str, list[Facts], Facts]]:
    """Name, frames, and the options and `size` that are its own, of each world."""
    yield from lives()
    yield from motions_of_one()
    yield from companies()
    yield from detections()


def lives() -> Iterator[tuple[str, list[Facts], Facts]]:
    """Thresholds and counts of frames: a face that stays in one place."""
    yield (
        "a birth needs more than 0.8, and the detector waits 1, 2, 4, 8, 8 frames",
        still(*[0.78] * 24, *[0.9] * 9),
        {},
    )
    yield (
        "kept above 0.7 and lost at 0.7, recovered above 0.8 and not at 0.75",
        [*proven(), *still(0.71, 0.705, 0.7, 0.75, 0.75, 0.79, 0.81, 0.71)],
        {},
    )
    yield (
        "at a threshold itself a face is lost, and neither born nor recovered",
        still(0.875, 0.875, *[0.95] * PROVEN, 0.76, 0.75, 0.875, 0.875, 0.95),
        {"keep": 0.75, "birth": 0.875, "longest_wait_frames": 1},  # exact in float32
    )
    yield (
        "hidden for 10 frames a face comes back under its id",
        [*proven(), *nothing(10), *still(0.95, 0.95)],
        {},
    )
    yield (
        "hidden for longer it dies, and comes back under another id",
        [*proven(), *nothing(12), *still(*[0.95] * 4)],
        {},
    )
    yield (
        "a face that was not followed for long enough dies where it is lost",
        [*still(*[0.95] * PROVEN)[1:], *nothing(2), *still(*[0.95] * 2)],
        {},
    )
    yield (
        "but not where the detector finds it in that very frame",
        [*still(*[0.95] * 5), *still(*[0.95] * 3, at=(200, 110, 60))],
        {},
    )
    yield (
        "help by the detector begins the row anew, and the longest row counts",
        [
            *proven(),
            *still(*[0.95] * 3, at=(200, 110, 60)),
            *nothing(2),
            *still(0.95, at=(200, 110, 60)),
        ],
        {},
    )
    yield (
        "frames before and after the detector's help are not one row",
        [
            *still(*[0.95] * 4),
            *still(*[0.95] * 5, at=(200, 110, 60)),
            *nothing(1),
        ],
        {"proven_frames": 5},
    )
    yield (
        "a small face is not born, and a face that becomes as small lives on",
        [
            *[frame((150, 110, 26, 0.95)) for _ in range(3)],
            *[frame((150, 110, max(20, 60 - 2.5 * k), 0.95)) for k in range(20)],
        ],
        {"longest_wait_frames": 1},
    )
    yield (
        "the frames change their size: every face dies, and ids go on",
        [
            {**one, "size": [320, 240] if k < 7 else [640, 480]}
            for k, one in enumerate(still(*[0.95] * 10))
        ],
        {},
    )
    yield (
        "a cut: who is where a face was is another one; darkness and black frames are no cuts",
        [
            frame((150, 110, 60, 0.95)) | {"picture": picture}
            for picture in (
                *["pattern"] * PROVEN,
                "dark",
                "mirrored",
                "mirrored",
                "black",
                "pattern",
            )
        ],
        {},
    )
    yield (
        "without cuts it stays the same one",
        [
            frame((150, 110, 60, 0.95)) | {"picture": picture}
            for picture in ("pattern", "mirrored", "pattern")
        ],
        {"cut_correlation": -1},
    )
    yield (
        "after another size and after a cut the detector runs at once",
        [
            *nothing(5),
            *[{**one, "size": [480, 360], "picture": "pattern"} for one in nothing(5)],
            *[{**one, "size": [480, 360], "picture": "mirrored"} for one in nothing(2)],
        ],
        {},
    )
    yield (
        "other options",
        [*still(0.7, 0.55, 0.55, 0.49, 0.49, 0.55, 0.65), *still(0.3, 0.3, 0.3, 0.3, 0.65, 0.65)],
        {"keep": 0.5, "birth": 0.6, "lost_frames": 2, "proven_frames": 1},
    )


def motions_of_one() -> Iterator[tuple[str, list[Facts], Facts]]:
    """One face that moves."""
    yield (
        "a face is born and followed while it moves and grows",
        [frame((90 + 4 * k, 100 + k, 60 + k, 0.95)) for k in range(12)],
        {},
    )
    yield (
        "fast motion: the square is moved on as the face moved, by half its side at most",
        [frame((30 + 36 * k, 110, 60, 0.9)) for k in range(5)]
        + [frame((174 + 54 * k, 110, 60, 0.9)) for k in range(1, 3)],
        {},
    )
    yield (
        "at uneven times it is moved on by the time that has passed",
        [
            frame((40 + 900 * time_s, 110, 60, 0.9)) | {"time_s": time_s}
            for time_s in (0, 0.02, 0.04, 0.11, 0.13, 0.15, 0.22)
        ],
        {},
    )
    yield (
        "where time leaps, stands still or goes back, it is looked for where it was",
        [
            frame((x, 110, 60, 0.9)) | {"time_s": time_s}
            for time_s, x in (
                (0.1, 100),
                (0.13, 116),
                (0.16, 132),
                (0.08, 132),
                (0.11, 148),
                (0.14, 164),
                (0.84, 164),
                (0.84, 166),
                (0.87, 182),
                (0.9, 198),
            )
        ],
        {},
    )
    yield (
        "a face that stops at once",
        [frame((min(40 + 16 * k, 136), 110, 60, 0.9)) for k in range(10)],
        {},
    )
    yield (
        "noise: what moves by less than a twentieth of the square is looked for where it was",
        [frame((150 + 4 * (k % 2), 110, 60, 0.9)) for k in range(6)],
        {},
    )
    yield (
        "a lost face is looked for where it was tracked last",
        [
            *[frame((90 + 12 * k, 110, 60, 0.95)) for k in range(8)],
            *nothing(2),
            *still(0.95, 0.95, at=(174, 110, 60)),
        ],
        {"proven_frames": 5},
    )
    yield (
        "after half a box of way the detector finds a lost face under its id",
        [*proven(), *nothing(2), *still(*[0.95] * 3, at=(198, 110, 60))],
        {},
    )
    yield (
        "after more than that it is another face",
        [*proven(), *nothing(2), *still(*[0.95] * 9, at=(210, 110, 60))],
        {},
    )
    yield (
        "a face more than twice the size is another one",
        [*proven(), *nothing(2), *still(*[0.95] * 9, at=(150, 110, 126))],
        {},
    )
    yield (
        "out over the right border, held outside and dead",
        [frame((200 + 6 * k, 110, 60, 0.95), proposals=None if k < 9 else []) for k in range(34)],
        {},
    )


def companies() -> Iterator[tuple[str, list[Facts], Facts]]:
    """Several faces."""
    yield ("a face in front hides another: each keeps its id", list(crossing()), WIDE)
    yield (
        "a loss beside a face that has been lost for long is searched for at once",
        [
            frame(
                *([(90, 110, 64, 0.95)] if k < 8 else []),
                *([(230, 110, 60, 0.95)] if k < 17 else []),
            )
            for k in range(20)
        ],
        {"proven_frames": 5},
    )
    yield (
        "two tracks come to see one face: where it was expected it stays",
        list(merging()),
        {"proven_frames": 5},
    )
    yield (
        "at most two: a newborn replaces the one that was lost longest",
        list(replaced()),
        WIDE | {"max_faces": 2, "proven_frames": 5},
    )
    yield (
        "cheek to cheek they stay two",
        [frame((120 + k, 110, 60, 0.95), (172 + k, 114, 56, 0.9)) for k in range(8)],
        {},
    )


def detections() -> Iterator[tuple[str, list[Facts], Facts]]:
    """When the detector runs, and what it proposes."""
    yield (
        "a second face is found at the next rescan",
        [frame((90, 110, 60, 0.95), *later(k, 4)) for k in range(14)],
        {"rescan_frames": 10},
    )
    yield (
        "without rescans it is not found",
        [frame((90, 110, 60, 0.95), *later(k, 4)) for k in range(8)],
        {"rescan_frames": 0},
    )
    yield (
        "with room for one it is not searched for",
        [frame((90, 110, 60, 0.95), *later(k, 4)) for k in range(8)],
        {"rescan_frames": 3, "max_faces": 1},
    )
    yield (
        "of three the two largest are born, whatever the order of the proposals",
        [frame((70, 110, 50, 0.95), (170, 110, 70, 0.9), (270, 110, 60, 0.95)) for _ in range(3)],
        {"max_faces": 2},
    )
    yield (
        "proposals that are no faces, twice the same, too small, outside or without size",
        [frame((150, 110, 60, 0.95), proposals=BAD) for _ in range(6)],
        {"rescan_frames": 2},
    )
    yield (
        "a proposal beside a face that is tracked leads to it, and is no other",
        [frame((150, 110, 60, 0.95), proposals=[(105 + 50 * k, 65, 90)]) for k in (0, 1, 1)],
        {"rescan_frames": 1},
    )
    yield (
        "a proposal that misses the face is cropped anew round the landmarks",
        [frame((150, 110, 60, 0.95), proposals=[(70, 62, 120)]) for _ in range(3)],
        {},
    )


#: A frame for several faces.
WIDE: Facts = {"size": [480, 240]}
#: What a bad detector proposes for a face whose square is (105, 65, 90).
BAD = (
    (10, 10, 40), (100, 70, 94), (105, 65, 90), (150, 110, 3), (500, 20, 50), (150, 110, 0),
    (20, 20, 5000),
)  # fmt: skip


def crossing() -> Iterator[Facts]:
    """A face waits, then passes in front of a larger one that stays, and leaves it again."""
    for k in range(PROVEN + 20):
        front = (40 + 18 * max(0, k - PROVEN), 110, 60, 0.96)
        hidden = abs(front[0] - 240) < 36
        yield frame(*([] if hidden else [(240, 112, 70, 0.93)]), front)


def merging() -> Iterator[Facts]:
    """Two faces, of which the left one is gone when the right one comes near its place."""
    for k in range(22):
        right = (200 - 5 * max(0, k - 6), 110, 60, 0.95)
        yield frame(*([(120, 110, 60, 0.95)] if right[0] > 150 else []), right)


def replaced() -> Iterator[Facts]:
    """Two faces that are hidden, one a little later, and a third that appears."""
    for k in range(16):
        left = [] if k >= 10 else [(70, 110, 70, 0.95)]
        middle = [] if 8 <= k < 14 else [(230, 110, 60, 0.95)]
        right = [(390, 110, 50, 0.95)] if k >= 11 else []
        yield frame(*left, *middle, *right)


def later(k: int, first: int) -> list[Row]:
    """A second face from frame `first` on."""
    return [(230, 120, 50, 0.9)] if k >= first else []
