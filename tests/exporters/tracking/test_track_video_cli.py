from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.cli import track as command
from atpn_deploy.cli import track_video
from atpn_deploy.photo import write_photo
from atpn_exporters.following import run as tracking_run

pytestmark = pytest.mark.needs("opencv", "av")
pytest.importorskip("PIL", reason="Pillow is not at hand")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of six frames and a file that stands for a model."""
    frames = tmp_path / "frames"
    frames.mkdir()
    for k in range(6):
        write_photo(np.full((48, 64, 3), 40 * k, np.uint8), frames / f"{k}.png")
    (tmp_path / "model.tflite").write_bytes(b"model")
    return tmp_path


@pytest.fixture
def session(monkeypatch, stub_session, proposal):
    stub = stub_session()
    monkeypatch.setattr(track_video, "cores", lambda: 2)
    monkeypatch.setattr(tracking_run, "open_file", lambda path, options: stub)
    monkeypatch.setattr(tracking_run, "open_detector", lambda text, **_: proposal())
    return stub


@pytest.fixture
def atpn_track(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs the command in the folder; the exit status, standard output and standard error."""

    def run(*words: str, given: str = "frames") -> tuple[int, str, str]:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(
            sys, "argv", ["atpn-track", given, "--model", "model.tflite", *map(str, words)]
        )
        with pytest.raises(SystemExit) as stop:
            command.main()
        return int(stop.value.code or 0), *capsys.readouterr()

    return run


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_of_frames_is_tracked_and_drawn(atpn_track, folder, session):
    status, out, err = atpn_track("--records", "a.jsonl", "--output", "a.mp4")

    assert (status, err) == (0, "")
    assert "frames: 6 frames, 6 with a face; 1 face found" in out
    for stage in ("decode", "infer", "write", "other", "all"):
        assert f"\n  {stage} " in out
    assert "draw, beside" in out
    assert out.endswith("wrote a.jsonl, a.mp4\n")
    assert files(folder) == ["a.jsonl", "a.mp4", "frames", "model.tflite"]


def test_records_on_standard_output_are_alone_there(atpn_track, session):
    status, out, err = atpn_track("--records", "-")

    assert status == 0
    assert [json.loads(line).get("index") for line in out.splitlines()] == [None, *range(6)]
    assert "6 frames" in err


def test_the_options_arrive(atpn_track, folder, session):
    status, out, _ = atpn_track(
        *("--summary", "-", "--records", "a.jsonl", "--every", "2", "--fps", "10"),
        *("--smoothing", "strong", "--rescan", "2", "--max-faces", "4", "--threshold", "0.4"),
        *("--max-seconds", "0.35", "--threads", "2"),
    )

    header, *frames = (json.loads(line) for line in (folder / "a.jsonl").read_text().splitlines())
    assert status == 0
    assert json.loads(out)["frames"] == 2
    assert [(frame["index"], frame["time_s"]) for frame in frames] == [(0, 0.0), (2, 0.2)]
    options = header["options"]
    assert (options["every"], options["threads"], options["smoothing"]) == (2, 2, "strong")
    assert (options["rescan_frames"], options["max_faces"]) == (2, 4)
    assert options["lifecycle"]["keep"] == 0.4
    assert options["lifecycle"]["birth"] == pytest.approx(0.6)


def test_given_boxes_are_looked_at_in_each_frame(atpn_track, folder, session):
    (folder / "boxes.csv").write_text("frame,left,top,width,height,framing\n4,8,2,44,44,square\n")

    status, *_ = atpn_track("--boxes", "boxes.csv", "--records", "a.jsonl")

    header, *frames = (json.loads(line) for line in (folder / "a.jsonl").read_text().splitlines())
    assert status == 0
    assert header["options"]["detector"] == "boxes boxes.csv"
    assert [len(frame["faces"]) for frame in frames] == [0, 0, 0, 0, 1, 1]


def test_no_draw_needs_no_output(atpn_track, folder, session):
    status, out, _ = atpn_track("--no-draw")

    assert status == 0
    assert "6 frames" in out
    assert "draw" not in out
    assert files(folder) == ["frames", "model.tflite"]


def test_no_face_is_status_3_and_what_was_asked_for_is_there(
    atpn_track, folder, session, monkeypatch, stub_session
):
    monkeypatch.setattr(tracking_run, "open_file", lambda *_: stub_session(lambda run: 0.1))

    status, _, err = atpn_track("--records", "a.csv")

    assert (status, err) == (3, "no face found in frames above confidence 0.7\n")
    assert len((folder / "a.csv").read_text().splitlines()) == 7


