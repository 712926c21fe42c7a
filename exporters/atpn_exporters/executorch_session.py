"""A .pte on ExecuTorch's runtime, with exactly as many threads as were asked for."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.closing import Closing
from atpn_deploy.contract import IMAGE, OUTPUTS, SIGNATURES, Tensors, check_image
from atpn_deploy.errors import ArtifactError, MissingToolError, UnsupportedError
from atpn_deploy.native_stderr import captured_stderr
from atpn_exporters.executorch_file import Method, outputs_method, read_methods, read_program
from atpn_exporters.session import SessionOptions


def runtime() -> Any:
    """ExecuTorch's native module; MissingToolError names what is absent.

    Not `portable_lib`, which is the same module behind four seconds of imports.
    """
    try:
        import torch  # noqa: F401  the native module needs its libraries
        from executorch.extension.pybindings import _C
    except ImportError as error:
        raise MissingToolError(
            f"ExecuTorch's runtime does not import ({error}); it needs PyTorch beside it: "
            "pip install -c constraints.txt 'atpn-deploy[executorch]'"
        ) from error
    return _C


#: A loaded method keeps a pointer to the process's one pool of threads, which another number of
#: threads would free.
_OPEN: WeakSet[ExecutorchSession] = WeakSet()


class ExecutorchSession(Closing):
    """An open .pte file; see `atpn_exporters.session.Session`.

    Raises ArtifactError for a file that is missing, damaged or does not follow the contract,
    MissingToolError without the runtime, UnsupportedError while another .pte is open with another
    number of threads.
    """

    #: Outputs are float in every flavour.
    steps: dict[str, float]

    def __init__(self, path: Path, options: SessionOptions) -> None:
        methods = read_methods(path)
        self.signature = _choose(path, methods, options.signature)
        self._returned = _checked_outputs(path, methods, self.signature)
        self.output_names = tuple(spec.name for spec in SIGNATURES[self.signature])
        self.steps = {}
        self._threads = options.threads
        self._native = runtime()
        # In the order in which they are let go: the method points into the program, the program
        # into the bytes.
        self._method: Any = None
        self._program: Any = None
        self._content: bytes | None = None
        try:
            with captured_stderr():  # it tells about processors that it does not know
                self._take_threads(path)
                self._content = read_program(path)
                self._program = self._native._load_program_from_buffer(self._content)
                self._method = self._program.load_method(self.signature)
        except (RuntimeError, ValueError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ArtifactError(f"{path} cannot be opened by {self.runtime}: {reason}") from error
        _OPEN.add(self)

    @property
    def runtime(self) -> str:
        """Name and version of what runs the file."""
        return f"ExecuTorch {version('executorch')}"

    @property
    def kernel_family(self) -> str:
        """XNNPACK's kernels as ExecuTorch carries them."""
        return "executorch-xnnpack"

    def _take_threads(self, path: Path) -> None:
        """The pool belongs to the process and has a thread a core unless it is told otherwise."""
        if self._native._threadpool_get_thread_count() == self._threads:
            return
        if _OPEN:
            raise UnsupportedError(
                f"{path} cannot have {self._threads} threads while another .pte is open with "
                f"{next(iter(_OPEN))._threads}: ExecuTorch has one pool a process; close that first"
            )
        self._native._unsafe_reset_threadpool(self._threads)

    def run(self, feeds: Tensors) -> dict[str, NDArray[np.float32]]:
        """Run once: {"image": (1, 112, 112, 3)} to the signature's outputs by contract name."""
        import torch

        self._require_open()
        # A copy, because the runtime keeps the pointer for `repeat`.
        self._image = torch.from_numpy(check_image(feeds[IMAGE.name]).copy())
        self._method.set_inputs([self._image])
        self._method.execute()
        values = self._method.get_outputs()  # copies
        made = {n: v.numpy() for n, v in zip(self._returned, values, strict=True)}
        return {name: made[name] for name in self.output_names}

    def repeat(self) -> None:
        """Run again on the last image."""
        self._require_open()
        self._method.execute()

    def _require_open(self) -> None:
        if self._method is None:
            raise ValueError("the session is closed")

    def close(self) -> None:
        """Let go of the runtime."""
        self._method = self._program = self._content = None
        _OPEN.discard(self)


def _choose(path: Path, methods: dict[str, Method], wanted: str | None) -> str:
    """The method to run: the one asked for, the only one, or `full`."""
    held = [name for name in SIGNATURES if name in methods]
    if not held:
        raise ArtifactError(
            f"{path} is no ATPN: its methods are {', '.join(methods) or 'none'}; expected "
            f"{' or '.join(SIGNATURES)}"
        )
    if wanted is not None and wanted not in held:
        raise ArtifactError(
            f"{path} computes the signature {' and '.join(held)}; {wanted!r} was asked for: "
            f"export it with --signature {wanted}"
        )
    return wanted or held[-1]


def _checked_outputs(path: Path, methods: dict[str, Method], signature: str) -> tuple[str, ...]:
    """The names of what a method returns, in its order; ArtifactError for a foreign method."""
    method, named = methods[signature], methods.get(outputs_method(signature))
    names = () if named is None or named.text is None else tuple(named.text.split(","))
    shapes = {spec.name: spec.shape for spec in OUTPUTS}
    expected = {spec.name for spec in SIGNATURES[signature]}
    fits = (
        set(names) == expected
        and len(names) == len(expected)
        and method.inputs == (IMAGE.shape,)
        and method.outputs == tuple(shapes[name] for name in names)
    )
    if not fits:
        raise ArtifactError(
            f"{path} is no ATPN: its method {signature!r} takes {method.inputs} and gives "
            f"{', '.join(names) or 'outputs without names'} {method.outputs}; expected "
            f"{IMAGE.shape} and {', '.join(f'{n} {shapes[n]}' for n in sorted(expected))}"
        )
    return names
