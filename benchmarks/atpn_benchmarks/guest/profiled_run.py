"""One run under a runtime's own profiler: what it notes of each operator, in the order they ran."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from atpn_deploy.errors import ArtifactError

#: Takes the run and calls it once.
Around = Callable[[Callable[[], object]], None]
Events = list[dict[str, Any]]

#: Runs before the one that is noted.
WARMUP = 2


def profiled(path: Path, around: Around) -> Events:
    """Run a file of one signature, or ArtifactError for a format without a profiler."""
    if path.suffix not in PROFILERS:
        raise ArtifactError(f"{path.name}: its runtime tells nothing of single operators")
    return PROFILERS[path.suffix](path, around)


def _litert(path: Path, around: Around) -> Events:
    from atpn_benchmarks.operators.litert_library import LiteRTError, ProfiledModel

    found: Events = []
    try:
        model = ProfiledModel(path, "xnnpack", 1)
        for _ in range(WARMUP):
            model.run()
        around(lambda: found.extend(vars(event) for event in model.run()))
    except LiteRTError as error:
        raise ArtifactError(f"{path.name}: LiteRT's profiler does not run it: {error}") from error
    return found


def _onnxruntime(path: Path, around: Around) -> Events:
    from atpn_deploy.onnx_runtime import open_file

    session = open_file(path, 1, "profile")
    feeds = {
        node.name: np.zeros(
            [side if isinstance(side, int) and side > 0 else 1 for side in node.shape],
            {"tensor(float)": "float32", "tensor(float16)": "float16"}.get(
                node.type, node.type.removeprefix("tensor(").removesuffix(")")
            ),
        )
        for node in session.get_inputs()
    }
    for _ in range(WARMUP):
        session.run(None, feeds)
    around(lambda: session.run(None, feeds))
    told = Path(session.end_profiling())
    noted = [event for event in json.loads(told.read_text()) if event["cat"] == "Node"]
    kernels = [event for event in noted if event["name"].endswith("_kernel_time")]
    last = kernels[len(kernels) * WARMUP // (WARMUP + 1) :]  # every run notes the same nodes
    return sorted(last, key=lambda event: float(event["ts"]))


PROFILERS: dict[str, Callable[[Path, Around], Events]] = {
    ".onnx": _onnxruntime,
    ".tflite": _litert,
}
