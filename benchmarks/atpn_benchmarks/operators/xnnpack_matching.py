"""Which operator of a .tflite each operator of XNNPACK is.

XNNPACK keeps the order of the graph, merges some operators (a PAD into the convolution behind it)
and splits others (an addition and its activation), and numbers its own. The longest row of pairs
that fit, in the order of both, says which is which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

#: Start of XNNPACK's name of an operator to the operators of a .tflite that it can stand for, the
#: likeliest first.
FITTING: Mapping[str, tuple[str, ...]] = {
    "Convolution": ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"),
    "Fully Connected": ("FULLY_CONNECTED", "CONV_2D"),
    "Batch Matrix Multiply": ("BATCH_MATMUL", "FULLY_CONNECTED"),
    "Deconvolution": ("TRANSPOSE_CONV",),
    "Add": ("ADD",),
    "Subtract": ("SUB",),
    "Multiply": ("MUL",),
    "Divide": ("DIV",),
    "Maximum": ("MAXIMUM",),
    "Minimum": ("MINIMUM",),
    "Clamp": ("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "MAXIMUM", "MINIMUM"),
    "Copy": ("CONCATENATION", "RESHAPE", "SPLIT", "EXPAND_DIMS", "SQUEEZE"),
    "Concatenate": ("CONCATENATION",),
    "Static Reshape": ("RESHAPE", "EXPAND_DIMS", "SQUEEZE"),
    "Reshape": ("RESHAPE", "EXPAND_DIMS", "SQUEEZE"),
    "Slice": ("STRIDED_SLICE", "SLICE", "SPLIT"),
    "Split": ("SPLIT",),
    "Convert": ("DEQUANTIZE", "QUANTIZE", "CAST"),
    # So it calls a table of 256 results, which an int8 function between casts becomes.
    "Invalid Unary Op": ("HARD_SWISH", "TANH", "LOGISTIC", "SQRT", "RSQRT", "EXP", "QUANTIZE"),
    "Square Root": ("SQRT",),
    "Squared Difference": ("SQUARED_DIFFERENCE",),
    "Square": ("SQUARE", "MUL"),
    "Reciprocal Square Root": ("RSQRT",),
    "Reduce": ("MEAN", "SUM", "REDUCE_MIN", "REDUCE_MAX"),
    "Mean": ("MEAN",),
    "Global": ("MEAN", "AVERAGE_POOL_2D", "SUM"),
    "Average Pooling": ("AVERAGE_POOL_2D", "MEAN"),
    "Max Pooling": ("MAX_POOL_2D",),
    "TanH": ("TANH",),
    "Sigmoid": ("LOGISTIC",),
    "HardSwish": ("HARD_SWISH",),
    "Constant Pad": ("PAD", "PADV2"),
    "Transpose": ("TRANSPOSE",),
    "Softmax": ("SOFTMAX",),
    "Resize Bilinear": ("RESIZE_BILINEAR",),
    "Leaky ReLU": ("LEAKY_RELU",),
    "PReLU": ("PRELU",),
    "ELU": ("ELU",),
    "Depth To Space": ("DEPTH_TO_SPACE",),
    "Space To Depth": ("SPACE_TO_DEPTH",),
    "Absolute Value": ("ABS",),
    "Abs": ("ABS",),
    "Negate": ("NEG",),
    "Exp": ("EXP",),
    "Gelu": ("GELU",),
}
#: What prepares the operator behind it rather than ends the one before: activations that are
#: quantised when they are read, borders and layouts.
PREPARING = ("Convert", "Constant Pad", "Transpose", "Copy")


def fits(tag: str, kind: str) -> int:
    """How well an operator of XNNPACK fits one of the file: 0 not at all, more is better."""
    stems = [stem for stem in FITTING if tag.startswith(stem)]
    if not stems:
        return 0
    kinds = FITTING[max(stems, key=len)]
    return 2 * len(FITTING) - kinds.index(kind) if kind in kinds else 0


def match(tags: Sequence[str], kinds: Sequence[str]) -> list[int]:
    """Position in `kinds` of every one of `tags`; one that fits nothing goes with a neighbour.

    The best of all rows of pairs that keep both orders, found from the end. `kinds` has to hold at
    least one.
    """
    width = len(kinds) + 1
    best = [[0] * width for _ in range(len(tags) + 1)]
    for row in range(len(tags) - 1, -1, -1):
        for column in range(len(kinds) - 1, -1, -1):
            pair = fits(tags[row], kinds[column])
            best[row][column] = max(
                best[row + 1][column],
                best[row][column + 1],
                pair + best[row + 1][column + 1] if pair else 0,
            )
    return _with_neighbours(_pairs(best), tags)


def _pairs(best: Sequence[Sequence[int]]) -> list[int | None]:
    """The row of pairs that reaches the best sum; of equal ones that with the earliest pairs."""
    found: list[int | None] = []
    column = 0
    for row in range(len(best) - 1):
        if best[row][column] == best[row + 1][column]:
            found.append(None)  # nothing is lost by leaving this one without a partner
            continue
        while best[row][column] == best[row][column + 1]:
            column += 1
        # Neither side can be left out, so the two are a pair of the best row.
        found.append(column)
        column += 1
    return found


def _with_neighbours(found: Sequence[int | None], tags: Sequence[str]) -> list[int]:
    """Those without a partner given to the operator that they prepare or that they end."""
    filled = list(found)
    for place in range(len(filled) - 2, -1, -1):
        if filled[place] is None and tags[place].startswith(PREPARING):
            filled[place] = filled[place + 1]
    last = next((position for position in filled if position is not None), 0)
    settled = []
    for position in filled:
        last = last if position is None else position
        settled.append(last)
    return settled
