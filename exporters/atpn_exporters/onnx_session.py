"""An .onnx file on ONNX Runtime's CPU kernels."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.closing import Closing
from atpn_deploy.contract import IMAGE, OUTPUTS, SIGNATURES, Tensors, check_image
from atpn_deploy.errors import ArtifactError
from atpn_deploy.onnx_runtime import open_file
from atpn_exporters.session import SessionOptions

if TYPE_CHECKING:
    import onnxruntime

#: Key of the JSON facts among the file's metadata.
METADATA_KEY = "atpn"


def read_metadata(path: Path) -> dict[str, Any]:
    """The facts that the exporter wrote into the file; empty if it holds none.

    Raises ArtifactError for a file that ONNX Runtime cannot open or facts that are no JSON object.
    """
    text = open_file(path, threads=1).get_modelmeta().custom_metadata_map.get(METADATA_KEY, "{}")
    try:
        facts = json.loads(text)
    except ValueError as error:
        raise ArtifactError(f"{path}: the metadata {METADATA_KEY!r} is no JSON") from error
    if not isinstance(facts, dict):
        raise ArtifactError(f"{path}: the metadata {METADATA_KEY!r} is no JSON object")
    return facts


class OnnxSession(Closing):
    """An open .onnx file; see `atpn_exporters.session.Session`.

    Raises ArtifactError for a file that is missing, damaged or does not follow the contract.
    """

    #: Outputs are float in every ONNX flavour of ATPN.
    steps: dict[str, float]

    def __init__(self, path: Path, options: SessionOptions) -> None:
        self._session: onnxruntime.InferenceSession | None = open_file(path, options.threads)
        self.steps = {}
        self._feeds: dict[str, NDArray[np.float32]] = {}
        self.output_names = _contract_outputs(path, self._session)
        signature = "full" if len(self.output_names) == len(OUTPUTS) else "align"
        if options.signature not in (None, signature):
            raise ArtifactError(
                f"{path} computes the signature {signature!r}; {options.signature!r} was asked "
                f"for: export it with --signature {options.signature}"
            )

    @property
    def runtime(self) -> str:
        """Name and version of what runs the file."""
        import onnxruntime

        return f"ONNX Runtime {onnxruntime.__version__}"

    @property
    def kernel_family(self) -> str:
        """ONNX Runtime's integer kernels differ by processor architecture."""
        return f"onnxruntime-{platform.machine()}"

    def run(self, feeds: Tensors) -> dict[str, NDArray[np.float32]]:
        """Run once: {"image": (1, 112, 112, 3)} to the file's outputs by contract name."""
        if self._session is None:
            raise ValueError("the session is closed")
        self._feeds = {IMAGE.name: check_image(feeds[IMAGE.name])}
        values = self._session.run(list(self.output_names), self._feeds)
        return dict(zip(self.output_names, values, strict=True))

    def repeat(self) -> None:
        """Run again on the last image."""
        if self._session is None:
            raise ValueError("the session is closed")
        self._session.run(None, self._feeds)

    def close(self) -> None:
        """Let go of the runtime."""
        self._session = None


def _contract_outputs(path: Path, session: onnxruntime.InferenceSession) -> tuple[str, ...]:
    """The file's outputs in the contract's order, or ArtifactError for a foreign graph."""
    inputs = {node.name: (tuple(node.shape), node.type) for node in session.get_inputs()}
    if inputs != {IMAGE.name: (IMAGE.shape, "tensor(float)")}:
        raise ArtifactError(
            f"{path} is no ATPN: it takes {_described(inputs)}; "
            f"expected {IMAGE.name} {IMAGE.shape} tensor(float)"
        )
    outputs = {node.name for node in session.get_outputs()}
    for specs in SIGNATURES.values():
        if outputs == {spec.name for spec in specs}:
            return tuple(spec.name for spec in specs)
    raise ArtifactError(
        f"{path} is no ATPN: it computes {', '.join(sorted(outputs))}; expected "
        + " or ".join(", ".join(spec.name for spec in specs) for specs in SIGNATURES.values())
    )


def _described(tensors: dict[str, tuple[tuple[int | str, ...], str]]) -> str:
    return ", ".join(f"{name} {shape} {kind}" for name, (shape, kind) in tensors.items())
