"""Which file to take: by network and outputs, the fastest, or a smaller one that is as fast."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from atpn_benchmarks.report.digits import FINEST_PX, megabytes, milliseconds, pixels
from atpn_benchmarks.report.standing import Standing
from atpn_exporters.recipes.pareto import TOLERANCE
from atpn_exporters.tables import plural


@dataclass(frozen=True)
class Pick:
    """The file to take of one network with one set of outputs, and what else may be wanted."""

    model: str
    signature: str
    chosen: Standing
    why: str
    others: tuple[tuple[str, Standing], ...]  # ("smallest", ...), ("most exact", ...)


def picks(found: Sequence[Standing]) -> tuple[Pick, ...]:
    """A pick for each network and signature that has a figure that holds, whole networks first."""
    jobs: dict[tuple[str, str], list[Standing]] = {}
    for each in found:
        if each.holds and not each.row.peer:
            jobs.setdefault((each.row.model, each.row.signature), []).append(each)
    made = [_pick(model, signature, files) for (model, signature), files in jobs.items()]
    return tuple(sorted(made, key=lambda pick: pick.signature == "align"))


def _pick(model: str, signature: str, files: Sequence[Standing]) -> Pick:
    fastest = min(files, key=lambda each: each.summary.p50_s)
    near = [each for each in files if each.p50_ms <= (1 + TOLERANCE) * fastest.p50_ms]
    chosen = min(near, key=lambda each: each.row.size_bytes)
    why = f"fastest of {plural(len(files), 'file')}" if len(files) > 1 else "the only one timed"
    if chosen is not fastest:
        why = (
            f"the smallest of those within {TOLERANCE:.0%} of the fastest "
            f"({fastest.row.title}, {milliseconds(fastest.summary.p50_s)} ms)"
        )
    smallest = min(files, key=lambda each: each.row.size_bytes)
    exact = min(files, key=_exactness)
    wanted = (
        (f"smallest, {megabytes(smallest.row.size_bytes)} MB", smallest),
        (f"most exact, {pixels(exact.drift_px)} px", exact),
    )
    others = tuple((word, each) for word, each in wanted if each is not chosen)
    return Pick(model, signature, chosen, why, others)


def _exactness(each: Standing) -> tuple[float, float]:
    """Least drift first; of those that show no difference, the fastest."""
    return _drift(each), each.p50_ms


def front(found: Sequence[Standing]) -> tuple[Standing, ...]:
    """Of files that do one job, those that no other beats in time, size and drift, by time.

    Figures that do not hold beat nobody and are beaten by nobody: they are left out.
    """
    held = [each for each in found if each.holds]
    best = [each for each in held if not any(_beats(other, each) for other in held)]
    return tuple(sorted(best, key=lambda each: each.p50_ms))


def line(found: Sequence[Standing]) -> tuple[Standing, ...]:
    """The same for time and size alone: what a line in that plane can join."""
    best: list[Standing] = []
    held = (each for each in found if each.holds)
    for each in sorted(held, key=lambda each: (each.p50_ms, each.row.size_bytes)):
        if not best or each.row.size_bytes < best[-1].row.size_bytes:
            best.append(each)
    return tuple(best)


def _beats(a: Standing, b: Standing) -> bool:
    """Nowhere worse, and better in one; drifts that are rounding are equal."""
    left, right = _figures(a), _figures(b)
    return left != right and all(x <= y for x, y in zip(left, right, strict=True))


def _figures(each: Standing) -> tuple[float, float, float]:
    return each.p50_ms, each.size_mb, _drift(each)


def _drift(each: Standing) -> float:
    """Drift in px that counts: rounding is all one, what is not known is the worst."""
    return math.inf if math.isnan(each.drift_px) else max(each.drift_px, FINEST_PX)
