"""Every target, in report order: a list one can read."""

from __future__ import annotations

from atpn_deploy.errors import UnsupportedError
from atpn_exporters.coreml_backend import (
    COREML_FP16,
    COREML_FP32,
    COREML_INT8,
    COREML_PALETTE4,
    COREML_PALETTE6,
    COREML_PALETTE8,
    COREML_W8A8,
)
from atpn_exporters.executorch_backend import EXECUTORCH_FP32, EXECUTORCH_INT8
from atpn_exporters.ncnn_backend import NCNN_FP16, NCNN_FP32
from atpn_exporters.onnx_backend import ONNX_DYNAMIC_INT8, ONNX_FP16, ONNX_FP32, ONNX_INT8
from atpn_exporters.target import Target
from atpn_exporters.tflite_backend import (
    TFLITE_DYNAMIC_INT8,
    TFLITE_FP16,
    TFLITE_FP32,
    TFLITE_FULL_INT8,
    TFLITE_INT8,
    TFLITE_INT16X8,
)

TARGETS = {
    target.name: target
    for target in (
        ONNX_FP32,
        ONNX_FP16,
        ONNX_DYNAMIC_INT8,
        ONNX_INT8,
        TFLITE_FP32,
        TFLITE_FP16,
        TFLITE_DYNAMIC_INT8,
        TFLITE_INT8,
        TFLITE_FULL_INT8,
        TFLITE_INT16X8,
        COREML_FP32,
        COREML_FP16,
        COREML_INT8,
        COREML_PALETTE8,
        COREML_PALETTE6,
        COREML_PALETTE4,
        COREML_W8A8,
        EXECUTORCH_FP32,
        EXECUTORCH_INT8,
        NCNN_FP32,
        NCNN_FP16,
    )
}


def target_named(name: str) -> Target:
    """The target of that name; UnsupportedError lists the names."""
    if name not in TARGETS:
        raise UnsupportedError(f"no target is called {name!r}; choose one of {', '.join(TARGETS)}")
    return TARGETS[name]


def float_twin(target: Target) -> Target:
    """The float32 target of the same format, which a quantised file is timed against."""
    return TARGETS[f"{target.format}-fp32"]


def pure_twin(target: Target) -> Target | None:
    """The target of the same format that leaves no operator in float, where there is one."""
    return TARGETS.get(f"{target.format}-full-{target.quantization}")


def select(format_: str, quantization: str) -> tuple[Target, ...]:
    """The targets that a pair of options names; `all` stands for every one.

    Raises UnsupportedError for a pair that names none.
    """
    chosen = tuple(
        target
        for target in TARGETS.values()
        if format_ in ("all", target.format) and quantization in ("all", target.quantization)
    )
    if not chosen:
        formats = sorted({target.format for target in TARGETS.values()})
        if format_ not in formats:
            raise UnsupportedError(f"no format is called {format_!r}; choose {', '.join(formats)}")
        known = [t.quantization for t in TARGETS.values() if t.format == format_]
        raise UnsupportedError(
            f"{format_} has no quantisation {quantization!r}; choose {', '.join(known)} or all"
        )
    return chosen
