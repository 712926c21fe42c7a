"""Faults planted into finished files of each format: the bisect must name the layer they are in."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from atpn_benchmarks.planted.trial import KINDS, trial

if TYPE_CHECKING:
    from atpn_deploy.config import ATPNConfig
    from atpn_deploy.model import ATPN

pytestmark = [pytest.mark.needs("torch"), pytest.mark.timeout(600)]

#: What makes and runs the files of each format.
NEEDS = {
    "onnx": pytest.mark.needs("onnx", "onnxruntime", "onnxsim"),
    "tflite": pytest.mark.needs("litert", "litert-torch", "ai-edge-quantizer"),
    "coreml": pytest.mark.needs("coremltools"),
}


@pytest.mark.parametrize(
    "format_", [pytest.param(format_, marks=NEEDS[format_]) for format_ in KINDS]
)
def test_the_right_layer_is_named_first_in_nine_of_ten(
    format_: str, reference: Callable[[str | ATPNConfig], ATPN], tmp_path: Path
) -> None:
    from atpn_exporters.bisect.run import golden_faces

    found = trial(format_, reference("atpn-lite"), golden_faces(2)[1], tmp_path)

    wrong = [
        f"{i.fault}: {i.module} is {i.rank}., first is {i.first}" for i in found if i.rank != 1
    ]
    assert len(found) >= 10
    assert len(wrong) <= len(found) / 10, wrong
    # A fault that costs nothing would be first by chance.
    assert all(math.isnan(i.damage_px) or i.damage_px > 0.01 for i in found)
