"""A run over many videos: each once, whatever dies, breaks or comes back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from atpn_deploy.errors import FleetError
from atpn_exporters.fleet.claims import Claims
from atpn_exporters.fleet.report import Progress
from atpn_exporters.fleet.results import Recipe


def wait_until(happened: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_every_video_has_records_and_a_summary_in_its_own_place(fleet) -> None:
    names = ["a.mp4", "a.mov", "deep/er/b c.mkv", "ü\nx.webm", os.fsdecode(b"\xff.avi")]
    for name in names:
        fleet.add(name, frames=7)
    (fleet.videos / "notes.txt").write_text("x")
    report = fleet.run(workers=2)

    assert (report.whole, report.frames, report.failures, report.ok) == (5, 35, (), True)
    for name in names:
        assert (fleet.results / f"{name}.jsonl").read_text() == "whole 7\n"
        summary = fleet.summary(name)
        assert (summary["state"], summary["video"], summary["frames"]) == ("whole", name, 7)
    assert fleet.whole()["passed_over"] == [{"name": "notes.txt", "reason": "not named as a video"}]
    assert fleet.left_over() == []


def test_one_worker_keeps_what_it_opened(fleet) -> None:
    for number in range(5):
        fleet.add(f"{number}.mp4")
    fleet.run()
    assert len(fleet.begun()) == 5
    assert len(fleet.begun_by()) == 1


def test_a_second_run_opens_no_worker(fleet) -> None:
    fleet.add("a.mp4")
    fleet.run()

    report = fleet.run(crew=lambda videos: pytest.fail("a crew was opened"))

    assert (report.whole, report.done_before, report.ok) == (0, 1, True)
    assert fleet.heard.plans[0].to_do == {}


def test_what_changed_is_done_again_and_the_rest_is_not(fleet) -> None:
    for name in ("a.mp4", "b.mp4", "c.mp4", "d.mp4", "e.mp4"):
        fleet.add(name)
    fleet.run()
    fleet.add("b.mp4", frames=99)
    os.utime(fleet.videos / "c.mp4", ns=(1, 1))
    (fleet.results / "d.mp4.jsonl").unlink()
    (fleet.results / "e.mp4.jsonl").write_text("cut o")
    before = len(fleet.begun())
    report = fleet.run()

    assert sorted(fleet.begun()[before:]) == ["b.mp4", "c.mp4", "d.mp4", "e.mp4"]
    assert (report.whole, report.done_before) == (4, 1)
    assert report.to_do == {"another video": 2, "new": 1, "its results were changed": 1}
    assert (fleet.results / "b.mp4.jsonl").read_text() == "whole 99\n"


@pytest.mark.parametrize(
    ("recipe", "why"),
    [
        (Recipe("other model", "options"), "another model"),
        (Recipe("model", "other options"), "another set of options"),
    ],
)
def test_another_model_or_option_does_all_again(fleet, recipe: Recipe, why: str) -> None:
    fleet.add("a.mp4")
    fleet.run()
    fleet.recipe = recipe

    assert fleet.run().to_do == {why: 1}
    assert fleet.run().to_do == {}


def test_a_summary_that_cannot_be_read_is_no_result(fleet) -> None:
    fleet.add("a.mp4")
    fleet.run()
    (fleet.results / "a.mp4.summary.json").write_text('{"schema_version": 1, "made')

    assert fleet.run().whole == 1


def test_results_of_other_options_do_not_stay_beside_the_new(fleet) -> None:
    fleet.add("a.mp4")
    fleet.run()
    summary = fleet.results / "a.mp4.summary.json"
    facts = json.loads(summary.read_text())
    (fleet.results / "a.mp4.csv").write_text("old")
    summary.write_text(json.dumps(facts | {"files": facts["files"] | {".csv": 3}}))
    fleet.recipe = Recipe("model", "now without .csv")
    fleet.run()

    assert not (fleet.results / "a.mp4.csv").exists()
    assert (fleet.results / "a.mp4.jsonl").exists()


def test_a_damaged_video_keeps_what_was_tracked_and_is_not_tried_again(fleet) -> None:
    fleet.add("a.mp4", "damaged")
    report = fleet.run()

    (failure,) = report.failures
    assert (failure.video, failure.state, failure.kept) == ("a.mp4", "damaged", True)
    assert failure.reason == "ended in the middle"
    assert (fleet.results / "a.mp4.jsonl").read_text() == "damaged 10\n"
    again = fleet.run()
    assert (again.done_before, again.failures, again.ok) == (1, (failure,), False)
    assert fleet.begun() == ["a.mp4"]


@pytest.mark.parametrize(
    ("what", "reason", "kept"),
    [
        ("broken", "holds no frame that can be decoded", False),
        ("full", "[Errno 28] No space left on device", True),
    ],
)
def test_a_failed_video_is_listed_and_tried_by_the_next_run(
    fleet, what: str, reason: str, kept: bool
) -> None:
    fleet.add("a.mp4", what)
    fleet.add("b.mp4")
    report = fleet.run()

    (failure,) = report.failures
    assert (failure.state, failure.reason, failure.kept) == ("failed", reason, kept)
    assert json.loads((fleet.results / "failures.json").read_text()) == [
        {"video": "a.mp4", "state": "failed", "reason": reason, "kept": kept}
    ]
    assert not report.ok
    assert fleet.run().to_do == {"failed before": 1}


def test_a_killed_worker_costs_its_video_alone(fleet) -> None:
    fleet.add("a.mp4", "kill", frames=1000)  # the longest text: it comes first
    for number in range(6):
        fleet.add(f"{number}.mp4")
    report = fleet.run(workers=2)

    (failure,) = report.failures
    assert failure.video == "a.mp4"
    assert "signal 9" in failure.reason
    assert failure.reason.endswith("out of luck; tried 2 times")
    assert (report.whole, report.retries) == (6, 1)
    assert fleet.begun().count("a.mp4") == 2
    assert fleet.left_over() == []


def test_a_video_whose_worker_had_bad_luck_is_done_the_second_time(fleet) -> None:
    fleet.add("a.mp4", "kill-once")
    report = fleet.run()

    assert (report.whole, report.retries, report.failures) == (1, 1, ())


def test_a_mistake_in_the_code_is_told_with_the_video(fleet) -> None:
    fleet.add("a.mp4", "crash")
    (failure,) = fleet.run().failures

    assert "ZeroDivisionError: a mistake in the code" in failure.reason


def test_a_model_that_no_worker_can_open_ends_the_run(fleet) -> None:
    fleet.add("a.mp4")
    with pytest.raises(FleetError, match="it is no model"):
        fleet.run(setup=replace(fleet.setup, refuses="it is no model"))
    assert fleet.left_over() == []


def test_workers_that_never_come_up_end_the_run(fleet) -> None:
    fleet.add("a.mp4")
    with pytest.raises(FleetError, match=r"no worker comes up: .*exit status 3"):
        fleet.run(setup=replace(fleet.setup, ends_at_once=True))


def test_progress_counts_frames_inside_videos(fleet) -> None:
    video = fleet.add("a.mp4", "wait", frames=40)

    def go(progress: Progress) -> None:
        if progress.frames == 20:
            assert progress.bytes == progress.bytes_to_do / 2
            video.with_suffix(".go").touch()

    fleet.heard.on_progress = go
    report = fleet.run()
    last = fleet.heard.progresses[-1]

    assert report.whole == 1
    assert (last.videos, last.frames, last.bytes) == (1, 40, last.bytes_to_do)


def test_two_runs_at_once_do_each_video_once(fleet) -> None:
    for number in range(30):
        fleet.add(f"{number}.mp4")
    other = replace(fleet, heard=type(fleet.heard)())
    reports = []
    threads = [
        threading.Thread(target=lambda run=run: reports.append(run.run())) for run in (fleet, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(fleet.begun()) == sorted(f"{number}.mp4" for number in range(30))
    assert sum(report.whole for report in reports) == 30
    assert all(report.ok for report in reports)
    assert fleet.left_over() == []


def test_what_another_run_has_in_hand_is_left_to_it(fleet) -> None:
    fleet.add("a.mp4")
    fleet.add("b.mp4")
    taken = fleet.request().listing.videos[0]
    claims = Claims(fleet.results)
    claims.open()
    assert claims.take(taken) is None
    report = fleet.run()

    assert report.busy_elsewhere == {taken.name: str(claims.owner)}
    assert (report.whole, report.ok) == (1, True)


def test_ctrl_c_is_the_business_of_the_parent(fleet) -> None:
    video = fleet.add("a.mp4", "wait", frames=40)

    def disturb(progress: Progress) -> None:
        if progress.frames and not video.with_suffix(".go").exists():
            (worker,) = fleet.begun_by()
            os.kill(worker, signal.SIGINT)
            video.with_suffix(".go").touch()

    fleet.heard.on_progress = disturb
    report = fleet.run()

    assert (report.whole, report.retries) == (1, 0)


PROGRAM = """
import signal, sys
from pathlib import Path
sys.path.insert(0, {here!r})
from stand_in import StandIn
from atpn_exporters.fleet.coordinator import Coordinator, FleetRequest
from atpn_exporters.fleet.listing import list_videos
from atpn_exporters.fleet.processes import ProcessCrew
from atpn_exporters.fleet.results import Recipe
from rich.console import Console
from atpn_exporters.fleet.bar import FleetBar

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background ignore it
    videos, results = Path({root!r}) / "videos", Path({root!r}) / "results"
    request = FleetRequest(
        videos, results, list_videos(videos, results), Recipe("model", "options")
    )
    setup = StandIn(Path({root!r}) / "begun")
    report = Coordinator(request, FleetBar(Console())).run(lambda videos: ProcessCrew(2, setup))
    print("interrupted" if report.interrupted else "ended", report.whole, report.left)
