"""An ncnn model on ncnn's CPU kernels, in float32, with exactly the threads asked for."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.closing import Closing
from atpn_deploy.contract import IMAGE, OUTPUTS, SIGNATURES, Tensors, check_image
from atpn_deploy.errors import ArtifactError, MissingToolError
from atpn_deploy.native_stderr import captured_stderr
from atpn_exporters.ncnn_graph import layers_of
from atpn_exporters.ncnn_package import BIN, PARAM, Package, read_package
from atpn_exporters.session import SessionOptions

#: ncnn would keep values in 16 bits where a processor is fast at it: then results depend on the
#: processor. A phone may turn these on; what parity has measured is without them.
HALVES = (
    "use_fp16_packed",
    "use_fp16_storage",
    "use_fp16_arithmetic",
    "use_bf16_packed",
    "use_bf16_storage",
)


def runtime() -> Any:
    """The ncnn module, or MissingToolError."""
    try:
        import ncnn
    except ImportError as error:
        raise MissingToolError(
            f"ncnn does not import ({error}): pip install -c constraints.txt 'atpn-deploy[ncnn]'"
        ) from error
    return ncnn


class NcnnSession(Closing):
    """An open folder; see `atpn_exporters.session.Session`.

    Raises ArtifactError for a folder that is missing, damaged or does not follow the contract.
    A file of all three tasks also runs as `align`: ncnn computes only what is extracted.
    """

    #: Outputs are float.
    steps: dict[str, float]

    def __init__(self, path: Path, options: SessionOptions) -> None:
        package = read_package(path)
        held = _contract_outputs(package)
        wanted = options.signature or ("full" if len(held) == len(OUTPUTS) else "align")
        asked = tuple(spec.name for spec in SIGNATURES[wanted])
        if not set(asked) <= set(held):
            raise ArtifactError(
                f"{path} computes {', '.join(held)}; the signature {wanted!r} was asked for: "
                f"export it with --signature {wanted}"
            )
        self.output_names = asked
        self.steps = {}
        self._ncnn = runtime()
        self._net: Any = _open(self._ncnn, package, options.threads)

    @property
    def runtime(self) -> str:
        """Name and version of what runs the model."""
        return f"ncnn {version('ncnn')}"

    @property
    def kernel_family(self) -> str:
        """ncnn's kernels differ by processor architecture."""
        return f"ncnn-{platform.machine()}"

    def run(self, feeds: Tensors) -> dict[str, NDArray[np.float32]]:
        """Run once: {"image": (1, 112, 112, 3)} to the outputs by contract name."""
        image = check_image(feeds[IMAGE.name])[0]
        planar = np.ascontiguousarray(image.transpose(2, 0, 1))  # as Mat::from_pixels makes it
        self._image = self._ncnn.Mat(planar).clone()
        made = self._extract()
        shapes = {spec.name: spec.shape for spec in OUTPUTS}
        return {
            name: np.array(made[name], np.float32).reshape(shapes[name])
            for name in self.output_names
        }

    def repeat(self) -> None:
        """Run again on the last image."""
        self._extract()

    def _extract(self) -> dict[str, Any]:
        if self._net is None:
            raise ValueError("the session is closed")
        extractor = self._net.create_extractor()
        extractor.input(IMAGE.name, self._image)
        made = {}
        for name in self.output_names:
            status, made[name] = extractor.extract(name)
            if status:
                raise ArtifactError(f"ncnn could not compute {name}: status {status}")
        return made

    def close(self) -> None:
        """Let go of the runtime."""
        self._net = None


def blob_shapes(package: Package, signature: str | None) -> dict[str, tuple[int, ...]]:
    """(channels, height, width), or what of these it has, of each blob that the outputs need.

    A .param does not say: ncnn runs the model once, on an empty image. `signature` None takes all
    outputs. Raises ArtifactError as NcnnSession does, MissingToolError without ncnn.
    """
    held = _contract_outputs(package)
    if signature is not None and signature not in SIGNATURES:
        raise ArtifactError(f"{package.path} has no signature {signature!r}: align or full")
    wanted = set(held) if signature is None else {spec.name for spec in SIGNATURES[signature]}
    if not wanted <= set(held):
        raise ArtifactError(
            f"{package.path} computes {', '.join(held)}, not all of {', '.join(sorted(wanted))}"
        )
    needed: dict[str, None] = {}
    for layer in reversed(layers_of(package)):
        if wanted.intersection(layer.outputs):
            wanted.update(layer.inputs)
            needed.update(dict.fromkeys(name for name in layer.outputs if name in wanted))
    ncnn = runtime()
    extractor = _open(ncnn, package, threads=1).create_extractor()
    extractor.set_light_mode(False)  # else a blob is gone once it has been read
    side = IMAGE.shape[1]
    extractor.input(IMAGE.name, ncnn.Mat(np.zeros((3, side, side), np.float32)).clone())
    return {name: tuple(np.array(extractor.extract(name)[1]).shape) for name in reversed(needed)}


def _contract_outputs(package: Package) -> tuple[str, ...]:
    """The outputs that the graph makes, in the contract's order, or ArtifactError."""
    layers = layers_of(package)
    given = [name for layer in layers if layer.kind == "Input" for name in layer.outputs]
    read = {name for layer in layers for name in layer.inputs}
    ends = {name for layer in layers for name in layer.outputs if name not in read}
    for specs in SIGNATURES.values():
        if given == [IMAGE.name] and ends == {spec.name for spec in specs}:
            return tuple(spec.name for spec in specs)
    raise ArtifactError(
        f"{package.path} is no ATPN: it takes {', '.join(given)} and computes "
        f"{', '.join(sorted(ends))}; expected {IMAGE.name} and "
        + " or ".join(", ".join(spec.name for spec in specs) for specs in SIGNATURES.values())
    )


def _open(ncnn: Any, package: Package, threads: int) -> Any:
    """ncnn reads files, so it is given copies of the very bytes that were checked."""
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = False
    for option in HALVES:
        if hasattr(net.opt, option):  # older releases have fewer
            setattr(net.opt, option, False)
    with TemporaryDirectory(prefix="atpn-ncnn-") as folder, captured_stderr() as lines:
        (Path(folder) / PARAM).write_bytes(package.param)
        (Path(folder) / BIN).write_bytes(package.weights)
        status = net.load_param(f"{folder}/{PARAM}") or net.load_model(f"{folder}/{BIN}")
    if status:
        reason = lines[0] if lines else f"status {status}"
        raise ArtifactError(f"{package.path} cannot be opened by ncnn: {reason}")
    return net
