"""Tables with a row a file: figures, threads, drift, delegation, and what has no figure."""

from __future__ import annotations

import math
from collections.abc import Callable

from atpn_benchmarks.report.digits import (
    megabytes,
    millions,
    milliseconds,
    percent,
    pixels,
    significant,
    span,
)
from atpn_benchmarks.report.sheet import MISSING, Cell, Head, Sheet, Tone, figure, words
from atpn_benchmarks.report.standing import (
    Standing,
    first_threads,
    landmark_drift,
    share_of_limit,
    standing,
    standings,
    unmeasured,
)
from atpn_benchmarks.results import Row, Run
from atpn_exporters.tables import counted, plural

#: A column and what it shows of a file.
Column = tuple[Head, Callable[[Standing], Cell]]

FILE = Head("file", "file", numeric=False)


def files_sheet(run: Run) -> Sheet:
    """One row a file that has figures, on the run's first number of threads."""
    columns = _columns()
    rows = (tuple(cell(each) for _, cell in columns) for each in standings(run))
    return Sheet(
        "files",
        f"Files, {plural(first_threads(run), 'thread')}",
        tuple(head for head, _ in columns),
        tuple(rows),
    )


def threads_sheet(run: Run) -> Sheet | None:
    """The median by threads; None where one number of threads was asked for."""
    counts = sorted(set(run.settings.threads))
    if len(counts) < 2:
        return None
    heads = [FILE]
    for count in counts:
        heads.append(Head(f"t{count}", plural(count, "thread"), "ms"))
    for count in counts[1:]:
        heads.append(Head(f"gain{count}", f"gain on {count}", "x"))
    rows = (_threads_row(each, counts) for each in standings(run))
    return Sheet("threads", "More threads", tuple(heads), tuple(rows))


def drift_sheet(run: Run) -> Sheet:
    """Every parity limit held against what the device computed."""
    heads = (
        FILE,
        Head("output", "output", numeric=False),
        Head("statistic", "statistic", numeric=False),
        Head("error", "error"),
        Head("limit", "limit"),
        Head("unit", "unit", numeric=False),
        Head("share", "of the limit"),
    )
    rows = []
    for row in run.rows:
        for each in row.drift:
            share = each.error / each.limit if each.limit else math.nan
            tone: Tone = "" if each.error <= each.limit else "bad"
            rows.append(
                (
                    name_cell(row),
                    words(each.output),
                    words(f"{each.statistic} over {each.scope}"),
                    figure(f"{each.error:.2g}", each.error, tone),
                    figure(f"{each.limit:g}", each.limit),
                    words(each.unit),
                    figure(percent(share), share, tone),
                )
            )
    return Sheet("drift", "Drift against the reference, on this device", heads, tuple(rows))


def delegation_sheet(run: Run) -> Sheet:
    """What XNNPACK takes of each graph that it can take at all."""
    heads = (
        FILE,
        Head("partitions", "partitions", explained="1: the whole graph runs in XNNPACK"),
        Head("operators", "operators"),
        Head("outside", "outside", explained="operators that XNNPACK did not take"),
        Head("which", "which", numeric=False),
        Head("transposes", "TRANSPOSE"),
    )
    rows = []
    for row in run.rows:
        if row.delegation is None:
            continue
        found = row.delegation
        outside = sum(found.undelegated.values())
        tone: Tone = "warn" if outside or found.partitions != 1 else ""
        rows.append(
            (
                name_cell(row),
                figure(str(found.partitions), found.partitions, tone),
                figure(str(found.operators), found.operators),
                figure(str(outside), outside, tone),
                words(counted(found.undelegated) or "every operator inside"),
                figure(str(found.transposes), found.transposes),
            )
        )
    return Sheet("delegation", "Delegation to XNNPACK", heads, tuple(rows))


def unmeasured_sheet(run: Run) -> Sheet:
    """Rows without a figure, each with its state and the reason."""
    heads = (FILE, Head("state", "state", numeric=False), Head("reason", "why", numeric=False))
    rows = (
        (name_cell(row), words(row.state, "warn"), words(row.reason or "not told"))
        for row in unmeasured(run)
    )
    return Sheet("unmeasured", "Without a figure", heads, tuple(rows))


def name_cell(row: Row, *, whole: bool = False) -> Cell:
    """A file by its title, the file's own name beneath if it is to be `whole`."""
    return words(row.title, note=row.name if whole and row.name != row.title else "")


def state_cell(each: Standing) -> Cell:
    """Valid, or what else."""
    return words("valid") if each.holds else words("", "warn", badge=each.state)


