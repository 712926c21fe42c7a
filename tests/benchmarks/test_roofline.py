from __future__ import annotations

from dataclasses import replace

import pytest

from atpn_benchmarks.results import Cost, Fraction, Peaks
from atpn_benchmarks.roofline import exceeded, fraction, least_memory_s

#: 100 and 400 million multiply-adds and 10 and 1 GB in a millisecond's thousandfold: round figures.
PEAKS = Peaks(100e9, 400e9, 10e9, 1e9, {}, last_cache_bytes=8 * 2**20)
COST = Cost(
    parameters=10**6,
    macs=60_000_000,
    weight_bytes=2**20,
    activation_bytes=2**20,
    moved_bytes=2_000_000,
    uncounted={},
)


def test_float_multiply_adds_at_the_float_peak():
    assert fraction(COST, PEAKS, 1e-3) == Fraction(
        pytest.approx(0.6e-3), pytest.approx(0.6), "compute"
    )


def test_int8_multiply_adds_at_the_int8_peak_and_the_rest_at_the_other():
    mixed = replace(COST, int8_macs=40_000_000)
    assert fraction(mixed, PEAKS, 1e-3).limit_s == pytest.approx(0.2e-3 + 0.1e-3)


def test_bytes_bound_a_file_that_multiplies_little():
    found = fraction(replace(COST, macs=10_000_000), PEAKS, 1e-3)
    assert found == Fraction(pytest.approx(0.2e-3), pytest.approx(0.2), "memory")


def test_a_working_set_beyond_the_largest_cache_comes_from_memory():
    large = replace(COST, activation_bytes=8 * 2**20)
    assert least_memory_s(large, PEAKS) == pytest.approx(2e-3)
    assert least_memory_s(large, replace(PEAKS, last_cache_bytes=0)) == pytest.approx(0.2e-3)


def test_a_peak_that_was_not_measured_gives_no_limit():
    assert fraction(COST, replace(PEAKS, fp32_macs_per_s=None), 1e-3) is None
    assert fraction(replace(COST, int8_macs=1), replace(PEAKS, int8_macs_per_s=None), 1e-3) is None
    assert fraction(COST, replace(PEAKS, cache_bytes_per_s=None), 1e-3) is None
    # What a file does not need may be missing.
    assert fraction(COST, replace(PEAKS, int8_macs_per_s=None), 1e-3) is not None


def test_no_file_is_faster_than_its_limit_unnoticed():
    found = fraction(COST, PEAKS, 0.5e-3)
    assert found.fraction == pytest.approx(1.2)
    assert exceeded("a.tflite", found).startswith(
        "a.tflite ran in 0.5 ms, less than the 0.6 ms that the measured compute peak allows"
    )
    assert exceeded("a.tflite", fraction(COST, PEAKS, 1e-3)) == ""
