"""Faults in .tflite files of the signature `align`."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from atpn_benchmarks.planted.fault import Array, Fault, epsilon_factors, mirrored, permuted
from atpn_exporters.tflite_flatbuffer import pack, read_model
from atpn_exporters.tflite_graph import Graph, graphs

if TYPE_CHECKING:
    from atpn_deploy.model import ATPN

WEIGHTS, BIAS = 1, 2
DTYPES = {"FLOAT32": np.float32, "FLOAT16": np.float16, "INT8": np.int8, "INT32": np.int32}


@dataclass(frozen=True)
class TfliteFile:
    """An unpacked file: tensors and operators of its one graph can be changed in place."""

    model: Any
    graph: Graph

    @property
    def subgraph(self) -> Any:
        """The graph as it is stored."""
        return self.model.subgraphs[0]

    def operator(self, label: str, kind: str) -> Any:
        """The operator of this kind that writes the tensor of this name."""
        for shown, stored in zip(self.graph.operators, self.subgraph.operators, strict=True):
            written = self.graph.tensors[shown.outputs[0]].name
            if shown.kind == kind and written == f"{self.graph.signature}/{label}":
                return stored
        raise ValueError(f"no {kind} writes {label}")

    def give(self, operator: Any, place: int, change: Callable[[Array], Array]) -> Any:
        """Let one input of an operator be another constant; returns its tensor.

        A new tensor, for others may read the old one.
        """
        index = int(operator.inputs[place])
        shown, tensor = self.graph.tensors[index], copy.deepcopy(self.subgraph.tensors[index])
        data = np.frombuffer(bytes(self.model.buffers[tensor.buffer].data), DTYPES[shown.dtype])
        old = data.reshape(shown.shape)
        buffer = copy.copy(self.model.buffers[tensor.buffer])
        buffer.data = np.frombuffer(change(old).astype(old.dtype).tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        tensor.buffer = len(self.model.buffers) - 1
        self.subgraph.tensors.append(tensor)
        operator.inputs = [int(i) for i in operator.inputs]
        operator.inputs[place] = len(self.subgraph.tensors) - 1
        return tensor


Plant = Callable[[TfliteFile], None]


def plant(fault: Fault[TfliteFile], source: Path, spoilt: Path) -> None:
    """Write `source` with a fault to `spoilt`."""
    model = read_model(source)
    fault.plant(TfliteFile(model, graphs(model)[0]))
    spoilt.write_bytes(pack(model))


def tflite_faults(model: ATPN) -> tuple[Fault[TfliteFile], ...]:
    """The faults; `model` is what the files were made from."""
    factors = epsilon_factors(model, "high.mid.1.expand", 0.3)
    conv = "CONV_2D"
    return (
        Fault("permuted channels", "fp32", "high.mid.0.project.conv",
              constant("high/mid/0/project/conv", conv, WEIGHTS, permuted)),
        Fault("sign flip", "fp32", "alignment.neck.up_low",
              constant("alignment/neck/up_low/cells", conv, WEIGHTS, np.negative)),
        Fault("zeroed bias", "fp32", "low.low.1.expand.conv",
              constant("low/low/1/expand/act", conv, BIAS, np.zeros_like)),
        Fault("wrong epsilon", "fp32", "high.mid.1.expand.conv",
              constant("high/mid/1/expand/act", conv, WEIGHTS,
                       lambda w: w * factors[:, None, None, None])),
        Fault("fp16 overflow", "fp16", "high.high.1.depthwise.conv", _overflow),
        Fault("swapped axes at the image", "fp32", "low.stem.conv",
              constant("low/stem/act", conv, WEIGHTS, lambda w: w.transpose(0, 2, 1, 3))),
        Fault("swapped axes at the landmarks", "fp32", "alignment.head.linear",
              constant("alignment/head/linear/product/filled", "FULLY_CONNECTED", WEIGHTS,
                       _swapped)),
        Fault("wrong padding", "fp32", "alignment.coord.0.conv",
              constant("alignment/0/conv", "PAD", 1,
                       lambda _: np.array([[0, 0], [0, 2], [0, 2], [0, 0]]))),
        Fault("stale constant map", "fp32", "alignment.coord.1",
              constant("alignment/1/act", "ADD", 1, mirrored)),
        Fault("lost activation", "fp32", "low.low.2.depthwise.conv", _lost_activation),
        Fault("wrong scale", "int8", "alignment.multiview.1.second.conv", _wrong_scale),
        Fault("saturated weights", "int8", "high.high.0.expand.conv", _saturated),
        Fault("clipped bias", "int8", "alignment.multiview.2.third.conv",
              constant("alignment/2/third/act", conv, BIAS, _clipped)),
        Fault("wrong activation range", "int8", "low.low.2", _narrow_range),
    )  # fmt: skip


def constant(label: str, kind: str, place: int, change: Callable[[Array], Array]) -> Plant:
    """Put something else in the place of an operator's constant."""

    def plant(file: TfliteFile) -> None:
        file.give(file.operator(label, kind), place, change)

    return plant


