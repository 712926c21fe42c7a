"""The operators of a .tflite as LiteRT and XNNPACK time them, with the file's own names."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from atpn_benchmarks.operators.counted import Counted, counted_positions
from atpn_benchmarks.operators.operator_profile import OperatorProfile, median_s, whole_median_s
from atpn_benchmarks.operators.partitions import as_run
from atpn_benchmarks.operators.xnnpack_matching import match
from atpn_benchmarks.results import Delegation, OperatorTime
from atpn_deploy.errors import ArtifactError
from atpn_exporters.tflite_flatbuffer import read_model
from atpn_exporters.tflite_graph import Graph, graphs, isolated, unsigned_graph

#: Who timed the operators, by kernels.
HOW = {
    "xnnpack": "XNNPACK's own clock for what it takes, LiteRT's for the rest",
    "builtin": "LiteRT's own clock, without XNNPACK",
}
#: A run of a minute means that something waits for something.
PATIENCE_S = 300


def profile(
    path: Path,
    signature: str | None = None,
    rounds: int = 40,
    kernels: str = "xnnpack",
    threads: int = 1,
) -> OperatorProfile:
    """Time every operator of one signature; None takes the only one, or `full`.

    Raises ArtifactError for a file that LiteRT can't run or whose profile can't be read.
    """
    graph, content = chosen(path, signature)
    with tempfile.TemporaryDirectory() as folder:
        alone = Path(folder) / "alone.tflite"
        alone.write_bytes(content)
        told = _told(path, [str(alone), kernels, str(threads), str(rounds)])
    counted = with_modules(graph, counted_positions(path, signature))
    return OperatorProfile(
        file=path.name,
        signature=graph.signature,
        runtime=_runtime(),
        kernels=kernels,
        how=HOW[kernels],
        threads=threads,
        runs=len(told["elapsed_us"]),
        whole_s=whole_median_s(told["whole"], threads),
        operators=_operators(graph, told, counted),
        delegation=_delegation(graph, told["events"]),
    )


def chosen(path: Path, signature: str | None) -> tuple[Graph, bytes]:
    """The graph of a signature and a file of it alone, whose operators have the same numbers."""
    model = read_model(path)
    names = [graph.signature for graph in graphs(model)]
    if not names and signature is None:
        return unsigned_graph(model), path.read_bytes()
    if signature is None:
        signature = "full" if "full" in names else names[0]
    return isolated(model, signature)


def _told(path: Path, arguments: Sequence[str]) -> dict[str, Any]:
    """What the child says."""
    command = [sys.executable, "-m", "atpn_benchmarks.operators.litert_child", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired as error:
        raise ArtifactError(
            f"{path}: its operators were not timed within {PATIENCE_S} s; ask for fewer --rounds"
        ) from error
    if done.returncode:
        last = (done.stderr.strip() or "no word").splitlines()[-1]
        how = (
            f"was ended by signal {-done.returncode}" if done.returncode < 0 else f"failed: {last}"
        )
        raise ArtifactError(
            f"{path}: LiteRT's profiler {how}; expected a file whose shapes are all fixed, and "
            "the version of ai-edge-litert in constraints.txt"
        )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _operators(
    graph: Graph, told: dict[str, Any], counted: dict[int, Counted]
) -> tuple[OperatorTime, ...]:
    """One row for each operator of the file that took time, all of its events added up."""
    events = told["events"]
    groups: dict[int, list[int]] = {}  # operator to its events
    for event, position in enumerate(positions(graph, events)):
        groups.setdefault(position, []).append(event)
    return tuple(
        _operator(graph, position, own, told, counted[position]) for position, own in groups.items()
    )


def positions(graph: Graph, events: Sequence[tuple[str, bool, int]]) -> list[int]:
    """The operator of the file that each event belongs to."""
    alone = {index for _, delegated, index in events if not delegated}
    order = as_run(graph, alone)
    tags = [tag for tag, delegated, _ in events if delegated]
    matched = iter(match(tags, [graph.operators[position].kind for position in order]))
    return [order[next(matched)] if delegated else index for _, delegated, index in events]


def with_modules(graph: Graph, counted: dict[int, Counted]) -> dict[int, Counted]:
    """Every operator's module; what names none belongs to the one whose result it reads."""
    maker: dict[int, str] = {}
    found = {}
    for position, operator in enumerate(graph.operators):
        own = counted.get(position, Counted())
        if not own.module:
            sources = (maker[index] for index in operator.inputs if maker.get(index))
            own = Counted(next(sources, ""), own.macs)
        maker.update(dict.fromkeys(operator.outputs, own.module))
        found[position] = own
    return found


def _operator(
    graph: Graph, position: int, own: Sequence[int], told: dict[str, Any], counted: Counted
) -> OperatorTime:
    operator = graph.operators[position]
    events = [told["events"][event] for event in own]
    delegated = events[0][1]
    return OperatorTime(
        name=graph.tensors[operator.outputs[0]].name,
        kind=" + ".join(tag for tag, _, _ in events) if delegated else operator.kind,
        module=counted.module,
        delegated=delegated,
        median_s=median_s(
            [sum(run[event] for event in own) for run in told["elapsed_us"]], len(own)
        ),
        macs=counted.macs,
    )


def _delegation(graph: Graph, events: Sequence[tuple[str, bool, int]]) -> Delegation:
    """What ran outside the delegate; every first operator of a partition has the number 0."""
    outside: dict[str, int] = {}
    for tag, delegated, _ in events:
        if not delegated:
            outside[tag] = outside.get(tag, 0) + 1
    return Delegation(
        partitions=sum(delegated and index == 0 for _, delegated, index in events),
        operators=len(graph.operators),
        undelegated=dict(sorted(outside.items())),
        transposes=sum(operator.kind == "TRANSPOSE" for operator in graph.operators),
    )


def _runtime() -> str:
    from importlib.metadata import version

    return f"LiteRT {version('ai-edge-litert')}"
