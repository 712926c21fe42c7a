"""How a .tflite is run: on ai-edge-litert, tflite-runtime or TensorFlow, whichever a board has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.closing import Closing
from atpn_deploy.contract import IMAGE, OUTPUTS, Tensors, check_image
from atpn_deploy.errors import ArtifactError
from atpn_deploy.native_stderr import captured_stderr
from atpn_deploy.tflite_interpreter import (
    family_of,
    open_interpreter,
    refusal,
    runtime_named,
    title_of,
)
from atpn_exporters.session import SessionOptions


@dataclass(frozen=True)
class Slot:
    """How one tensor of a signature is stored: real = scale * (stored - zero); scale 0 is float."""

    dtype: type[np.generic]
    scale: float
    zero: int

    @classmethod
    def of(cls, details: dict[str, Any]) -> Slot:
        """Read an interpreter's description of a tensor."""
        scale, zero = details["quantization"]
        return cls(details["dtype"], float(scale), int(zero))

    def write(self, array: NDArray[np.float32]) -> NDArray[Any]:
        """Real values to stored ones."""
        if self.scale:
            limits = np.iinfo(self.dtype)  # type: ignore[type-var]
            array = np.clip(np.rint(array / self.scale) + self.zero, limits.min, limits.max)
        return array.astype(self.dtype)

    def take_bytes(self, image: NDArray[np.uint8]) -> NDArray[Any] | None:
        """Bytes as stored values without arithmetic, or None where a step is not exactly one."""
        if self.scale != 1:
            return None
        if (self.dtype, self.zero) == (np.int8, -128):
            return np.bitwise_xor(image, np.uint8(128)).view(np.int8)
        return image if (self.dtype, self.zero) == (np.uint8, 0) else None

    def read(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """Stored values to real ones."""
        if not self.scale:
            return stored.astype(np.float32)
        return (self.scale * (stored.astype(np.float64) - self.zero)).astype(np.float32)


class LiteRTSession(Closing):
    """A .tflite file and an interpreter. Callers see float32; integers never leave this class."""

    def __init__(self, path: Path, options: SessionOptions) -> None:
        """Open `path`, or raise ArtifactError, UnsupportedError, MissingToolError, ConfigError."""
        self._runtime = runtime_named(options.runtime)
        self._interpreter: Any = open_interpreter(path, self._runtime, options.threads)
        signatures = self._interpreter.get_signature_list()
        self.signature = _choose(path, signatures, options.signature)
        self._runner: Any = self._interpreter.get_signature_runner(self.signature)
        inputs, outputs = self._runner.get_input_details(), self._runner.get_output_details()
        if tuple(inputs) != (IMAGE.name,) or tuple(inputs[IMAGE.name]["shape"]) != IMAGE.shape:
            raise ArtifactError(
                f"{path} takes {', '.join(inputs)}; an ATPN takes {IMAGE.name} {IMAGE.shape}"
            )
        self._input = Slot.of(inputs[IMAGE.name])
        self._outputs = {s.name: Slot.of(outputs[s.name]) for s in OUTPUTS if s.name in outputs}
        self._indices: dict[str, int] = {}  # filled for the file's first signature only
        if self._interpreter.get_input_details()[0]["name"] == inputs[IMAGE.name]["name"]:
            self._indices = {name: d["index"] for name, d in (inputs | outputs).items()}
            self._runner = None  # the interpreter refuses to run while one refers to it
        if options.trial:
            self._prepare(path)

    def _prepare(self, path: Path) -> None:
        """Run once: a signature beside the file's first one meets its kernels only now."""
        try:
            with captured_stderr():
                self.run({IMAGE.name: np.zeros(IMAGE.shape, np.float32)})
        except (ValueError, RuntimeError) as error:
            raise refusal(path, self._runtime, str(error)) from error

    @property
    def runtime(self) -> str:
        """Name and version, such as "LiteRT 2.3.0"."""
        return title_of(self._runtime)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The contract outputs of this file, in the contract's order."""
        return tuple(self._outputs)

    @property
    def steps(self) -> dict[str, float]:
        """Quantisation step of each output that the graph stores as integers."""
        return {name: slot.scale for name, slot in self._outputs.items() if slot.scale}

    @property
    def kernel_family(self) -> str:
        """Whose arithmetic runs the file, such as "litert-xnnpack": int8 results differ by it.

        "...-builtin" where the runtime gives XNNPACK nothing of the graph. The machine is not part
        of it: within one family integers are equal on x86 and on ARM.
        """
        return family_of(self._runtime, self._interpreter)

    def run(self, feeds: Tensors) -> dict[str, NDArray[np.float32]]:
        """Run once."""
        made = self._invoke(self._stored(feeds[IMAGE.name]))
        return {name: slot.read(made[name]) for name, slot in self._outputs.items()}

    def _stored(self, image: NDArray[Any]) -> NDArray[Any]:
        """The image as the graph stores it; a camera's bytes go into an int8 graph unscaled."""
        if image.dtype == np.uint8 and image.shape in (IMAGE.shape, IMAGE.shape[1:]):
            unscaled = self._input.take_bytes(image.reshape(IMAGE.shape))
            if unscaled is not None:
                return unscaled
        return self._input.write(check_image(image))

    def _invoke(self, image: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Stored outputs by name.

        The runner of a signature allocates at every call, which costs 1-3 % of an int8 network;
        the file's first signature runs without it.
        """
        self._last = image
        if not self._indices:
            made: dict[str, NDArray[Any]] = self._runner(**{IMAGE.name: image})
            return made
        self._interpreter.set_tensor(self._indices[IMAGE.name], image)
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(self._indices[name]) for name in self._outputs}

    def repeat(self) -> None:
        """Run again on the last image; the file's first signature without a copy in or out."""
        if self._indices:
            self._interpreter.invoke()
        else:
            self._runner(**{IMAGE.name: self._last})

    def close(self) -> None:
        """Let go of the runtime."""
        self._runner = None
        self._interpreter = None


def _choose(path: Path, signatures: dict[str, Any], wanted: str | None) -> str:
    """The signature to run: the one asked for, the only one, or `full`."""
    if wanted is not None and wanted not in signatures:
        has = ", ".join(signatures) or "none"
        raise ArtifactError(f"{path} has no signature {wanted!r}; it has {has}")
    if not signatures:
        raise ArtifactError(f"{path} has no signature, so its outputs cannot be told apart")
    if wanted is not None:
        return wanted
    return "full" if "full" in signatures else next(iter(signatures))
