"""A .tflite file between named tensors: whole with every tensor kept, parts as files of their own.

The whole runs without XNNPACK, which keeps no intermediate tensors; parts run with it, as the
shipped file does. Where the two differ, cumulative and isolated figures are of different kernels.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import IMAGE, OUTPUTS
from atpn_deploy.errors import ArtifactError
from atpn_deploy.native_stderr import captured_stderr
from atpn_exporters.bisect.dissection import Operator, Part, Storage, Stored
from atpn_exporters.onnx_convert import first_line
from atpn_exporters.tflite_fast_forms import CELLS
from atpn_exporters.tflite_flatbuffer import pack, read_model
from atpn_exporters.tflite_graph import CASTS, Graph, graphs, isolated
from atpn_exporters.tflite_quantize import preserving_interpreter

#: TFLite's operators in the vocabulary of the matching.
KINDS = {
    "CONV_2D": "conv",
    "DEPTHWISE_CONV_2D": "conv",
    "TRANSPOSE_CONV": "deconv",
    "DEPTH_TO_SPACE": "deconv",  # the last step of one: see tflite_fast_forms
    "FULLY_CONNECTED": "linear",
    "RELU": "relu",
    "HARD_SWISH": "hard_swish",
    "ADD": "add",
    "MUL": "mul",
    "CONCATENATION": "concat",
    "MEAN": "mean",
    "TANH": "tanh",
    "LOGISTIC": "sigmoid",
    "MAXIMUM": "maximum",
    **dict.fromkeys(CASTS, "cast"),
}
#: Which input holds the weights, and which the bias.
WEIGHTS, BIAS = 1, 2
#: What the converter, the quantizer and tflite_fast_forms add to the name of a module.
ADDED = re.compile(rf"({CELLS})?(:\d+)?(_quantized|_dequant|_requant)*$")


class TfliteDissection:
    """One signature of a .tflite file; see `atpn_exporters.bisect.dissection.Dissection`."""

    def __init__(self, path: Path, signature: str | None, called: Mapping[str, str]) -> None:
        """`called` are the reference's modules; `signature` None takes the file's only one."""
        self._path = path
        self._model = read_model(path)
        names = [graph.signature for graph in graphs(self._model)]
        if not names:
            raise ArtifactError(
                f"{path} has no signature; atpn-deploy's files bind outputs by name"
            )
        self._graph, self._content = isolated(self._model, _chosen(names, signature))
        self._subgraph = self._model.subgraphs[_index(self._model, self._graph.signature)]
        self._names = _unique_names(self._graph)
        self._numbers = {name: index for index, name in enumerate(self._names)}
        self._positions = _computed(self._graph)
        labels: dict[str, set[str]] = {}
        for module, label in called.items():
            labels.setdefault(label.replace(".", "/"), set()).add(module)
        self.operators = tuple(self._operator(position, labels) for position in self._positions)
        if IMAGE.name not in self._graph.inputs:
            raise ArtifactError(f"{path} is no ATPN: expected the one input {IMAGE.name}")
        self.image = self._names[self._graph.inputs[IMAGE.name]]
        self.outputs = {
            spec.name: self._names[self._graph.outputs[spec.name]]
            for spec in OUTPUTS
            if spec.name in self._graph.outputs
        }

    @property
    def runtime(self) -> str:
        """What runs the parts and what the whole."""
        from importlib.metadata import version

        return (
            f"LiteRT {version('ai-edge-litert')}, layers alone with XNNPACK, the whole file without"
        )

    def storage(self, tensor: str) -> Storage:
        """How a tensor is stored."""
        index = self._numbers[tensor]
        shown, stored = self._graph.tensors[index], self._subgraph.tensors[index]
        dtype = np.dtype(shown.dtype.lower())
        if shown.scales != 1 or np.issubdtype(dtype, np.floating):
            return Storage(dtype, shown.shape)
        quantization = stored.quantization
        scale, zero = float(quantization.scale[0]), int(quantization.zeroPoint[0])
        return Storage(dtype, shown.shape, scale, zero, quantised=True)

    def run(self, image: NDArray[np.uint8]) -> Stored:
        """Every tensor that depends on the image."""
        stored = self.storage(self.image).write(image.reshape(IMAGE.shape).astype(np.float64))
        try:
            interpreter = preserving_interpreter(self._content)
            interpreter.set_tensor(self._graph.inputs[IMAGE.name], stored)
            interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise ArtifactError(f"{self._path}: {first_line(error)}") from error
        written = {index for p in self._positions for index in self._graph.operators[p].outputs}
        return {self._names[index]: interpreter.get_tensor(index).copy() for index in written}

    def part(self, operators: Sequence[int], inputs: Sequence[str], output: str) -> Part:
        """A file of these operators, the constants that they read and what those are made from."""
        from ai_edge_litert.interpreter import Interpreter

        chosen = {self._positions[position] for position in operators}
        content = self._extract(self._with_makers(chosen), inputs, output)
        try:
            with captured_stderr():
                interpreter = Interpreter(model_content=content, num_threads=1)
                interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ArtifactError(f"{self._path}: {first_line(error)}") from error
        # The interpreter lists inputs in the order in which the part's graph does.
        slots = [detail["index"] for detail in interpreter.get_input_details()]
        result = interpreter.get_output_details()[0]["index"]

        def execute(feeds: Stored) -> NDArray[Any]:
            try:
                for name, slot in zip(inputs, slots, strict=True):
                    interpreter.set_tensor(slot, feeds[name])
                interpreter.invoke()
            except (ValueError, RuntimeError) as error:
                raise ArtifactError(f"{self._path}: {first_line(error)}") from error
            array: NDArray[Any] = interpreter.get_tensor(result)
            return array

        return execute

    def _with_makers(self, chosen: set[int]) -> list[int]:
        """The operators and those that make constants for them, in the file's order."""
        needed = set(chosen)
        makers = {
            index: position
            for position, operator in enumerate(self._graph.operators)
            if position not in self._positions
            for index in operator.outputs
        }
        waiting = list(needed)
        while waiting:
            for index in self._graph.operators[waiting.pop()].inputs:
                if index in makers and makers[index] not in needed:
                    needed.add(makers[index])
                    waiting.append(makers[index])
        return sorted(needed)

    def _extract(self, positions: Iterable[int], inputs: Sequence[str], output: str) -> bytes:
        """The file of some operators."""
        operators = [copy.copy(self._subgraph.operators[position]) for position in positions]
        given = [self._numbers[name] for name in inputs]
        used = {int(i) for op in operators for i in (*op.inputs, *op.outputs) if i >= 0}
        kept = sorted(used | set(given))
        number = {old: new for new, old in enumerate(kept)} | {-1: -1}
        buffers = [self._model.buffers[0]]  # the schema keeps buffer 0 empty
        tensors = []
        for old in kept:
            tensor = copy.copy(self._subgraph.tensors[old])
            if self._graph.tensors[old].constant:
                buffers.append(self._model.buffers[tensor.buffer])
                tensor.buffer = len(buffers) - 1
            else:
                tensor.buffer = 0
            tensors.append(tensor)
        for operator in operators:
            operator.inputs = [number[int(index)] for index in operator.inputs]
            operator.outputs = [number[int(index)] for index in operator.outputs]
        subgraph = copy.copy(self._subgraph)
        subgraph.tensors, subgraph.operators = tensors, operators
        subgraph.inputs = [number[index] for index in given]
        subgraph.outputs = [number[self._numbers[output]]]
        model = copy.copy(self._model)
        model.subgraphs, model.buffers = [subgraph], buffers
        model.signatureDefs, model.metadata, model.metadataBuffer = [], [], None
        return pack(model)

    def _operator(self, position: int, labels: Mapping[str, set[str]]) -> Operator:
        shown, stored = self._graph.operators[position], self._subgraph.operators[position]
        kind = KINDS.get(shown.kind, "")
        sources = [int(index) for index in stored.inputs]
        weighted = kind in ("conv", "deconv", "linear") and len(sources) > WEIGHTS
        bias = sources[3 if kind == "deconv" else BIAS :][:1]
        return Operator(
            kind=kind,
            label=shown.kind,
            modules=frozenset(labels.get(_label(self._graph, shown.outputs[0]), ())),
            inputs=tuple(self._names[i] for i in shown.inputs if self._is_computed(i)),
            outputs=tuple(self._names[index] for index in shown.outputs),
            fused=_fused(stored),
            # The converter may add a convolution's bias to the constant map behind it, and leaves
            # zeros in its place.
            biased=weighted and any(index >= 0 and self._any_value(index) for index in bias),
            weights=int(np.prod(self._graph.tensors[sources[WEIGHTS]].shape)) if weighted else 0,
        )

    def _any_value(self, index: int) -> bool:
        """Whether a constant has a value that is not zero."""
        return bool(np.any(self._model.buffers[self._subgraph.tensors[index].buffer].data))

    def _is_computed(self, index: int) -> bool:
        return index in self._graph.inputs.values() or any(
            index in self._graph.operators[position].outputs for position in self._positions
        )


