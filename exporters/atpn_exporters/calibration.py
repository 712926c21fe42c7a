"""Activation ranges: made from crops once, kept beside the checkpoint, refused by any other."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import CROP_SIDE
from atpn_deploy.crop import Box, cut
from atpn_deploy.errors import CalibrationError
from atpn_exporters.observer import RangeObserver
from atpn_exporters.target import Ranges

#: Above this the two halves of a set see different ranges, so another set would give another file.
#: Measured (docs/calibration.md): sets below 0.23 gave 0.19 to 0.24 px of drift, those at 0.29 and
#: 0.34 gave 0.57 px.
MAX_SPLIT_HALF = 0.25
#: With fewer crops no outlier can be left out: single faces drifted by up to 1.3 px, not 0.5.
ENOUGH_CROPS = 100
#: Fewer crops than this cannot be split into halves that mean anything.
MIN_CROPS = 8


def required_ranges(names: Iterable[str], ranges: Ranges) -> dict[str, tuple[float, float]]:
    """The ranges of a graph's activations; CalibrationError unless each is there and finite."""
    wanted = tuple(names)
    missing = [name for name in wanted if name not in ranges]
    if missing:
        raise CalibrationError(
            f"the calibration lacks {len(missing)} of the network's {len(wanted)} tensors "
            f"({missing[0]}, ...), so it is another network's; make one with --calibration DIR"
        )
    for name in wanted:
        low, high = ranges[name]
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            raise CalibrationError(
                f"the calibration has the range {low} to {high} for {name}; expected two finite "
                "numbers in order: make a new one with --calibration DIR"
            )
    return {name: ranges[name] for name in wanted}


@dataclass(frozen=True)
class Manifest:
    """What made the ranges."""

    count: int
    crops_sha256: str
    source: str
    observer: str = RangeObserver.name
    tools: Mapping[str, str] = field(default_factory=dict)
    #: Mean over the tensors of |difference of the two halves' ranges| / range, by format/signature.
    split_half: Mapping[str, float] = field(default_factory=dict)

    @property
    def too_small(self) -> str:
        """A sentence if the set is too small to trust, else empty."""
        worst = max(self.split_half.values(), default=0.0)
        if worst > MAX_SPLIT_HALF:
            return (
                f"the calibration set of {self.count} crops is too small: its two halves see "
                f"ranges that differ by {worst:.0%} (up to {MAX_SPLIT_HALF:.0%} is trusted); "
                "add crops"
            )
        if self.count < ENOUGH_CROPS:
            return (
                f"the calibration set of {self.count} crops is too small to leave an outlier out; "
                f"give {ENOUGH_CROPS} or more"
            )
        return ""


@dataclass(frozen=True)
class Calibration:
    """Ranges by format, signature and tensor, for one checkpoint."""

    checkpoint_sha256: str
    manifest: Manifest
    ranges: Mapping[str, Mapping[str, Ranges]]

    def for_signatures(self, format_: str, signatures: tuple[str, ...]) -> dict[str, Ranges]:
        """The ranges that quantising these signatures in this format needs."""
        held = self.ranges.get(format_, {})
        if absent := [s for s in signatures if s not in held]:
            raise CalibrationError(
                f"the calibration cache has no ranges for {format_} {', '.join(absent)}; "
                "make one with --calibration DIR"
            )
        return {signature: held[signature] for signature in signatures}

    def save(self, path: Path) -> None:
        """Write the cache as JSON, aside and then renamed."""
        aside = path.with_name(path.name + ".partial")
        text = json.dumps(
            {
                "checkpoint_sha256": self.checkpoint_sha256,
                "manifest": asdict(self.manifest),
                "ranges": self.ranges,
            },
            indent=0,
        )
        aside.write_text(text + "\n")
        aside.rename(path)


def load_calibration(path: Path, checkpoint_sha256: str) -> Calibration:
    """Read a cache; CalibrationError if it is missing, damaged or made for other weights."""
    if not path.is_file():
        raise CalibrationError(
            f"{path} does not exist: this checkpoint has no calibration cache; "
            "give a folder of face crops with --calibration DIR"
        )
    try:
        values = json.loads(path.read_text())
        calibration = Calibration(
            str(values["checkpoint_sha256"]),
            Manifest(**values["manifest"]),
            {
                format_: {
                    signature: {name: (float(low), float(high)) for name, (low, high) in r.items()}
                    for signature, r in signatures.items()
                }
                for format_, signatures in values["ranges"].items()
            },
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CalibrationError(f"{path} is no calibration cache: {error!r}") from error
    if calibration.checkpoint_sha256 != checkpoint_sha256:
        raise CalibrationError(
            f"{path} belongs to the checkpoint {calibration.checkpoint_sha256[:12]}..., not to "
            f"{checkpoint_sha256[:12]}...; make a new one with --calibration DIR"
        )
    return calibration


def crops_from_folder(folder: Path) -> NDArray[np.uint8]:
    """Read square face crops of any size as (N, 112, 112, 3); CalibrationError if unusable."""
    from atpn_deploy.photo import read_folder

    crops = []
    for path, image in read_folder(folder):
        height, width = image.shape[:2]
        if height != width:
            raise CalibrationError(
                f"{path} is {width}x{height}; a calibration image is a square face crop "
                "(cut it with: atpn-track PHOTO --model FILE --crops DIR)"
            )
        crops.append(cut(image, Box(0, 0, width)))
    if len(crops) < MIN_CROPS:
        raise CalibrationError(
            f"{folder} holds {len(crops)} images; calibration needs at least {MIN_CROPS}, "
            "and some hundreds to be trusted"
        )
    return np.stack(crops)


def crops_digest(crops: NDArray[np.uint8]) -> str:
    """SHA-256 of the crops as the network sees them, whatever files they came from."""
    if crops.shape[1:] != (CROP_SIDE, CROP_SIDE, 3) or crops.dtype != np.uint8:
        raise ValueError(f"crops are {crops.dtype} {crops.shape}; expected uint8 (N, 112, 112, 3)")
    return hashlib.sha256(crops.tobytes()).hexdigest()


def merged(halves: tuple[Ranges, Ranges]) -> dict[str, tuple[float, float]]:
    """The range over both halves, tensor by tensor."""
    one, other = halves
    return {
        name: (min(one[name][0], other[name][0]), max(one[name][1], other[name][1]))
        for name in sorted(one)
    }


def split_half(halves: tuple[Ranges, Ranges]) -> float:
    """Mean over the tensors of (|difference of minima| + |difference of maxima|) / range."""
    one, other = halves
    whole = merged(halves)
    shares = [
        (abs(one[n][0] - other[n][0]) + abs(one[n][1] - other[n][1])) / (high - low)
        for n, (low, high) in whole.items()
        if high > low
    ]
    return float(np.mean(shares)) if shares else 0.0


def manifest_facts(manifest: Manifest) -> dict[str, Any]:
    """The manifest as plain values for reports and metadata."""
    return asdict(manifest)
