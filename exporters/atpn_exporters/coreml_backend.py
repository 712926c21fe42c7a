"""Core ML: the seven flavours of .mlpackage, what each needs and how far it may drift."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.parity import Limit
from atpn_exporters.arithmetic import Arithmetic, Fault
from atpn_exporters.coreml_graph import inspect
from atpn_exporters.coreml_package import read_metadata
from atpn_exporters.coreml_session import CoreMLSession, why_untimed
from atpn_exporters.limits import HALF_OF_OWN_ERROR, SIDE, STEPS, float32_limits, mean_limits
from atpn_exporters.target import ExportJob, Pace, Ranges, Target

if TYPE_CHECKING:
    from atpn_exporters.bisect.dissection import Dissection


def _export(job: ExportJob, path: Path, quantization: str) -> None:
    """Write one flavour to `path`, its metadata inside."""
    from atpn_exporters.coreml_export import export

    export(job, path, quantization)


def _observe(job: ExportJob, crops: NDArray[np.uint8]) -> Ranges:
    """Activation ranges of the job's one signature over crops (N, 112, 112, 3)."""
    from atpn_exporters.coreml_ranges import collect_ranges

    return collect_ranges(job.model, job.signature, crops)


def _dissect(path: Path, signature: str | None, called: Mapping[str, str]) -> Dissection:
    """The file's operators one by one; see `Target.dissect`."""
    from atpn_exporters.bisect.coreml_dissection import CoremlDissection

    return CoremlDissection(path, signature, called)


#: Nothing that runs off a Mac shows it.
LINEAR_BEFORE_HARD_SWISH = Fault(
    ("linear", "hard_swish"),
    2,
    "a linear layer on a 2-D tensor before hard-swish put MobileNetV3's float16 outputs off by up "
    "to 0.2 on Apple's Neural Engine, where MobileNetV2's were within 0.003; with the matrix as a "
    "tensor of rank 4 the fault was gone (apple/coreai-torch#51)",
)
_HALF = Arithmetic(half=True, faults=(LINEAR_BEFORE_HARD_SWISH,))
_FLOAT = Arithmetic()
_INT8 = Arithmetic(int8=True, half=True, faults=(LINEAR_BEFORE_HARD_SWISH,))


def _target(
    quantization: str,
    summary: str,
    limits: tuple[Limit, ...],
    arithmetic: Arithmetic = _HALF,
    *,
    calibrated: bool = False,
) -> Target:
    """The record of one flavour; what all seven share is written here once."""
    return Target(
        name=f"coreml-{quantization}",
        format="coreml",
        quantization=quantization,
        suffix=".mlpackage",
        summary=summary,
        export=partial(_export, quantization=quantization),
        load=CoreMLSession,
        inspect=inspect,
        read_metadata=read_metadata,
        limits=limits,
        export_needs=("torch", "coremltools", "sklearn"),
        # Its protobuf messages are what the evaluator reads a package with.
        run_needs=("coremltools",),
        extra="coreml",
        tools=("torch", "coremltools", "scikit-learn"),
        signatures=("full", "align", "both"),
        observe=_observe if calibrated else None,
        arithmetic=arithmetic,
        dissect=_dissect,
        pace=Pace(first_s=15.0, further_s=8.0, verify_s=15.0),
        untimed=why_untimed,
    )


# Measured on the golden faces of `atpn` and `atpn-lite` with the reference evaluator; the greater
# of the two is given. docs/coreml.md has both.
_ROUNDING = "the same float32 arithmetic in another order; measured 4e-5 px"
_HALVES = (
    "every value rounded to 11 bits: a coordinate near 1 has steps of 0.05 px, so that 0.027 px "
    "are lost at the output alone"
)
_WEIGHTS = "int8 weights, a scale a channel, under float16 activations"
_PALETTE8 = "weights moved to the nearest of 256 values a layer, under float16 activations"
_PALETTE6 = "64 values a layer: a good network's own error is 2.5 px, 6 % and 4 to 5 degrees"
_HALF_OF_OWN = (
    "16 values for eight channels: refused where compressing would weigh as much as half of the "
    "network's own error (4.6 % and 4.7 to 4.9 degrees on unseen faces)"
)
FP16_LIMITS = (
    Limit("landmarks", "max", 0.25, "px", _HALVES, "faces"),
    Limit("pose", "max", 0.3, "degree", _HALVES, "faces"),
    Limit("confidence", "max", 0.005, "probability", _HALVES),
)


COREML_FP32 = _target(
    "fp32", "float32, the reference in a package", float32_limits(_ROUNDING), _FLOAT
)
COREML_FP16 = _target("fp16", "float16 throughout: what the Neural Engine computes in", FP16_LIMITS)
COREML_INT8 = _target(
    "int8",
    "int8 weights with a scale a channel, computed in float16: half of fp16's size",
    mean_limits((0.3, 1.0, 1.0), 0.05, _WEIGHTS, SIDE),
)
COREML_PALETTE8 = _target(
    "palette8",
    "weights from 256 values a layer, computed in float16: int8's size",
    mean_limits((0.3, 1.0, 1.0), 0.05, _PALETTE8, SIDE),
)
COREML_PALETTE6 = _target(
    "palette6",
    "weights from 64 values a layer (256 in depthwise and linear ones), computed in float16",
    mean_limits((0.5, 1.5, 1.5), 0.1, _PALETTE6, SIDE),
)
COREML_PALETTE4 = _target(
    "palette4",
    "16 values for every 8 channels (256 a layer in depthwise and linear ones); iOS 18",
    mean_limits(HALF_OF_OWN_ERROR, 0.15, _HALF_OF_OWN, SIDE),
)
COREML_W8A8 = _target(
    "w8a8",
    "int8 weights and calibrated int8 activations, float16 in heat map and heads",
    mean_limits((0.5, 1.5, 1.5), 0.1, STEPS, SIDE),
    _INT8,
    calibrated=True,
)
