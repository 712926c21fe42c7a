"""Faults in .mlpackage files of the signature `align`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from atpn_benchmarks.planted.fault import Array, Fault, epsilon_factors, mirrored, permuted
from atpn_exporters.coreml_package import PROGRAM, WEIGHT_FILE
from atpn_exporters.mil.blob import ENTRY
from atpn_exporters.mil.messages import model_class
from atpn_exporters.mil.values import ConstantReader

if TYPE_CHECKING:
    from atpn_deploy.model import ATPN

Plant = Callable[["CoremlFile"], None]


class CoremlFile:
    """A package whose constants and operations can be changed in place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._program = path / "Data" / PROGRAM
        self._weights = path / "Data" / WEIGHT_FILE
        self._message = model_class()()
        self._message.ParseFromString(self._program.read_bytes())
        self._content = bytearray(self._weights.read_bytes())
        [function] = self._message.mlProgram.functions.values()
        self._operations = function.block_specializations[function.opset].operations

    def save(self) -> None:
        """Write the package back."""
        self._program.write_bytes(self._message.SerializeToString())
        self._weights.write_bytes(self._content)

    def operation(self, name: str) -> Any:
        """The operation that writes the value of this name."""
        return next(op for op in self._operations if op.outputs[0].name == name)

    def change(self, name: str, parameter: str, change: Callable[[Array], Array]) -> None:
        """Put something else in the place of a constant that an operation reads."""
        message = self._constant(self.operation(name), parameter)
        old = np.asarray(ConstantReader(self._program.parent).read(message))
        new = np.ascontiguousarray(change(old).astype(old.dtype))
        if message.WhichOneof("value") == "blobFileValue":
            start = ENTRY.unpack_from(self._content, message.blobFileValue.offset)[-1]
            self._content[start : start + new.nbytes] = new.tobytes()
            return
        tensor = message.immediateValue.tensor
        field = tensor.WhichOneof("value")
        if field == "bytes":
            tensor.bytes.values = new.tobytes()
        else:
            getattr(tensor, field).values[:] = new.ravel().tolist()

    def _constant(self, operation: Any, parameter: str) -> Any:
        """The message that holds a parameter: in the operation itself, or in a const."""
        if parameter in operation.attributes:
            return operation.attributes[parameter]
        [argument] = operation.inputs[parameter].arguments
        if argument.WhichOneof("binding") == "value":
            return argument.value
        return self.operation(argument.name).attributes["val"]

    def source(self, name: str, parameter: str) -> str:
        """Name of the value that an operation reads."""
        return str(self.operation(name).inputs[parameter].arguments[0].name)


def plant(fault: Fault[CoremlFile], source: Path, spoilt: Path) -> None:
    """Write `source` with a fault to `spoilt`."""
    shutil.rmtree(spoilt, ignore_errors=True)
    shutil.copytree(source, spoilt)
    file = CoremlFile(spoilt)
    fault.plant(file)
    file.save()


def coreml_faults(model: ATPN) -> tuple[Fault[CoremlFile], ...]:
    """The faults; `model` is what the packages were made from."""
    factors = epsilon_factors(model, "high.mid.1.expand", 0.3)
    return (
        Fault("permuted channels", "fp32", "high.mid.0.project.conv",
              constant("high_mid_0_project_conv", "weight", permuted)),
        Fault("sign flip", "fp32", "alignment.neck.up_low",
              constant("alignment_neck_up_low", "weight", np.negative)),
        Fault("zeroed bias", "fp32", "low.low.1.expand.conv",
              constant("low_low_1_expand_conv", "bias", np.zeros_like)),
        Fault("wrong epsilon", "fp32", "high.mid.1.expand.conv",
              constant("high_mid_1_expand_conv", "weight",
                       lambda w: w * factors[:, None, None, None])),
        Fault("fp16 overflow", "fp16", "high.high.1.depthwise.conv",
              constant("high_high_1_depthwise_conv_cast_fp16", "weight", lambda w: w * 3e4)),
        Fault("swapped axes at the image", "fp32", "low.stem.conv",
              constant("low_stem_conv", "weight", lambda w: w.transpose(0, 1, 3, 2))),
        Fault("swapped axes at the landmarks", "fp32", "alignment.head.linear",
              constant("alignment_head_linear", "weight", _swapped)),
        Fault("wrong padding", "fp32", "alignment.coord.0.conv",
              constant("alignment_coord_0_conv", "pad", lambda _: np.array([0, 2, 0, 2]))),
        Fault("stale constant map", "fp32", "alignment.coord.1",
              constant("alignment_coord_1", "y", mirrored)),
        Fault("lost activation", "fp32", "low.low.2.depthwise.act", _lost_activation),
        Fault("wrong scale", "int8", "alignment.multiview.1.second.conv", _wrong_scale),
        Fault("saturated weights", "int8", "high.high.0.expand.conv", _saturated),
        Fault("clipped bias", "int8", "alignment.multiview.2.third.conv",
              constant("alignment_multiview_2_third_conv_cast_fp16", "bias", _clipped)),
        Fault("wrong activation range", "w8a8", "low.low.2.expand.act", _narrow_range),
    )  # fmt: skip


def constant(name: str, parameter: str, change: Callable[[Array], Array]) -> Plant:
    """Put something else in the place of an operation's constant."""
    return lambda file: file.change(name, parameter, change)


def _swapped(weight: Array) -> Array:
    """Rows as 98 x, then 98 y, where they should alternate."""
    return weight.reshape(98, 2, -1).transpose(1, 0, 2).reshape(weight.shape)


def _lost_activation(file: CoremlFile) -> None:
    file.operation("low_low_2_depthwise_act").type = "identity"


def _wrong_scale(file: CoremlFile) -> None:
    weight = file.source("alignment_multiview_1_second_conv_cast_fp16", "weight")
    file.change(weight, "scale", lambda s: s * 1.5)


def _saturated(file: CoremlFile) -> None:
    """Scales of a third of what the weights need, the weights cut to 127."""
    weight = file.source("high_high_0_expand_conv_cast_fp16", "weight")
    file.change(weight, "quantized_data", lambda w: np.clip(w.astype(np.int32) * 3, -127, 127))
    file.change(weight, "scale", lambda s: s / 3)


def _clipped(bias: Array) -> Array:
    """Cut at an eighth of the largest."""
    limit = np.abs(bias).max() / 8
    return np.asarray(np.clip(bias, -limit, limit))


def _narrow_range(file: CoremlFile) -> None:
    """A quarter of the range that the activation takes, as a bad calibration would have it."""
    restored = file.source("low_low_2_depthwise_conv_cast_fp16", "x")
    for name in (restored, file.source(restored, "input")):
        file.change(name, "scale", lambda s: s / 4)
