"""All faults of one format: made, planted and looked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atpn_benchmarks.planted import coreml_faults, onnx_faults, tflite_faults
from atpn_benchmarks.planted.fault import Fault, Found, judge
from atpn_exporters.registry import target_named
from atpn_exporters.target import ExportJob

if TYPE_CHECKING:
    from atpn_deploy.model import ATPN


@dataclass(frozen=True)
class Kind:
    """What is done to files of one format."""

    faults: Callable[[ATPN], tuple[Fault[Any], ...]]
    plant: Callable[[Fault[Any], Path, Path], None]


KINDS: Mapping[str, Kind] = {
    "onnx": Kind(onnx_faults.onnx_faults, onnx_faults.plant),
    "tflite": Kind(tflite_faults.tflite_faults, tflite_faults.plant),
    "coreml": Kind(coreml_faults.coreml_faults, coreml_faults.plant),
}


def trial(
    format_: str,
    model: ATPN,
    images: NDArray[np.uint8],
    workspace: Path,
    faults: tuple[Fault[Any], ...] = (),
) -> tuple[Found, ...]:
    """Plant every fault of a format into files of `model` (signature align) and bisect each.

    `images` are the crops (N, 112, 112, 3) that layers are compared on and that int8 files are
    calibrated with. The files are made once, in `workspace`. `faults` are others than the format's
    own.
    """
    from atpn_exporters.bisect.reference import Network

    kind = KINDS[format_]
    network = Network(model, "align", images)
    found = []
    for fault in faults or kind.faults(model):
        target = target_named(f"{format_}-{fault.base}")
        source = workspace / f"{fault.base}{target.suffix}"
        if not source.exists():
            job = ExportJob(model, "align", {}, workspace)
            ranges = {} if target.observe is None else {"align": target.observe(job, images)}
            target.export(ExportJob(model, "align", {}, workspace, ranges), source)
        spoilt = workspace / f"spoilt{target.suffix}"
        kind.plant(fault, source, spoilt)
        found.append(judge(fault, target, spoilt, network, images))
    return tuple(found)
