"""Parquet: one row a face, landmarks as lists, written a group of rows at a time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.errors import MissingToolError
from atpn_deploy.face_values import ANGLES
from atpn_deploy.track_records.facts import RunFacts
from atpn_deploy.tracking.frame_faces import FrameFaces, TrackedFace

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows that are held in memory before they are written: some 5 MB with all of their faces.
GROUP_ROWS = 1000
#: Under this key of the file's metadata lie the facts of the run, as JSON.
METADATA_KEY = "atpn-track"

#: One row: frame, time_s, detected, and of its face what `schema` names after that, or None.
Row = tuple[int, float, bool, TrackedFace | None]


class Parquet:
    """Holds at most GROUP_ROWS rows. Until `close` has written its end the file can't be read."""

    def __init__(self, path: Path, facts: RunFacts, group_rows: int = GROUP_ROWS) -> None:
        require_pyarrow()
        import pyarrow.parquet as pq

        metadata = {METADATA_KEY: json.dumps(facts.as_dict())}
        self._schema = schema().with_metadata(metadata)
        self._group_rows = group_rows
        self._rows: list[Row] = []
        self._file = pq.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, index: int, frame: FrameFaces) -> None:
        """A row for each face, or one of nulls for none."""
        for face in frame.faces or (None,):
            self._rows.append((index, frame.time_s, frame.detected, face))
        if len(self._rows) >= self._group_rows:
            self._write_group()

    def close(self) -> None:
        """Write the rows that are held and the end of the file."""
        try:
            if self._rows:
                self._write_group()
        finally:
            self._file.close()

    def _write_group(self) -> None:
        group, self._rows = self._rows, []
        self._file.write_batch(_batch(group, self._schema))


def schema() -> pa.Schema:
    """The columns: positions in pixels, angles in degrees; all of a face are null for none."""
    import pyarrow as pa

    real = pa.float32()
    numbers = ("confidence", "box_left", "box_top", "box_side", *(f"{a}_degrees" for a in ANGLES))
    return pa.schema(
        [
            pa.field("frame", pa.int64(), nullable=False),
            pa.field("time_s", pa.float64(), nullable=False),
            pa.field("detected", pa.bool_(), nullable=False),
            pa.field("id", pa.int32()),
            pa.field("state", pa.string()),
            *(pa.field(name, real) for name in numbers),
            pa.field("landmarks_x", pa.list_(real)),
            pa.field("landmarks_y", pa.list_(real)),
        ]
    )


def _batch(rows: list[Row], schema: pa.Schema) -> pa.RecordBatch:
    """The rows as columns."""
    import pyarrow as pa

    faces = [face for _, _, _, face in rows]
    frames, times, detected = (list(column) for column in list(zip(*rows, strict=True))[:3])
    columns: list[list[object]] = [
        frames,
        times,
        detected,
        [face and face.id for face in faces],
        [face and face.state for face in faces],
        *(list(column) for column in zip(*map(_numbers, faces), strict=True)),
        [_points(face, 0) for face in faces],
        [_points(face, 1) for face in faces],
    ]
    arrays = [pa.array(c, field.type) for c, field in zip(columns, schema, strict=True)]
    return pa.record_batch(arrays, schema=schema)


def _numbers(tracked: TrackedFace | None) -> tuple[float | None, ...]:
    """Confidence, box and angles, as `schema` orders them."""
    if tracked is None:
        return (None,) * 7
    box = tracked.face.box
    return (
        tracked.seen.confidence,
        *(box.left, box.top, box.side),
        *np.degrees(tracked.face.pose).tolist(),
    )


def _points(tracked: TrackedFace | None, axis: int) -> NDArray[np.float32] | None:
    """One coordinate of the 98 landmarks."""
    return None if tracked is None else tracked.face.landmarks[:, axis].astype(np.float32)


def require_pyarrow() -> None:
    """Raise MissingToolError with the pip line where it is absent."""
    try:
        import pyarrow  # noqa: F401 (only whether it is there)
    except ImportError as error:
        raise MissingToolError(
            "writing Parquet needs pyarrow: pip install -c constraints.txt 'atpn-deploy[parquet]'"
        ) from error
