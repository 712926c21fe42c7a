"""int8 for ExecuTorch: from ranges alone, through PyTorch's own quantiser of graphs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atpn_exporters.calibration import required_ranges
from atpn_exporters.executorch_convert import executorch_at_work
from atpn_exporters.executorch_recipe import kind_of, left_in_float, names_of
from atpn_exporters.observer import RangeObserver
from atpn_exporters.target import Ranges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch.fx import GraphModule, Node

#: Where PyTorch's quantiser notes what it will do with a node.
ANNOTATION = "quantization_annotation"


def collect_ranges(graph: GraphModule, crops: NDArray[np.uint8]) -> Ranges:
    """The range of every activation over crops (N, 112, 112, 3), as `RangeObserver` has it."""
    import torch
    from torch.fx import Interpreter

    names = names_of(graph)
    found: dict[str, tuple[float, float]] = {}

    class Watching(Interpreter):
        def run_node(self, n: Node) -> Any:
            value = super().run_node(n)
            if n.name in names:
                found[names[n.name]] = (float(value.min()), float(value.max()))
            return value

    observer = RangeObserver(names.values())
    with torch.inference_mode():
        for crop in crops:
            Watching(graph).run(torch.from_numpy(crop[None]).float())
            pairs = [found[name] for name in names.values()]
            observer.add((low for low, _ in pairs), (high for _, high in pairs))
    return observer.ranges()


def quantized(graph: GraphModule, ranges: Ranges, float_modules: Sequence[str] = ()) -> GraphModule:
    """The graph with weights in int8 per channel and activations in int8, from ranges alone.

    No image is run: the quantiser's observers are told what calibration has found. Raises
    CalibrationError for ranges that are not this network's.
    """
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    settled = settle(graph, checked(graph, ranges))
    left = {node.name for node in left_in_float(graph, float_modules)}
    with executorch_at_work("quantise the network"):
        prepared = prepare_pt2e(graph, Selective(left))
        tell_observers(prepared, settled)
        return convert_pt2e(prepared)  # type: ignore[no-any-return]


def checked(graph: GraphModule, ranges: Ranges) -> dict[str, tuple[float, float]]:
    """The ranges by the node's own name, every one present and finite."""
    names = names_of(graph)
    known = required_ranges(names.values(), ranges)
    return {node: known[name] for node, name in names.items()}


def settle(
    graph: GraphModule, ranges: Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    """The ranges as they are quantised: a few are decided by the graph, not by the images.

    The image is bytes, so its step is exactly 1. What only a clamp reads is stored clamped: int8
    saturates for nothing, and its steps are finer.
    """
    settled = dict(ranges)
    for node in graph.graph.nodes:
        source = node.all_input_nodes[0] if node.all_input_nodes else None
        if node.op == "placeholder":
            settled[node.name] = (0.0, 255.0)
        elif kind_of(node) == "permute" and source is not None and source.op == "placeholder":
            settled[node.name] = (0.0, 255.0)
        elif kind_of(node) == "hardtanh" and source is not None and len(source.users) == 1:
            settled[source.name] = settled[node.name] = (float(node.args[1]), float(node.args[2]))
    for node in graph.graph.nodes:
        if kind_of(node) == "add":
            settled |= _faint(graph, node, settled)
    return settled


def _faint(
    graph: GraphModule, addition: Node, ranges: Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    """Wider ranges for terms that are faint beside their sum.

    XNNPACK refuses an int8 addition where one step is below 1/1024 of the sum's, and the file then
    does not load; a step of 1/512 still rounds such a term to far less than the sum's step.
    """
    readers = list(addition.users)
    stored = readers[0] if len(readers) == 1 and kind_of(readers[0]) == "relu" else addition
    low, high = ranges[stored.name]
    least = (high - low) / 512
    wider = {}
    for term in addition.all_input_nodes:
        if term.op == "get_attr":
            values = _constant(graph, term)
            found = (float(values.min()), float(values.max()))
        else:
            found = ranges[term.name]
        if found[1] - found[0] < least:
            centre = (found[0] + found[1]) / 2
            wider[term.name] = (centre - least / 2, centre + least / 2)
    return wider


class Selective:
    """XNNPACK's own quantiser with some nodes left out: it takes every concatenation otherwise."""

    def __init__(self, left: set[str]) -> None:
        from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import XNNPACKQuantizer

        self._left = left
        self._inner: Any = XNNPACKQuantizer().set_global(int8_config())

    def transform_for_annotation(self, model: GraphModule) -> GraphModule:
        """Leave the graph to XNNPACK's quantiser."""
        return self._inner.transform_for_annotation(model)  # type: ignore[no-any-return]

    def annotate(self, model: GraphModule) -> GraphModule:
        """Note what becomes of each node."""
        self._inner.annotate(model)
        for node in model.graph.nodes:
            if node.name in self._left:
                node.meta.pop(ANNOTATION, None)
        return model

    def validate(self, model: GraphModule) -> None:
        """Accept what was noted."""

    def prepare_obs_or_fq_callback(self, model: GraphModule, observers: Any) -> None:
        """Leave the observers as they are; `tell_observers` sets them."""


def int8_config() -> Any:
    """int8 by plain minimum and maximum: a channel's for weights, a tensor's for activations."""
    import torch
    from torchao.quantization.pt2e import MinMaxObserver, PerChannelMinMaxObserver
    from torchao.quantization.pt2e.quantizer import QuantizationConfig, QuantizationSpec

    activations = QuantizationSpec(
        dtype=torch.int8,
        quant_min=-128,
        quant_max=127,
        qscheme=torch.per_tensor_affine,
        is_dynamic=False,
        observer_or_fake_quant_ctr=MinMaxObserver.with_args(eps=2**-20),
    )
    weights = QuantizationSpec(
        dtype=torch.int8,
        quant_min=-127,
        quant_max=127,
        qscheme=torch.per_channel_symmetric,
        ch_axis=0,
        is_dynamic=False,
        observer_or_fake_quant_ctr=PerChannelMinMaxObserver.with_args(eps=2**-20),
    )
    return QuantizationConfig(activations, activations, weights, None, False)


def tell_observers(prepared: GraphModule, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Give every observer the range of what it watches; constants and weights are looked at.

    An observer that watches several nodes, as those of a concatenation, gets the range of all.
    """
    import torch

    observers = dict(prepared.named_modules())
    for node in prepared.graph.nodes:
        observer: Any = observers.get(str(node.target)) if node.op == "call_module" else None
        if observer is None or not hasattr(observer, "min_val"):
            continue
        watched = node.args[0]
        if watched.name in ranges:
            observer(torch.tensor(ranges[watched.name]))
        else:
            observer(_constant(prepared, watched))


def _constant(graph: GraphModule, node: Node) -> Any:
    owner, _, attribute = str(node.target).rpartition(".")
    return getattr(graph.get_submodule(owner), attribute)
