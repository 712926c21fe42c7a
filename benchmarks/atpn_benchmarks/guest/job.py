"""What a device is asked to time, as one JSON file; host and guest both read it here."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Entry:
    """One file to be timed. Paths are relative to the job's folder."""

    name: str  # unique within the job
    path: str
    #: Name in the registry, whose limits a file is held to; "" for a peer, which is only timed.
    target: str = ""
    signature: str = "full"  # of a file that follows the contract
    expected: str = ""  # .npz of the reference's outputs for `Job.images`; "" for a peer
    #: Shapes of a peer's inputs whose file leaves a length open.
    shapes: dict[str, tuple[int, ...]] | None = None
    #: The file with this signature alone, whose operators are counted; "" where they are not.
    alone: str = ""


@dataclass(frozen=True)
class Job:
    """Files, and how they are timed; see `results.Settings`."""

    entries: tuple[Entry, ...]
    threads: tuple[int, ...] = (1,)
    #: What to pin to, n of them for n threads; empty: the fastest ones.
    cores: tuple[int, ...] = ()
    warmup: int = 10
    samples: int = 200
    seconds: float = 1.0
    rounds: int = 200
    seed: int = 0
    images: str = ""  # .npy of the golden crops (N, 112, 112, 3) uint8
    faces: tuple[bool, ...] = ()  # which of them show a face
    runtime: str = "auto"  # which interpreter runs .tflite
    #: Files of the micro-benchmarks; empty: the core's peaks are not measured.
    peaks: tuple[str, ...] = ()

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Job:
        """Read `save` back."""
        values = json.loads(path.read_text())
        for name in ("threads", "cores", "faces", "peaks"):
            values[name] = tuple(values[name])
        values["entries"] = tuple(Entry(**_with_tuples(entry)) for entry in values["entries"])
        return cls(**values)


def _with_tuples(entry: dict[str, Any]) -> dict[str, Any]:
    shapes = entry["shapes"]
    if isinstance(shapes, dict):
        entry = {**entry, "shapes": {name: tuple(shape) for name, shape in shapes.items()}}
    return entry
