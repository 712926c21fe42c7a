"""ExecuTorch: the two flavours of .pte, all of it on XNNPACK, and how far each may drift."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.errors import ArtifactError, CalibrationError, ExportError
from atpn_exporters.arithmetic import Arithmetic
from atpn_exporters.executorch_convert import program_bytes, traced
from atpn_exporters.executorch_file import Method, read_metadata, read_methods, sealed
from atpn_exporters.executorch_session import ExecutorchSession
from atpn_exporters.limits import INT8_LIMITS, float32_limits
from atpn_exporters.target import (
    ExportJob,
    GraphFacts,
    PlannedOperator,
    Ranges,
    Target,
    signatures_of,
)
from atpn_exporters.xnnpack_graph import Node

if TYPE_CHECKING:
    from torch.fx import GraphModule


def export_fp32(job: ExportJob, path: Path) -> None:
    """Write the float32 file."""
    _write(path, program_bytes(job))


def export_int8(job: ExportJob, path: Path) -> None:
    """Write the calibrated int8 file; CalibrationError if the job has no ranges for it."""
    from atpn_exporters.executorch_quantize import quantized

    if absent := [s for s in signatures_of(job.signature) if s not in job.ranges]:
        raise CalibrationError(
            f"no calibration ranges for the signature {', '.join(absent)}; "
            "make them from crops of your own with --calibration DIR"
        )

    def prepared(graph: GraphModule, signature: str) -> GraphModule:
        return quantized(graph, job.ranges[signature], job.float_modules)

    _write(path, program_bytes(job, prepared))


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(sealed(content))
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror}") from error


def observe(job: ExportJob, crops: NDArray[np.uint8]) -> Ranges:
    """Activation ranges of the job's one signature over crops (N, 112, 112, 3)."""
    from atpn_exporters.executorch_quantize import collect_ranges

    return collect_ranges(traced(job.model, job.signature), crops)


def plan(job: ExportJob) -> tuple[PlannedOperator, ...]:
    """What int8 does to each operator of the job's one signature."""
    from atpn_exporters.executorch_recipe import planned

    return tuple(planned(traced(job.model, job.signature)))


def inspect(path: Path) -> GraphFacts:
    """The facts of a report: all methods added up, partitions and transposes of the worst one."""
    methods = [m for m in read_methods(path).values() if m.delegates or m.kernels]
    if not methods:
        raise ArtifactError(f"{path} computes nothing: none of its methods has an operator")
    nodes = [node for method in methods for part in method.delegates for node in part]
    outside = Counter(kernel for method in methods for kernel in method.kernels)
    floats = Counter(node.kind for node in nodes if _in_float(node))
    return GraphFacts(
        operators=dict(sorted((Counter(node.kind for node in nodes) + outside).items())),
        float_operators=dict(sorted((floats + outside).items())),
        transposes=max(_transposes(method) for method in methods),
        partitions=max(len(method.delegates) for method in methods),
        undelegated=dict(sorted(outside.items())),
        scheme=_scheme(nodes),
    )


def _transposes(method: Method) -> int:
    return sum(node.kind == "TRANSPOSE" for part in method.delegates for node in part)


def _in_float(node: Node) -> bool:
    """Whether an operator computes in float: any but a cast that stores float values."""
    return node.stores.startswith("float") and node.kind != "CONVERT"


def _scheme(nodes: list[Node]) -> str:
    """What the file stores and computes in: weights, then activations, then floats."""
    computing = [node for node in nodes if node.kind != "CONVERT"]
    weights = Counter(node.weights for node in computing if node.weights)
    activations = Counter(node.stores for node in computing)
    floats = sum(_in_float(node) for node in computing)
    return (
        f"weights {' and '.join(kind for kind, _ in weights.most_common())}; activations "
        f"{' and '.join(kind for kind, _ in activations.most_common())}; "
        f"{floats} of {len(computing)} operators in float"
    )


#: Exported graphs are channel-first and XNNPACK's channel-last: the image (two), the constant maps
#: of the CoordConvs, the heat map and the vectors before the linear layers.
TRANSPOSES = 10

EXECUTORCH_FP32 = Target(
    name="executorch-fp32",
    format="executorch",
    quantization="fp32",
    suffix=".pte",
    summary="float32, every operator on XNNPACK",
    export=export_fp32,
    load=ExecutorchSession,
    inspect=inspect,
    read_metadata=read_metadata,
    limits=float32_limits(),
    export_needs=("torch", "executorch", "torchao"),
    run_needs=("executorch",),
    extra="executorch",
    tools=("torch", "torchao", "executorch"),
    signatures=("full", "align", "both"),
    arithmetic=Arithmetic(transposes=TRANSPOSES),
)
EXECUTORCH_INT8 = replace(
    EXECUTORCH_FP32,
    name="executorch-int8",
    quantization="int8",
    summary="8-bit weights per channel and calibrated 8-bit activations, all on XNNPACK",
    export=export_int8,
    limits=INT8_LIMITS,
    observe=observe,
    arithmetic=Arithmetic(
        int8=True,
        no_int8_kernel=frozenset(("hard_swish", "sqrt", "rsqrt", "clamp", "softmax")),
        instead="is computed in float between two casts",
        transposes=TRANSPOSES,
    ),
    plan=plan,
)
