"""The project as a whole: what a module is called, what a board needs, what pyproject.toml says."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "atpn_deploy": ROOT / "atpn_deploy",
    "atpn_exporters": ROOT / "exporters" / "atpn_exporters",
    "atpn_benchmarks": ROOT / "benchmarks" / "atpn_benchmarks",
}
MODULES = {
    ".".join((package, *path.relative_to(folder).with_suffix("").parts)): path
    for package, folder in PACKAGES.items()
    for path in sorted(folder.rglob("*.py"))
    if path.stem != "__init__"
}
#: The network itself, its forms for single formats and what trains it: PyTorch and OpenCV.
HEAVY = re.compile(
    r"atpn_deploy\.(blocks|folding|heatmap|mean_shape|model|training\..*|datasets\..*|renderer\..*)"
    r"|atpn_exporters\.\w+_network"
)
TOOLCHAINS = (
    "ai_edge_litert ai_edge_quantizer coremltools cv2 executorch fvcore jinja2 litert_torch "
    "matplotlib ncnn onnx onnxruntime onnxscript onnxsim PIL playwright pnnx safetensors "
    "scipy skimage tensorflow tflite_runtime torch torchao"
).split()
NO_HOME = {
    "utils",
    "util",
    "common",
    "helpers",
    "misc",
    "onnx",
    "profile",
    "platform",
    "statistics",
}
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_a_home(module: str) -> None:
    assert module.rsplit(".")[-1] not in NO_HOME
    assert ast.get_docstring(ast.parse(MODULES[module].read_text()))


def test_a_board_needs_no_toolchain() -> None:
    """Everything but the network and its training imports with numpy, typer and rich alone."""
    light = [name for name in MODULES if not HEAVY.fullmatch(name)]
    script = (
        "import sys, importlib\n"
        f"sys.modules.update(dict.fromkeys({TOOLCHAINS!r}))\n"
        f"for name in {light!r}:\n"
        "    importlib.import_module(name)\n"
    )
    path = [str(folder.parent) for folder in PACKAGES.values()]
    command = f"import sys; sys.path[:0] = {path!r}\n{script}"
    result = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-600:]


@pytest.mark.parametrize("command", PROJECT["scripts"])
def test_a_command_exists(command: str) -> None:
    module, _, function = PROJECT["scripts"][command].partition(":")
    assert f"{function} = " in MODULES[module].read_text()


def test_every_requirement_is_pinned_and_the_pin_fits() -> None:
    """constraints.txt pins what the extras ask for; exact versions agree."""
    pins = dict(
        line.lower().replace("_", "-").split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line and not line.startswith("#")
    )
    asked = chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for requirement in asked:
        found = re.match(r"([\w-]+)(?:==([\w.]+))?", requirement)
        assert found
        name, exact = found.groups()
        if name in ("atpn-deploy", "tflite-runtime"):  # itself; needs numpy 1
            continue
        assert name in pins, requirement
        assert exact in (None, pins[name])
