"""The health of a Core ML file's values over crops, as a table and as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.table import Table

from atpn_deploy.contract import CROP_SIDE, IMAGE
from atpn_deploy.errors import ArtifactError
from atpn_exporters.mil.evaluator import Evaluator, Precision
from atpn_exporters.mil.health import Health, examine
from atpn_exporters.mil.package import open_package
from atpn_exporters.mil.program import Value

#: What Core ML hands the program of an RGB image: the contract's crop, planar.
PLANAR_IMAGE = (1, 3, CROP_SIDE, CROP_SIDE)
#: Columns of the table, and the field of Health that each shows.
COLUMNS = {
    "NaN": "nan",
    "inf": "infinite",
    "to zero": "flushed",
    "subnormal": "subnormal",
    "largest": "largest",
}


@dataclass(frozen=True)
class HealthReport:
    """Every float value of one function of a file, over some crops, in one precision."""

    path: Path
    function: str
    precision: str
    crops: int
    values: tuple[Health, ...]  # in the program's order

    @property
    def broken(self) -> tuple[Health, ...]:
        """Values with NaN or infinity, the first to go wrong first."""
        return tuple(value for value in self.values if value.broken)

    def worst(self, rows: int) -> list[Health]:
        """Broken ones in the program's order, then by the share that became zero, by magnitude."""

        def badness(value: Health) -> tuple[float, float]:
            return -value.flushed / max(1, value.elements), -value.largest

        others = sorted((value for value in self.values if not value.broken), key=badness)
        return [*self.broken, *others][:rows]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; infinite magnitudes as text, which JSON has no number for."""
        rows = [asdict(value) for value in self.values]
        for row in rows:
            row["largest"] = row["largest"] if np.isfinite(row["largest"]) else "infinite"
        facts = {"function": self.function, "precision": self.precision, "crops": self.crops}
        return {"file": str(self.path), **facts, "values": rows}


def health_report(
    path: Path, images: NDArray[np.uint8], function: str | None, precision: Precision
) -> HealthReport:
    """Run a .mlpackage on crops (N, 112, 112, 3) and look at every value.

    Raises ArtifactError for a program that does not take the contract's image.
    """
    evaluator = Evaluator(open_package(path), function, precision)
    inputs = evaluator.function.inputs
    if [_takes(value) for value in inputs] != [(IMAGE.name, PLANAR_IMAGE)]:
        found = ", ".join(f"{value.name} {value.type.shape}" for value in inputs) or "nothing"
        raise ArtifactError(
            f"{path} is no ATPN: its program takes {found}; expected {IMAGE.name} {PLANAR_IMAGE}"
        )
    planar = images.transpose(0, 3, 1, 2)[:, None].astype(np.float32)  # (N, 1, 3, 112, 112)
    values = examine(evaluator, ({IMAGE.name: image} for image in planar))
    return HealthReport(path, evaluator.function.name, precision, len(images), values)


def _takes(value: Value) -> tuple[str, tuple[int | None, ...]]:
    return value.name, value.type.shape


def health_table(report: HealthReport, rows: int) -> Table:
    """The values that do worst; counts are of elements over all crops."""
    table = Table(
        title=f"{report.path}, function {report.function}, precision {report.precision}, "
        f"{report.crops} crops: {len(report.broken)} of {len(report.values)} values have NaN or "
        "infinity",
        title_justify="left",
        box=SIMPLE_HEAD,
    )
    table.add_column("value (operator)", overflow="fold")
    for column in COLUMNS:
        table.add_column(column, justify="right", no_wrap=True)
    for value in report.worst(rows):
        table.add_row(f"{value.value} ({value.operation})", *_cells(value))
    return table


def _cells(value: Health) -> Sequence[str]:
    numbers = [getattr(value, field) for field in COLUMNS.values()]
    return [f"{n:,}" if isinstance(n, int) else f"{n:.4g}" for n in numbers]
