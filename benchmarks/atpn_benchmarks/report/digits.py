"""Figures as words: no more digits than the samples carry, the unit said by the caller."""

from __future__ import annotations

import math

#: What stands where there is no figure.
NONE = "-"
#: Landmark errors below this, in px of a 112 crop, are rounding: no face shows them.
FINEST_PX = 0.001


def significant(value: float, digits: int = 3) -> str:
    """3.14159 as "3.14", 0.05449 as "0.0545", 1234.5 as "1,234"; "-" for NaN and infinity."""
    return f"{value:,.{decimals(value, digits)}f}" if math.isfinite(value) else NONE


def decimals(value: float, digits: int = 3) -> int:
    """Digits behind the point that show `digits` significant ones, once rounded."""
    if not math.isfinite(value) or value == 0:
        return 0
    exponent = int(f"{value:.{digits - 1}e}".rpartition("e")[2])
    return min(max(0, digits - 1 - exponent), 9)


def milliseconds(seconds: float) -> str:
    """Seconds as milliseconds."""
    return significant(1e3 * seconds)


def microseconds(seconds: float) -> str:
    """Seconds as microseconds."""
    return significant(1e6 * seconds)


def megabytes(size_bytes: float) -> str:
    """Bytes as MB, 10^6 bytes."""
    return significant(1e-6 * size_bytes)


def millions(count: float) -> str:
    """93400000 as "93.4"."""
    return significant(1e-6 * count)


def billions(count: float) -> str:
    """93400000000 as "93.4"."""
    return significant(1e-9 * count)


def span(low: float, high: float, like: float, *, dash: str = "-") -> str:
    """An interval with as many digits behind the point as `like` has: "1.75-1.83"."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return NONE
    places = decimals(like)
    return f"{low:,.{places}f}{dash}{high:,.{places}f}"


def percent(share: float) -> str:
    """0.314 as "31 %", 0.031 as "3.1 %"."""
    return f"{significant(100 * share, 2)} %" if math.isfinite(share) else NONE


def pixels(error: float) -> str:
    """A landmark error in px; what is mere rounding is "<0.001"."""
    if not math.isfinite(error):
        return NONE
    return f"<{FINEST_PX:g}" if error < FINEST_PX else significant(error, 2)


def shortened(text: str, most: int) -> str:
    """On one line, and cut with an ellipsis where it is longer than `most`."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}\N{HORIZONTAL ELLIPSIS}"
