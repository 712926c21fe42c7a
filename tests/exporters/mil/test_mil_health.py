"""What is reported of a program's values: NaN, infinity, what float16 loses, magnitudes."""

from __future__ import annotations

from typing import Any

import numpy as np

from atpn_exporters.mil.evaluator import Evaluator
from atpn_exporters.mil.health import examine
from atpn_exporters.mil.package import open_package


def scaled(writer: Any, factor: float) -> Any:
    """x (4,) float32 -> cast to float16 -> times factor."""
    writer.input("x", (4,))
    writer.const("fp16", "fp16")
    writer.const("factor", np.array(factor, np.float16))
    writer.operation("cast", "half", {"x": "x", "dtype": "fp16"}, "float16", (4,))
    writer.operation("mul", "y", {"x": "half", "y": "factor"}, "float16", (4,))
    writer.operation("sqrt", "z", {"x": "y"}, "float16", (4,))
    writer.output("z")
    return Evaluator(open_package(writer.save()))


def test_overflow_nan_and_the_largest_magnitude(writer: Any) -> None:
    evaluator = scaled(writer, 2)

    factor, half, y, z = examine(evaluator, [{"x": np.float32([40000, -40000, 1, 0])}])

    assert (factor.value, factor.operation, factor.largest) == ("factor", "const", 2)
    assert (half.value, half.operation, half.rounding) == ("half", "cast", "float16")
    assert not half.broken
    assert (y.infinite, y.nan, y.largest, y.elements) == (2, 0, 80000, 4)
    assert y.broken
    assert (z.infinite, z.nan) == (1, 1)


def test_what_half_precision_loses(writer: Any) -> None:
    """2^-14 is float16's smallest normal number, 2^-24 its smallest at all."""
    evaluator = scaled(writer, 1)

    _, half, *_ = examine(evaluator, [{"x": np.float32([2**-14, 2**-15, 2**-26, 0])}])

    assert (half.subnormal, half.flushed) == (1, 1)


def test_nothing_is_lost_in_float32(writer: Any) -> None:
    writer.input("x", (2,))
    writer.operation("relu", "y", {"x": "x"}, "float32", (2,))
    writer.output("y")

    (y,) = examine(Evaluator(open_package(writer.save())), [{"x": np.float32([2**-26, 1e30])}])

    assert (y.rounding, y.subnormal + y.flushed, y.largest) == ("float32", 0, np.float32(1e30))


def test_the_findings_of_several_images_are_one(writer: Any) -> None:
    images = [{"x": np.full(4, value, np.float32)} for value in (1, 40000, 2**-20)]

    found = {health.value: health for health in examine(scaled(writer, 2), images)}

    assert (found["y"].elements, found["y"].infinite, found["y"].subnormal) == (12, 4, 4)
    assert found["y"].largest == 80000
    assert found["factor"].elements == 1


def test_integers_and_texts_are_not_reported(writer: Any) -> None:
    writer.input("x", (2,))
    writer.const("int32", "int32")
    writer.operation("cast", "y", {"x": "x", "dtype": "int32"}, "int32", (2,))
    writer.output("y")

    assert examine(Evaluator(open_package(writer.save())), [{"x": np.float32([1, 2])}]) == ()
