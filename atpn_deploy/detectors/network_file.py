"""A detector's network as it lies in a user's file: its tensors, and how it is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.errors import DetectorError, MissingToolError

if TYPE_CHECKING:
    import onnxruntime


@dataclass(frozen=True)
class FileTensor:
    """An input or output of a file; a length of 0 is one that the file leaves open."""

    name: str
    shape: tuple[int, ...]

    def fits(self, other: FileTensor) -> bool:
        """Whether `other` has this name and, wherever this one has a length, that length."""
        return (
            self.name == other.name
            and len(self.shape) == len(other.shape)
            and all(mine in (0, its) for mine, its in zip(self.shape, other.shape, strict=True))
        )

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(str(length or '?') for length in self.shape)})"


class NetworkFile(Protocol):
    """An open file with one float32 input."""

    inputs: tuple[FileTensor, ...]
    outputs: tuple[FileTensor, ...]

    def run(self, array: NDArray[np.float32]) -> Mapping[str, NDArray[np.float32]]:
        """The input's array to the outputs by name."""


def open_network(path: Path, threads: int = 1) -> NetworkFile:
    """Open an .onnx or .tflite file.

    Raises DetectorError for a file that is missing or neither, ArtifactError for one that its
    runtime does not take, MissingToolError without a runtime.
    """
    if path.suffix not in OPENERS:
        raise DetectorError(
            f"{path} ends in {path.suffix or 'nothing'!r}; a detector's file is "
            f"{' or '.join(OPENERS)}"
        )
    if not path.is_file():
        raise DetectorError(f"{path} {'is a folder' if path.is_dir() else 'does not exist'}")
    return OPENERS[path.suffix](path, threads)


class _OnnxFile:
    """An .onnx file on ONNX Runtime."""

    def __init__(self, path: Path, threads: int) -> None:
        if find_spec("onnxruntime") is None:
            raise MissingToolError(
                f"{path.name} needs ONNX Runtime: pip install -c constraints.txt onnxruntime"
            )
        from atpn_deploy.onnx_runtime import open_file

        self._session: onnxruntime.InferenceSession = open_file(path, threads)
        self.inputs = tuple(map(_of_node, self._session.get_inputs()))
        self.outputs = tuple(map(_of_node, self._session.get_outputs()))

    def run(self, array: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Run once."""
        values = self._session.run(None, {self.inputs[0].name: array})
        return {tensor.name: value for tensor, value in zip(self.outputs, values, strict=True)}


class _TFLiteFile:
    """A .tflite file on whichever interpreter is installed."""

    def __init__(self, path: Path, threads: int) -> None:
        from atpn_deploy.tflite_interpreter import open_interpreter, runtime_named

        self._interpreter: Any = open_interpreter(path, runtime_named("auto"), threads)
        given = self._interpreter.get_input_details()
        made = self._interpreter.get_output_details()
        # An input is as large as it is allocated; how large an output is may be known later only.
        self.inputs = tuple(_of_slot(slot, "shape") for slot in given)
        self.outputs = tuple(_of_slot(slot, "shape_signature") for slot in made)
        self._input = given[0]["index"]
        self._outputs = {slot["name"]: slot["index"] for slot in made}

    def run(self, array: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Run once."""
        self._interpreter.set_tensor(self._input, array)
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(i) for name, i in self._outputs.items()}


#: By suffix, what opens the file.
OPENERS: Mapping[str, Callable[[Path, int], NetworkFile]] = {
    ".onnx": _OnnxFile,
    ".tflite": _TFLiteFile,
}


def _of_node(node: Any) -> FileTensor:
    lengths = (length if isinstance(length, int) else 0 for length in node.shape)
    return FileTensor(node.name, tuple(lengths))


def _of_slot(slot: dict[str, Any], which: str) -> FileTensor:
    return FileTensor(slot["name"], tuple(max(0, int(length)) for length in slot[which]))
