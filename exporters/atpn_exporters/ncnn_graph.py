"""What an ncnn model holds: its layers, read from the text, and how its weights are stored."""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from atpn_deploy.errors import ArtifactError
from atpn_exporters.ncnn_package import Package, read_package
from atpn_exporters.target import GraphFacts

#: The first line of every .param of ncnn's present form.
MAGIC = "7767517"
#: What opens a layer's weights: how they are stored.
FLOAT32_TAG, FLOAT16_TAG = 0, 0x01306B47
#: Layers with weights: the parameters that hold their number, whether there is a bias, and the
#: number of outputs.
WEIGHTED = {
    "Convolution": (6, 5, 0),
    "ConvolutionDepthWise": (6, 5, 0),
    "Deconvolution": (6, 5, 0),
    "InnerProduct": (2, 1, 0),
}
#: Parameters that give the extent of a constant tensor: width, height, depth, channels.
CONSTANT, EXTENT = "MemoryData", (0, 1, 11, 2)
#: Layers that only name or hand on.
BOOKKEEPING = ("Input", "Split", CONSTANT)
#: Layers without weights that ATPN is made of.
PLAIN = (
    "BinaryOp",
    "Clip",
    "Concat",
    "Crop",
    "ExpandDims",
    "HardSigmoid",
    "HardSwish",
    "Input",
    "Permute",
    "Pooling",
    "ReLU",
    "Reduction",
    "Reshape",
    "Sigmoid",
    "Slice",
    "Split",
    "Squeeze",
    "TanH",
    "UnaryOp",
)


@dataclass(frozen=True)
class Layer:
    """One line of a .param file."""

    kind: str
    name: str
    inputs: tuple[str, ...]  # blobs
    outputs: tuple[str, ...]
    parameters: tuple[str, ...]  # "6=432", as written

    def number(self, key: int) -> int:
        """An integer parameter, 0 by default."""
        written = [p.partition("=")[2] for p in self.parameters if p.startswith(f"{key}=")]
        return int(written[0]) if written else 0

    def line(self) -> str:
        """The layer as ncnn reads it."""
        counts = (str(len(self.inputs)), str(len(self.outputs)))
        return " ".join(
            (self.kind, self.name, *counts, *self.inputs, *self.outputs, *self.parameters)
        )


def parse(text: str) -> tuple[Layer, ...]:
    """The layers of a .param; ArtifactError for a text that is none or does not hang together."""
    lines = text.splitlines()
    if len(lines) < 3 or lines[0].strip() != MAGIC:
        raise ArtifactError(f"no ncnn model: line 1 is not {MAGIC}")
    try:
        layers = tuple(_layer(line) for line in lines[2:] if line.strip())
        counts = [int(word) for word in lines[1].split()]
    except (ValueError, IndexError) as error:
        raise ArtifactError(f"damaged: {error}") from error
    made: set[str] = set()
    for layer in layers:
        if unmade := [name for name in layer.inputs if name not in made]:
            raise ArtifactError(f"damaged: {layer.name} reads {unmade[0]}, which nothing makes")
        made.update(layer.outputs)
    if counts != [len(layers), len(made)]:
        raise ArtifactError(
            f"cut off: {len(layers)} layers and {len(made)} blobs, the text announces {lines[1]}"
        )
    return layers


def _layer(line: str) -> Layer:
    words = line.split()
    inputs, outputs = int(words[2]), int(words[3])
    if min(inputs, outputs) < 0 or len(words) < 4 + inputs + outputs:
        raise ValueError(f"a line announces more than it holds: {line[:60]!r}")
    split = 4 + inputs
    return Layer(
        words[0],
        words[1],
        tuple(words[4:split]),
        tuple(words[split : split + outputs]),
        tuple(words[split + outputs :]),
    )


def written(layers: tuple[Layer, ...]) -> str:
    """The layers as a .param."""
    blobs = sum(len(layer.outputs) for layer in layers)
    lines = (MAGIC, f"{len(layers)} {blobs}", *(layer.line() for layer in layers))
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Stored:
    """Where one layer's weights lie in the .bin; its bias follows as plain float32."""

    layer: Layer
    count: int  # of values
    kind: str  # "float32" or "float16"
    start: int  # of the values, behind their tag if they have one
    end: int  # of the values
    next: int  # where the next layer's begin

    @property
    def tagged(self) -> bool:
        """Whether four bytes before the values say how they are stored."""
        return self.layer.kind in WEIGHTED


