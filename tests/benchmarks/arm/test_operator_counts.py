"""Which readings of the clock belong to which operator, and what lies between them."""

from __future__ import annotations

import pytest

from atpn_benchmarks.arm.operator_counts import matched
from atpn_benchmarks.arm.region_file import ClockReading
from atpn_deploy.errors import ArmError


def readings(*spans: tuple[float, int]) -> list[ClockReading]:
    """From (microseconds, instructions) between readings in a row."""
    ns, instructions = 10**12, 7
    found = [ClockReading(ns, instructions)]
    for taken_us, count in spans:
        ns, instructions = ns + round(taken_us * 1000), instructions + count
        found.append(ClockReading(ns, instructions))
    return found


def test_an_operator_has_the_instructions_between_its_two_readings() -> None:
    noted = readings((6425, 437_690), (2915, 477_139), (371, 122_505))

    assert matched([6426, 2914, 371], noted) == [437_690, 477_139, 122_505]


def test_readings_of_others_are_left_out() -> None:
    noted = readings((400, 28), (90, 20), (6425, 437), (55, 9), (2915, 477), (60, 1))

    assert matched([6426, 2914], noted) == [437, 477]


def test_operators_of_equal_time_keep_their_order() -> None:
    noted = readings((500, 1), (500, 2), (500, 3))

    assert matched([500, 500, 500], noted) == [1, 2, 3]


def test_an_operator_that_was_interrupted_between_the_two_clocks_is_still_itself() -> None:
    noted = readings((30, 9), (1000, 1), (1040, 2), (1000, 3))

    assert matched([1000, 1000, 1000], noted) == [1, 2, 3]


def test_times_that_fit_nothing_are_refused() -> None:
    with pytest.raises(ArmError, match="can't be told apart"):
        matched([1000, 1000], readings((10, 1), (20, 2), (30, 3)))


def test_fewer_readings_than_operators_are_refused() -> None:
    with pytest.raises(ArmError, match="noted 3 operators, and the clock was read 2 times only"):
        matched([1, 2, 3], readings((1, 1)))
