"""The evaluator of ML programs: rounding, functions, intermediate values, what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from atpn_deploy.errors import ArtifactError, ConfigError, UnsupportedError
from atpn_exporters.mil.evaluator import PRECISIONS, Evaluator, precision_named
from atpn_exporters.mil.package import open_package


def summed(writer: Any, dtype: str) -> Any:
    """x (3,) -> x + 1 -> y -> y - 2048 -> z, all of one type."""
    writer.input("x", (3,), dtype)
    writer.const("one", np.array(1, dtype))
    writer.const("much", np.array(2048, dtype))
    writer.operation("add", "y", {"x": "x", "y": "one"}, dtype, (3,))
    writer.operation("sub", "z", {"x": "y", "y": "much"}, dtype, (3,))
    writer.output("z")
    return open_package(writer.save())


X = np.float32([2048, 2050, 0.5])


def test_a_float32_program_is_not_rounded(writer: Any) -> None:
    package = summed(writer, "float32")

    for precision in ("declared", "fp32"):
        made = Evaluator(package, precision=precision).run({"x": X})  # type: ignore[arg-type]
        assert made["z"].dtype == np.float32
        assert made["z"].tolist() == [1, 3, -2046.5]


def test_a_float16_program_is_rounded_after_each_operator(writer: Any) -> None:
    """Above 2048 float16 knows even numbers only, and a half goes to the even mantissa."""
    package = summed(writer, "float16")

    assert Evaluator(package).run({"x": X})["z"].tolist() == [0, 4, -2046]
    assert Evaluator(package, precision="fp32").run({"x": X})["z"].tolist() == [1, 3, -2046.5]


def test_fp16_rounds_a_float32_program_inputs_and_constants_too(writer: Any) -> None:
    writer.input("x", (1,))
    writer.const("w", np.float32([1 + 2**-12]))
    writer.operation("mul", "y", {"x": "x", "y": "w"}, "float32", (1,))
    writer.output("y")
    package = open_package(writer.save())

    x = np.float32([1 + 2**-12])

    assert Evaluator(package).run({"x": x})["y"] == x * x
    assert Evaluator(package, precision="fp16").run({"x": x})["y"] == 1


def test_only_what_is_declared_float16_is_rounded(writer: Any) -> None:
    """A cast to float16 loses bits, the float32 operator after it no more."""
    writer.input("x", (1,))
    writer.const("fp16", "fp16")
    writer.const("fp32", "fp32")
    writer.operation("cast", "half", {"x": "x", "dtype": "fp16"}, "float16", (1,))
    writer.operation("cast", "back", {"x": "half", "dtype": "fp32"}, "float32", (1,))
    writer.operation("square", "y", {"x": "back"}, "float32", (1,))
    writer.output("y")
    package = open_package(writer.save())
    rounded = np.float32(np.float16(0.1))

    assert Evaluator(package).run({"x": np.float32([0.1])})["y"] == rounded * rounded
    exact = Evaluator(package, precision="fp32").run({"x": np.float32([0.1])})["y"]
    assert exact == np.float32(0.1) * np.float32(0.1)


def test_overflow_is_infinite_and_goes_on_without_a_warning(writer: Any) -> None:
    package = summed(writer, "float16")

    values = Evaluator(package).run_all({"x": np.float32([65504, 1e6, -np.inf])})

    assert values["y"].tolist() == [65504, np.inf, -np.inf]


def test_every_value_has_its_name_in_the_program(writer: Any) -> None:
    values = Evaluator(summed(writer, "float32")).run_all({"x": X})

    assert list(values) == ["y", "z"]
    assert values["y"].tolist() == [2049, 2051, 1.5]


def test_steps_come_in_order_with_their_operations(writer: Any) -> None:
    steps = list(Evaluator(summed(writer, "float16")).steps({"x": X}))

    assert [(s.operation.kind, s.operation.name) for s in steps] == [("add", "y"), ("sub", "z")]
    assert np.asarray(steps[0].exact["y"]).tolist() == [2049, 2051, 1.5]
    assert np.asarray(steps[0].results["y"]).tolist() == [2048, 2052, 1.5]


def test_a_given_value_is_passed_on_and_what_was_computed_is_shown(writer: Any) -> None:
    evaluator = Evaluator(summed(writer, "float32"))

    steps = list(evaluator.steps({"x": X}, {"y": np.float32([0, 0, 0])}))

    assert np.asarray(steps[0].results["y"]).tolist() == [2049, 2051, 1.5]
    assert np.asarray(steps[1].results["z"]).tolist() == [-2048] * 3


def test_what_depends_on_no_input_is_computed_once(writer: Any) -> None:
    """Compressed weights are decompressed when the evaluator is built."""
    writer.input("x", (1, 2))
    writer.const("stored", np.int8([[1, 2], [3, 4]]), blob=True)
    writer.const("scale", np.float32([2, 10]))
    writer.const("zero", np.int8([0, 1]))
    writer.const("axis", np.int32(0))
    names = {"quantized_data": "stored", "scale": "scale", "zero_point": "zero", "axis": "axis"}
    writer.operation("constexpr_affine_dequantize", "w", names, "float32", (2, 2))
    writer.operation("linear", "y", {"x": "x", "weight": "w"}, "float32", (1, 2))
    writer.output("y")

    evaluator = Evaluator(open_package(writer.save()))

    assert evaluator.constant_steps[-1].operation.name == "w"
    assert [s.operation.name for s in evaluator.steps({"x": np.ones((1, 2), np.float32)})] == ["y"]
    assert evaluator.run({"x": np.ones((1, 2), np.float32)})["y"].tolist() == [[6, 50]]


def test_an_operation_may_have_several_results(writer: Any) -> None:
    writer.input("x", (4,))
    writer.const("axis", np.int32(0))
    writer.const("parts", np.int32(2))
    split = writer.operation("split", "a", {"x": "x", "axis": "axis"}, "float32", (2,))
    split.inputs["num_splits"].arguments.add().name = "parts"
    split.outputs.add().CopyFrom(split.outputs[0])
    split.outputs[1].name = "b"
    writer.const("last", np.int32(0))
    joined = writer.operation("concat", "y", {"values": ("b", "a")}, "float32", (4,))
    joined.inputs["axis"].arguments.add().name = "last"
    writer.output("y")

    made = Evaluator(open_package(writer.save())).run({"x": np.float32([1, 2, 3, 4])})

    assert made["y"].tolist() == [3, 4, 1, 2]


def test_a_parameter_may_be_an_attribute_or_written_in_place(writer: Any) -> None:
    """iOS 16 writes the parameters of compressed constants as attributes."""
    writer.input("x", (2,))
    writer.const("two", np.float32([2, 2]))
    two = writer.block.operations[0].attributes["val"]
    mul = writer.operation("mul", "y", {"x": "x"}, "float32", (2,))
    mul.attributes["y"].CopyFrom(two)
    mul.attributes["name"].CopyFrom(two)  # the operation's own name is no parameter
    add = writer.operation("add", "z", {"x": "y"}, "float32", (2,))
    add.inputs["y"].arguments.add().value.CopyFrom(two)
    writer.output("z")

    made = Evaluator(open_package(writer.save())).run({"x": np.float32([1, 2])})

    assert made["z"].tolist() == [4, 6]


def test_an_output_may_be_an_input_or_a_constant(writer: Any) -> None:
    writer.input("x", (1,))
    writer.const("c", np.float32([7]))
    writer.output("x", "c")

    made = Evaluator(open_package(writer.save())).run({"x": np.float32([3])})

    assert (made["x"].tolist(), made["c"].tolist()) == ([3], [7])


def two_functions(writer: Any) -> Any:
    for name, kind in (("align", "relu"), ("full", "square")):
        writer.function(name)
        writer.input("x", (2,))
        writer.operation(kind, "y", {"x": "x"}, "float32", (2,))
        writer.block.outputs.append("y")
        described = writer.message.description.functions.add()
        described.name = name
        described.output.add().name = "y"
    writer.message.description.defaultFunctionName = "full"
    return open_package(writer.save())


def test_functions_are_chosen_by_name(writer: Any) -> None:
    package = two_functions(writer)
    x = {"x": np.float32([-3, 2])}

    assert Evaluator(package, "align").run(x)["y"].tolist() == [0, 2]
    assert Evaluator(package, "full").run(x)["y"].tolist() == [9, 4]
    assert Evaluator(package).run(x)["y"].tolist() == [9, 4]


def test_a_function_that_is_absent_is_named_with_the_choices(writer: Any) -> None:
    with pytest.raises(ConfigError, match="no function 'pose'; it has align, full"):
        Evaluator(two_functions(writer), "pose")


def test_precisions_are_chosen_by_name() -> None:
    assert [precision_named(name) for name in PRECISIONS] == ["declared", "fp32", "fp16"]
    with pytest.raises(ConfigError, match="'int8'; choose from declared, fp32, fp16"):
        precision_named("int8")


def test_an_unknown_operator_is_named_with_its_function(writer: Any) -> None:
    writer.input("x", (1,))
    writer.operation("lstm", "y", {"x": "x"}, "float32", (1,))
    writer.operation("topk", "z", {"x": "y"}, "float32", (1,))
    writer.output("z")
    package = open_package(writer.save())

    with pytest.raises(UnsupportedError, match="function 'main' contains lstm, topk") as caught:
        Evaluator(package)
    assert str(writer.path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("dtype", "shape"), [("float32", (3,)), ("float32", (2, 1)), ("int32", (2,))]
)
def test_a_result_that_is_not_as_declared_is_refused(
    writer: Any, dtype: str, shape: tuple[int, ...]
) -> None:
    writer.input("x", (2,))
    writer.operation("relu", "y", {"x": "x"}, dtype, shape)
    writer.output("y")
    evaluator = Evaluator(open_package(writer.save()))

    with pytest.raises(ArtifactError, match="relu 'y' of function 'main' gives float32") as caught:
        evaluator.run({"x": np.zeros(2, np.float32)})
    assert f"declares {dtype}" in str(caught.value)


def test_an_open_side_takes_any_size(writer: Any) -> None:
    writer.input("x", (2,))
    writer.message.mlProgram.functions["main"].inputs[0].type.tensorType.dimensions[
        0
    ].unknown.variadic = False
    writer.operation("relu", "y", {"x": "x"}, "float32", (5,))
    writer.output("y")

    made = Evaluator(open_package(writer.save())).run({"x": np.ones(5, np.float32)})

    assert made["y"].shape == (5,)


def test_operands_that_do_not_fit_are_one_line(writer: Any) -> None:
    writer.input("x", (2,))
    writer.const("c", np.float32([1, 2, 3]))
    writer.operation("add", "y", {"x": "x", "y": "c"}, "float32", (2,))
    writer.output("y")
    evaluator = Evaluator(open_package(writer.save()))

    with pytest.raises(ArtifactError, match="add 'y' of function 'main' cannot be computed"):
        evaluator.run({"x": np.zeros(2, np.float32)})


def test_a_missing_parameter_is_named(writer: Any) -> None:
    writer.input("x", (2,))
    writer.operation("clip", "y", {"x": "x"}, "float32", (2,))
    writer.output("y")
    evaluator = Evaluator(open_package(writer.save()))

    with pytest.raises(ArtifactError, match=r"clip 'y' .*'alpha' is missing"):
        evaluator.run({"x": np.zeros(2, np.float32)})


def test_a_constant_without_a_value_is_named(writer: Any) -> None:
    writer.operation("const", "c", {}, "float32", (1,))
    package = open_package(writer.save())

    with pytest.raises(ArtifactError, match="const 'c' of function 'main' holds no value"):
        Evaluator(package)


def test_a_stride_of_zero_is_one_line(writer: Any) -> None:
    writer.input("x", (1, 1, 4))
    writer.const("weight", np.ones((1, 1, 1), np.float32))
    writer.const("strides", np.int32([0]))
    writer.operation(
        "conv", "y", {"x": "x", "weight": "weight", "strides": "strides"}, "float32", (1, 1, 4)
    )
    writer.output("y")
    evaluator = Evaluator(open_package(writer.save()))

    with pytest.raises(ArtifactError, match="conv 'y' of function 'main' cannot be computed"):
        evaluator.run({"x": np.zeros((1, 1, 4), np.float32)})


def test_too_many_results_are_refused(writer: Any) -> None:
    writer.input("x", (2,))
    relu = writer.operation("relu", "y", {"x": "x"}, "float32", (2,))
    relu.outputs.add().CopyFrom(relu.outputs[0])
    relu.outputs[1].name = "z"
    writer.output("z")
    evaluator = Evaluator(open_package(writer.save()))

    with pytest.raises(ArtifactError, match="gives 1 results; the program names 2"):
        evaluator.run({"x": np.zeros(2, np.float32)})


@pytest.mark.parametrize(
    ("feeds", "match"),
    [
        ({"y": X}, r"\['y'\]; expected \['x'\]"),
        ({}, r"\[\]; expected \['x'\]"),
        ({"x": X[None]}, r"shape \(1, 3\); expected \(3,\)"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(writer: Any, feeds: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Evaluator(summed(writer, "float32")).run(feeds)
