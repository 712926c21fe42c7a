"""Three layers in the form that XNNPACK computes fastest, equal to those that they replace.

A depthwise convolution over a whole map has one output pixel and 49 taps, for which XNNPACK has no
depthwise kernel: it runs as many dense convolutions as there are channels. A product with the
weights and a sum over the map do the same in an eighth of the time.

A 2x2 deconvolution with stride 2 touches each input pixel once: it is a 1x1 convolution to four
times the channels, whose results are then laid out as 2x2 cells. Integers come out equal to the
last bit, because sums and rescaling stay what they are; it takes two thirds of the time.

A float linear layer of one row costs far more where its outputs do not fill XNNPACK's tiles: with
outputs of weight zero, which are cut off again, the landmarks' 196 take two thirds of the time here
and a quarter of the instructions on a Cortex-A76.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

#: What is added to the name of a deconvolution for the tensor of its convolution.
CELLS = "/cells"
#: What is added to the name of a linear layer for all its outputs, those of weight zero too.
FILLED = "/filled"
#: Outputs that fill the float tiles of every kernel, and from which number on it pays.
TILE, MANY_OUTPUTS = 32, 64


def use_fast_forms(model: Any) -> None:
    """Rewrite these layers, in place, wherever they compute in float32 or int8.

    XNNPACK has no kernels for other types, so those gain nothing.
    """
    from ai_edge_litert import schema_py_generated as schema

    forms = {
        schema.BuiltinOperator.DEPTHWISE_CONV_2D: _product_and_sum,
        schema.BuiltinOperator.TRANSPOSE_CONV: _convolution_to_cells,
        schema.BuiltinOperator.FULLY_CONNECTED: _filled_tiles,
    }
    for subgraph in model.subgraphs:
        rewritten = []
        for op in subgraph.operators:
            form = forms.get(model.operatorCodes[op.opcodeIndex].builtinCode)
            replaced = None if form is None else form(_Rewriting(model, subgraph), op)
            rewritten += [op] if replaced is None else replaced
        subgraph.operators = rewritten


class _Rewriting:
    """One graph of a file to which operators and tensors are added."""

    def __init__(self, model: Any, subgraph: Any) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self.schema = schema
        self.model = model
        self.subgraph = subgraph

    def tensor(self, index: int) -> Any:
        return self.subgraph.tensors[index]

    def like(self, index: int, suffix: str, shape: list[int]) -> int:
        """A new activation, stored as the tensor `index` is."""
        made = copy.copy(self.tensor(index))
        made.name, made.shape = made.name + suffix.encode(), shape
        made.shapeSignature = None
        self.subgraph.tensors.append(made)
        return len(self.subgraph.tensors) - 1

    def constant(self, name: bytes, values: np.ndarray[Any, np.dtype[np.int32]]) -> int:
        """A new int32 constant."""
        made = self.schema.TensorT()
        made.name, made.shape, made.type = name, list(values.shape), self.schema.TensorType.INT32
        made.buffer = self.buffer(values.tobytes())
        self.subgraph.tensors.append(made)
        return len(self.subgraph.tensors) - 1

    def buffer(self, content: bytes) -> int:
        """A new buffer; others may read the old one."""
        self.model.buffers.append(self.schema.BufferT())
        self.model.buffers[-1].data = np.frombuffer(content, np.uint8)
        return len(self.model.buffers) - 1

    def operator(self, kind: str, inputs: list[int], output: int, options: Any) -> Any:
        made = self.schema.OperatorT()
        made.opcodeIndex = self._code(getattr(self.schema.BuiltinOperator, kind))
        made.inputs, made.outputs = inputs, [output]
        made.builtinOptions = options
        name = type(options).__name__.removesuffix("T")
        made.builtinOptionsType = getattr(self.schema.BuiltinOptions, name)
        return made

    def _code(self, builtin: int) -> int:
        """Index of an operator's code, added where the file has none."""
        known = [code.builtinCode for code in self.model.operatorCodes]
        if builtin not in known:
            code = self.schema.OperatorCodeT()
            code.builtinCode = builtin
            code.deprecatedBuiltinCode = min(builtin, 127)
            code.version = 1
            self.model.operatorCodes.append(code)
            known.append(builtin)
        return known.index(builtin)

    def stored(self, index: int) -> tuple[Any, ...]:
        """The tensors that hold a constant: itself, and what it is restored from when loading."""
        for op in self.subgraph.operators:
            if index in op.outputs:
                return (self.tensor(index), self.tensor(int(op.inputs[0])))
        return (self.tensor(index),)


def _product_and_sum(graph: _Rewriting, op: Any) -> list[Any] | None:
    """MUL, SUM and ADD for a float depthwise convolution over the whole map, else None."""
    schema = graph.schema
    source, weights, output = int(op.inputs[0]), int(op.inputs[1]), int(op.outputs[0])
    shape = [int(side) for side in graph.tensor(source).shape]
    whole = shape == [int(side) for side in graph.tensor(weights).shape]
    one = [int(side) for side in graph.tensor(output).shape][1:3] == [1, 1]
    plain = not op.builtinOptions.fusedActivationFunction
    plain &= op.builtinOptions.padding == schema.Padding.VALID
    if graph.tensor(output).type != schema.TensorType.FLOAT32 or not (whole and one and plain):
        return None
    bias = int(op.inputs[2]) if len(op.inputs) > 2 else -1
    product = graph.like(output, "/product", shape)
    total = output if bias < 0 else graph.like(output, "/sum", [1, 1, 1, shape[3]])
    axes = graph.constant(graph.tensor(output).name + b"/axes", np.array([1, 2], np.int32))
    reducing = schema.ReducerOptionsT()
    reducing.keepDims = True
    made = [
        graph.operator("MUL", [source, weights], product, schema.MulOptionsT()),
        graph.operator("SUM", [product, axes], total, reducing),
    ]
    if bias >= 0:
        made.append(graph.operator("ADD", [total, bias], output, schema.AddOptionsT()))
    return made


