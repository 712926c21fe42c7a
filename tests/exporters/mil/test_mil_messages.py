"""Core ML's protobuf messages come without coremltools' converters, or with a pip line."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest

from atpn_deploy.errors import MissingToolError
from atpn_exporters.mil.messages import model_class

PROGRAM = """
import sys
from atpn_exporters.mil.messages import model_class
message = model_class()(specificationVersion=8)
print(message.specificationVersion, "coremltools" in sys.modules, "torch" in sys.modules)
"""


@pytest.mark.needs("coremltools")
def test_no_converter_is_loaded() -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )

    assert result.stdout.split() == ["8", "False", "False"]
    assert result.stderr == ""


def test_without_coremltools_there_is_a_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "coremltools.proto", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    with pytest.raises(MissingToolError, match=r"atpn-deploy\[coreml\]"):
        model_class.__wrapped__()
