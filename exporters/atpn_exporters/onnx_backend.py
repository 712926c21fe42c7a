"""ONNX: the four flavours of ATPN as .onnx files, and how near each must be to the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.errors import CalibrationError
from atpn_deploy.parity import Limit
from atpn_exporters.arithmetic import Arithmetic
from atpn_exporters.onnx_convert import float_model_path, write
from atpn_exporters.onnx_graph import inspect
from atpn_exporters.onnx_session import OnnxSession, read_metadata
from atpn_exporters.target import ExportJob, PlannedOperator, Ranges, Target

if TYPE_CHECKING:
    from atpn_exporters.bisect.dissection import Dissection


def export_fp32(job: ExportJob, path: Path) -> None:
    """Write the float32 file."""
    import onnx

    write(onnx.load(float_model_path(job)), path, job.metadata)


def export_fp16(job: ExportJob, path: Path) -> None:
    """Write the file whose large weights are float16; it computes in float32."""
    import onnx

    from atpn_exporters.onnx_quantize import to_float16

    write(to_float16(onnx.load(float_model_path(job))), path, job.metadata)


def export_dynamic_int8(job: ExportJob, path: Path) -> None:
    """Write the file whose activations are quantised when it runs."""
    import onnx

    from atpn_exporters.onnx_quantize import to_dynamic_int8

    write(to_dynamic_int8(onnx.load(float_model_path(job))), path, job.metadata)


def export_int8(job: ExportJob, path: Path) -> None:
    """Write the calibrated int8 file; CalibrationError if the job has no ranges for it."""
    import onnx

    from atpn_exporters.onnx_quantize import to_static_int8

    source = float_model_path(job)
    if job.signature not in job.ranges:
        raise CalibrationError(
            f"no calibration ranges for the signature {job.signature!r}; "
            "make them from crops of your own with --calibration DIR"
        )
    model = to_static_int8(onnx.load(source), job.ranges[job.signature], job.float_modules)
    write(model, path, job.metadata)


def plan_int8(job: ExportJob) -> tuple[PlannedOperator, ...]:
    """What int8 does to each operator of the job's one signature."""
    import onnx

    from atpn_exporters.onnx_quantize import planned

    return tuple(planned(onnx.load(float_model_path(job))))


def observe(job: ExportJob, crops: NDArray[np.uint8]) -> Ranges:
    """The least and greatest value of every activation over the crops (N, 112, 112, 3)."""
    from atpn_exporters.onnx_quantize import collect_ranges

    return collect_ranges(float_model_path(job), crops)


def dissect(path: Path, signature: str | None, called: Mapping[str, str]) -> Dissection:
    """The file's operators one by one; see `Target.dissect`."""
    from atpn_exporters.bisect.onnx_dissection import OnnxDissection

    return OnnxDissection(path, signature, called)


FP32_LIMITS = (
    Limit("landmarks", "max", 1e-4, "px", "rounding of float32 sums, measured 4e-5 px"),
    Limit("pose", "max", 1e-3, "degree", "rounding of float32 sums, measured 2e-5 degrees"),
    Limit("confidence", "max", 1e-5, "probability", "rounding of float32 sums, measured 1e-7"),
)
FP16_LIMITS = (
    Limit(
        "landmarks",
        "max",
        0.05,
        "px",
        "weights keep 11 bits, measured 0.011 px; no annotator places a point that finely",
        "faces",
    ),
    Limit("pose", "max", 0.1, "degree", "weights keep 11 bits, measured 0.001 degrees", "faces"),
    Limit("confidence", "max", 2e-3, "probability", "weights keep 11 bits, sigmoid slope 1/4"),
)


def _int8_limits(confidence: float, reason: str) -> tuple[Limit, ...]:
    drift = "8 bits a tensor: half a pixel is a fifth of a good network's own error (2.5 px)"
    share = "a quarter of a good network's error (6 %), so that quantising cannot decide it"
    turn = "a third of a good network's error in pose (4 to 5 degrees)"
    return (
        Limit("landmarks", "mean", 0.5, "px", drift, "faces"),
        Limit("landmarks", "mean", 1.5, "% inter-ocular", share, "faces"),
        Limit("pose", "mean", 1.5, "degree", turn, "faces"),
        Limit("confidence", "max", confidence, "probability", reason),
    )


INT8_LIMITS = _int8_limits(
    0.25, "a crop whose score lies mid-slope moves most; a clear face or none stays on its side"
)

#: The caller's layout is NHWC and ONNX computes in NCHW: one transpose of the image.
FLOAT_ARITHMETIC = Arithmetic(transposes=1)
INT8_ARITHMETIC = Arithmetic(
    int8=True,
    no_int8_kernel=frozenset(
        ("conv_transpose", "hard_swish", "hard_sigmoid", "amin", "sqrt", "tanh")
    ),
    instead="is computed in float between two casts",
    transposes=1,
)

#: Import names: a workstation needs all of them, a board only the runtime.
EXPORT_NEEDS = ("torch", "onnx", "onnxscript", "onnxsim", "onnxruntime")
RUN_NEEDS = ("onnxruntime",)

ONNX_FP32 = Target(
    name="onnx-fp32",
    format="onnx",
    quantization="fp32",
    suffix=".onnx",
    summary="float32, the reference for the other three",
    export=export_fp32,
    load=OnnxSession,
    inspect=inspect,
    read_metadata=read_metadata,
    limits=FP32_LIMITS,
    export_needs=EXPORT_NEEDS,
    run_needs=RUN_NEEDS,
    extra="onnx",
    dissect=dissect,
    arithmetic=FLOAT_ARITHMETIC,
)
ONNX_FP16 = replace(
    ONNX_FP32,
    name="onnx-fp16",
    quantization="fp16",
    summary="large weights stored as float16, computed in float32: half the size, same speed",
    export=export_fp16,
    limits=FP16_LIMITS,
)
ONNX_DYNAMIC_INT8 = replace(
    ONNX_FP32,
    name="onnx-dynamic-int8",
    quantization="dynamic-int8",
    summary="8-bit weights, activations quantised when run: no calibration, 0.7x float's speed",
    export=export_dynamic_int8,
    limits=INT8_LIMITS,
)
ONNX_INT8 = replace(
    ONNX_FP32,
    name="onnx-int8",
    quantization="int8",
    summary="8-bit weights per channel and calibrated 8-bit activations (QDQ)",
    export=export_int8,
    limits=INT8_LIMITS,
    observe=observe,
    arithmetic=INT8_ARITHMETIC,
    plan=plan_int8,
)
