"""A network of others, opened for timing alone: any .onnx or .tflite, on the same runtimes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from atpn_deploy.errors import ArtifactError
from atpn_exporters.session import SessionOptions

Shapes = Mapping[str, tuple[int, ...]]


class PeerSession(Protocol):
    """What timing needs of an open file."""

    @property
    def runtime(self) -> str:
        """Name and version of what runs the file."""

    @property
    def kernel_family(self) -> str:
        """Which kernels compute."""

    def repeat(self) -> None:
        """Run once more on the same input, read nothing."""


def open_peer(path: Path, options: SessionOptions, shapes: Shapes) -> PeerSession:
    """Open a file; `shapes` names what it leaves open. ArtifactError in one line where it fails."""
    if path.suffix not in OPENERS:
        raise ArtifactError(
            f"{path.name} ends in {path.suffix or 'nothing'!r}; a peer is {' or '.join(OPENERS)}"
        )
    return OPENERS[path.suffix](path, options, shapes)


class _OnnxPeer:
    """Any .onnx on ONNX Runtime, fed with noise."""

    def __init__(self, path: Path, options: SessionOptions, shapes: Shapes) -> None:
        from atpn_deploy.onnx_runtime import open_file

        self._session = open_file(path, options.threads)
        self._feeds = {
            node.name: _noise(
                _resolved(path, node.name, tuple(node.shape), shapes), ONNX_TYPES[node.type]
            )
            for node in self._session.get_inputs()
        }

    @property
    def runtime(self) -> str:
        """Name and version."""
        import onnxruntime

        return f"ONNX Runtime {onnxruntime.__version__}"

    @property
    def kernel_family(self) -> str:
        """ONNX Runtime's own."""
        return "onnxruntime"

    def repeat(self) -> None:
        """Run once."""
        self._session.run(None, self._feeds)


class _TFLitePeer:
    """Any .tflite on the same interpreter as ours, fed with noise."""

    def __init__(self, path: Path, options: SessionOptions, shapes: Shapes) -> None:
        from atpn_deploy.tflite_interpreter import open_interpreter, runtime_named

        chosen = runtime_named(options.runtime)
        self._interpreter: Any = open_interpreter(path, chosen, options.threads)
        self._chosen = chosen
        details = self._interpreter.get_input_details()
        for slot in details:
            shape = _resolved(path, slot["name"], tuple(slot["shape_signature"]), shapes)
            if shape != tuple(slot["shape"]):
                self._interpreter.resize_tensor_input(slot["index"], shape)
        self._interpreter.allocate_tensors()
        for slot in self._interpreter.get_input_details():
            self._interpreter.set_tensor(slot["index"], _noise(tuple(slot["shape"]), slot["dtype"]))

    @property
    def runtime(self) -> str:
        """Name and version."""
        from atpn_deploy.tflite_interpreter import title_of

        return title_of(self._chosen)

    @property
    def kernel_family(self) -> str:
        """Whose kernels the runtime chose."""
        from atpn_deploy.tflite_interpreter import family_of

        return family_of(self._chosen, self._interpreter)

    def repeat(self) -> None:
        """Run once."""
        self._interpreter.invoke()


#: Formats that a peer may come in.
OPENERS: dict[str, Callable[[Path, SessionOptions, Shapes], PeerSession]] = {
    ".onnx": _OnnxPeer,
    ".tflite": _TFLitePeer,
}

ONNX_TYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(int64)": np.int64,
}


def _resolved(
    path: Path, name: str, shape: tuple[int | str | None, ...], shapes: Shapes
) -> tuple[int, ...]:
    """The shape to run with: the file's own where it is closed; an open first length is one."""
    if name in shapes:
        return shapes[name]
    closed = [int(n) if isinstance(n, int | np.integer) and n > 0 else 0 for n in shape]
    if closed and not closed[0]:
        closed[0] = 1
    if 0 in closed:
        raise ArtifactError(
            f"{path.name} leaves the shape of {name!r} open {shape}; name it in "
            f'{path.stem}.bench.json: {{"shapes": {{"{name}": [1, 3, 112, 112]}}}}'
        )
    return tuple(closed)


def _noise(shape: tuple[int, ...], dtype: type[np.generic]) -> np.ndarray[Any, Any]:
    """The same noise each time: ReLU networks are no faster on zeros, but detectors' tails are."""
    random = np.random.default_rng(0).random(shape)
    return (random if np.issubdtype(dtype, np.floating) else random * 100).astype(dtype)
