"""Limits that backends share are the same numbers in each, and none is looser than it says."""

from __future__ import annotations

import pytest

from atpn_exporters.registry import TARGETS


def numbers(target: str) -> dict[tuple[str, str], float]:
    """Every limit of a target by output and unit."""
    return {(limit.output, limit.unit): limit.value for limit in TARGETS[target].limits}


@pytest.mark.parametrize(
    "target", ["tflite-fp32", "onnx-fp32", "executorch-fp32", "ncnn-fp32", "coreml-fp32"]
)
def test_float32_files_are_held_to_rounding(target: str) -> None:
    assert numbers(target) == {
        ("landmarks", "px"): 1e-4,
        ("pose", "degree"): 1e-3,
        ("confidence", "probability"): 1e-5,
    }
    assert {limit.statistic for limit in TARGETS[target].limits} == {"max"}


@pytest.mark.parametrize("target", ["tflite-int8", "executorch-int8", "coreml-w8a8"])
def test_calibrated_int8_is_held_to_half_a_pixel(target: str) -> None:
    assert numbers(target) == {
        ("landmarks", "px"): 0.5,
        ("landmarks", "% inter-ocular"): 1.5,
        ("pose", "degree"): 1.5,
        ("confidence", "probability"): 0.1,
    }


@pytest.mark.parametrize("target", ["tflite-full-int8", "coreml-palette4"])
def test_the_coarsest_files_are_held_to_half_of_the_network_s_error(target: str) -> None:
    assert numbers(target) == {
        ("landmarks", "px"): 1.0,
        ("landmarks", "% inter-ocular"): 2.3,
        ("pose", "degree"): 2.4,
        ("confidence", "probability"): 0.15,
    }
