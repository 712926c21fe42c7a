"""The operators of an .onnx as ONNX Runtime's own profiler times them."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atpn_benchmarks.operators.counted import Counted, counted_names
from atpn_benchmarks.operators.operator_profile import (
    OperatorProfile,
    Timed,
    median_s,
    timed,
    whole_median_s,
)
from atpn_benchmarks.results import OperatorTime
from atpn_deploy.onnx_runtime import open_file
from atpn_exporters.module_names import traced_label

if TYPE_CHECKING:
    import onnxruntime

#: Runs of a kind before they are timed, and of one round.
WARMUP, BURST = 5, 5
#: What ONNX Runtime calls the time inside a node's kernel.
KERNEL = "_kernel_time"
#: What it adds to the name of a node that it has merged, copied or given another layout.
ADDED = re.compile(r"^fused |(_nchwc|_token_\d+|_quant)$")
#: Operators of its own that prepare what the next one reads; its others follow on one.
PREPARING = ("ReorderInput", "QuantizeLinear", "DynamicQuantizeLinear")


def profile(path: Path, rounds: int = 40, threads: int = 1) -> OperatorProfile:
    """Time every node of ONNX Runtime's optimised graph.

    Raises ArtifactError for a file that ONNX Runtime can't run.
    """
    import onnxruntime

    whole, runs = _measured(path, rounds, threads)
    shape = [identity(event) for event in runs[0]]
    same = [run for run in runs if [identity(event) for event in run] == shape]
    elapsed = [[float(event["dur"]) for event in run] for run in same]
    counted = counted_names(path)
    found = [counted_behind(name, counted) for name, _ in shape]
    modules = filled([entry.module for entry in found], [kind for _, kind in shape])
    return OperatorProfile(
        file=path.name,
        signature="",
        runtime=f"ONNX Runtime {onnxruntime.__version__}",
        kernels="onnxruntime",
        how="ONNX Runtime's own clock, which counts what its profiler notes of each node as well",
        threads=threads,
        runs=len(same),
        whole_s=whole_median_s(whole, threads),
        operators=tuple(
            OperatorTime(
                name=name,
                kind=kind,
                module=module,
                delegated=False,
                median_s=median_s([run[place] for run in elapsed], 1),
                macs=entry.macs,
            )
            for place, ((name, kind), module, entry) in enumerate(
                zip(shape, modules, found, strict=True)
            )
        ),
        delegation=None,
    )


def _measured(
    path: Path, rounds: int, threads: int
) -> tuple[list[Timed], list[list[dict[str, Any]]]]:
    """(runs without the profiler, events of each run with it), taking turns."""
    plain = open_file(path, threads)
    with tempfile.TemporaryDirectory() as folder:
        profiled = open_file(path, threads, str(Path(folder) / "profile"))
        feeds = _feeds(plain)
        whole = []
        for _ in range(WARMUP):
            plain.run(None, feeds)
            profiled.run(None, feeds)
        for _ in range(rounds):
            plain.run(None, feeds)  # brings its own weights back into the caches
            for _ in range(BURST):
                whole.append(timed(lambda: plain.run(None, feeds)))
            for _ in range(BURST + 1):
                profiled.run(None, feeds)
        events = json.loads(Path(profiled.end_profiling()).read_text())
    return whole, _measured_runs(_by_run(events))


def _measured_runs(runs: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    """Without the warm-up and the first run of every round."""
    return [run for place, run in enumerate(runs[WARMUP:]) if place % (BURST + 1)]


def _by_run(events: Iterable[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The kernels of each run in the order in which they ran; an event of its own ends a run."""
    runs: list[list[dict[str, Any]]] = []
    current: list[dict[str, Any]] = []
    for event in events:
        if event["cat"] == "Node" and event["name"].endswith(KERNEL):
            current.append(event)
        elif event["name"] == "model_run":
            runs.append(sorted(current, key=lambda kernel: float(kernel["ts"])))
            current = []
    return runs


def identity(event: Mapping[str, Any]) -> tuple[str, str]:
    """(name, kind) of a node; a convolution's kind tells its window: `Conv 5x5 depthwise`."""
    return event["name"].removesuffix(KERNEL), event["args"]["op_name"] + _window(event["args"])


def _window(arguments: Mapping[str, Any]) -> str:
    """What the weights of a convolution say: its second input of four dimensions holds them."""
    if "Conv" not in arguments["op_name"]:
        return ""
    shapes = [shape for entry in arguments["input_type_shape"] for shape in entry.values()]
    images = [shape for shape in shapes if len(shape) == 4]
    if len(images) <= 1:  # in one dimension
        return ""
    outputs, inputs, height, width = images[1]
    depthwise = " depthwise" if inputs == 1 < outputs else ""
    return f" {height}x{width}{depthwise}"


def counted_behind(name: str, counted: Mapping[str, Counted]) -> Counted:
    """What the file says of the node behind a name, whatever the optimiser has added to it."""
    stem = name
    while ADDED.search(stem):
        stem = ADDED.sub("", stem)
    found = counted.get(name) or counted.get(stem) or Counted()
    if found.module or not stem.startswith("/"):
        return found
    # A traced name holds the path of its module and then operators, which begin with a capital.
    parts = traced_label(stem).split(".")
    return replace(found, module=".".join(takewhile(lambda part: not part[:1].isupper(), parts)))


def filled(modules: list[str], kinds: list[str]) -> list[str]:
    """Modules, those of nodes that the optimiser put in taken from the node that they serve."""
    filled = list(modules)
    for place in range(len(filled) - 2, -1, -1):
        if not filled[place] and kinds[place] in PREPARING:
            filled[place] = filled[place + 1]
    for place in range(1, len(filled)):
        filled[place] = filled[place] or filled[place - 1]
    return filled


def _feeds(session: onnxruntime.InferenceSession) -> dict[str, Any]:
    """The same noise each time for every input; an open length is one."""
    import numpy as np

    random = np.random.default_rng(0)
    feeds = {}
    for node in session.get_inputs():
        shape = [side if isinstance(side, int) and side > 0 else 1 for side in node.shape]
        dtype = {"tensor(float)": "float32", "tensor(float16)": "float16"}.get(
            node.type, node.type.removeprefix("tensor(").removesuffix(")")
        )
        feeds[node.name] = (random.random(shape) * 255).astype(dtype)
    return feeds
