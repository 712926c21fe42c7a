"""How well the values of a program do: NaN, infinity, what half precision loses, magnitudes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import Tensors
from atpn_exporters.mil.evaluator import Evaluator, Step


@dataclass(frozen=True)
class Health:
    """One float value of the program over all images that ran; counts are of elements."""

    value: str  # its name in the program
    operation: str  # kind of the operation that wrote it
    rounding: str  # float16 or float32: what it was rounded to
    elements: int
    nan: int
    infinite: int
    #: Not zero, but below the type's smallest normal number: kept here with fewer bits, lost
    #: altogether on hardware that flushes such numbers to zero.
    subnormal: int
    #: Not zero as computed, and zero once rounded.
    flushed: int
    #: Largest magnitude as computed, before rounding; float16 ends at 65,504.
    largest: float

    @property
    def broken(self) -> bool:
        """Whether anything is NaN or infinite."""
        return self.nan > 0 or self.infinite > 0

    def joined(self, other: Health) -> Health:
        """The same value over the images of both."""
        return replace(
            self,
            elements=self.elements + other.elements,
            nan=self.nan + other.nan,
            infinite=self.infinite + other.infinite,
            subnormal=self.subnormal + other.subnormal,
            flushed=self.flushed + other.flushed,
            largest=max(self.largest, other.largest),
        )


def examine(evaluator: Evaluator, images: Iterable[Tensors]) -> tuple[Health, ...]:
    """The health of every float value: constants first, then in the program's order.

    `images` are the evaluator's feeds, one after the other.
    """
    found = {h.value: h for step in evaluator.constant_steps for h in _of_step(evaluator, step)}
    for feeds in images:
        for step in evaluator.steps(feeds):
            for health in _of_step(evaluator, step):
                before = found.get(health.value)
                found[health.value] = health if before is None else before.joined(health)
    return tuple(found.values())


def _of_step(evaluator: Evaluator, step: Step) -> Iterable[Health]:
    for value in step.operation.outputs:
        exact, rounded = step.exact[value.name], step.results[value.name]
        if value.type.floating and not isinstance(exact, str) and not isinstance(rounded, str):
            dtype = evaluator.rounding(value.type)
            yield _health(step.operation.kind, value.name, exact, rounded, dtype)


def _health(
    kind: str,
    name: str,
    exact: NDArray[np.float32],
    rounded: NDArray[np.float32],
    dtype: type[np.float16] | type[np.float32],
) -> Health:
    computed, kept = np.abs(exact), np.abs(rounded)
    normal = float(np.finfo(dtype).smallest_normal)
    numbers = computed[~np.isnan(computed)]
    return Health(
        name,
        kind,
        np.dtype(dtype).name,
        int(kept.size),
        int(np.isnan(kept).sum()),
        int(np.isinf(kept).sum()),
        int(((kept > 0) & (kept < normal)).sum()),
        int(((computed > 0) & (kept == 0)).sum()),
        float(numbers.max(initial=0.0)),
    )
