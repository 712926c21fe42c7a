"""What is shown of a run over many videos."""

from __future__ import annotations

import io
import os

import pytest
from rich.console import Console

from atpn_exporters.fleet.bar import FleetBar, duration, plan_text
from atpn_exporters.fleet.listing import Remark
from atpn_exporters.fleet.report import Failure, FleetReport, Plan, Progress, shown
from atpn_exporters.fleet.tables import LISTED, report_table


def printed(report: FleetReport) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(report_table(report))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def report(**changes: object) -> FleetReport:
    values: dict[str, object] = {
        "folder": "videos",
        "output_dir": "results",
        "workers": 2,
        "to_do": {"new": 3},
        "whole": 3,
        "done_before": 0,
        "done_elsewhere": 0,
        "left": 0,
        "retries": 0,
        "frames": 1200,
        "wall_s": 4.0,
        "failures": (),
        "passed_over": (),
        "busy_elsewhere": {},
        "interrupted": False,
    }
    return FleetReport(**(values | changes))  # type: ignore[arg-type]


def test_a_log_has_a_line_now_and_then_with_speed_and_time_left() -> None:
    now = 0.0
    out = io.StringIO()
    bar = FleetBar(Console(file=out, width=120), clock=lambda: now)
    bar.planned(Plan({"new": 4}, 1, 4000))
    for second in range(1, 65):
        now = float(second)
        bar.progress(Progress(second // 20, 4, 20.0 * second, 4000, 100 * second, 0, 2))

    first, *lines = out.getvalue().splitlines()
    assert first == "5 videos: 1 done before; to do 4: 4 new"
    assert lines == [
        "1 of 4 videos, 100 frames/s, about 3 min left",
        "3 of 4 videos, 100 frames/s, about 2 min left",
    ]


def test_frames_of_a_worker_that_died_do_not_make_the_speed_negative() -> None:
    out = io.StringIO()
    times = iter([0.0, 1.0, 40.0])
    bar = FleetBar(Console(file=out, width=120), clock=lambda: next(times))
    for frames in (500, 100):
        bar.progress(Progress(0, 1, 0.0, 10, frames, 0, 1))

    assert out.getvalue() == "0 of 1 videos, 0 frames/s\n"


def test_a_failure_is_told_at_once_whatever_its_name() -> None:
    out = io.StringIO()
    bar = FleetBar(Console(file=out, width=60))
    bar.failed(Failure(os.fsdecode(b"[red]\xff\n.mp4"), "failed", "is empty"))

    assert out.getvalue() == "failed: [red]\\udcff\\n.mp4: is empty\n"


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.4, "4 s"), (99, "99 s"), (100, "2 min"), (7260, "2 h 1 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_plan_with_nothing_to_do_says_so() -> None:
    assert plan_text(Plan({}, 7, 0)) == "7 videos: 7 done before; nothing to do"
    mixed = Plan({"new": 1200, "another model": 3}, 0, 9)
    assert (
        plan_text(mixed) == "1,203 videos: 0 done before; to do 1,203: 1,200 new, 3 another model"
    )


def test_names_are_shown_as_one_printable_line() -> None:
    assert shown("a\tb\nü.mp4") == "a\\tb\\nü.mp4"


def test_the_report_counts_and_lists() -> None:
    text = printed(
        report(
            done_before=2,
            retries=1,
            busy_elsewhere={"x.mp4": "process 7 on there"},
            passed_over=(Remark("notes.txt", "not named as a video"),),
            failures=(
                Failure("a.mp4", "damaged", "is cut off", kept=True),
                Failure("b.mp4", "failed", "is empty"),
            ),
        )
    )

    assert "3 videos tracked to the end: 1200 frames in 4 s on 2 workers, 300 frames/s" in text
    assert "2 videos done before" in text
    assert "1 video left to process 7 on there" in text
    assert "1 file passed over" in text
    assert "1 video tried again after a worker had died" in text
    rows = [line.split() for line in text.splitlines() if ".mp4" in line]
    assert rows == [
        ["b.mp4", "nothing", "is", "empty"],
        ["a.mp4", "what", "could", "be", "tracked", "is", "cut", "off"],
    ]


def test_many_failures_are_cut_short_on_the_terminal() -> None:
    failures = tuple(Failure(f"{k}.mp4", "failed", "is empty") for k in range(LISTED + 12))

    text = printed(report(failures=failures))

    assert text.count(".mp4") == LISTED
    assert "and 12 more in failures.json" in text