def test_an_input_that_ends_early_is_status_1(atpn_track, folder, session, monkeypatch, clip):
    source = clip(4, problem="clip is cut off")
    source.damaged = 2
    monkeypatch.setattr(tracking_run, "open_source", lambda *_, **__: source)

    status, _, err = atpn_track("--records", "a.csv")

    assert status == 1
    assert err.splitlines() == [
        "warning: 2 frames of the input are damaged",
        "error: clip is cut off; 4 frames were tracked; wrote a.csv",
    ]
    assert len((folder / "a.csv").read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("words", "given", "message"),
    [
        ((), "frames", "nothing to write; give --output FILE, --records FILE"),
        (
            ("--crops", "c", "--json", "-"),
            "frames",
            "--json and --crops can't be given, for frames",
        ),
        (
            ("--no-draw", "--every", "2"),
            "frames/0.png",
            "--every and --no-draw can't be given, for",
        ),
        (("--no-draw", "--output", "a.mp4"), "frames", "--no-draw leaves nothing for --output"),
        (("--records", "-", "--summary", "-"), "frames", "- is named for two outputs"),
        (("--summary", "absent/a.json"), "frames", "absent is not a folder"),
        (("--summary", "model.tflite"), "frames", "model.tflite exists; add --force"),
        (("--no-draw", "--smoothing", "much"), "frames", "expected off, light, strong"),
        (("--no-draw", "--fps", "5"), "empty.mp4", "is no folder of frames"),
        (("--no-draw", "--fps", "5"), "absent", "absent does not exist; expected a folder"),
        (("--no-draw",), "absent.mp4", "absent.mp4 does not exist"),
        (("--no-draw",), "model.tflite", "is not a video that can be read"),
        (("--no-draw",), "empty.mp4", "empty.mp4 is empty (0 bytes)"),
    ],
)
def test_what_makes_no_sense_is_one_line(atpn_track, folder, session, words, given, message):
    (folder / "empty.mp4").touch()
    before = files(folder)

    status, out, err = atpn_track(*words, given=given)

    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: ")
    assert message in err
    assert files(folder) == before


def test_an_image_without_a_suffix_is_a_photograph(atpn_track, folder):
    (folder / "frames" / "0.png").rename(folder / "picture")

    assert (
        "--records can't be given, for picture is a photograph"
        in (atpn_track("--records", "-", given="picture")[2])
    )


def test_a_model_that_is_none_is_refused_before_anything_is_written(atpn_track, folder):
    """Any but `absent` is looked into by the runtime of its format."""
    pytest.importorskip("ai_edge_litert", reason="litert is not at hand")
    before = files(folder)

    status, _, err = atpn_track("--records", "a.jsonl")  # five bytes of a .tflite

    assert status == 2
    assert "model.tflite" in err
    assert err.count("\n") == 1
    (folder / "model.tflite").unlink()
    assert "model.tflite does not exist" in atpn_track("--records", "a.jsonl")[2]
    assert files(folder) == [name for name in before if name != "model.tflite"]


ENDLESS = """
import itertools, runpy, sys
import numpy as np
from atpn_deploy.cli import track
from atpn_deploy.video.source import Frame
from atpn_exporters.following import run as tracking_run

stubs = runpy.run_path(sys.argv.pop(1))

class Endless(stubs["Clip"]):
    def __iter__(self):
        for k in itertools.count():
            yield Frame(k, k / 25, np.full((48, 64, 3), k % 200, np.uint8))

tracking_run.open_file = lambda *_: stubs["StubSession"]()
tracking_run.open_detector = lambda *_, **__: stubs["OneProposal"]()
tracking_run.open_source = lambda *_, **__: Endless(0)
track.main()
"""


@pytest.fixture
def endless(folder: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the command on an input without end, in a process of its own."""
    processes: list[subprocess.Popen[str]] = []

    def start(*words: str) -> subprocess.Popen[str]:
        conftest = str(Path(__file__).with_name("conftest.py"))
        program = [sys.executable, "-c", ENDLESS, conftest, "clip.mp4", "--model", "model.tflite"]
        process = subprocess.Popen(
            [*program, *words],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def wait_for(found: Callable[[], bool]) -> None:
    for _ in range(600):
        if found():
            return
        time.sleep(0.05)
    raise AssertionError("nothing was written in 30 s")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_with_what_was_done(endless, folder, number, status):
    from atpn_deploy.video.video_file import VideoFile

    process = endless("--records", "a.jsonl", "--records", "a.csv", "--output", "a.mp4")
    wait_for(lambda: any(p.stat().st_size > 60_000 for p in folder.glob(".a.*.part.jsonl")))

    process.send_signal(number)
    _, err = process.communicate(timeout=30)

    lines = [json.loads(line) for line in (folder / "a.jsonl").read_text().splitlines()]
    frames = len(lines) - 1
    assert process.returncode == status
    assert err == (f"interrupted: {frames} frames were tracked; wrote a.jsonl, a.csv, a.mp4\n")
    assert [line["index"] for line in lines[1:]] == list(range(frames))
    assert len((folder / "a.csv").read_text().splitlines()) == frames + 1
    with VideoFile(folder / "a.mp4") as video:
        assert video.frames_expected == frames
    assert files(folder) == ["a.csv", "a.jsonl", "a.mp4", "frames", "model.tflite"]


def test_a_reader_that_goes_away_ends_the_run(endless):
    process = endless("--records", "-")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["schema"] == "atpn-track"

    process.stdout.close()
    status = process.wait(timeout=30)

    assert status == 2
    assert process.stderr is not None
    assert process.stderr.read() == "error: - cannot be written: Broken pipe\n"


@pytest.mark.parametrize(("given", "correlation"), [("0", -1.0), ("clip.mp4", 0.4)])
def test_a_camera_is_never_taken_to_be_cut(given: str, correlation: float) -> None:
    words = {field.name: None for field in dataclasses.fields(track_video.VideoJob)}
    job = track_video.VideoJob(
        **words | {"input": given, "threshold": 0.7, "records": ()},  # type: ignore[arg-type]
    )

    assert track_video.request_of(job).tracker.cut_correlation == correlation
