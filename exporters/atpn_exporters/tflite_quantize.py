"""A float .tflite to fewer bits: which operators, from which ranges, byte for byte reproducible."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import IMAGE
from atpn_deploy.errors import ExportError, UnsupportedError
from atpn_deploy.native_stderr import captured_stderr
from atpn_exporters.calibration import required_ranges
from atpn_exporters.observer import RangeObserver
from atpn_exporters.target import Ranges
from atpn_exporters.tflite_bias import add_biases_last
from atpn_exporters.tflite_fast_forms import use_fast_forms
from atpn_exporters.tflite_flatbuffer import (
    pack,
    read_model,
    separate_constants,
    share_constants,
    unpack,
)
from atpn_exporters.tflite_graph import Graph, constant, graphs, isolated
from atpn_exporters.tflite_recipe import QUANTIZATIONS, STATIC_BITS, in_modules, make_recipe


def collect_ranges(
    float_path: Path,
    crops: NDArray[np.uint8],
    signature: str,
    progress: Callable[[int, int], None] | None = None,
) -> Ranges:
    """The range of every activation over `crops` (N, 112, 112, 3), as `RangeObserver` has it.

    Not the quantizer's own calibration: that is a moving average, which forgets the extremes.
    `progress` is called with (crops done, crops in all).
    """
    graph, content = isolated(read_model(float_path), signature)
    names = activations(graph)
    observer = RangeObserver(names.values())
    interpreter = preserving_interpreter(content)
    for done, crop in enumerate(crops, 1):
        interpreter.set_tensor(graph.inputs[IMAGE.name], crop[None].astype(np.float32))
        interpreter.invoke()
        values = [interpreter.get_tensor(index) for index in names]
        observer.add((value.min() for value in values), (value.max() for value in values))
        if progress is not None:
            progress(done, len(crops))
    return observer.ranges()


def preserving_interpreter(content: bytes) -> Any:
    """LiteRT with every intermediate tensor readable; it warns that this takes memory."""
    from ai_edge_litert.interpreter import Interpreter

    with captured_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        interpreter = Interpreter(
            model_content=content, num_threads=1, experimental_preserve_all_tensors=True
        )
        interpreter.allocate_tensors()
    return interpreter


def activations(graph: Graph) -> dict[int, str]:
    """Float tensors that an operator writes or a caller gives, by index."""
    written = [index for op in graph.operators for index in op.outputs]
    return {
        index: graph.tensors[index].name
        for index in dict.fromkeys((*graph.inputs.values(), *written))
        if graph.tensors[index].dtype == "FLOAT32"
    }


def quantize(
    float_path: Path,
    quantization: str,
    ranges: Mapping[str, Ranges],
    float_modules: Sequence[str] = (),
    called: Mapping[str, str] | None = None,
) -> bytes:
    """The file of one scheme; fp32 is the float file itself, some layers in a better form.

    `ranges` holds the activation ranges of each signature in the file and is only read for int8,
    full-int8 and int16x8. int8 leaves `float_modules` in float too; `called` are the network's
    `called_names`. Raises CalibrationError for ranges that are not this network's,
    UnsupportedError for a scheme that does not exist or cannot hold two signatures.
    """
    if quantization not in QUANTIZATIONS:
        raise UnsupportedError(
            f"tflite has no quantization {quantization!r}; choose one of {', '.join(QUANTIZATIONS)}"
        )
    model = read_model(float_path)
    if quantization == "fp32":
        return _finished(model)
    separate_constants(model)
    found = graphs(model)
    statistics: dict[str, Any] | None = None
    if quantization in STATIC_BITS:
        statistics = {}
        for graph in found:
            checked = _checked(graph, ranges.get(graph.signature, {}))
            settled = settle(graph, checked)
            statistics.update(_statistics(graph, settled | faint_constants(model, graph, settled)))
    chosen = {graph.signature: in_modules(graph, called or {}, float_modules) for graph in found}
    recipe = make_recipe(quantization, found, chosen if float_modules else None)
    return _run_quantizer(pack(model), recipe, statistics)


def _run_quantizer(content: bytes, recipe: list[Any], statistics: dict[str, Any] | None) -> bytes:
    """Call the quantizer without its progress bars and announcements."""
    from ai_edge_quantizer import quantizer

    noise = io.StringIO()
    try:
        with captured_stderr(), contextlib.redirect_stderr(noise), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = quantizer.Quantizer(bytearray(content), recipe).quantize(
                statistics, enable_progress_bar=False, enable_progress_report=False
            )
    except (RuntimeError, ValueError, KeyError, IndexError, TypeError) as error:
        raise ExportError(f"ai-edge-quantizer failed: {error}") from error
    # Repacked, because the quantizer puts constants behind the flatbuffer: see AlignedBuffer.
    return _finished(unpack(bytes(made.quantized_model)))


def _finished(model: Any) -> bytes:
    """The file with its layers in the form in which they are run.

    After quantising, so that recipes and calibration see the layers of the network.
    """
    add_biases_last(model)
    use_fast_forms(model)
    share_constants(model)
    return pack(model)


def _checked(graph: Graph, ranges: Ranges) -> dict[int, tuple[float, float]]:
    """The ranges of this graph's activations by tensor index, every one present and finite."""
    names = activations(graph)
    known = required_ranges(names.values(), ranges)
    return {index: known[name] for index, name in names.items()}


def settle(
    graph: Graph, ranges: Mapping[int, tuple[float, float]]
) -> dict[int, tuple[float, float]]:
    """The ranges as they are quantised: a few are decided by the graph, not by the images.

    The image is bytes, so its step is exactly 1. Concatenated tensors share one range, which saves
    rescaling them.
    """
    settled = dict(ranges)
    image = {graph.inputs[IMAGE.name]}
    for op in graph.operators:
        if op.kind == "PAD" and op.inputs[0] in image:
            image.add(op.outputs[0])
        elif op.kind == "CONCATENATION":
            joined = (*op.inputs, *op.outputs)
            low = min(settled[index][0] for index in joined)
            high = max(settled[index][1] for index in joined)
            settled.update(dict.fromkeys(joined, (low, high)))
    settled.update(dict.fromkeys(image, (0.0, 255.0)))
    return settled


def faint_constants(
    model: Any, graph: Graph, ranges: Mapping[int, tuple[float, float]]
) -> dict[int, tuple[float, float]]:
    """Wider ranges for constants of an ADD that are faint beside their sum.

    XNNPACK refuses an int8 ADD where one step is below 1/1024 of the sum's and so breaks the
    graph in two; a step of 1/512 still rounds such a constant to far less than the sum's step.
    """
    wider = {}
    for op in graph.operators:
        for index in op.inputs if op.kind == "ADD" else ():
            if graph.tensors[index].constant:
                low, high = ranges[op.outputs[0]]
                least = (high - low) / 512
                values = constant(model, graph, index)
                if values.max() - values.min() < least:
                    centre = float(values.max() + values.min()) / 2
                    wider[index] = (centre - least / 2, centre + least / 2)
    return wider


def _statistics(graph: Graph, settled: Mapping[int, tuple[float, float]]) -> dict[str, Any]:
    """Ranges in the quantizer's form: by tensor name, as arrays of the tensor's rank."""
    return {
        graph.tensors[index].name: {
            "min": np.full([1] * len(graph.tensors[index].shape), low, np.float32),
            "max": np.full([1] * len(graph.tensors[index].shape), high, np.float32),
        }
        for index, (low, high) in settled.items()
    }
