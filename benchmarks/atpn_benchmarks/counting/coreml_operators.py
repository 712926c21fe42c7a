"""A .mlpackage's program for counting: which of its operations are layers, views, activations."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from atpn_benchmarks.counting.graph import Graph, Layer, Node, Value, Vocabulary
from atpn_deploy.errors import ArtifactError
from atpn_exporters.coreml_graph import ACTIVATIONS, integer_operations
from atpn_exporters.mil.evaluator import CONST
from atpn_exporters.mil.package import open_package
from atpn_exporters.mil.program import Operation, Reference, ValueType

#: Parameters of layers in the order in which a count names them.
ORDER = {
    "conv": ("x", "weight", "bias"),
    "conv_transpose": ("x", "weight", "bias"),
    "linear": ("x", "weight", "bias"),
    "constexpr_affine_dequantize": ("quantized_data",),
    "constexpr_blockwise_shift_scale": ("data",),
    "constexpr_cast": ("source_val",),
    "constexpr_lut_to_dense": ("indices", "lut"),
    "dequantize": ("input",),
    "quantize": ("input",),
    "prelu": ("x", "alpha"),
    "batch_norm": ("x", "mean", "variance", "gamma", "beta"),
}
VOCABULARY = Vocabulary(
    layers={
        "conv": Layer("conv"),
        "conv_transpose": Layer("deconv"),
        "linear": Layer("linear"),
    },
    free=frozenset(
        """
        abs add avg_pool batch_norm cast ceil clip concat cos cumsum depth_to_space elu equal exp
        fill floor gather gelu greater greater_equal instance_norm inverse layer_norm leaky_relu
        less less_equal log max_pool maximum minimum mul not_equal pad pow prelu quantize
        dequantize real_div reduce_max reduce_mean reduce_min reduce_sum reduce_sum_square relu
        relu6 resize_bilinear resize_nearest_neighbor round rsqrt select shape sigmoid sigmoid_hard
        sign silu sin slice_by_index slice_by_size softmax softplus space_to_depth split sqrt
        square stack sub tanh threshold thresholded_relu tile topk transpose upsample_bilinear
        upsample_nearest_neighbor
        """.split()
    ),
    channel_axis=1,
    views=frozenset(("expand_dims", "identity", "reshape", "squeeze")),
    quantizing=frozenset(("quantize",)),
    dequantizing=frozenset(
        ("constexpr_affine_dequantize", "constexpr_blockwise_shift_scale", "dequantize")
    ),
    activations=frozenset(ACTIVATIONS),
    trained={"batch_norm": (1, 2, 3, 4), "prelu": (1,)},
)


def read(path: Path, signature: str | None) -> Graph:
    """The function of that signature; None, or a package of one function, takes the default.

    Raises ArtifactError for a folder that is no package or lacks the function.
    """
    package = open_package(path)
    wanted = signature or package.default_function
    if wanted not in package.functions:
        if len(package.functions) > 1:
            raise ArtifactError(
                f"{path} has no function {wanted!r}; it has {', '.join(package.functions)}"
            )
        wanted = package.default_function
    function = package.functions[wanted]
    values = {value.name: _value(value.name, value.type) for value in function.inputs}
    integers = integer_operations(function)
    nodes = []
    for position, operation in enumerate(function.operations):
        inputs = _inputs(operation, values)
        for value in operation.outputs:
            values[value.name] = _value(value.name, value.type, constant=operation.kind == CONST)
        if operation.kind != CONST:
            outputs = tuple(value.name for value in operation.outputs)
            nodes.append(
                Node(
                    name=operation.name,
                    kind=operation.kind,
                    inputs=inputs,
                    outputs=outputs,
                    label=operation.name,
                    position=position,
                    integer=operation.name in integers,
                )
            )
    return Graph(
        tuple(nodes), values, tuple(value.name for value in function.inputs), function.outputs
    )


def _inputs(operation: Operation, values: dict[str, Value]) -> tuple[str, ...]:
    """Names of the tensors that an operation reads, layers' in a fixed order, "" for an absent one.

    A tensor that is written in place gets a name of its own; options of one number do not count.
    """
    named = ORDER.get(operation.kind)
    found = []
    for parameter in named or tuple(operation.inputs):
        bound = operation.inputs.get(parameter, ())
        if not bound and named:
            found.append("")
        for number, source in enumerate(bound):
            if isinstance(source, Reference):
                found.append(source.name)
            elif isinstance(source, np.ndarray) and source.size > 1:
                name = f"{operation.name}.{parameter}.{number}"
                values[name] = Value(name, source.shape, source.dtype.name, True)
                found.append(name)
    return tuple(name for name in found if not name or _is_tensor(values[name]))


def _is_tensor(value: Value) -> bool:
    return not value.constant or (value.elements or 0) > 1 or value.dtype.startswith("float")


def _value(name: str, kind: ValueType, constant: bool = False) -> Value:
    shape = None if None in kind.shape else tuple(side or 0 for side in kind.shape)
    return Value(name, shape, kind.dtype, constant)
