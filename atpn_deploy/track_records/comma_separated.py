"""CSV: one row a face, and one row with empty cells for a frame without faces."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from atpn_deploy.contract import LANDMARKS
from atpn_deploy.face_values import ANGLES, rounded, rounded_all
from atpn_deploy.track_records.facts import RunFacts
from atpn_deploy.tracking.frame_faces import FrameFaces, TrackedFace

#: What `state` says in the one row of a frame without faces.
NO_FACE = "none"

COLUMNS = (
    *("frame", "time_s", "id", "state", "confidence", "box_left", "box_top", "box_side"),
    *(f"{angle}_degrees" for angle in ANGLES),
    *(f"{axis}{point}" for point in range(LANDMARKS.shape[1]) for axis in "xy"),
)


class CommaSeparated:
    """Writes rows; each is handed to the system at once."""

    def __init__(self, path: Path, facts: RunFacts) -> None:
        # Its first line names the columns, as readers of CSV expect; the facts are in --summary.
        self._stream = path.open("w", encoding="utf-8", newline="", buffering=1)
        self._rows = csv.writer(self._stream, lineterminator="\n")
        self._rows.writerow(COLUMNS)

    def write(self, index: int, frame: FrameFaces) -> None:
        """A row for each face, or the one that says that there is none."""
        where = [index, round(frame.time_s, 6)]
        if not frame.faces:
            blank = [""] * (len(COLUMNS) - len(where) - 2)
            self._rows.writerow([*where, "", NO_FACE, *blank])
        for face in frame.faces:
            self._rows.writerow([*where, *_cells(face)])

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def _cells(tracked: TrackedFace) -> list[object]:
    """From `id` on; what is not finite is None, which CSV leaves empty."""
    face, box = tracked.face, tracked.face.box
    return [
        tracked.id,
        tracked.state,
        rounded(tracked.seen.confidence, 4),
        *(rounded(value, 2) for value in (box.left, box.top, box.side)),
        *rounded_all(np.degrees(face.pose), 2),
        *rounded_all(face.landmarks.reshape(-1), 2),
    ]
