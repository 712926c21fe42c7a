"""An .onnx file between named tensors: intermediates as graph outputs, parts as models.

Whole file and parts run on ONNX Runtime with its optimisations, as a shipped file does: where a
part holds DequantizeLinear, Conv and QuantizeLinear, its integer kernel runs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import IMAGE, OUTPUTS
from atpn_deploy.errors import ArtifactError
from atpn_deploy.onnx_runtime import open_session
from atpn_exporters.bisect.dissection import Operator, Part, Storage, Stored
from atpn_exporters.module_names import traced_label
from atpn_exporters.onnx_convert import first_line

if TYPE_CHECKING:
    import onnx

#: ONNX's operators in the vocabulary of the matching.
KINDS = {
    "Conv": "conv",
    "ConvTranspose": "deconv",
    "Gemm": "linear",
    "MatMul": "linear",
    "Relu": "relu",
    "HardSwish": "hard_swish",
    "HardSigmoid": "hard_sigmoid",
    "Add": "add",
    "Mul": "mul",
    "Concat": "concat",
    "ReduceMean": "mean",
    "GlobalAveragePool": "mean",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "Clip": "maximum",
    "Max": "maximum",
    "QuantizeLinear": "cast",
    "DequantizeLinear": "cast",
    "Cast": "cast",
}
#: What the tracing exporter calls tensors and nodes: a module's path, then the operator. The
#: quantizers keep the names of tensors, whatever then computes them.
TRACED_NODE = re.compile(r"^(?P<name>(?:/[^/]+)*/(?P<operator>[A-Z][A-Za-z]+)(?:_\d+)?)$")
TRACED_TENSOR = re.compile(TRACED_NODE.pattern.replace("$", "_output_0$"))


class OnnxDissection:
    """An opened .onnx file; see `atpn_exporters.bisect.dissection.Dissection`."""

    def __init__(self, path: Path, signature: str | None, called: Mapping[str, str]) -> None:
        """`called` are the reference's modules; a file has one signature, whatever is asked."""
        import onnx

        self._path = path
        model = _load(path)
        try:
            self._model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
        except onnx.shape_inference.InferenceError as error:
            raise ArtifactError(f"{path} is not in order: {first_line(error)}") from error
        graph = self._model.graph
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        self._types = {
            value.name: value.type.tensor_type
            for value in (*graph.input, *graph.value_info, *graph.output)
        }
        self._makers = {name: node for node in graph.node for name in node.output}
        self._computed = _computed(graph)
        self._nodes = [n for n in graph.node if any(name in self._computed for name in n.output)]
        self.operators = tuple(self._operator(node, called) for node in self._nodes)
        self._steps = self._quantised()
        self.image = IMAGE.name
        names = {output.name for output in graph.output}
        self.outputs = {spec.name: spec.name for spec in OUTPUTS if spec.name in names}

    @property
    def runtime(self) -> str:
        """Name and version of what runs the file."""
        import onnxruntime

        return f"ONNX Runtime {onnxruntime.__version__}, its optimisations on"

    def storage(self, tensor: str) -> Storage:
        """How a tensor is stored; that of an integer one is told by what quantises it."""
        import onnx

        if tensor not in self._types:
            raise ArtifactError(f"{self._path}: the type of {tensor} is unknown")
        kind = self._types[tensor]
        shape = tuple(int(side.dim_value) for side in kind.shape.dim)
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
        if tensor in self._steps:
            return Storage(dtype, shape, *self._steps[tensor], quantised=True)
        return Storage(dtype, shape)

    def run(self, image: NDArray[np.uint8]) -> Stored:
        """Every tensor that depends on the image."""
        names = [name for name in self._computed if name != self.image and name in self._types]
        run = self._session(self._model, names)
        values = run({self.image: image.reshape(IMAGE.shape).astype(np.float32)})
        return dict(zip(names, values, strict=True))

    def part(self, operators: Sequence[int], inputs: Sequence[str], output: str) -> Part:
        """A model of these nodes, the constants that they read and what those are made from."""
        nodes = [self._nodes[position] for position in operators]
        run = self._session(self._extract(nodes, inputs, output), [output])

        def execute(feeds: Stored) -> NDArray[Any]:
            array: NDArray[Any] = run(feeds)[0]
            return array

        return execute

    def _session(self, model: onnx.ModelProto, names: Sequence[str]) -> Any:
        """A model with these tensors as outputs, as a function of feeds."""
        import onnx
        from onnxruntime.capi import onnxruntime_pybind11_state as failures

        wanted = onnx.ModelProto()
        wanted.CopyFrom(model)
        del wanted.graph.output[:]
        wanted.graph.output.extend(self._info(name) for name in names)
        refused = (
            failures.Fail,
            failures.InvalidArgument,
            failures.InvalidGraph,
            failures.NotImplemented,
            failures.RuntimeException,
        )
        try:
            session = open_session(wanted.SerializeToString(), threads=1)
        except refused as error:
            raise ArtifactError(f"{self._path}: {first_line(error)}") from error

        def run(feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
            try:
                values: list[NDArray[Any]] = session.run(list(names), dict(feeds))
            except refused as error:
                raise ArtifactError(f"{self._path}: {first_line(error)}") from error
            return values

        return run

    def _extract(
        self, nodes: Sequence[onnx.NodeProto], inputs: Sequence[str], output: str
    ) -> onnx.ModelProto:
        """The model of some nodes."""
        import onnx

        constants, made = set(), {}
        waiting = [name for node in nodes for name in node.input]
        while waiting:
            name = waiting.pop()
            if name in self._constants:
                constants.add(name)
            elif name in self._makers and name not in self._computed and name not in made:
                made[name] = self._makers[name]
                waiting += made[name].input
        needed = [*reversed(made.values()), *nodes]
        graph = onnx.helper.make_graph(
            needed,
            "part",
            [self._info(name) for name in inputs],
            [self._info(output)],
            [self._constants[name] for name in sorted(constants)],
        )
        return onnx.helper.make_model(
            graph, opset_imports=self._model.opset_import, ir_version=self._model.ir_version
        )

    def _info(self, name: str) -> onnx.ValueInfoProto:
        import onnx

        kind = self._types[name]
        return onnx.helper.make_tensor_value_info(name, kind.elem_type, None)

    def _operator(self, node: onnx.NodeProto, called: Mapping[str, str]) -> Operator:
        operator, module = _identity(node)
        weights = [name for name in node.input[1:2] if name not in self._computed]
        return Operator(
            kind=KINDS.get(node.op_type, ""),
            label=node.op_type,
            modules=frozenset((module,)) & called.keys(),
            inputs=tuple(name for name in node.input if name in self._computed),
            outputs=tuple(name for name in node.output if name),
            # A quantizer lets an earlier operator write the tensor of one that it leaves out.
            fused=KINDS[operator] if operator != node.op_type and operator in KINDS else "",
            biased=len(node.input) > 2 or operator != node.op_type,
            weights=self._elements(weights[0]) if weights and node.op_type == operator else 0,
        )

    def _elements(self, name: str) -> int:
        """Number of values of a constant, stored or made from a stored one."""
        while name not in self._constants:
            name = self._makers[name].input[0]
        return int(np.prod(self._constants[name].dims, dtype=np.int64))

    def _quantised(self) -> dict[str, tuple[float, int]]:
        """(scale, zero point) of every integer tensor that a QuantizeLinear writes."""
        import onnx

        found = {}
        for node in self._nodes:
            if node.op_type != "QuantizeLinear":
                continue
            scale, zero = (onnx.numpy_helper.to_array(self._constants[n]) for n in node.input[1:3])
            if scale.size == 1:
                found[node.output[0]] = (float(scale.reshape(())), int(zero.reshape(())))
        return found


def _load(path: Path) -> onnx.ModelProto:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path)
    except (OSError, DecodeError, ValueError) as error:
        raise ArtifactError(f"{path} is no .onnx file or is truncated") from error
    if [value.name for value in model.graph.input] != [IMAGE.name]:
        raise ArtifactError(f"{path} is no ATPN: expected the one input {IMAGE.name}")
    return model


def _computed(graph: onnx.GraphProto) -> dict[str, None]:
    """Names of the tensors that depend on the image, in order; a dict, for it keeps the order."""
    computed = {IMAGE.name: None}
    for node in graph.node:
        if any(name in computed for name in node.input):
            computed.update(dict.fromkeys(name for name in node.output if name))
    return computed


def _identity(node: onnx.NodeProto) -> tuple[str, str]:
    """(operator, module) as the exporter named them; the node's own kind where it did not."""
    traced = TRACED_TENSOR.match(node.output[0]) or TRACED_NODE.match(node.name)
    if traced is None or traced["operator"] not in KINDS:
        return node.op_type, ""
    return traced["operator"], traced_label(traced["name"])
