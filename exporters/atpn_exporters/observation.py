"""Make a calibration cache: observe every activation over a folder of crops."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from atpn_deploy.weights import Checkpoint
from atpn_exporters.calibration import (
    Calibration,
    Manifest,
    crops_digest,
    crops_from_folder,
    merged,
    split_half,
)
from atpn_exporters.converters import raise_failure, run_tasks
from atpn_exporters.provenance import tool_versions
from atpn_exporters.target import Target
from atpn_exporters.worker import Request, Task


def make_calibration(
    checkpoint: Checkpoint,
    folder: Path,
    targets: tuple[Target, ...],
    signatures: tuple[str, ...],
    workspace: Path,
) -> Calibration:
    """Observe the crops of `folder` once for every format and signature."""
    crops = crops_from_folder(folder)
    stored = workspace / "crops.npy"
    np.save(stored, crops)
    by_format = {target.format: target for target in targets}
    pairs = [(target, signature) for target in by_format.values() for signature in signatures]
    outputs = [workspace / f"ranges-{t.format}-{s}.json" for t, s in pairs]
    tasks = tuple(
        Task("calibrate", str(output), target.name, signature)
        for (target, signature), output in zip(pairs, outputs, strict=True)
    )
    request = Request(str(checkpoint.path), str(workspace), tasks, crops=str(stored))
    run_tasks(request, workspace / "calibration.log", raise_failure)
    ranges: dict[str, dict[str, Any]] = {}
    disagreement = {}
    for (target, signature), output in zip(pairs, outputs, strict=True):
        halves = json.loads(output.read_text())["halves"]
        ranges.setdefault(target.format, {})[signature] = merged(halves)
        disagreement[f"{target.format}/{signature}"] = round(split_half(halves), 4)
    manifest = Manifest(
        len(crops),
        crops_digest(crops),
        folder.name,
        tools=tool_versions(),
        split_half=disagreement,
    )
    return Calibration(checkpoint.sha256, manifest, ranges)
