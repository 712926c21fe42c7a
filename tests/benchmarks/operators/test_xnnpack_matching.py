"""Names as XNNPACK gave them for real files."""

from __future__ import annotations

import pytest

from atpn_benchmarks.operators.xnnpack_matching import fits, match

DENSE, GEMM = "Fully Connected (NC, QS8, QC8W) GEMM", "Fully Connected (NC, F32) GEMM"
DEPTHWISE = "Convolution (NHWC, QC8) DWConv"


def test_a_padding_that_was_merged_has_no_event():
    kinds = ["CONV_2D", "PAD", "DEPTHWISE_CONV_2D", "CONV_2D"]
    assert match([DENSE, DEPTHWISE, DENSE], kinds) == [0, 2, 3]


def test_an_activation_of_its_own_goes_with_the_addition_before_it():
    tags = ["Convolution (NHWC, QC8) IGEMM", "Add (ND)", "Clamp (NC)", DENSE]
    assert match(tags, ["CONV_2D", "ADD", "CONV_2D"]) == [0, 1, 1, 2]


def test_rounding_of_activations_goes_with_the_layer_that_reads_them():
    tags = ["Add (ND)", "Convert (NC)", "Fully Connected (NC, QD8, F32, QC8W) GEMM"]
    assert match(tags, ["ADD", "CONV_2D", "ADD"]) == [0, 1, 1]


def test_a_function_between_casts_is_a_table():
    kinds = ["CONV_2D", "DEQUANTIZE", "HARD_SWISH", "QUANTIZE", "DEPTHWISE_CONV_2D"]
    assert match([DENSE, "Invalid Unary Op", DEPTHWISE], kinds) == [0, 2, 4]


def test_one_missing_event_does_not_shift_the_rest():
    kinds = ["CONV_2D", "ADD", "CONV_2D", "ADD", "CONV_2D", "MUL"]
    tags = [DENSE, DENSE, "Add (ND)", DENSE, "Multiply (ND)"]
    assert match(tags, kinds) == [0, 2, 3, 4, 5]


def test_a_linear_layer_is_taken_before_a_convolution_of_the_same_kernel():
    assert match([GEMM], ["CONV_2D", "FULLY_CONNECTED"]) == [1]


def test_the_longest_name_decides():
    assert fits("Square Root (NC)", "SQRT")
    assert not fits("Square Root (NC)", "SQUARE")
    assert fits("Square (NC)", "MUL")


@pytest.mark.parametrize("tag", ["", "an operator of a later XNNPACK"])
def test_what_is_not_known_goes_with_the_operator_before(tag):
    assert match([DENSE, tag, "TanH (NC)"], ["CONV_2D", "SOFTMAX", "TANH"]) == [0, 0, 2]
    assert match([tag, DENSE], ["CONV_2D"]) == [0, 0]
