"""Whether a comparison lets a build pass: is a file slower by more than a limit?"""

from __future__ import annotations

import re
from dataclasses import dataclass

from atpn_benchmarks.comparison import Change, Comparison
from atpn_deploy.errors import ConfigError, ResultsError
from atpn_exporters.tables import plural

PASSED, SLOWER, UNSURE = 0, 1, 3


@dataclass(frozen=True)
class Gate:
    """The verdict on our own files; peers are yardsticks and judged by nobody."""

    limit: float  # as a share: 0.05
    slower: tuple[Change, ...]  # the lower end of their interval is beyond 1 + limit
    unsure: tuple[str, ...]  # files of which it can't be told, each in a sentence
    passed: int  # timings that are not slower

    @property
    def exit_status(self) -> int:
        """0 nothing is slower, 1 something is, 3 it can't be told of something."""
        return SLOWER if self.slower else UNSURE if self.unsure else PASSED


def gate(comparison: Comparison, limit: float) -> Gate:
    """Judge every row that is no peer; ResultsError if there is none to judge.

    A row is slower if the lower end of its interval is above 1 + limit. It can't be told of a row
    whose ratio is above 1 + limit while its lower end is not, whose interval reaches further than
    the limit from its ratio, or that was timed before and can't be compared now.
    """
    judged = [c for c in comparison.changes if not c.peer and c.ratio is not None]
    slower = tuple(c for c in judged if c.ratio is not None and c.ratio.low > 1 + limit)
    doubts = [doubt for c in judged if c not in slower and (doubt := _doubt(c, limit))]
    missed = [
        f"{row.name} on {plural(row.threads, 'thread')} could not be compared"
        for row in comparison.not_compared
        if row.before and not row.peer
    ]
    if not judged and not missed:
        raise ResultsError(
            f"nothing to judge: {comparison.old.source} and {comparison.new.source} have no timed "
            "file of ours in common"
        )
    passed = len(judged) - len(slower) - len(doubts)
    return Gate(limit, slower, (*doubts, *missed), passed)


def _doubt(change: Change, limit: float) -> str:
    """Why it can't be told whether a row is slower; "" if it can."""
    ratio = change.ratio
    if ratio is None:
        return ""
    label = f"{change.name} on {plural(change.threads, 'thread')}"
    if ratio.value > 1 + limit:
        return f"{label} takes {ratio.value:.3f} x, but its interval begins at {ratio.low:.3f}"
    if not max(ratio.high / ratio.value, ratio.value / ratio.low) <= 1 + limit:
        return (
            f"{label} is too noisy: {ratio.low:.3f} to {ratio.high:.3f} x, in which {limit:.1%} "
            "could hide"
        )
    return ""


def parse_percent(text: str, option: str) -> float:
    """5% as 0.05; ConfigError, which names the option, for anything that is no percentage."""
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]+)?%", text):
        raise ConfigError(f"{option} takes a percentage such as 5% or 2.5%, got {text!r}")
    return float(text[:-1]) / 100


def parse_limit(text: str, option: str) -> float:
    """A percentage above 0: nothing measured is the same twice."""
    limit = parse_percent(text, option)
    if not limit > 0:
        raise ConfigError(f"{option} takes a percentage above 0%, got {text!r}")
    return limit
