"""Every operator that the evaluator knows, by its name in a program."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from atpn_exporters.mil.algebra import ALGEBRA
from atpn_exporters.mil.arguments import Arguments
from atpn_exporters.mil.compression import COMPRESSION
from atpn_exporters.mil.convolution import CONVOLUTION
from atpn_exporters.mil.elementwise import ELEMENTWISE
from atpn_exporters.mil.layout import LAYOUT

#: An operator with one result returns an array, one with several a tuple. It computes in float32
#: whatever the program says; its results are rounded after it has run.
Operator = Callable[[Arguments], NDArray[Any] | tuple[NDArray[Any], ...]]

OPERATORS: Mapping[str, Operator] = {
    **ALGEBRA,
    **COMPRESSION,
    **CONVOLUTION,
    **ELEMENTWISE,
    **LAYOUT,
}
