"""How a kernel slides over an input: padding, number of positions, and the values under a tap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.errors import ArtifactError
from atpn_exporters.mil.arguments import Arguments


@dataclass(frozen=True)
class Sliding:
    """A kernel over the spatial sides of one input, one entry a side in every tuple."""

    sides: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]  # (before, after)
    ceil: bool = False  # a last position may hang over the padded input's end

    @property
    def extents(self) -> tuple[int, ...]:
        """What the kernel covers of each side, gaps of the dilation included."""
        return extents(self.kernel, self.dilations)

    @property
    def positions(self) -> tuple[int, ...]:
        """The sides of the output."""
        counts = []
        for side, extent, stride, (before, after) in zip(
            self.sides, self.extents, self.strides, self.pads, strict=True
        ):
            room = side + before + after - extent
            count = (room + stride - 1 if self.ceil else room) // stride + 1
            # MIL's own rule: with padding, a window that would begin behind the input is dropped.
            if self.ceil and before + after and (count - 1) * stride >= side + before:
                count -= 1
            if count < 1:
                raise ArtifactError(f"a kernel of {extent} does not fit into a side of {side}")
            counts.append(count)
        return tuple(counts)

    def pad(self, x: NDArray[Any], value: float) -> NDArray[Any]:
        """`x` (N, C, *sides) with the padding and what the last window needs behind it."""
        margins = []
        for side, extent, stride, (before, after), count in zip(
            self.sides, self.extents, self.strides, self.pads, self.positions, strict=True
        ):
            needed = (count - 1) * stride + extent - side - before
            margins.append((before, max(after, needed)))
        if not any(before or after for before, after in margins):
            return x
        return np.pad(x, ((0, 0), (0, 0), *margins), constant_values=value)

    def taps(self, padded: NDArray[Any]) -> Iterator[NDArray[Any]]:
        """What lies under each element of the kernel, row by row: (N, C, *positions)."""
        for tap in product(*(range(size) for size in self.kernel)):
            window = tuple(
                slice(t * dilation, t * dilation + stride * (count - 1) + 1, stride)
                for t, dilation, stride, count in zip(
                    tap, self.dilations, self.strides, self.positions, strict=True
                )
            )
            yield padded[(slice(None), slice(None), *window)]


def extents(kernel: tuple[int, ...], dilations: tuple[int, ...]) -> tuple[int, ...]:
    """What a kernel covers of each side."""
    return tuple((size - 1) * gap + 1 for size, gap in zip(kernel, dilations, strict=True))


def sliding(given: Arguments, sides: tuple[int, ...], kernel: tuple[int, ...]) -> Sliding:
    """The strides, dilations and padding that an operation asks for."""
    ones = (1,) * len(sides)
    strides = given.integers("strides", ones)
    dilations = given.integers("dilations", ones)
    pads = _pads(given, sides, extents(kernel, dilations), strides)
    return Sliding(sides, kernel, strides, dilations, pads, given.flag("ceil_mode"))


def _pads(
    given: Arguments, sides: tuple[int, ...], covers: tuple[int, ...], strides: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """(before, after) a side."""
    kind = given.text("pad_type", "valid")
    if kind == "valid":
        return ((0, 0),) * len(sides)
    if kind == "custom":
        return pairs(given.integers("pad", (0, 0) * len(sides)))
    if kind not in ("same", "same_lower"):
        raise ArtifactError(f"the pad_type is {kind!r}; expected valid, custom, same or same_lower")
    totals = [
        max(0, (-(-side // stride) - 1) * stride + cover - side)
        for side, cover, stride in zip(sides, covers, strides, strict=True)
    ]
    halves = [(total // 2, total - total // 2) for total in totals]
    return tuple(half if kind == "same" else half[::-1] for half in halves)


def pairs(flat: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """(before, after) a side from MIL's row of before, after, before, after ..."""
    return tuple(zip(flat[::2], flat[1::2], strict=True))
