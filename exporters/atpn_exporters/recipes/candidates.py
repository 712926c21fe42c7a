"""Which sets of modules are tried in float: growing ones, the most harmful first."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from atpn_exporters.recipes.sensitivity import Damage

#: Sizes of the sets that are tried, as many of them as there is room for.
SIZES = (1, 2, 3, 5, 8, 12)


@dataclass(frozen=True)
class Candidate:
    """One set of modules to leave in float beside those that the target always does."""

    name: str
    float_modules: tuple[str, ...]


def candidates(ranking: Sequence[Damage], most: int) -> tuple[Candidate, ...]:
    """At most `most` sets: none, then growing ones in two orders.

    By what each module takes off the expected drift, and by that for each multiply-add: the second
    finds the modules whose float arithmetic costs little time.
    """
    orders = {
        "most harmful": order(ranking, lambda damage: 1.0),
        "most harmful for their time": order(ranking, lambda d: max(d.multiply_adds, 10_000)),
    }
    found = [Candidate("plain", ())]
    seen = {frozenset[str]()}
    for size in SIZES:
        for label, modules in orders.items():
            tried = modules[:size]
            if len(tried) == size and frozenset(tried) not in seen and len(found) < most:
                seen.add(frozenset(tried))
                found.append(Candidate(f"{size} {label}", tried))
    return tuple(found)


def order(ranking: Sequence[Damage], cost: Callable[[Damage], float]) -> tuple[str, ...]:
    """The modules in the order in which leaving one more in float gains most for its cost."""
    left = [damage for damage in ranking if damage.share > 0]
    modules = []
    while left:
        now = expected_drift(left)
        gains = [
            (now - expected_drift([other for other in left if other is not damage])) / cost(damage)
            for damage in left
        ]
        best = left.pop(gains.index(max(gains)))
        modules.append(best.module)
    return tuple(modules)


def expected_drift(quantised: Sequence[Damage]) -> float:
    """Of several modules in int8, in shares of the limits.

    Their errors are independent, so the squares add up; of the limits the nearest counts most
    (fourth powers), the others a little, so that every module has an order.
    """
    names = quantised[0].shares if quantised else ()
    totals = [sum(damage.shares[name] ** 2 for damage in quantised) for name in names]
    return math.sqrt(math.sqrt(sum(total**2 for total in totals)))