"""


@pytest.fixture
def started(fleet) -> Iterator[subprocess.Popen[str]]:
    """A run of its own process group, as in a shell, with three videos done and two begun."""
    for number in range(3):
        fleet.add(f"{number}.mp4", frames=10**12)  # the longest texts come first
    for number in range(3, 7):
        fleet.add(f"{number}.mp4", "wait-silently")
    script = fleet.root / "run.py"
    script.write_text(PROGRAM.format(here=str(Path(__file__).parent), root=str(fleet.root)))
    with subprocess.Popen(
        [sys.executable, "-W", "error", str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,
    ) as process:
        try:
            wait_until(lambda: len(fleet.begun()) == 5)
            wait_until(lambda: len(list(fleet.results.glob("*.summary.json"))) == 3)
            yield process
        finally:
            process.kill()


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_after_a_kill_workers_go_and_the_next_run_does_the_rest(fleet, started) -> None:
    workers = fleet.begun_by()
    started.kill()
    started.communicate()
    wait_until(lambda: not any(map(runs, workers)))

    assert fleet.left_over() != []
    for number in range(3, 7):
        (fleet.videos / f"{number}.go").touch()
    report = fleet.run()
    assert (report.done_before, report.whole, report.ok) == (3, 4, True)
    assert [fleet.begun().count(f"{number}.mp4") for number in range(3)] == [1, 1, 1]
    assert fleet.left_over() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_cleanly(fleet, started, number: signal.Signals) -> None:
    workers = fleet.begun_by()
    if number == signal.SIGINT:
        os.killpg(started.pid, number)  # as a terminal does: the workers get it too
    else:
        os.kill(started.pid, number)
    output, _ = started.communicate(timeout=60)

    assert output.splitlines()[-1] == "interrupted 3 4"
    assert "Traceback" not in output
    assert not any(map(runs, workers))
    assert fleet.left_over() == []
    assert fleet.whole()["left"] == 4
