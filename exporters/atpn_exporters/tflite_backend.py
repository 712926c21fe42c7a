"""TFLite: the six flavours of .tflite, what each needs and how far it may be from the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.parity import Limit
from atpn_deploy.tflite_interpreter import RUNTIMES
from atpn_exporters.arithmetic import Arithmetic
from atpn_exporters.limits import (
    HALF_OF_OWN_ERROR,
    HALF_WEIGHT_LIMITS,
    INT8_LIMITS,
    SIDE,
    float32_limits,
    mean_limits,
)
from atpn_exporters.module_names import called_names_of
from atpn_exporters.session import Session, SessionOptions
from atpn_exporters.target import ExportJob, Pace, PlannedOperator, Ranges, Target
from atpn_exporters.tflite_convert import float_file
from atpn_exporters.tflite_flatbuffer import read_model
from atpn_exporters.tflite_graph import graphs, inspect, refuse_foreign_operators
from atpn_exporters.tflite_metadata import read_metadata, with_metadata
from atpn_exporters.tflite_recipe import planned
from atpn_exporters.tflite_session import LiteRTSession

if TYPE_CHECKING:
    from atpn_exporters.bisect.dissection import Dissection


def _export(job: ExportJob, path: Path, quantization: str) -> None:
    """Write one flavour to `path`, its metadata inside."""
    from atpn_exporters.tflite_quantize import quantize

    source = float_file(job.model, job.signature, job.workspace)
    refuse_foreign_operators(source)
    called = called_names_of(job.model) if job.float_modules else None
    content = quantize(source, quantization, job.ranges, job.float_modules, called)
    path.write_bytes(with_metadata(content, job.metadata))


def _plan(job: ExportJob) -> tuple[PlannedOperator, ...]:
    """What int8 does to each operator of the job's one signature."""
    source = float_file(job.model, job.signature, job.workspace)
    [graph] = graphs(read_model(source))
    return tuple(planned(graph, called_names_of(job.model)))


def _observe(job: ExportJob, crops: NDArray[np.uint8]) -> Ranges:
    """Activation ranges of the job's one signature over crops (N, 112, 112, 3)."""
    from atpn_exporters.tflite_quantize import collect_ranges

    source = float_file(job.model, job.signature, job.workspace)
    return collect_ranges(source, crops, job.signature)


def _dissect(path: Path, signature: str | None, called: Mapping[str, str]) -> Dissection:
    """The file's operators one by one; see `Target.dissect`."""
    from atpn_exporters.bisect.tflite_dissection import TfliteDissection

    return TfliteDissection(path, signature, called)


def _load(path: Path, options: SessionOptions) -> Session:
    return LiteRTSession(path, options)


def _exporter(quantization: str) -> Callable[[ExportJob, Path], None]:
    return partial(_export, quantization=quantization)


def _target(
    quantization: str,
    summary: str,
    limits: tuple[Limit, ...],
    *,
    calibrated: bool = False,
    arithmetic: Arithmetic = Arithmetic(),  # noqa: B008  frozen
) -> Target:
    """The record of one flavour; what all six share is written here once."""
    return Target(
        name=f"tflite-{quantization}",
        format="tflite",
        quantization=quantization,
        suffix=".tflite",
        summary=summary,
        export=_exporter(quantization),
        load=_load,
        inspect=inspect,
        read_metadata=read_metadata,
        limits=limits,
        export_needs=("torch", "litert_torch", "ai_edge_litert", "ai_edge_quantizer"),
        run_needs=tuple(runtime.package for runtime in RUNTIMES),
        extra="tflite",
        signatures=("full", "align", "both"),
        observe=_observe if calibrated else None,
        arithmetic=arithmetic,
        plan=_plan if quantization == "int8" else None,
        dissect=_dissect,
        pace=Pace(first_s=30.0),
    )


#: Without one float operator the drift is what it is, most in atpn's hard-swishes.
_HALF_OF_OWN = (
    "half of the network's own error; int8 outputs, a landmark step alone is half a pixel"
)
_WEIGHTS = "int8 weights; activations quantised per call, or float"
FULL_INT8_LIMITS = mean_limits(HALF_OF_OWN_ERROR, 0.15, _HALF_OF_OWN, SIDE)
DYNAMIC_LIMITS = mean_limits((0.3, 1.0, 1.0), 0.1, _WEIGHTS)

#: What LiteRT 2.3 leaves outside every XNNPACK partition of a full-int8 file (`clamp` is its
#: MAXIMUM); softmax was left outside in a network that had one.
NO_INT8_KERNEL = frozenset(("hard_swish", "sqrt", "rsqrt", "clamp", "softmax"))
INT8 = Arithmetic(
    int8=True,
    no_int8_kernel=NO_INT8_KERNEL,
    instead="is computed in float between two casts",
)
FULL_INT8 = Arithmetic(
    int8=True,
    no_int8_kernel=NO_INT8_KERNEL,
    instead="leaves XNNPACK and splits the graph there",
)

TFLITE_FP32 = _target("fp32", "float32, the reference in a file", float32_limits())
TFLITE_FP16 = _target(
    "fp16", "float16 weights: half the size, same speed on a CPU", HALF_WEIGHT_LIMITS
)
TFLITE_DYNAMIC_INT8 = _target(
    "dynamic-int8", "int8 weights, float activations: a quarter of the size", DYNAMIC_LIMITS
)
TFLITE_INT8 = _target(
    "int8",
    "int8, byte input; float only where the runtime has no int8 kernel or float pays",
    INT8_LIMITS,
    calibrated=True,
    arithmetic=INT8,
)
TFLITE_FULL_INT8 = _target(
    "full-int8",
    "not one float operator, int8 outputs: for accelerators that need it",
    FULL_INT8_LIMITS,
    calibrated=True,
    arithmetic=FULL_INT8,
)
TFLITE_INT16X8 = _target(
    "int16x8",
    "int16 activations, int8 weights: near float, but without fast kernels on a CPU",
    DYNAMIC_LIMITS,
    calibrated=True,
)
