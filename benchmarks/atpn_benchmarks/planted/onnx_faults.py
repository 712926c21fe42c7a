"""Faults in .onnx files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from atpn_benchmarks.planted.fault import Array, Fault, epsilon_factors, mirrored, permuted

if TYPE_CHECKING:
    import onnx

    from atpn_deploy.model import ATPN

Plant = Callable[["onnx.ModelProto"], None]


def onnx_faults(model: ATPN) -> tuple[Fault[onnx.ModelProto], ...]:
    """The faults; `model` is what the files were made from."""
    factors = epsilon_factors(model, "high.mid.1.expand", 0.3)[:, None, None, None]
    return (
        Fault("permuted channels", "fp32", "high.mid.0.project.conv",
              constant("high.mid.0.project.conv.weight", permuted)),
        Fault("sign flip", "fp32", "alignment.neck.up_low",
              constant("alignment.neck.up_low.weight", np.negative)),
        Fault("zeroed bias", "fp32", "low.low.1.expand.conv",
              constant("low.low.1.expand.conv.bias", np.zeros_like)),
        Fault("wrong epsilon", "fp32", "high.mid.1.expand.conv",
              constant("high.mid.1.expand.conv.weight", lambda w: w * factors)),
        Fault("fp16 overflow", "fp32", "high.high.1.depthwise.conv", _overflow),
        Fault("swapped axes at the image", "fp32", "low.stem.conv", _swapped_image),
        Fault("swapped axes at the landmarks", "fp32", "alignment", _swapped_reshape),
        Fault("wrong padding", "fp32", "alignment.coord.0.conv", _padding),
        Fault("stale constant map", "fp32", "alignment.coord.1",
              constant("alignment.coord.1.offset", mirrored)),
        Fault("lost activation", "fp32", "low.low.2.depthwise.act", _lost_activation),
        Fault("wrong scale", "int8", "alignment.multiview.1.second.conv",
              constant("alignment.multiview.1.second.conv.weight_scale", lambda s: s * 1.5)),
        Fault("saturated weights", "int8", "high.high.0.expand.conv", _saturated),
        Fault("clipped bias", "int8", "alignment.multiview.2.third.conv",
              constant("alignment.multiview.2.third.conv.bias_quantized", _clipped)),
        Fault("wrong activation range", "int8", "low.low.2", _narrow_range),
    )  # fmt: skip


def every_layer(model: ATPN) -> tuple[Fault[onnx.ModelProto], ...]:
    """In each layer with weights the strongest output channel negated, in float and in int8."""
    from atpn_deploy.folding import FoldedATPN

    network = FoldedATPN(model, "align")
    names = [
        name.removesuffix(".weight")
        for name, _ in network.named_parameters()
        if name.endswith(".weight") and not name.startswith(("pose.", "tracking."))
    ]
    in_float = ("alignment.neck.up_mid", "alignment.neck.up_low")  # in int8 files too
    return tuple(
        Fault("negated channel", base, name, constant(f"{name}.weight{ending}", _negated))
        for base, ending in (("fp32", ""), ("int8", "_quantized"))
        for name in names
        if base == "fp32" or not (name in in_float or name.startswith("alignment.head."))
    )


def _negated(weight: Array) -> Array:
    """The channel with the largest weights, negated."""
    changed = weight.copy()
    sums = np.abs(weight.astype(np.float64)).sum(axis=tuple(range(1, weight.ndim)))
    strongest = int(sums.argmax())
    changed[strongest] = np.clip(-changed[strongest].astype(np.float64), -127, 127)
    return changed


def constant(name: str, change: Callable[[Array], Array]) -> Plant:
    """Put something else in the place of a constant."""

    def plant(model: onnx.ModelProto) -> None:
        import onnx

        tensor = _tensor(model, name)
        old = onnx.numpy_helper.to_array(tensor)
        tensor.CopyFrom(onnx.numpy_helper.from_array(change(old).astype(old.dtype), name))

    return plant


def _tensor(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    found: onnx.TensorProto = next(t for t in model.graph.initializer if t.name == name)
    return found


def _node(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    found: onnx.NodeProto = next(node for node in model.graph.node if node.name == name)
    return found


def _overflow(model: onnx.ModelProto) -> None:
    """A weight beyond 65,504, stored in half precision."""
    import onnx

    name = "high.high.1.depthwise.conv.weight"
    tensor = _tensor(model, name)
    weight = onnx.numpy_helper.to_array(tensor).copy()
    weight.flat[0] = 1e5
    with np.errstate(over="ignore"):
        half = weight.astype(np.float16)
    tensor.CopyFrom(onnx.numpy_helper.from_array(half, f"{name}.half"))
    cast = onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT)
    model.graph.node.insert(0, cast)


def _swapped_image(model: onnx.ModelProto) -> None:
    """Rows and columns exchanged."""
    import onnx

    node = next(n for n in model.graph.node if n.op_type == "Transpose")
    del node.attribute[:]
    node.attribute.append(onnx.helper.make_attribute("perm", [0, 3, 2, 1]))


def _swapped_reshape(model: onnx.ModelProto) -> None:
    """Points as two rows of 98, then transposed: x and y of other points."""
    import onnx

    node = _node(model, "/alignment/Reshape")
    shape = onnx.numpy_helper.from_array(np.array([1, 2, 98]), "swapped_shape")
    model.graph.initializer.append(shape)
    node.input[1] = shape.name
    result = node.output[0]
    node.output[0] = "swapped"
    position = list(model.graph.node).index(node)
    transpose = onnx.helper.make_node("Transpose", ["swapped"], [result], perm=[0, 2, 1])
    model.graph.node.insert(position + 1, transpose)


def _padding(model: onnx.ModelProto) -> None:
    """All padding at the far side, as frameworks with `same` have it."""
    for attribute in _node(model, "/alignment/coord.0/conv/Conv").attribute:
        if attribute.name == "pads":
            attribute.ints[:] = [0, 0, 2, 2]


def _lost_activation(model: onnx.ModelProto) -> None:
    _node(model, "/low/low/low.2/depthwise/act/Relu").op_type = "Identity"


def _saturated(model: onnx.ModelProto) -> None:
    """Scales of a third of what the weights need, the weights cut to 127."""
    name = "high.high.0.expand.conv.weight"
    constant(f"{name}_quantized", lambda w: np.clip(w.astype(np.int32) * 3, -127, 127))(model)
    constant(f"{name}_scale", lambda s: s / 3)(model)


def _clipped(bias: Array) -> Array:
    """As if the accumulator had too few bits."""
    limit = int(np.abs(bias).max() // 8)
    return np.asarray(np.clip(bias, -limit, limit))


def _narrow_range(model: onnx.ModelProto) -> None:
    """A quarter of the range that the sum takes, as a bad calibration would have it.

    Whoever reads it agrees, biases included: they are counted in steps of their layer's input.
    """
    constant("/low/low/low.2/Add_output_0_scale", lambda s: s / 4)(model)
    for module in ("high.mid.0.expand.conv", "alignment.neck.low.conv"):
        constant(f"{module}.bias_quantized", lambda b: b * 4)(model)
        constant(f"{module}.bias_quantized_scale", lambda s: s / 4)(model)


def plant(fault: Fault[onnx.ModelProto], source: Path, spoilt: Path) -> None:
    """Write `source` with a fault to `spoilt`."""
    import onnx

    model = onnx.load(source)
    fault.plant(model)
    spoilt.write_bytes(model.SerializeToString())
