"""The shipped networks, converted by coremltools and evaluated without Core ML, against PyTorch."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from atpn_deploy.golden import load_inputs
from atpn_exporters.mil.evaluator import Evaluator
from atpn_exporters.mil.health import examine
from atpn_exporters.mil.package import open_package

pytestmark = pytest.mark.needs("torch", "coremltools")

Crops = NDArray[np.uint8]
NETWORKS = ("atpn-lite", "atpn")
#: Crops of each network that are evaluated; one takes a tenth of a second.
COUNT = 6


@pytest.fixture(scope="session")
def converted(coreml_workspace: Path) -> Callable[[str], Path]:
    """`converted(network)` is its float32 program, all three outputs, made once a session."""
    from atpn_deploy.weights import shipped
    from atpn_exporters.coreml_convert import float_package

    @cache
    def convert(name: str) -> Path:
        model = shipped(name).load()
        return float_package(model, "full", "fp32", coreml_workspace, newest=False)

    return convert


@pytest.fixture(scope="session")
def crops() -> Crops:
    """Golden faces."""
    golden = load_inputs()
    return golden.images[golden.faces][:COUNT]


def planar(crop: Crops) -> dict[str, NDArray[np.float32]]:
    return {"image": crop[None].transpose(0, 3, 1, 2).astype(np.float32)}


def expected(name: str, crops: Crops) -> dict[str, NDArray[np.float32]]:
    from atpn_deploy.weights import predictor, shipped

    return predictor(shipped(name).load())(crops)


@pytest.mark.parametrize("name", NETWORKS)
def test_float32_is_pytorch_to_a_hundred_thousandth_of_the_crop(
    converted: Callable[[str], Path], crops: Crops, name: str
) -> None:
    evaluator = Evaluator(open_package(converted(name)))
    reference = expected(name, crops)

    made = [evaluator.run(planar(crop)) for crop in crops]

    assert {"landmarks", "pose", "confidence"} == set(made[0])
    for output in made[0]:
        rows = np.concatenate([one[output] for one in made])
        error = float(np.abs(rows.astype(np.float64) - reference[output]).max())
        assert error <= 1e-5, output


def test_an_image_takes_less_than_a_second(converted: Callable[[str], Path], crops: Crops) -> None:
    evaluator = Evaluator(open_package(converted("atpn")), precision="fp16")
    seconds = []
    for crop in crops[:3]:
        started = time.perf_counter()
        evaluator.run(planar(crop))
        seconds.append(time.perf_counter() - started)

    assert min(seconds) < 1


def test_half_precision_moves_the_outputs_a_little(
    converted: Callable[[str], Path], crops: Crops
) -> None:
    """More than float32's own rounding, and far less than a pixel (1 / 112)."""
    evaluator = Evaluator(open_package(converted("atpn-lite")), precision="fp16")
    reference = expected("atpn-lite", crops[:2])["landmarks"]

    made = np.concatenate([evaluator.run(planar(c))["landmarks"] for c in crops[:2]])

    assert 1e-5 < float(np.abs(made - reference).max()) < 0.5 / 112


def test_no_value_of_the_network_breaks_in_half_precision(
    converted: Callable[[str], Path], crops: Crops
) -> None:
    evaluator = Evaluator(open_package(converted("atpn")), precision="fp16")

    values = examine(evaluator, [planar(crop) for crop in crops[:2]])

    assert len(values) > 300
    assert [value.value for value in values if value.broken] == []
    assert max(value.largest for value in values) < 65504