def _convolution_to_cells(graph: _Rewriting, op: Any) -> list[Any] | None:
    """CONV_2D and DEPTH_TO_SPACE for a deconvolution whose cells do not overlap, else None."""
    schema = graph.schema
    weights, source, output = int(op.inputs[1]), int(op.inputs[2]), int(op.outputs[0])
    channels, height, width, inputs = (int(side) for side in graph.tensor(weights).shape)
    strides = (op.builtinOptions.strideH, op.builtinOptions.strideW)
    dtypes = (schema.TensorType.FLOAT32, schema.TensorType.INT8)
    apart = height == width == strides[0] == strides[1]
    rows, columns = (int(side) for side in graph.tensor(source).shape[1:3])
    size = [int(side) for side in graph.tensor(output).shape[1:3]]
    plain = not op.builtinOptions.fusedActivationFunction
    plain &= size == [rows * height, columns * width]
    if graph.tensor(output).type not in dtypes or not (apart and plain):
        return None
    cells = height * width
    for tensor in graph.stored(weights):
        _reorder(graph, tensor, (channels, cells, inputs), [cells * channels, 1, 1, inputs])
    biases = [int(index) for index in op.inputs[3:] if index >= 0]
    for index in biases:
        for tensor in graph.stored(index):
            _reorder(graph, tensor, (channels, 1, 1), [cells * channels], cells)
    spread = graph.like(output, CELLS, [1, rows, columns, cells * channels])
    convolving = schema.Conv2DOptionsT()
    convolving.strideH = convolving.strideW = 1
    laying = schema.DepthToSpaceOptionsT()
    laying.blockSize = height
    return [
        graph.operator("CONV_2D", [source, weights, *biases], spread, convolving),
        graph.operator("DEPTH_TO_SPACE", [spread], output, laying),
    ]


def _filled_tiles(graph: _Rewriting, op: Any) -> list[Any] | None:
    """The float linear layer with outputs up to a full tile, and SLICE, else None.

    One with a bias or an activation of its own stays: `add_biases_last` has taken them apart.
    """
    schema = graph.schema
    weights, output = int(op.inputs[1]), int(op.outputs[0])
    shape = [int(side) for side in graph.tensor(output).shape]
    outputs = shape[-1]
    float_ = all(graph.tensor(i).type == schema.TensorType.FLOAT32 for i in (weights, output))
    alone = list(op.inputs[2:]) in ([], [-1]) and not op.builtinOptions.fusedActivationFunction
    lacking = -outputs % TILE
    if not (float_ and alone and lacking and outputs >= MANY_OUTPUTS):
        return None
    for tensor in graph.stored(weights):
        _append_zeros(graph, tensor, lacking)
    filled = graph.like(output, FILLED, [*shape[:-1], outputs + lacking])
    name = graph.tensor(output).name
    begin = graph.constant(name + b"/begin", np.zeros(len(shape), np.int32))
    size = graph.constant(name + b"/size", np.array(shape, np.int32))
    op.outputs = [filled]
    return [op, graph.operator("SLICE", [filled, begin, size], output, schema.SliceOptionsT())]


def _append_zeros(graph: _Rewriting, tensor: Any, rows: int) -> None:
    """Give a constant (outputs, inputs) that many rows of zeros; their scales are 1."""
    outputs, inputs = (int(side) for side in tensor.shape)
    tensor.shape, tensor.shapeSignature = [outputs + rows, inputs], None
    quantization = tensor.quantization
    if quantization is not None and quantization.scale is not None and len(quantization.scale) > 1:
        quantization = tensor.quantization = copy.copy(quantization)
        quantization.scale = np.append(quantization.scale, np.ones(rows, np.float32))
        quantization.zeroPoint = np.append(quantization.zeroPoint, np.zeros(rows, np.int64))
    data = graph.model.buffers[tensor.buffer].data
    if data is not None and len(data):
        content = bytes(data)
        tensor.buffer = graph.buffer(content + bytes(len(content) // outputs * rows))


def _reorder(
    graph: _Rewriting,
    tensor: Any,
    parts: tuple[int, int, int],
    shape: list[int],
    repeats: int = 1,
) -> None:
    """Put a constant of `parts` (channels, cells, inputs) into the order (cell, channel, input).

    `repeats` gives every cell the same values, as a bias does.
    """
    tensor.shape = shape
    tensor.shapeSignature = None
    quantization = tensor.quantization
    if quantization is not None and quantization.scale is not None and len(quantization.scale) > 1:
        cells = shape[0] // len(quantization.scale)
        quantization = tensor.quantization = copy.copy(quantization)
        quantization.scale = np.tile(quantization.scale, cells)
        quantization.zeroPoint = np.tile(quantization.zeroPoint, cells)
        quantization.quantizedDimension = 0
    data = graph.model.buffers[tensor.buffer].data
    if data is None or not len(data):
        return
    values = np.frombuffer(bytes(data), np.uint8).reshape(*parts, -1)  # bytes of a value last
    ordered = np.tile(values.transpose(1, 0, 2, 3), (repeats, 1, 1, 1))
    tensor.buffer = graph.buffer(np.ascontiguousarray(ordered).tobytes())