def _swapped(weight: Array) -> Array:
    """Rows as 98 x, then 98 y, where they should alternate; rows of zeros follow."""
    landmarks, zeros = np.split(weight, [2 * 98])
    return np.concatenate((*landmarks[0::2], *landmarks[1::2], *zeros)).reshape(weight.shape)


def _overflow(file: TfliteFile) -> None:
    """A weight beyond 65,504, stored in half precision."""
    depthwise = file.operator("high/high/1/depthwise/act", "DEPTHWISE_CONV_2D")
    restored = file.graph.tensors[int(depthwise.inputs[WEIGHTS])].name
    label = restored.removeprefix(f"{file.graph.signature}/")

    def beyond(weight: Array) -> Array:
        changed = weight.copy()
        changed.flat[0] = np.inf
        return changed

    file.give(file.operator(label, "DEQUANTIZE"), 0, beyond)


def _lost_activation(file: TfliteFile) -> None:
    depthwise = file.operator("low/low/2/depthwise/act", "DEPTHWISE_CONV_2D")
    depthwise.builtinOptions.fusedActivationFunction = 0


def _wrong_scale(file: TfliteFile) -> None:
    operator = file.operator("alignment/1/second/act", "CONV_2D")
    tensor = file.give(operator, WEIGHTS, np.copy)
    tensor.quantization.scale = np.asarray(tensor.quantization.scale) * np.float32(1.5)


def _saturated(file: TfliteFile) -> None:
    """Scales of a third of what the weights need, the weights cut to 127."""
    operator = file.operator("high/high/0/expand/act", "CONV_2D")
    tensor = file.give(operator, WEIGHTS, lambda w: np.clip(w.astype(np.int32) * 3, -127, 127))
    tensor.quantization.scale = np.asarray(tensor.quantization.scale) / np.float32(3)


def _clipped(bias: Array) -> Array:
    """As if the accumulator had too few bits."""
    limit = int(np.abs(bias).max() // 8)
    return np.asarray(np.clip(bias, -limit, limit))


def _narrow_range(file: TfliteFile) -> None:
    """A quarter of the range that the sum takes, as a bad calibration would have it.

    Whoever reads it agrees, biases included: they are counted in steps of their layer's input.
    """
    written = int(file.operator("low/low/2", "ADD").outputs[0])
    quantization = file.subgraph.tensors[written].quantization
    quantization.scale = np.asarray(quantization.scale) / np.float32(4)
    for shown, stored in zip(file.graph.operators, file.subgraph.operators, strict=True):
        if shown.kind == "CONV_2D" and stored.inputs[0] == written:
            bias = file.give(stored, BIAS, lambda b: b * 4)
            bias.quantization.scale = np.asarray(bias.quantization.scale) / np.float32(4)