def _chosen(names: Sequence[str], wanted: str | None) -> str:
    """The signature asked for, the only one, or `full`."""
    if wanted is None:
        return "full" if "full" in names else names[0]
    return wanted  # one that is not there is refused by `isolated`


def _index(model: Any, signature: str) -> int:
    """Position of a signature's graph in the file."""
    return next(
        int(entry.subgraphIndex)
        for entry in model.signatureDefs
        if entry.signatureKey.decode() == signature
    )


def _unique_names(graph: Graph) -> list[str]:
    """A name for each tensor; where the file uses one twice, the number follows."""
    seen: set[str] = set()
    names = []
    for index, tensor in enumerate(graph.tensors):
        name = f"{tensor.name}#{index}" if tensor.name in seen else tensor.name
        seen.add(name)
        names.append(name)
    return names


def _computed(graph: Graph) -> list[int]:
    """Positions of the operators that depend on an input of the graph."""
    known = set(graph.inputs.values())
    positions = []
    for position, operator in enumerate(graph.operators):
        if known.intersection(operator.inputs):
            known.update(operator.outputs)
            positions.append(position)
    return positions


def _label(graph: Graph, tensor: int) -> str:
    """The module that a tensor is named after, without what was added to the name."""
    return ADDED.sub("", graph.tensors[tensor].name.removeprefix(f"{graph.signature}/"))


def _fused(operator: Any) -> str:
    """The activation that an operator computes as well."""
    from ai_edge_litert import schema_py_generated as schema

    kind = getattr(operator.builtinOptions, "fusedActivationFunction", 0)
    names = {value: name for name, value in vars(schema.ActivationFunctionType).items()}
    return names[kind].lower() if kind else ""
