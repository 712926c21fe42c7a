"""ncnn: the two flavours of the folder NAME.ncnn, and how far each may be from the network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from atpn_deploy.errors import ArtifactError, ExportError
from atpn_exporters.limits import HALF_WEIGHT_LIMITS, float32_limits
from atpn_exporters.ncnn_convert import converted
from atpn_exporters.ncnn_graph import Layer, halved, inspect, written
from atpn_exporters.ncnn_package import read_metadata, write_package
from atpn_exporters.ncnn_session import NcnnSession
from atpn_exporters.target import ExportJob, Target


def export_fp32(job: ExportJob, path: Path) -> None:
    """Write the folder with float32 weights."""
    layers, weights = converted(job)
    _write(job, path, layers, weights)


def export_fp16(job: ExportJob, path: Path) -> None:
    """Write the folder with float16 weights; what ncnn computes in is the session's choice."""
    layers, weights = converted(job)
    try:
        smaller = halved(layers, weights)
    except ArtifactError as error:
        raise ExportError(f"fp16 cannot hold {job.model.config.name}: {error}") from error
    _write(job, path, layers, smaller)


def _write(job: ExportJob, path: Path, layers: tuple[Layer, ...], weights: bytes) -> None:
    try:
        write_package(path, written(layers).encode(), weights, job.metadata)
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror}") from error


NCNN_FP32 = Target(
    name="ncnn-fp32",
    format="ncnn",
    quantization="fp32",
    suffix=".ncnn",
    summary="float32: a folder with model.param, model.bin and metadata.json",
    export=export_fp32,
    load=NcnnSession,
    inspect=inspect,
    read_metadata=read_metadata,
    limits=float32_limits(),
    export_needs=("torch", "pnnx", "ncnn"),
    run_needs=("ncnn",),
    extra="ncnn",
    tools=("torch", "pnnx"),
    signatures=("full", "align", "both"),
)
NCNN_FP16 = replace(
    NCNN_FP32,
    name="ncnn-fp16",
    quantization="fp16",
    summary="float16 weights: half the size, same speed on a CPU",
    export=export_fp16,
    limits=HALF_WEIGHT_LIMITS,
)
