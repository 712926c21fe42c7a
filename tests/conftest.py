"""What tests need beyond the code, and `--require`, which makes a skip for want of it a failure."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from atpn_deploy.config import ATPNConfig
    from atpn_deploy.model import ATPN

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

#: What `--require` and `@pytest.mark.needs` can name, and the modules that make it up.
MODULES = {
    "torch": ("torch", "safetensors"),
    "onnx": ("onnx", "onnxscript"),
    "onnxruntime": ("onnxruntime",),
    "onnxsim": ("onnxsim",),
    "litert": ("ai_edge_litert",),
    "litert-torch": ("litert_torch",),
    "ai-edge-quantizer": ("ai_edge_quantizer",),
    "coremltools": ("coremltools",),
    "executorch": ("executorch", "torchao"),
    "ncnn": ("ncnn", "pnnx"),
    "tflite-runtime": ("tflite_runtime",),
    "tensorflow": ("tensorflow",),
    "opencv": ("cv2",),
    "av": ("av",),
    "pyarrow": ("pyarrow",),
    "ray": ("ray",),
    "skimage": ("skimage",),
    "sklearn": ("sklearn",),
    "matplotlib": ("matplotlib",),
    "fvcore": ("fvcore",),
    "chromium": ("playwright",),  # and the browser itself
}
#: Programs of the system that they can name too: by name, what is looked for.
PROGRAMS = {
    "sshd": ("sshd", "ssh", "ssh-keygen"),
    "dropbear": ("dropbear", "dropbearkey", "ssh", "ssh-keygen"),
    "adb": ("adb",),
    "adbd": ("adbd", "adb", "unshare", "ip"),
}
#: Where servers are installed, which a user's own path may lack.
PROGRAM_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
NEEDS = ("shared", "qemu-arm", *MODULES, *PROGRAMS)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require",
        default="",
        metavar="NAME,...",
        help=f"fail where a test would be skipped for want of one of: {', '.join(NEEDS)}",
    )


def required(config: pytest.Config) -> list[str]:
    """The names given to `--require`; one that does not exist is a usage error."""
    names = [name for name in config.getoption("--require").split(",") if name]
    if unknown := sorted(set(names) - set(NEEDS)):
        raise pytest.UsageError(f"--require does not know {unknown}; it knows {', '.join(NEEDS)}")
    return names


def pytest_configure(config: pytest.Config) -> None:
    required(config)


def missing(name: str) -> bool:
    """Whether `name` of NEEDS is not at hand."""
    if name == "shared":
        return not SHARED.is_dir()
    if name == "qemu-arm":
        return not _arm_is_made()
    if name == "chromium" and not any(map(which, ("chromium", "chromium-browser"))):
        return True
    if name in PROGRAMS:
        return any(which(program, path=PROGRAM_PATH) is None for program in PROGRAMS[name])
    return any(find_spec(module) is None for module in MODULES[name])


@cache
def _arm_is_made() -> bool:
    """Whether `atpn-bench setup-arm` has made what emulated cores run in."""
    from atpn_benchmarks.arm.environment import default_folder
    from atpn_benchmarks.arm.making import open_environment
    from atpn_deploy.errors import ArmError

    try:
        open_environment(default_folder())
    except ArmError:
        return False
    return True


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        for name in mark.args:
            if missing(name):
                pytest.skip(f"{name} is not at hand")


def _forbidden(reason: str, config: pytest.Config) -> str | None:
    """The required name that a skip's reason gives, alone or as one of its modules."""
    for name in required(config):
        for word in (name, *MODULES.get(name, ())):
            if re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", reason):
                return name
    return None


def _fail_if_required(
    report: pytest.TestReport | pytest.CollectReport, config: pytest.Config
) -> None:
    """Turn a skip into a failure where its reason names something required."""
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if name := _forbidden(reason, config):
        report.outcome = "failed"
        report.longrepr = f"{reason} (--require={name} forbids this skip)"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_if_required(report, item.config)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_if_required(report, collector.config)
    return report


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of the research data, which lies beside the repository and is not part of it."""
    if missing("shared"):
        pytest.skip(f"shared is not at hand: {SHARED} does not exist")
    return SHARED


@cache
def warmed(config: ATPNConfig) -> ATPN:
    """A seeded random network whose batch norms have real statistics, scales and shifts.

    A fresh batch norm is the identity: a rewrite that forgot it would go unnoticed.
    """
    import torch
    from torch import nn

    from atpn_deploy.model import ATPN

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(20)
        model = ATPN(config)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.7, 1.4)
                nn.init.normal_(module.bias, std=0.2)
                module.momentum = None  # a plain average over the passes below
        model.train()
        with torch.no_grad():
            for _ in range(3):
                model(torch.randint(0, 256, (6, 112, 112, 3)).float())
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def own_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a user's own: the shipped one with its landmarks moved by a tenth of a pixel.

    Trained, because random weights amplify rounding beyond the limits of float files.
    """
    from atpn_deploy.weights import save_state, shipped

    model = shipped("atpn-lite").load()
    model.alignment.head.linear.bias.data += 1e-3
    path = tmp_path_factory.mktemp("weights") / "mine.safetensors"
    save_state(model, path)
    return path


@pytest.fixture(scope="session")
def shipped_onnx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped atpn-lite as an .onnx file that passed parity; copy what is to be changed."""
    from atpn_deploy.weights import shipped
    from atpn_exporters.pipeline import export
    from atpn_exporters.planning import ExportPlan
    from atpn_exporters.progress import Silent
    from atpn_exporters.registry import select

    folder = tmp_path_factory.mktemp("shipped")
    plan = ExportPlan(shipped("atpn-lite"), select("onnx", "fp32"), folder)
    return export(plan, Silent()).reports[0].path


@pytest.fixture(scope="session")
def tflite_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where float .tflite files are kept, so that each is converted once a session."""
    return tmp_path_factory.mktemp("tflite")


@pytest.fixture(scope="session")
def executorch_float(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped atpn-lite as a .pte in float with both signatures and a few facts."""
    from atpn_deploy.weights import shipped
    from atpn_exporters.executorch_backend import EXECUTORCH_FP32
    from atpn_exporters.target import ExportJob

    folder = tmp_path_factory.mktemp("executorch-float")
    facts = {
        "target": "executorch-fp32",
        "model": "atpn-lite",
        "contract": {"version": 1},
        "ä": "é",
    }
    path = folder / "fp32.pte"
    EXECUTORCH_FP32.export(ExportJob(shipped("atpn-lite").load(), "both", facts, folder), path)
    return path


@pytest.fixture(scope="session")
def coreml_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where float Core ML programs are kept, so that each is converted once a session."""
    return tmp_path_factory.mktemp("coreml")


@pytest.fixture(scope="session")
def reference() -> Callable[[str | ATPNConfig], ATPN]:
    """`reference(name or config)` is that network with random, warmed weights; leave it unchanged.

    Built once a session. What a test wants to change it copies first.
    """
    from atpn_deploy.config import config_named

    def build(which: str | ATPNConfig) -> ATPN:
        return warmed(config_named(which) if isinstance(which, str) else which)

    return build