def _columns() -> tuple[Column, ...]:
    return (*_main_columns(), *_more_columns(), *_work_columns())


def _main_columns() -> tuple[Column, ...]:
    return (
        (FILE, lambda each: name_cell(each.row, whole=True)),
        (Head("state", "state", numeric=False), state_cell),
        (
            Head("size", "size", "MB", explained="of the file, 1 MB = 10^6 bytes"),
            lambda each: figure(megabytes(each.row.size_bytes), each.row.size_bytes),
        ),
        (
            Head("p50", "p50", "ms", explained="median wall time of undisturbed calls"),
            lambda each: _time(each, each.summary.p50_s),
        ),
        (
            Head("interval", "95 %", "ms", explained="bootstrap interval of the median"),
            _interval,
        ),
        (Head("p95", "p95", "ms"), lambda each: _time(each, each.summary.p95_s)),
        (
            Head("drift", "drift", "px", explained="of the landmarks, in px of a 112 crop"),
            _drift,
        ),
    )


def _more_columns() -> tuple[Column, ...]:
    return (
        (
            Head("cpu", "CPU p50", "ms", explained="processor time of all threads"),
            lambda each: _time(each, each.summary.cpu_p50_s),
        ),
        (Head("p99", "p99", "ms"), lambda each: _time(each, each.summary.p99_s)),
        (
            Head("load", "load", "ms", explained="from the path to a session that can run"),
            lambda each: _time(each, each.timing.load_s),
        ),
        (
            Head("first", "first", "ms", explained="the first inference"),
            lambda each: _time(each, each.timing.first_s),
        ),
        (
            Head("memory", "memory", "MB", explained="most that the process held"),
            lambda each: _memory(each.timing.peak_memory_bytes),
        ),
        (
            Head("added", "of it ours", "MB", explained="without the process before it loaded"),
            lambda each: _memory(each.timing.peak_memory_bytes - each.timing.idle_memory_bytes),
        ),
    )


def _work_columns() -> tuple[Column, ...]:
    return (
        (
            Head("limit", "of limit", explained="largest drift as a share of its parity limit"),
            lambda each: _share(share_of_limit(each.row)),
        ),
        (
            Head("roof", "of roof", explained="least time by peak and bandwidth over the median"),
            lambda each: _share(each.row.fraction.fraction if each.row.fraction else math.nan),
        ),
        (
            Head("macs", "work", "MMAC", explained="multiply-adds of an inference, millions"),
            lambda each: _count(each.row.cost.macs if each.row.cost else 0),
        ),
        (
            Head("parameters", "parameters", "M"),
            lambda each: _count(each.row.cost.parameters if each.row.cost else 0),
        ),
        (
            Head("preempted", "preempted", explained="share of calls that lost the processor"),
            lambda each: _share(each.summary.preempted),
        ),
        (Head("why", "what is wrong", numeric=False), lambda each: words(each.flaw, "warn")),
    )


def _time(each: Standing, seconds: float) -> Cell:
    return figure(milliseconds(seconds), seconds, "" if each.holds else "muted")


def _interval(each: Standing) -> Cell:
    summary = each.summary
    low, high = 1e3 * summary.p50_low_s, 1e3 * summary.p50_high_s
    width = (high - low) / each.p50_ms if each.p50_ms else math.nan
    return figure(span(low, high, each.p50_ms), width, "" if each.holds else "muted")


def _drift(each: Standing) -> Cell:
    drift = landmark_drift(each.row)
    if drift is None:
        return MISSING
    return figure(pixels(drift.error), drift.error, note=drift.statistic)


def _memory(size_bytes: int) -> Cell:
    return figure(megabytes(size_bytes), size_bytes) if size_bytes > 0 else MISSING


def _share(share: float) -> Cell:
    return figure(percent(share), share) if math.isfinite(share) else MISSING


def _count(count: int) -> Cell:
    return figure(millions(count), count) if count else MISSING


def _threads_row(first: Standing, counts: list[int]) -> tuple[Cell, ...]:
    found = {count: standing(first.row, count) for count in counts}
    cells = [name_cell(first.row)]
    for each in found.values():
        cells.append(MISSING if each is None else _time(each, each.summary.p50_s))
    for count in counts[1:]:
        each, one = found[count], found[counts[0]]
        if each is None or one is None or not (each.holds and one.holds):
            cells.append(MISSING)
            continue
        gain = one.summary.p50_s / each.summary.p50_s
        cells.append(figure(significant(gain), gain))
    return tuple(cells)
