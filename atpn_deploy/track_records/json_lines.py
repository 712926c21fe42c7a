"""JSON Lines: a line about the run, then one line a frame, each flushed as it is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TextIO

from atpn_deploy.face_values import face_values, rounded
from atpn_deploy.track_records.facts import RunFacts
from atpn_deploy.tracking.frame_faces import FrameFaces, TrackedFace


class JsonLines:
    """Writes to an open text stream, which `close` closes if `owned`."""

    def __init__(self, stream: TextIO, facts: RunFacts, *, owned: bool) -> None:
        self._stream = stream
        self._owned = owned
        self._line(facts.as_dict())

    def write(self, index: int, frame: FrameFaces) -> None:
        """One line, handed to the system at once: a kill loses no frame that was done."""
        self._line(frame_values(index, frame))

    def close(self) -> None:
        """Close the stream, unless it was somebody else's."""
        if self._owned:
            self._stream.close()

    def _line(self, values: dict[str, Any]) -> None:
        text = json.dumps(values, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
        self._stream.write(text + "\n")
        self._stream.flush()


def open_json_lines(path: Path, facts: RunFacts) -> JsonLines:
    """A new file at `path`."""
    return JsonLines(path.open("w", encoding="utf-8"), facts, owned=True)


def frame_values(index: int, frame: FrameFaces) -> dict[str, Any]:
    """A frame as plain values; docs/tracking.md names every field."""
    return {
        "index": index,
        "time_s": round(frame.time_s, 6),
        "detected": frame.detected,
        "faces": [_face_values(face) for face in frame.faces],
        "events": [{"kind": e.kind, "id": e.id, "reason": e.reason} for e in frame.events],
    }


def _face_values(tracked: TrackedFace) -> dict[str, Any]:
    """Place and pose as tracked; the confidence is this frame's, of a lost face too."""
    confidence = rounded(tracked.seen.confidence, 4)
    values = face_values(tracked.face) | {"confidence": confidence}
    return {"id": tracked.id, "state": tracked.state, **values}
