"""TFLite: the six flavours of .tflite, what each needs and how far it may be from the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.parity import Limit
from atpn_exporters.arithmetic import Arithmetic
from atpn_exporters.module_names import called_names_of
from atpn_exporters.session import Session, SessionOptions
from atpn_exporters.target import ExportJob, Pace, PlannedOperator, Ranges, Target
from atpn_exporters.tflite_convert import float_file
from atpn_exporters.tflite_flatbuffer import read_model
from atpn_exporters.tflite_graph import graphs, inspect, refuse_foreign_operators
from atpn_exporters.tflite_metadata import read_metadata, with_metadata
from atpn_exporters.tflite_recipe import planned
from atpn_exporters.tflite_session import RUNTIMES, LiteRTSession

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


_ROUNDING = "the same float32 arithmetic in another order; 1e-4 px is some thirty roundings of 1.0"
_HALF = "weights rounded to 11 bits; activations stay float32"
_STEPS = "int8 activations: errors of half a step in some thirty layers add up"

FP32_LIMITS = (
    Limit("landmarks", "max", 1e-4, "px", _ROUNDING),
    Limit("pose", "max", 1e-3, "degree", _ROUNDING),
    Limit("confidence", "max", 1e-5, "probability", _ROUNDING),
)
FP16_LIMITS = (
    Limit("landmarks", "max", 0.05, "px", _HALF, "faces"),
    Limit("pose", "max", 0.2, "degree", _HALF, "faces"),
    Limit("confidence", "max", 0.005, "probability", _HALF),
)
INT8_LIMITS = (
    Limit("landmarks", "mean", 0.5, "px", _STEPS, "faces"),
    Limit("landmarks", "mean", 1.5, "% inter-ocular", _STEPS, "faces"),
    Limit("pose", "mean", 1.5, "degree", _STEPS, "faces"),
    Limit("confidence", "max", 0.1, "probability", _STEPS),
)
#: Without one float operator the drift is what it is, most in atpn's hard-swishes: the file is
#: refused where quantising would weigh as much as half of the network's own error, 4.6 % and 4.7
#: to 4.9 degrees on faces that it has not seen.
_HALF_OF_OWN = (
    "half of the network's own error; int8 outputs, a landmark step alone is half a pixel"
)
FULL_INT8_LIMITS = (
    Limit("landmarks", "mean", 1.0, "px", _HALF_OF_OWN, "faces"),
    Limit("landmarks", "mean", 2.3, "% inter-ocular", _HALF_OF_OWN, "faces"),
    Limit("pose", "mean", 2.4, "degree", _HALF_OF_OWN, "faces"),
    Limit("confidence", "max", 0.15, "probability", "a clear face or none stays on its side"),
)
_WEIGHTS = "int8 weights; activations quantised per call, or float"
DYNAMIC_LIMITS = (
    Limit("landmarks", "mean", 0.3, "px", _WEIGHTS, "faces"),
    Limit("landmarks", "mean", 1.0, "% inter-ocular", _WEIGHTS, "faces"),
    Limit("pose", "mean", 1.0, "degree", _WEIGHTS, "faces"),
    Limit("confidence", "max", 0.1, "probability", _WEIGHTS),
)

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

TFLITE_FP32 = _target("fp32", "float32, the reference in a file", FP32_LIMITS)
TFLITE_FP16 = _target("fp16", "float16 weights: half the size, same speed on a CPU", FP16_LIMITS)
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
