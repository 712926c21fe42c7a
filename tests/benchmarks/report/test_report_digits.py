from __future__ import annotations

import math

import pytest

from atpn_benchmarks.report import digits


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.14159, "3.14"),
        (0.05449, "0.0545"),
        (12.34, "12.3"),
        (123.4, "123"),
        (1234.5, "1,234"),
        (0.9996, "1.00"),
        (99.96, "100"),
        (0, "0"),
        (math.nan, "-"),
        (math.inf, "-"),
    ],
)
def test_three_digits_are_shown(value: float, text: str) -> None:
    assert digits.significant(value) == text


def test_units() -> None:
    assert digits.milliseconds(0.00179) == "1.79"
    assert digits.microseconds(4.1e-7) == "0.410"
    assert digits.megabytes(1_261_670) == "1.26"
    assert digits.millions(93_400_000) == "93.4"
    assert digits.billions(52e9) == "52.0"


def test_an_interval_has_the_digits_of_its_value() -> None:
    assert digits.span(1.7534, 1.8, 1.79) == "1.75-1.80"
    assert digits.span(9.96, 10.04, 10.0) == "10.0-10.0"
    assert digits.span(math.nan, 1, 1) == "-"


def test_drift_that_no_face_shows_is_no_figure() -> None:
    assert digits.pixels(8.4e-5) == "<0.001"
    assert digits.pixels(0.0083) == "0.0083"
    assert digits.pixels(0.1569) == "0.16"
    assert digits.pixels(7.71) == "7.7"
    assert digits.pixels(math.nan) == "-"


def test_a_share_is_a_percentage() -> None:
    assert digits.percent(0.314) == "31 %"
    assert digits.percent(0.0312) == "3.1 %"
    assert digits.percent(math.nan) == "-"


def test_a_long_name_is_cut_and_put_on_one_line() -> None:
    assert digits.shortened("a\nb\t c", 10) == "a b c"
    assert digits.shortened("abcdefghij", 5) == "abcd\N{HORIZONTAL ELLIPSIS}"
