"""Is a file equal to the reference? Errors in the task's units against limits with reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import CROP_SIDE, Tensors
from atpn_deploy.metrics import inter_ocular

Statistic = Literal["max", "mean"]
Unit = Literal["px", "% inter-ocular", "degree", "probability", "step"]
Scope = Literal["all", "faces"]


@dataclass(frozen=True)
class Limit:
    """How far an output may be from the reference, in a unit, and why that far."""

    output: str  # contract name
    statistic: Statistic
    value: float
    unit: Unit
    reason: str
    #: `faces` leaves out the goldens that show none (black, noise): there a quantised network's
    #: landmarks mean nothing, and only its confidence counts.
    scope: Scope = "all"


@dataclass(frozen=True)
class Row:
    """One limit held against what was measured."""

    output: str
    statistic: Statistic
    unit: Unit
    scope: Scope
    error: float
    limit: float
    reason: str
    worst: int  # index of the golden with the largest error

    @property
    def ok(self) -> bool:
        """False for NaN."""
        return self.error <= self.limit


class NothingComparedError(ValueError):
    """A comparison without a single pair of values would pass whatever the file does."""


def compare(
    actual: Tensors, expected: Tensors, limits: Sequence[Limit], faces: NDArray[np.bool_]
) -> list[Row]:
    """Hold outputs (N, ...) by contract name against the reference's; one row a limit.

    Limits on outputs that the file does not compute (`align` files) are left out. `faces` (N,)
    says which goldens show a face. Raises ValueError for shapes that differ, KeyError for an
    output that the reference lacks and NothingComparedError if no limit applied.
    """
    for name, array in actual.items():
        if array.shape != expected[name].shape:
            raise ValueError(
                f"{name} has shape {array.shape}; the reference has {expected[name].shape}"
            )
    rows = [
        _row(limit, actual[limit.output], expected, faces)
        for limit in limits
        if limit.output in actual
    ]
    unlimited = set(actual) - {row.output for row in rows}
    if not rows or unlimited:
        raise NothingComparedError(f"nothing was compared for {sorted(unlimited) or 'any output'}")
    return rows


def _row(limit: Limit, actual: NDArray[Any], expected: Tensors, faces: NDArray[np.bool_]) -> Row:
    kept = np.flatnonzero(faces) if limit.scope == "faces" else np.arange(len(actual))
    if not len(kept):
        raise NothingComparedError(f"no golden is in the scope {limit.scope!r} of {limit.output}")
    chosen = per_sample(actual, expected, limit)[kept]
    value = float(chosen.max() if limit.statistic == "max" else chosen.mean())
    return Row(
        limit.output,
        limit.statistic,
        limit.unit,
        limit.scope,
        value,
        limit.value,
        limit.reason,
        int(kept[int(np.argmax(np.where(np.isnan(chosen), np.inf, chosen)))]),
    )


def per_sample(actual: NDArray[Any], expected: Tensors, limit: Limit) -> NDArray[np.float64]:
    """(N,) errors in the limit's unit: worst element of each golden for max, mean element for mean.

    Landmark errors are point distances; pose errors are taken the short way round the circle.
    """
    difference = np.asarray(actual, np.float64) - np.asarray(expected[limit.output], np.float64)
    if limit.unit == "step":
        values = np.abs(difference)
    elif limit.output == "landmarks":
        values = np.linalg.norm(difference, axis=-1)  # (N, 98)
        if limit.unit == "px":
            values = values * CROP_SIDE
        else:
            reference = np.asarray(expected["landmarks"], np.float64)
            values = 100 * values / inter_ocular(reference)[:, None]
    elif limit.output == "pose":
        turn = np.abs(difference)
        values = np.degrees(np.minimum(turn, np.abs(2 * np.pi - turn)))
    else:
        values = np.abs(difference)
    flat = values.reshape(len(values), -1)
    return np.asarray(flat.max(1) if limit.statistic == "max" else flat.mean(1))
