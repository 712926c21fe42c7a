"""Which operators of ATPN each TFLite scheme quantises, and why the others stay float."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from atpn_exporters.module_names import NamedOperator, owners
from atpn_exporters.target import PlannedOperator
from atpn_exporters.tflite_graph import Graph, Operator
from atpn_exporters.tracing import is_within

#: Bits of the activations of the schemes that need ranges.
STATIC_BITS = {"int8": 8, "full-int8": 8, "int16x8": 16}
QUANTIZATIONS = ("fp32", "fp16", "dynamic-int8", *STATIC_BITS)

#: Operators that are float where all that they join is: int8 between floats only loses.
JOINING = ("ADD", "CONCATENATION")
#: Layers with fewer weights than this stay float in dynamic-int8: quantising their input at run
#: time costs more than their multiplications save.
DYNAMIC_MINIMUM_WEIGHTS = 1024


def make_recipe(
    quantization: str,
    found: Sequence[Graph],
    chosen: Mapping[str, Sequence[Operator]] | None = None,
) -> list[dict[str, Any]]:
    """The quantizer's rules for one scheme; where two rules match an operator the later counts.

    `chosen` are operators by signature that `int8` leaves in float beside its own.
    """
    from ai_edge_quantizer.qtyping import QuantGranularity, TFLOperationName
    from ai_edge_quantizer.recipe_manager import RecipeManager

    if quantization == "fp16":
        return [_weight_rule("*", "float_casting", 16, "TENSORWISE", "FLOAT")]
    if quantization == "dynamic-int8":
        return _dynamic_rules()
    rules = RecipeManager()
    bits = STATIC_BITS[quantization]
    rules.add_static_config(".*", TFLOperationName.ALL_SUPPORTED, bits, 8)
    if bits == 16:
        # tflite-runtime takes the first channel's scale for all of them, without a word.
        rules.add_static_config(
            ".*", TFLOperationName.FULLY_CONNECTED, 16, 8, QuantGranularity.TENSORWISE
        )
    if quantization == "int8":
        rules.add_quantization_config(".*", TFLOperationName.OUTPUT, algorithm_key=LEAVE)
        for graph in found:
            more = (chosen or {}).get(graph.signature, ())
            for op in dict.fromkeys((*left_in_float(graph), *more)):
                _leave_in_float(rules, graph, op)
    return list(rules.get_quantization_recipe())


#: Operators whose weights are stored as int8 though they compute in float, and what the quantizer
#: calls them.
STORED_AS_INT8 = {
    "FULLY_CONNECTED": "FULLY_CONNECTED",
    "DEPTHWISE_CONV_2D": "DEPTHWISE_CONV_2D",
    "CONV_2D": "CONV_2D",
    "TRANSPOSE_CONV": "CONV_2D_TRANSPOSE",
}
#: The quantizer's name for not touching an operator.
LEAVE = "no_quantize"


def _dynamic_rules() -> list[dict[str, Any]]:
    """Weights int8; dense layers quantise their input at run time, the others work in float.

    XNNPACK has no depthwise kernel that does, and tflite-runtime no transposed convolution; it
    also needs one scale for a whole linear layer.
    """
    uniform = "min_max_uniform_quantize"
    rules = [
        _weight_rule("CONV_2D", uniform, 8, "CHANNELWISE", "INTEGER"),
        _weight_rule("FULLY_CONNECTED", uniform, 8, "TENSORWISE", "INTEGER"),
        _weight_rule("DEPTHWISE_CONV_2D", uniform, 8, "CHANNELWISE", "FLOAT"),
        _weight_rule("CONV_2D_TRANSPOSE", uniform, 8, "CHANNELWISE", "FLOAT"),
    ]
    for rule in rules:
        rule["op_config"]["min_weight_elements"] = DYNAMIC_MINIMUM_WEIGHTS
    return rules


def _weight_rule(
    operation: str, algorithm: str, bits: int, granularity: str, precision: str
) -> dict[str, Any]:
    """A rule on weights alone; precision FLOAT restores them before the arithmetic."""
    return {
        "regex": ".*",
        "operation": operation,
        "algorithm_key": algorithm,
        "op_config": {
            "weight_tensor_config": {
                "num_bits": bits,
                "symmetric": True,
                "granularity": granularity,
                "dtype": "FLOAT" if bits == 16 else "INT",
            },
            "compute_precision": precision,
            "explicit_dequantize": precision == "FLOAT",
        },
    }


def left_in_float(graph: Graph) -> list[Operator]:
    """The operators of one signature that the scheme `int8` computes in float.

    - HARD_SWISH: XNNPACK has no int8 kernel for it. In int8 it breaks the graph into dozens of
      partitions and the file is slower than its float original.
    - The 7x7 depthwise heads: XNNPACK's int8 kernel for 49 taps takes 1.6 times as long as the
      float one, and their sums are the finest numbers of the network (a quarter of the drift).
    - The linear layers and what depends on nothing else: heat map, tanh, sigmoid. An int8 landmark
      has steps of half a pixel, and TANH, SQRT and the like have no int8 kernel. Where the heat
      map meets the features the graph is int8 again.
    - What lies between the last hard-swishes and the landmark head, see `_before_head`.
    """
    left: list[Operator] = []
    tail: set[int] = set()
    for op in graph.operators:
        data = [index for index in op.inputs if not graph.tensors[index].constant]
        if op.kind == "FULLY_CONNECTED" or (data and tail.issuperset(data)):
            tail.update(op.outputs)
            left.append(op)
        elif op.kind == "HARD_SWISH":
            left.append(op)
        elif _is_head(graph, op):
            left += [op, *_before_head(graph, op)]
    return left


def planned(graph: Graph, called: Mapping[str, str]) -> list[PlannedOperator]:
    """What the scheme `int8` does to each operator; `called` as `module_names.called_names`."""
    names = [graph.tensors[op.outputs[0]].name for op in graph.operators]
    labels = [name.partition("/")[2].partition(":")[0].replace("/", ".") for name in names]
    modules = owners(
        [
            NamedOperator(label, op.inputs, op.outputs)
            for label, op in zip(labels, graph.operators, strict=True)
        ],
        called,
    )
    left = set(left_in_float(graph))
    return [
        PlannedOperator(module, name, op in left)
        for module, name, op in zip(modules, names, graph.operators, strict=True)
    ]


def in_modules(graph: Graph, called: Mapping[str, str], modules: Sequence[str]) -> list[Operator]:
    """The operators that lie in one of the modules, and what only joins their results."""
    chosen: list[Operator] = []
    made: set[int] = set()
    for op, plan in zip(graph.operators, planned(graph, called), strict=True):
        data = [index for index in op.inputs if not graph.tensors[index].constant]
        joins = op.kind in JOINING and bool(data) and made.issuperset(data)
        if joins or any(is_within(plan.module, module) for module in modules):
            chosen.append(op)
            made.update(op.outputs)
    return chosen


def _before_head(graph: Graph, head: Operator) -> list[Operator]:
    """The concatenation, the additions and the coarsest convolution that feed float hard-swishes.

    Between two float operators an int8 tensor only loses: the concatenated hard-swishes lie mostly
    within 1 and would share the steps of values up to 14. `atpn`, drift on 80 faces and speed
    against float: nothing of this 1.04 px at 1.56x; concatenation and additions 0.67 px at 1.59x;
    with the 7x7 convolution 0.41 px at 1.53x; with the 14x14 one too 0.37 px at 1.48x.
    """
    maker = {index: op for op in graph.operators for index in op.outputs}
    joined = maker.get(head.inputs[0])
    if joined is None or joined.kind != "CONCATENATION":
        return []
    swishes = [maker[index] for index in joined.inputs]
    if any(op.kind != "HARD_SWISH" for op in swishes):
        return []
    left = [joined]
    for swish in swishes:
        addition = maker[swish.inputs[0]]
        left.append(addition)
        for index in addition.inputs:
            conv = maker.get(index)
            if conv is not None and conv.kind == "CONV_2D" and _keeps_size(graph, conv):
                left.append(conv)
    return left


def _keeps_size(graph: Graph, op: Operator) -> bool:
    """Whether a convolution has no stride: (1, h, w, A) to (1, h, w, B)."""
    before, after = graph.tensors[op.inputs[0]].shape, graph.tensors[op.outputs[0]].shape
    return before[1:3] == after[1:3]


def _is_head(graph: Graph, op: Operator) -> bool:
    """A depthwise convolution over a whole map: (1, h, w, C) to (1, 1, 1, C)."""
    return op.kind == "DEPTHWISE_CONV_2D" and graph.tensors[op.outputs[0]].shape[1:3] == (1, 1)


def _leave_in_float(rules: Any, graph: Graph, op: Operator) -> None:
    """Add the rule that keeps one operator's arithmetic in float; weights are stored as int8."""
    from ai_edge_quantizer.qtyping import TFLOperationName

    # The quantizer matches an operator by the names of its outputs, each followed by ";".
    scope = "^" + "".join(re.escape(graph.tensors[index].name + ";") for index in op.outputs)
    if op.kind in STORED_AS_INT8:
        rules.add_weight_only_config(scope, TFLOperationName(STORED_AS_INT8[op.kind]), 8)
    else:
        rules.add_quantization_config(scope, TFLOperationName.ALL_SUPPORTED, algorithm_key=LEAVE)
