"""A .mlpackage on Core ML where there is one, else on the reference evaluator; it says which."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.closing import Closing
from atpn_deploy.contract import CROP_SIDE, IMAGE, OUTPUTS, SIGNATURES, Tensors, check_image
from atpn_deploy.errors import ArtifactError, UnsupportedError
from atpn_exporters.mil.evaluator import Evaluator
from atpn_exporters.mil.package import open_package
from atpn_exporters.mil.program import Function, Package
from atpn_exporters.session import SessionOptions

#: Specification version of a package to the first macOS and iOS that run it.
FIRST_SYSTEMS = {
    6: ("12", "iOS 15"),
    7: ("13", "iOS 16"),
    8: ("14", "iOS 17"),
    9: ("15", "iOS 18"),
    10: ("26", "iOS 26"),
}


def on_a_mac() -> bool:
    """Is the real Core ML here?"""
    return platform.system() == "Darwin"


def why_untimed() -> str:
    """Why a latency measured on this machine would say nothing of a phone; empty on a Mac."""
    if on_a_mac():
        return ""
    return "no latency: Core ML runs on Apple's systems alone, and this machine has none of them"


class Runner(Protocol):
    """Something that runs one function of a package."""

    runtime: str  # what the report says
    kernel_family: str

    def run(self, image: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """(1, 112, 112, 3) to outputs by name."""


class EvaluatedProgram:
    """The reference evaluator, rounding after each operator where the program says float16.

    It sees what conversion and rounding do to the numbers and nothing of how Apple's hardware
    computes.
    """

    def __init__(self, package: Package, function: Function) -> None:
        self._evaluator = Evaluator(package, function.name)
        half = any(v.type.dtype == "float16" for op in function.operations for v in op.outputs)
        self.kernel_family = f"mil-evaluator-{'fp16' if half else 'fp32'}"
        self.runtime = "reference evaluator, which does not see how the Neural Engine computes"

    def run(self, image: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Transposed: the program takes images planar, as Core ML hands them over."""
        return self._evaluator.run({IMAGE.name: np.ascontiguousarray(image.transpose(0, 3, 1, 2))})


class CoreMLProgram:
    """Core ML itself, on whichever of processor, GPU and Neural Engine it chooses."""

    def __init__(self, package: Package, function: Function) -> None:
        system = platform.mac_ver()[0]
        _check_system(package, system)
        from coremltools import ComputeUnit
        from coremltools.models import MLModel

        several = function.name if len(package.functions) > 1 else None
        try:
            self._model: Any = MLModel(
                str(package.path), compute_units=ComputeUnit.ALL, function_name=several
            )
        except (RuntimeError, ValueError) as error:
            raise ArtifactError(
                f"Core ML cannot open {package.path}: {str(error).strip().splitlines()[0]}"
            ) from error
        self.kernel_family = f"coreml-{platform.machine()}"
        self.runtime = (
            f"Core ML of macOS {system}, all compute units, coremltools {version('coremltools')}"
        )

    def run(self, image: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Core ML takes images as bytes."""
        from PIL import Image

        picture = Image.fromarray(np.clip(np.rint(image[0]), 0, 255).astype(np.uint8))
        made = self._model.predict({IMAGE.name: picture})
        return {name: np.asarray(value, np.float32) for name, value in made.items()}


def _check_system(package: Package, system: str) -> None:
    """UnsupportedError on a macOS that is too old for the package."""
    needed, phone = FIRST_SYSTEMS.get(package.specification_version, ("26", "iOS 26"))
    if int(system.split(".")[0]) < int(needed):
        raise UnsupportedError(
            f"{package.path} needs macOS {needed} or {phone}; this Mac has macOS {system}: update "
            "it, or export a quantization for older systems (atpn-export --list)"
        )


class CoreMLSession(Closing):
    """An open .mlpackage; see `atpn_exporters.session.Session`.

    Raises ArtifactError for a package that is missing, damaged or no ATPN, UnsupportedError for
    one that this system cannot run.
    """

    #: Outputs are float32 in every Core ML flavour of ATPN.
    steps: dict[str, float]

    def __init__(self, path: Path, options: SessionOptions) -> None:
        package = open_package(path)
        function = _chosen(package, options.signature)
        self.output_names = _contract_outputs(path, function)
        signature = "full" if len(self.output_names) == len(OUTPUTS) else "align"
        if options.signature not in (None, signature):
            raise ArtifactError(
                f"{path} computes the signature {signature!r}; {options.signature!r} was asked "
                f"for: export it with --signature {options.signature}"
            )
        self.steps = {}
        self._image = np.zeros(IMAGE.shape, np.float32)
        self._runner: Runner | None = (
            CoreMLProgram(package, function) if on_a_mac() else EvaluatedProgram(package, function)
        )
        self.runtime = self._runner.runtime
        self.kernel_family = self._runner.kernel_family

    def run(self, feeds: Tensors) -> dict[str, NDArray[np.float32]]:
        """Run once: {"image": (1, 112, 112, 3)} to the function's outputs by contract name."""
        if self._runner is None:
            raise ValueError("the session is closed")
        self._image = check_image(feeds[IMAGE.name])
        made = self._runner.run(self._image)
        return {name: made[name] for name in self.output_names}

    def repeat(self) -> None:
        """Run again on the last image."""
        if self._runner is None:
            raise ValueError("the session is closed")
        self._runner.run(self._image)

    def close(self) -> None:
        """Let go of the runtime."""
        self._runner = None


def _chosen(package: Package, signature: str | None) -> Function:
    """The function to run: a package of several names them by signature, one of one calls it main.

    ArtifactError if the package has several and not the one asked for.
    """
    functions = package.functions
    if len(functions) == 1:
        return next(iter(functions.values()))
    wanted = signature or package.default_function
    if wanted not in functions:
        raise ArtifactError(
            f"{package.path} has no signature {wanted!r}; it has {', '.join(functions)}"
        )
    return functions[wanted]


def _contract_outputs(path: Path, function: Function) -> tuple[str, ...]:
    """The function's outputs in the contract's order, or ArtifactError for a foreign program."""
    takes = [(f.name, f"{f.dtype} {f.kind}", f.shape) for f in function.input_features]
    if takes != [(IMAGE.name, "rgb image", (CROP_SIDE, CROP_SIDE))]:
        described = ", ".join(f"{name} ({kind} {shape})" for name, kind, shape in takes)
        raise ArtifactError(
            f"{path} is no ATPN: it takes {described or 'nothing'}; expected {IMAGE.name} "
            f"(rgb image ({CROP_SIDE}, {CROP_SIDE}))"
        )
    made = {feature.name for feature in function.output_features}
    for specs in SIGNATURES.values():
        if made == {spec.name for spec in specs}:
            return tuple(spec.name for spec in specs)
    raise ArtifactError(
        f"{path} is no ATPN: it computes {', '.join(sorted(made)) or 'nothing'}; expected "
        + " or ".join(", ".join(spec.name for spec in specs) for specs in SIGNATURES.values())
    )
