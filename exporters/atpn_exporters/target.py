"""One deployable flavour of ATPN: how it is made, run and judged, and what it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.errors import MissingToolError
from atpn_deploy.parity import Limit
from atpn_exporters.arithmetic import Arithmetic
from atpn_exporters.session import Session, SessionOptions

if TYPE_CHECKING:
    from atpn_deploy.model import ATPN
    from atpn_exporters.bisect.dissection import Dissection

#: (min, max) of each activation by the name it has in the graph that is quantised.
Ranges = Mapping[str, tuple[float, float]]


def signatures_of(signature: str) -> tuple[str, ...]:
    """The contract signatures that a file of this signature holds: `both` is two of them."""
    return ("align", "full") if signature == "both" else (signature,)


@dataclass(frozen=True)
class ExportJob:
    """What an exporter is given; it changes none of it."""

    model: ATPN
    signature: str  # align, full or both
    metadata: Mapping[str, Any]  # the file's own facts, plain values
    #: A folder that lives as long as the command: expensive intermediate files are kept there.
    workspace: Path
    #: Activation ranges by signature (align, full); empty unless the target is calibrated.
    ranges: Mapping[str, Ranges] = field(default_factory=dict)
    #: PyTorch modules to leave in float beside those that the target always does; see Recipe.
    float_modules: tuple[str, ...] = ()


@dataclass(frozen=True)
class GraphFacts:
    """What a file holds, read from the file itself."""

    operators: Mapping[str, int]  # operator type to count
    float_operators: Mapping[str, int]  # of these, the ones that compute in float
    transposes: int
    partitions: int | None  # XNNPACK partitions; None where that means nothing
    undelegated: Mapping[str, int]  # operators outside every partition
    scheme: str  # the scheme actually found: "weights int8, activations int8, ..."


@dataclass(frozen=True)
class PlannedOperator:
    """One operator of a graph before it is quantised."""

    module: str  # the PyTorch module that it belongs to
    tensor: str  # its result, by the name that calibration ranges have
    in_float: bool  # does the target leave it in float without being told?


@dataclass(frozen=True)
class Pace:
    """Typical seconds on two cores, which a progress bar goes by."""

    first_s: float = 12.0  # the first conversion of a network and signature
    further_s: float = 3.0  # another quantisation of the same
    verify_s: float = 3.0  # a signature


@dataclass(frozen=True)
class Target:
    """One format in one quantisation."""

    name: str  # "tflite-int8"
    format: str
    quantization: str
    suffix: str
    summary: str  # one line for --list
    export: Callable[[ExportJob, Path], None]
    load: Callable[[Path, SessionOptions], Session]
    inspect: Callable[[Path], GraphFacts]
    read_metadata: Callable[[Path], dict[str, Any]]
    limits: tuple[Limit, ...]
    export_needs: tuple[str, ...]  # import names; a workstation has these
    run_needs: tuple[str, ...]  # import names; one of them is enough for a board
    extra: str  # the pip extra that installs them
    #: Distributions that decide the bytes, where those differ from what files of the first
    #: formats carry.
    tools: tuple[str, ...] = ()
    signatures: tuple[str, ...] = ("full", "align")
    #: Calibrated targets only: activation ranges of the job's one signature over crops
    #: (N, 112, 112, 3) uint8, by min/max.
    observe: Callable[[ExportJob, NDArray[np.uint8]], Ranges] | None = None
    arithmetic: Arithmetic = Arithmetic()  # noqa: RUF009  frozen
    #: Only targets that a recipe can tell to leave modules in float: the operators of the job's
    #: one signature, as the target would quantise them.
    plan: Callable[[ExportJob], tuple[PlannedOperator, ...]] | None = None
    #: (file, signature or None, `module_names.called_names` of the network) to the file's layers;
    #: None where they can't be run one by one.
    dissect: Callable[[Path, str | None, Mapping[str, str]], Dissection] | None = None

    pace: Pace = Pace()
    #: Why a latency measured on this machine says nothing of the target's own; empty, or None,
    #: where it does.
    untimed: Callable[[], str] | None = None

    @property
    def why_untimed(self) -> str:
        """Why a file of this target is not timed here; empty if it is."""
        return "" if self.untimed is None else self.untimed()

    @property
    def calibrated(self) -> bool:
        """Does exporting need activation ranges?"""
        return self.observe is not None

    def missing(self) -> tuple[str, ...]:
        """The import names that exporting and running here would need and that are absent."""
        absent = [name for name in self.export_needs if find_spec(name) is None]
        if not any(find_spec(name) is not None for name in self.run_needs):
            absent.append(self.run_needs[0])
        return tuple(dict.fromkeys(absent))

    @property
    def pip_line(self) -> str:
        """What installs this target's tools."""
        return f"pip install -c constraints.txt 'atpn-deploy[{self.extra}]'"

    def require(self) -> None:
        """Raise MissingToolError with the pip line if something is absent."""
        if absent := self.missing():
            raise MissingToolError(f"{self.name} needs {', '.join(absent)}: {self.pip_line}")
