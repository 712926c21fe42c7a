"""The interpreters that run a .tflite: ai-edge-litert, tflite-runtime or TensorFlow."""

from __future__ import annotations

import importlib
import re
import warnings
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from atpn_deploy.errors import ArtifactError, ConfigError, MissingToolError, UnsupportedError
from atpn_deploy.native_stderr import captured_stderr
from atpn_deploy.tflite_bytes import check_complete, read_content


@dataclass(frozen=True)
class Runtime:
    """One package that has a TFLite interpreter."""

    name: str  # as --runtime and the pip extra call it
    title: str
    package: str  # import name; its presence is what `find_spec` can tell without importing
    module: str  # where Interpreter is
    distributions: tuple[str, ...]
    extra: str


#: In the order in which `auto` takes them: the newest kernels first, the heaviest package last.
RUNTIMES = (
    Runtime(
        "litert",
        "LiteRT",
        "ai_edge_litert",
        "ai_edge_litert.interpreter",
        ("ai-edge-litert",),
        "tflite",
    ),
    Runtime(
        "tflite-runtime",
        "tflite-runtime",
        "tflite_runtime",
        "tflite_runtime.interpreter",
        ("tflite-runtime",),
        "tflite-runtime",
    ),
    Runtime(
        "tensorflow",
        "TensorFlow",
        "tensorflow",
        "tensorflow.lite.python.interpreter",  # `tensorflow.lite` itself is made on access
        ("tensorflow", "tensorflow-cpu"),
        "tensorflow",
    ),
)


def installed_runtimes() -> tuple[Runtime, ...]:
    """The runtimes that can be imported here, best first."""
    return tuple(runtime for runtime in RUNTIMES if find_spec(runtime.package) is not None)


def runtime_named(name: str) -> Runtime:
    """The runtime that `name` (auto, litert, tflite-runtime or tensorflow) stands for here.

    Raises ConfigError for another name and MissingToolError for one that is not installed.
    """
    if name == "auto":
        found = installed_runtimes()
        if not found:
            raise MissingToolError(
                "no TFLite runtime is installed: pip install 'atpn-deploy[tflite]'"
            )
        return found[0]
    for runtime in RUNTIMES:
        if runtime.name == name:
            if find_spec(runtime.package) is None:
                raise MissingToolError(
                    f"{runtime.title} is not installed: pip install 'atpn-deploy[{runtime.extra}]'"
                )
            return runtime
    names = ", ".join(("auto", *(runtime.name for runtime in RUNTIMES)))
    raise ConfigError(f"no TFLite runtime is called {name!r}; choose one of {names}")


def open_interpreter(path: Path, runtime: Runtime, threads: int) -> Any:
    """An interpreter with its tensors allocated; XNNPACK is on by default in all three."""
    content = read_content(path)
    try:
        check_complete(content)
    except ArtifactError as error:
        raise ArtifactError(f"{path} is {error}") from error
    interpreter_class = _interpreter_class(runtime)
    try:
        with captured_stderr(), warnings.catch_warnings():
            # TensorFlow announces that its interpreter will move to LiteRT.
            warnings.simplefilter("ignore")
            interpreter = interpreter_class(model_content=content, num_threads=threads)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise refusal(path, runtime, str(error)) from error
    return interpreter


def refusal(path: Path, runtime: Runtime, reason: str) -> ArtifactError | UnsupportedError:
    """The error for a file that an interpreter does not take; names the operator if one is why."""
    where = title_of(runtime)
    operator = re.search(r"[Nn]ode number \d+ \((\w+)\)", reason) or re.search(
        r"for builtin opcode '(\w+)'", reason
    )
    if operator is None:
        first = (reason.strip() or "no reason given").splitlines()[0]
        return ArtifactError(f"{path} cannot be opened by {where}: {first}")
    detail = re.sub(r"^\S+\.(cc|h):\d+ ", "", reason[: operator.start()].strip())
    return UnsupportedError(
        f"{where} cannot run {operator[1]} of {path} ({detail or 'unknown to it'}); use a newer "
        "runtime (pip install 'atpn-deploy[tflite]') or another quantization"
    )


def _interpreter_class(runtime: Runtime) -> Any:
    try:
        return importlib.import_module(runtime.module).Interpreter
    except (ImportError, AttributeError) as error:
        raise MissingToolError(
            f"{runtime.title} is installed but does not import ({error}); tflite-runtime needs "
            f"'numpy<2': pip install 'atpn-deploy[{runtime.extra}]' in an environment of its own"
        ) from error


def family_of(runtime: Runtime, interpreter: Any) -> str:
    """The family of kernels that an interpreter chose; see `Session.kernel_family`."""
    nodes = interpreter._get_ops_details()
    delegated = any("DELEGATE" in node["op_name"].upper() for node in nodes)
    return f"{runtime.name}-{'xnnpack' if delegated else 'builtin'}"


def title_of(runtime: Runtime) -> str:
    """Name and version, such as "LiteRT 2.3.0"."""
    for distribution in runtime.distributions:
        try:
            return f"{runtime.title} {version(distribution)}"
        except PackageNotFoundError:
            continue
    return f"{runtime.title} of unknown version"
