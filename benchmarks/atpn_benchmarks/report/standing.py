"""What a report says of one row beside the others: its main figures, its float twin, its drift."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from atpn_benchmarks.report.digits import span
from atpn_benchmarks.results import Drift, Row, Run, Summary, Timing
from atpn_exporters.registry import TARGETS

#: States whose rows carry samples, for what they are worth.
MEASURED = ("timed", "invalid", "partial")


@dataclass(frozen=True)
class Standing:
    """A row that was measured, on one number of threads."""

    row: Row
    timing: Timing
    summary: Summary

    @property
    def holds(self) -> bool:
        """Whether the figures may be compared with others."""
        return self.row.state == "timed" and self.timing.valid

    @property
    def flaw(self) -> str:
        """Why they may not, in a sentence; empty if they may."""
        if self.holds:
            return ""
        reason = "" if self.row.state == "timed" else self.row.reason
        return reason or "; ".join(self.summary.broken)

    @property
    def state(self) -> str:
        """The row's state; "invalid" where a rule is broken on these threads alone."""
        return "invalid" if self.row.state == "timed" and not self.holds else self.row.state

    @property
    def size_mb(self) -> float:
        """The file's size in MB, 10^6 bytes."""
        return 1e-6 * self.row.size_bytes

    @property
    def p50_ms(self) -> float:
        """The median in milliseconds."""
        return 1e3 * self.summary.p50_s

    @property
    def p50_interval(self) -> str:
        """The interval of the median in milliseconds, with as many digits as the median."""
        low, high = 1e3 * self.summary.p50_low_s, 1e3 * self.summary.p50_high_s
        return span(low, high, self.p50_ms, dash=" to ")

    @property
    def drift_px(self) -> float:
        """The landmark error in px of a 112 crop; NaN where it is not known, as of peers."""
        drift = landmark_drift(self.row)
        return math.nan if drift is None else drift.error


@dataclass(frozen=True)
class Complaint:
    """Files whose figures do not hold, or that have none, for one and the same reason."""

    titles: tuple[str, ...]
    state: str
    reason: str

    @property
    def told(self) -> str:
        """All of it on one line."""
        return f"{', '.join(self.titles)}: {self.state}: {self.reason or 'not told'}"


def distinct(run: Run) -> Run:
    """The same run, with the file's name for a title that several rows have."""
    counts = Counter(row.title for row in run.rows)
    rows = (replace(row, title=row.name) if counts[row.title] > 1 else row for row in run.rows)
    return replace(run, rows=tuple(rows))


def first_threads(run: Run) -> int:
    """The number of threads that headlines and charts are about."""
    return min(run.settings.threads, default=1)


def standing(row: Row, threads: int) -> Standing | None:
    """The row's figures on so many threads, if there are any."""
    timing = row.timing(threads)
    if timing is None or timing.summary is None or row.state not in MEASURED:
        return None
    return Standing(row, timing, timing.summary)


def standings(run: Run, threads: int | None = None) -> tuple[Standing, ...]:
    """All rows that have figures on `threads` (the run's first if None), in the run's order."""
    count = first_threads(run) if threads is None else threads
    found = (standing(row, count) for row in run.rows)
    return tuple(each for each in found if each is not None)


def unmeasured(run: Run) -> tuple[Row, ...]:
    """The rows that have no figure on the run's first number of threads."""
    measured = {each.row.name for each in standings(run)}
    return tuple(row for row in run.rows if row.name not in measured)


def flaws(run: Run) -> tuple[Complaint, ...]:
    """Why measured figures do not hold, files of one reason together."""
    return _together(
        (each.row.title, each.state, each.flaw) for each in standings(run) if not each.holds
    )


def absences(run: Run) -> tuple[Complaint, ...]:
    """Why there is no figure, files of one reason together."""
    return _together((row.title, row.state, row.reason) for row in unmeasured(run))


def _together(found: Iterable[tuple[str, str, str]]) -> tuple[Complaint, ...]:
    titles: dict[tuple[str, str], list[str]] = {}
    for title, state, reason in found:
        titles.setdefault((state, reason), []).append(title)
    return tuple(Complaint(tuple(names), *key) for key, names in titles.items())


def landmark_drift(row: Row) -> Drift | None:
    """How far landmarks are off in px: the mean over faces of an int8 file, the worst of a float's.

    Which of the two it is, is what the file's own limit is about.
    """
    found = (each for each in row.drift if each.output == "landmarks" and each.unit == "px")
    return next(found, None)


def share_of_limit(row: Row) -> float:
    """The largest error as a share of its limit, over all outputs; NaN where none is known."""
    return max((each.error / each.limit for each in row.drift if each.limit), default=math.nan)


def format_of(row: Row) -> str:
    """The registry's format of one of our files; the suffix of any other."""
    target = TARGETS.get(row.target)
    return target.format if target else row.name.rpartition(".")[2]


def is_float(row: Row) -> bool:
    """Whether the file computes in float throughout: its weights may be fp16."""
    target = TARGETS.get(row.target)
    return target is not None and target.quantization in ("fp32", "fp16")


def twin(run: Run, row: Row) -> Row | None:
    """The float32 file of the same network, outputs and format; None for itself and for peers."""
    if row.peer or row.target not in TARGETS:
        return None
    sought = (row.model, row.signature, f"{TARGETS[row.target].format}-fp32")
    if row.target == sought[2]:
        return None
    same = (one for one in run.rows if (one.model, one.signature, one.target) == sought)
    return next((one for one in same if not one.peer), None)
