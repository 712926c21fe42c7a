from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from atpn_deploy.tracking.frame_faces import FrameFaces
from atpn_deploy.video.source import Frame
from atpn_exporters.following.bar import TrackingBar, bar_text
from atpn_exporters.following.run import FrameDone
from atpn_exporters.following.tables import faces_line, summary_table


def done(index: int = 119, expected: int | None = 5000) -> FrameDone:
    frame = Frame(index, index / 25, np.zeros((4, 4, 3), np.uint8))
    return FrameDone(frame, FrameFaces(index / 25, (), (), detected=False), expected)


def rendered(summary) -> str:
    console = Console(file=io.StringIO(), width=100)
    console.print(summary_table(summary))
    return console.file.getvalue()


def test_the_bar_says_where_it_is_and_how_fast():
    assert bar_text(done(), 61, 2.0) == "frame 120 of 5,000, 30 fps, 0 faces"
    assert bar_text(done(expected=None), 1, 0.0) == "frame 120, 0 faces"


def test_a_pipe_sees_no_bar():
    pipe = io.StringIO()

    with TrackingBar(Console(file=pipe)) as bar:
        for index in range(50):
            bar(done(index))

    assert pipe.getvalue() == ""


def test_a_terminal_sees_it_and_is_left_clean():
    terminal = io.StringIO()

    with TrackingBar(Console(file=terminal, force_terminal=True, width=100)) as bar:
        bar(done())

    assert "frame 120 of 5,000" in terminal.getvalue()
    assert "\x1b[?25h" in terminal.getvalue()  # the cursor is there again


def test_the_stages_and_the_rest_are_the_whole(track, request_of):
    summary = replace(
        track(request_of()),
        frames=100,
        stage_seconds={"decode": 0.1, "infer": 0.5},
        wall_s=1.0,
    )

    rows = [line.split() for line in rendered(summary).splitlines()]

    assert ["decode", "1.000", "10.0%"] in rows
    assert ["infer", "5.000", "50.0%"] in rows
    assert ["other", "4.000", "40.0%"] in rows
    assert ["all", "10.000", "100", "fps"] in rows


def test_the_faces_are_told_in_one_line(track, request_of):
    assert faces_line(track(request_of())) == (
        "clip.mp4: 10 frames, 10 with a face; 1 face found, lost 0 times, recovered 0 times; "
        "the detector ran in 1 frame"
    )


@pytest.mark.parametrize("frames", [0, 1])
def test_a_run_of_no_time_can_be_shown(track, request_of, frames):
    summary = replace(track(request_of()), frames=frames, wall_s=0.0, stage_seconds={})

    assert "0 fps" in rendered(summary)
    assert summary.as_dict()["fps"] == 0
