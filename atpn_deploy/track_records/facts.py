"""What every file of records says of the run that made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from atpn_deploy.tracking.frame_faces import FrameFaces

#: Raised when a field changes its name or meaning; fields may be added without.
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class RunFacts:
    """The first line of JSON Lines, and the metadata of a Parquet file."""

    input: str  # as it was given
    width: int  # of the first frame, pixels
    height: int
    model: str  # file name
    model_sha256: str
    runtime: str  # "LiteRT 2.3.0"
    options: Mapping[str, Any]  # plain values

    def as_dict(self) -> dict[str, Any]:
        """Plain values, the version of the schema first."""
        return {"schema": "atpn-track", "schema_version": SCHEMA_VERSION, **asdict(self)}


class RecordWriter(Protocol):
    """An open file of records. Frames are told in order."""

    def write(self, index: int, frame: FrameFaces) -> None:
        """Add frame number `index` (of the input, from 0 on); OSError where that fails."""

    def close(self) -> None:
        """Finish the file, so that what was written can be read; once."""
