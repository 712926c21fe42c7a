"""What it takes to run a deployable file: three verbs and the facts a report needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.closing import Context
from atpn_deploy.contract import Tensors

if TYPE_CHECKING:
    pass  # Python 3.11; a board may have 3.10


@dataclass(frozen=True)
class SessionOptions:
    """How to open a file."""

    threads: int = 1
    #: Which interpreter runs a .tflite: auto, litert, tflite-runtime or tensorflow.
    runtime: str = "auto"
    #: `align` or `full`; None takes the file's only one, or `full` where it has both.
    signature: str | None = None
    #: Run once on opening, so that what a runtime refuses only then is refused at once. A
    #: benchmark times the first run itself.
    trial: bool = True


class Session(Context, Protocol):
    """An open file. Callers see float32 by contract name; layout and int8 stay inside.

    `run` takes {"image": (1, 112, 112, 3)} with RGB values 0..255, uint8 or float, and returns the
    outputs of the contract that the file computes, float32, by name.
    """

    @property
    def runtime(self) -> str:
        """Name and version of what runs the file, such as "LiteRT 2.3.0"."""

    @property
    def kernel_family(self) -> str:
        """Which kernels compute, such as "litert-xnnpack": integers are equal within a family."""

    @property
    def output_names(self) -> tuple[str, ...]:
        """The contract outputs of this file, in the contract's order."""

    @property
    def steps(self) -> dict[str, float]:
        """Quantisation step of each output that the graph stores as integers; else empty."""

    def run(self, feeds: Tensors) -> dict[str, NDArray[np.float32]]:
        """Run once."""

    def repeat(self) -> None:
        """Run again on the image of the last `run` and read nothing: what a timing repeats."""
