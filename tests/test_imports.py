"""Who may import whom: atpn_deploy <- atpn_exporters <- atpn_benchmarks, and no tool too early."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
#: From the bottom up; a package imports those before it and itself.
PACKAGES = {
    "atpn_deploy": ROOT / "atpn_deploy",
    "atpn_exporters": ROOT / "exporters" / "atpn_exporters",
    "atpn_benchmarks": ROOT / "benchmarks" / "atpn_benchmarks",
}
#: The thin commands import what they drive, inside the function.
COMMANDS = PACKAGES["atpn_deploy"] / "cli"
TOOLCHAINS = (
    "torch",
    "onnx",
    "onnxruntime",
    "tensorflow",
    "litert_torch",
    "ai_edge_litert",
    "cv2",
    "av",
    "pyarrow",
    "ray",
    "executorch",
    "torchao",
    "ncnn",
)


def imported(tree: ast.AST, package: str) -> Iterator[tuple[str, bool]]:
    """Top-level name of every import below `tree` and whether it waits.

    Inside a function for its call, and below TYPE_CHECKING for ever.
    """

    def walk(node: ast.AST, inside: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name.split(".")[0], inside) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                yield (package if child.level else (child.module or "").split(".")[0]), inside
            function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            typing = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
            yield from walk(child, inside or function or typing)

    return walk(tree, False)


def upward(path: Path, source: str, package: str) -> list[str]:
    """The imports of one file that reach up, as "file imports package"."""
    order = list(PACKAGES)
    above = set(order[order.index(package) + 1 :])
    command = COMMANDS in path.parents
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for name, inside in imported(ast.parse(source), package)
        if name in above and not (command and inside)
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_nobody_imports_upward(package: str) -> None:
    files = sorted(PACKAGES[package].rglob("*.py"))

    assert files
    assert [line for path in files for line in upward(path, path.read_text(), package)] == []


@pytest.mark.parametrize(
    ("folder", "source", "found"),
    [
        (".", "import atpn_exporters.target", 1),
        (".", "def f():\n    from atpn_benchmarks import latency", 1),
        (".", "if True:\n    from atpn_exporters import registry", 1),
        (".", "from atpn_deploy import contract\nimport numpy\nfrom . import crop", 0),
        ("cli", "from atpn_exporters import registry", 1),
        ("cli", "class C:\n    import atpn_exporters", 1),
        ("cli", "if TYPE_CHECKING:\n    from atpn_exporters import registry", 0),
        (".", "if TYPE_CHECKING:\n    from atpn_exporters import registry", 1),
        ("cli", "if not TYPE_CHECKING:\n    from atpn_exporters import registry", 1),
        ("cli", "def f():\n    if 1:\n        from atpn_exporters import registry", 0),
    ],
)
def test_an_upward_import_is_found(folder: str, source: str, found: int) -> None:
    path = PACKAGES["atpn_deploy"] / folder / "new.py"

    assert len(upward(path, source, "atpn_deploy")) == found


def test_exporters_may_not_import_benchmarks() -> None:
    path = PACKAGES["atpn_exporters"] / "new.py"

    assert upward(path, "def f():\n    import atpn_benchmarks", "atpn_exporters") != []
    assert upward(path, "import atpn_deploy", "atpn_exporters") == []


def loaded(statement: str) -> set[str]:
    """The toolchains that a fresh interpreter has loaded after `statement`."""
    program = f"import sys\n{statement}\nprint(*sys.modules)"
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(str(folder.parent) for folder in PACKAGES.values())
    }
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True
    )
    return set(TOOLCHAINS) & set(result.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "atpn_exporters.registry",
        "atpn_exporters.opening",
        "atpn_deploy.contract",
        "atpn_deploy.detectors.registry",
        "atpn_deploy.video.opening",
        "atpn_deploy.video.frame_writer",
    ],
)
def test_importing_loads_no_toolchain(module: str) -> None:
    assert loaded(f"import {module}") == set()


def test_the_registry_is_not_empty() -> None:
    from atpn_exporters.registry import TARGETS

    assert {"onnx-fp32", "onnx-fp16", "onnx-dynamic-int8", "onnx-int8"} <= set(TARGETS)
    assert [name for name, target in TARGETS.items() if target.name != name] == []


@pytest.mark.needs("onnx")
def test_a_loaded_toolchain_is_seen() -> None:
    assert "onnx" in loaded("import onnx")