def stored_weights(layers: tuple[Layer, ...], weights: bytes) -> tuple[Stored, ...]:
    """Every layer's part of the .bin, as ncnn will read it.

    Raises ArtifactError for a layer that is unknown, or weights that are too few or too many.
    """
    found, position = [], 0
    for layer in layers:
        if layer.kind in WEIGHTED:
            stored = _tagged(layer, weights, position)
        elif layer.kind == CONSTANT:
            count = _extent(layer)
            end = position + 4 * count
            stored = Stored(layer, count, "float32", position, end, end)
        elif layer.kind in PLAIN:
            continue
        else:
            raise ArtifactError(f"holds the layer {layer.kind}, which no ATPN has")
        position = stored.next
        if position > len(weights):
            raise ArtifactError(
                f"the weights are cut off: {layer.name} ends at {position:,} of "
                f"{len(weights):,} bytes"
            )
        found.append(stored)
    if position != len(weights):
        raise ArtifactError(f"{len(weights):,} bytes of weights; the layers take {position:,}")
    return tuple(found)


def _tagged(layer: Layer, weights: bytes, position: int) -> Stored:
    """Weights behind a tag that says how they are stored; halves are padded to four bytes."""
    if position + 4 > len(weights):
        raise ArtifactError(f"the weights are cut off before {layer.name}")
    [tag] = struct.unpack_from("<I", weights, position)
    number, bias, outputs = WEIGHTED[layer.kind]
    count, start = layer.number(number), position + 4
    behind = 4 * layer.number(outputs) * (layer.number(bias) != 0)
    if tag == FLOAT32_TAG:
        end = start + 4 * count
        return Stored(layer, count, "float32", start, end, end + behind)
    if tag == FLOAT16_TAG:
        end = start + 2 * count
        return Stored(layer, count, "float16", start, end, (end + 3) // 4 * 4 + behind)
    raise ArtifactError(f"{layer.name} stores its weights in a way that no ATPN does: {tag:#x}")


def halved(layers: tuple[Layer, ...], weights: bytes) -> bytes:
    """A float32 .bin with every layer's weights rounded to float16, to the nearest.

    pnnx can do so too, but cuts mantissas off and numbers below 6e-5 to zero, which costs four
    times as much (0.052 px and 0.23 degrees where this costs 0.012 px and 0.04 degrees). Biases and
    constants stay float32. Raises ArtifactError for a weight that float16 cannot hold.
    """
    parts = []
    for stored in stored_weights(layers, weights):
        if not stored.tagged:
            parts.append(weights[stored.start : stored.next])
            continue
        values = np.frombuffer(weights, "<f4", stored.count, stored.start)
        if np.abs(values).max() > np.finfo(np.float16).max:
            raise ArtifactError(f"{stored.layer.name} holds a weight beyond float16's 65504")
        half = values.astype("<f2").tobytes()
        parts += [struct.pack("<I", FLOAT16_TAG), half, bytes(-len(half) % 4)]
        parts.append(weights[stored.end : stored.next])
    return b"".join(parts)


def _extent(layer: Layer) -> int:
    count = 1
    for key in EXTENT:
        count *= layer.number(key) or 1
    return count


def layers_of(package: Package) -> tuple[Layer, ...]:
    """The layers of a folder, its weights counted; ArtifactError names the folder."""
    try:
        layers = parse(package.param.decode())
        stored_weights(layers, package.weights)
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{package.path} is damaged: its .param is no text") from error
    except ArtifactError as error:
        raise ArtifactError(f"{package.path}: {error}") from error
    return layers


def inspect(path: Path) -> GraphFacts:
    """The facts of a report, read from the files; ncnn has no delegates."""
    package = read_package(path)
    layers = layers_of(package)
    kinds: Counter[str] = Counter()
    for stored in stored_weights(layers, package.weights):
        kinds[stored.kind] += stored.count * stored.tagged
    operators = Counter(layer.kind for layer in layers if layer.kind not in BOOKKEEPING)
    return GraphFacts(
        operators=dict(sorted(operators.items())),
        float_operators=dict(sorted(operators.items())),
        transposes=operators["Permute"],
        partitions=None,
        undelegated={},
        scheme=f"weights {' and '.join(kind for kind, n in kinds.most_common() if n)}, "
        "activations float32",
    )
