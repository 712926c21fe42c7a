"""A float Core ML program to fewer bits: weights by scale or by palette, activations by ranges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from atpn_deploy.contract import IMAGE
from atpn_exporters.calibration import required_ranges
from atpn_exporters.coreml_names import HALF
from atpn_exporters.target import Ranges

#: Weights of fewer values stay float16 where only size counts: their scales or palettes would take
#: much of what is saved.
COMPRESSED_FROM = 512
#: Channels that share one palette where a palette has 16 colours; one for a whole layer loses
#: several pixels (docs/coreml.md).
PALETTE_CHANNELS = 8
#: What stays in float16 of a program whose activations are int8. The heat map squares distances,
#: which eight bits cannot hold; a step of a head's output would be half a pixel; the convolutions
#: before the head cost 0.4 px alone, as nothing after them averages their steps out.
FLOAT_PARTS = (
    "alignment_add",
    "alignment_coord",
    "alignment_head",
    "heatmap",
    "pose_head",
    "tracking_head",
)
#: What the passes quantise or read beside it, and the network computes under the same name.
OBSERVED = ("add", "concat", "conv", "conv_transpose", "linear", "mul", "reduce_mean", "relu")


def quantize_weights(model: Any, smallest: int = COMPRESSED_FROM) -> Any:
    """Weights of `smallest` values or more as int8, symmetric, one scale an output channel.

    Other constants stay what they are: the mean shape in int8 moved the landmarks by 0.13 px.
    """
    from coremltools.optimize import coreml as optimize

    spec = model.get_spec()
    weights = {
        o.inputs["weight"].arguments[0].name for o in _operations(spec) if "weight" in o.inputs
    }
    others = {o.outputs[0].name for o in _constants(spec)} - weights
    config = optimize.OpLinearQuantizerConfig(
        mode="linear_symmetric",
        dtype="int8",
        granularity="per_channel",
        weight_threshold=smallest - 1,
    )
    return optimize.linear_quantize_weights(
        model,
        optimize.OptimizationConfig(
            global_config=config, op_name_configs=dict.fromkeys(sorted(others))
        ),
    )


def palettize_weights(model: Any, bits: int) -> Any:
    """Weights as indices of `bits` into palettes that k-means chose, those of FINE layers of 8.

    One palette a layer; with 16 colours one for every PALETTE_CHANNELS output channels, which
    needs a program of iOS 18. Above 10,000 weights the k-means is exact; below it is scikit-learn's
    with a fixed seed, on one thread, for its sums depend on how many there are.
    """
    import sklearn.cluster  # noqa: F401 - the limit holds for libraries that are loaded
    from coremltools.optimize import coreml as optimize
    from threadpoolctl import threadpool_limits

    def palette(bits: int) -> Any:
        return optimize.OpPalettizerConfig(
            mode="kmeans",
            nbits=bits,
            granularity="per_grouped_channel" if bits <= 4 else "per_tensor",
            group_size=PALETTE_CHANNELS,
            weight_threshold=COMPRESSED_FROM - 1,
            num_kmeans_workers=1,
        )

    fine = {name: palette(8) for name in _fine_layers(model.get_spec())}
    config = optimize.OptimizationConfig(global_config=palette(bits), op_name_configs=fine)
    with threadpool_limits(1):
        return optimize.palettize_weights(model, config)


def _fine_layers(spec: Any) -> list[str]:
    """Weights in which few numbers decide much: those of linear layers and of depthwise ones."""
    operations = _operations(spec)
    shapes = {
        operation.outputs[0].name: [
            d.constant.size for d in operation.outputs[0].type.tensorType.dimensions
        ]
        for operation in _constants(spec)
    }
    names = []
    for operation in operations:
        if operation.type in ("conv", "linear"):
            weight = operation.inputs["weight"].arguments[0].name
            if operation.type == "linear" or shapes[weight][1] == 1:
                names.append(weight)
    return names


def quantize_activations(model: Any, ranges: Ranges) -> Any:
    """Activations as int8 with a zero point, by quantise and dequantise pairs around the layers.

    coremltools' own function runs the program to find the ranges, which only a Mac can; these are
    its passes, given ranges by module name that were observed in PyTorch. Raises CalibrationError
    if one is missing or no range.
    """
    from coremltools.converters.mil.frontend.milproto.load import load
    from coremltools.converters.mil.mil.passes.graph_pass import PassOption
    from coremltools.converters.mil.mil.passes.pass_registry import PASS_REGISTRY
    from coremltools.models.utils import _apply_graph_pass
    from coremltools.optimize import coreml as optimize

    spec = model.get_spec()
    operations = _operations(spec)
    config = optimize.OptimizationConfig(
        global_config=optimize.OpLinearQuantizerConfig(mode="linear", dtype="int8"),
        op_name_configs={
            operation.outputs[0].name: None
            for operation in operations
            if operation.outputs[0].name.startswith(FLOAT_PARTS)
        },
    )
    statistics = _statistics(operations, ranges)
    passes = []
    for name in (
        "compression::insert_prefix_quantize_dequantize_pair",
        "compression::insert_suffix_quantize_dequantize_pair",
    ):
        found = PASS_REGISTRY[name]
        found.set_options(
            [PassOption("config", config), PassOption("activation_stats", statistics)]
        )
        passes.append(found)
    passes.append(PASS_REGISTRY["common::dequantize_quantize_pair_elimination"])
    return _apply_graph_pass(
        model, passes, spec_version=spec.specificationVersion, pymil_load_func=load
    )


def _operations(spec: Any) -> list[Any]:
    """Every operation of the program that computes."""
    return [operation for operation in _all_operations(spec) if operation.type != "const"]


def _constants(spec: Any) -> list[Any]:
    """Every constant of the program."""
    return [operation for operation in _all_operations(spec) if operation.type == "const"]


def _all_operations(spec: Any) -> list[Any]:
    return [
        operation
        for function in spec.mlProgram.functions.values()
        for block in function.block_specializations.values()
        for operation in block.operations
    ]


def _statistics(operations: Iterable[Any], ranges: Ranges) -> dict[str, dict[str, float]]:
    """Ranges in the passes' form, by the names that values have in the program."""
    settled = _settled(operations, _checked(operations, ranges))
    return {
        name + ending: {"rmin": low, "rmax": high}
        for name, (low, high) in settled.items()
        for ending in ("", HALF, "_to_fp16")
    }


def _checked(operations: Iterable[Any], ranges: Ranges) -> dict[str, tuple[float, float]]:
    """The ranges of this program's activations, every one present and finite."""
    names = [
        operation.outputs[0].name.removesuffix(HALF)
        for operation in operations
        if operation.type in OBSERVED
    ]
    # The bytes of an image lose nothing with a step of 1.
    return required_ranges(names, ranges) | {IMAGE.name: (0.0, 255.0)}


def _settled(
    operations: Iterable[Any], ranges: Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    """The ranges, equal among the tensors of a concatenation, so that joining needs no scaling."""
    settled = dict(ranges)
    for operation in operations:
        if operation.type == "concat":
            joined = [argument.name for argument in operation.inputs["values"].arguments]
            names = [name.removesuffix(HALF) for name in (*joined, operation.outputs[0].name)]
            low = min(settled[name][0] for name in names)
            high = max(settled[name][1] for name in names)
            settled.update(dict.fromkeys(names, (low, high)))
    return settled
