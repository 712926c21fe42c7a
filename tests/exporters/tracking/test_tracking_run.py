from __future__ import annotations

import json
import os
import pickle
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.crop import Box
from atpn_deploy.detectors.given import GivenBoxes
from atpn_deploy.errors import ArtifactError, AtpnError, ConfigError, VideoError
from atpn_deploy.track_records import json_lines
from atpn_deploy.tracking.tracker import TrackerOptions
from atpn_deploy.video.source import Frame
from atpn_deploy.video.video_file import VideoFile
from atpn_deploy.video.video_writer import VideoWriter
from atpn_exporters.following import run as tracking_run
from atpn_exporters.following.run import FrameDone, run


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_run_is_counted(track, request_of, stub_session):
    # Run 1 and 2 are the detection; then one run a frame: frames 1 to 9 are runs 3 to 11.
    session = stub_session(lambda run: 0.1 if run == 9 else 0.9)

    summary = track(request_of(), session=session)

    assert (summary.frames, summary.frames_with_face, summary.most_faces) == (10, 10, 1)
    assert (summary.born, summary.lost, summary.recovered, summary.died) == (1, 1, 1, 0)
    assert summary.detector_runs == 2
    assert (summary.problem, summary.interrupted, summary.outputs) == ("", False, ())
    assert summary.runtime == "stub 1.0"
    assert set(summary.stage_seconds) == {"decode", "detect", "crop", "infer", "track", "filter"}
    assert sum(summary.stage_seconds.values()) <= summary.wall_s


def test_the_summary_is_json_and_says_the_speed(track, request_of):
    summary = track(request_of())

    values = json.loads(json.dumps(summary.as_dict(), allow_nan=False))

    assert values["fps"] == pytest.approx(10 / summary.wall_s, rel=1e-3)
    stages = values["stage_ms_per_frame"]
    assert stages["infer"] == pytest.approx(100 * summary.stage_seconds["infer"], abs=1e-3)


def test_the_page_names_what_the_summary_holds(track, request_of):
    page = (Path(__file__).parents[3] / "docs" / "tracking.md").read_text(encoding="utf-8")

    assert [name for name in track(request_of()).as_dict() if f"`{name}`" not in page] == []


def test_requests_and_summaries_cross_processes(track, request_of):
    request = request_of(records=("a.jsonl",))
    summary = track(request)

    assert pickle.loads(pickle.dumps(request)) == request
    assert pickle.loads(pickle.dumps(summary)) == summary


def test_records_say_what_made_them_then_one_line_a_frame(track, request_of, tmp_path):
    track(request_of(records=("a.jsonl",), tracker=TrackerOptions(max_faces=3)))

    header, *frames = lines(tmp_path / "a.jsonl")
    assert header["schema"] == "atpn-track"
    assert (header["input"], header["width"], header["height"]) == ("clip.mp4", 64, 48)
    assert header["model"] == "model.tflite"
    assert header["options"]["max_faces"] == 3
    assert header["options"]["detector"] == "haar"
    assert [frame["index"] for frame in frames] == list(range(10))
    assert [frame["detected"] for frame in frames] == [True, *[False] * 9]
    assert files(tmp_path) == ["a.jsonl", "model.tflite"]


@pytest.mark.needs("av", "opencv", "pyarrow")
def test_a_name_that_is_no_text_is_told_as_one(track, request_of, tmp_path):
    name = os.fsdecode(b"caf\xe9.mp4")

    summary = track(request_of(input=name, records=("a.jsonl",)))

    assert lines(tmp_path / "a.jsonl")[0]["input"] == summary.input == "caf\ufffd.mp4"


def test_everything_is_written_in_one_run(track, request_of, tmp_path):
    records = ("a.jsonl", "a.csv", "a.parquet")

    summary = track(request_of(records=records, output="a.mp4"))

    assert files(tmp_path) == sorted([*records, "a.mp4", "model.tflite"])
    assert summary.outputs == tuple(str(tmp_path / name) for name in (*records, "a.mp4"))
    assert {"draw", "write"} <= set(summary.stage_seconds)
    with VideoFile(tmp_path / "a.mp4") as video:
        frames = list(video)
    assert [frame.time_s for frame in frames] == pytest.approx([k / 25 for k in range(10)])
    assert frames[5].image.shape == (48, 64, 3)
    assert np.ptp(frames[5].image.astype(int)) > 50  # a face is drawn on the grey


@pytest.mark.needs("av", "opencv")
def test_a_thread_beside_draws_the_same_in_order(track, request_of, tmp_path):
    alone = track(request_of(output="alone.mp4"))

    beside = track(request_of(output="beside.mp4", draw_beside=True))

    assert (tmp_path / "beside.mp4").read_bytes() == (tmp_path / "alone.mp4").read_bytes()
    assert set(beside.beside_seconds) == {"draw", "write"}
    assert "draw" not in beside.stage_seconds
    assert alone.beside_seconds == {}


@pytest.mark.needs("av", "opencv")
@pytest.mark.parametrize("beside", [False, True])
def test_a_picture_that_fails_ends_the_run_and_spares_the_records(
    track, request_of, clip, tmp_path, monkeypatch, beside
):
    write, source = VideoWriter.write, clip(100)

    def full(self: VideoWriter, frame: Frame) -> None:
        if frame.index == 5:
            raise VideoError("a.mp4 cannot be written: No space left on device")
        write(self, frame)

    monkeypatch.setattr(VideoWriter, "write", full)

    with pytest.raises(VideoError, match="No space left"):
        track(
            request_of(records=("a.jsonl",), output="a.mp4", draw_beside=beside),
            source,
        )

    assert source.given == (10 if beside else 6)  # four may wait for the thread
    assert len(lines(tmp_path / "a.jsonl")) == 1 + source.given
    assert files(tmp_path) == ["a.jsonl", "a.mp4", "model.tflite"]
    with VideoFile(tmp_path / "a.mp4") as video:
        assert video.frames_expected == 5


@pytest.mark.needs("av", "opencv")
def test_frames_wait_for_a_slow_thread(track, request_of, clip, monkeypatch):
    """Were they not bounded, all of the video would wait in memory."""
    drawn, furthest = [0], 0

    def slow(self: VideoWriter, frame: Frame) -> None:
        time.sleep(0.005)
        drawn[0] += 1

    def on_frame(done: FrameDone) -> None:
        nonlocal furthest
        furthest = max(furthest, done.frame.index + 1 - drawn[0])

    monkeypatch.setattr(VideoWriter, "write", slow)

    track(request_of(output="a.mp4", draw_beside=True), clip(60), on_frame=on_frame)

    assert drawn == [60]
    assert 1 <= furthest <= 5


@pytest.mark.needs("opencv")
def test_without_an_output_nothing_is_drawn(track, request_of, monkeypatch):
    def fail(*_: object) -> None:
        raise AssertionError("drawn")

    monkeypatch.setattr("atpn_exporters.following.pictures.annotate_tracks", fail)

    assert "draw" not in track(request_of(records=("a.csv",))).stage_seconds
    with pytest.raises(AssertionError, match="drawn"):
        track(request_of(output="pngs"))


def test_a_run_that_is_told_to_stop_delivers_what_it_has(track, request_of, clip, tmp_path):
    source, seen = clip(1000), []

    summary = track(
        request_of(records=("a.jsonl", "a.csv")),
        source,
        on_frame=lambda done: seen.append(done.frame.index),
        stopped=lambda: len(seen) == 4,
    )

    assert (summary.frames, summary.interrupted, source.given) == (4, True, 4)
    assert len(lines(tmp_path / "a.jsonl")) == 1 + 4
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 1 + 4
    assert files(tmp_path) == ["a.csv", "a.jsonl", "model.tflite"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ArtifactError("the runtime died")])
def test_an_error_in_the_middle_loses_nothing(track, request_of, stub_session, tmp_path, error):
    def confidence(run: int) -> float:
        if run == 7:  # frame 5
            raise error
        return 0.9

    with pytest.raises(type(error)):
        track(request_of(records=("a.jsonl",)), session=stub_session(confidence))

    assert [line["index"] for line in lines(tmp_path / "a.jsonl")[1:]] == [0, 1, 2, 3, 4]
    assert files(tmp_path) == ["a.jsonl", "model.tflite"]


def test_an_input_that_ends_early_is_told(track, request_of, clip, tmp_path):
    summary = track(request_of(records=("a.jsonl",)), clip(6, problem="clip is cut off"))

    assert (summary.frames, summary.problem) == (6, "clip is cut off")
    assert len(lines(tmp_path / "a.jsonl")) == 1 + 6


def test_an_input_without_a_frame_writes_nothing(track, request_of, clip, tmp_path):
    with pytest.raises(VideoError, match="clip gave no frame"):
        track(request_of(records=("a.jsonl",)), clip(0))
    with pytest.raises(VideoError, match="camera went away"):
        track(request_of(records=("a.jsonl",)), clip(0, problem="camera went away"))

    assert files(tmp_path) == ["model.tflite"]


def test_a_full_disk_ends_the_run_and_spares_the_other_file(
    track, request_of, tmp_path, monkeypatch
):
    write = json_lines.JsonLines.write

    def full(self, index, frame):
        if index == 3:
            raise OSError(28, "No space left on device")
        write(self, index, frame)

    monkeypatch.setattr(json_lines.JsonLines, "write", full)

    with pytest.raises(AtpnError, match=r"a\.jsonl cannot be written: No space left"):
        track(request_of(records=("a.csv", "a.jsonl")))

    assert len((tmp_path / "a.csv").read_text().splitlines()) == 1 + 4
    assert len(lines(tmp_path / "a.jsonl")) == 1 + 3
    assert files(tmp_path) == ["a.csv", "a.jsonl", "model.tflite"]


def test_a_run_stops_at_the_second_that_is_asked_for(track, request_of, clip):
    assert track(request_of(max_seconds=0.2), clip(100)).frames == 5


def test_frames_of_any_size_follow_each_other(track, request_of, clip, tmp_path):
    class Changing(clip):
        def __iter__(self) -> Iterator[Frame]:
            for frame in super().__iter__():
                side = 48 if frame.index < 5 else 96
                yield Frame(frame.index, frame.time_s, np.zeros((side, side, 3), np.uint8))

    summary = track(request_of(records=("a.jsonl",)), Changing(10))

    assert (summary.frames, summary.born, summary.died) == (10, 2, 1)
    assert [f["faces"][0]["id"] for f in lines(tmp_path / "a.jsonl")[1:]] == [1] * 5 + [2] * 5


def test_given_boxes_are_those_of_the_frame(track, request_of, clip):
    class EveryOther(clip):
        def __iter__(self) -> Iterator[Frame]:
            return (frame for frame in super().__iter__() if frame.index % 2 == 0)

    given = GivenBoxes({6: (Box(8, 2, 44),)})
    options = TrackerOptions(rescan_frames=1, longest_wait_frames=1)
    born: list[int] = []

    def on_frame(done: FrameDone) -> None:
        born.extend(done.frame.index for event in done.faces.events if event.kind == "birth")

    summary = track(request_of(tracker=options), EveryOther(10), detector=given, on_frame=on_frame)

    assert (summary.frames, born) == (5, [6])


def test_a_file_without_all_tasks_is_named(track, request_of, stub_session, tmp_path):
    session = stub_session()
    session.output_names = ("landmarks",)

    with pytest.raises(ArtifactError, match=r"model\.tflite: the file computes no pose and no"):
        track(request_of(records=("a.jsonl",)), session=session)

    assert files(tmp_path) == ["model.tflite"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"records": ("a.txt",)}, "expected one of .jsonl .csv .parquet"),
        ({"records": ("absent/a.csv",)}, "absent is not a folder"),
        ({"records": ("model.tflite.csv", "model.tflite.csv")}, "named for two outputs"),
        ({"records": ("mine.csv",)}, "mine.csv exists; add --force"),
        ({"output": "a.gif"}, "expected a video (.mp4"),
        ({"output": "full"}, "full is not empty; add --force"),
        ({"output": "mine"}, "mine is a file; expected a folder"),
    ],
)
@pytest.mark.needs("av", "opencv")
def test_what_cannot_be_written_is_refused_before_anything_is_opened(
    request_of, tmp_path, monkeypatch, asked, message
):
    (tmp_path / "mine.csv").write_text("mine")
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "000001.png").write_text("mine")
    before = files(tmp_path)
    monkeypatch.setattr(tracking_run, "open_file", None)

    with pytest.raises(ConfigError) as caught:
        run(request_of(**asked))

    assert message in str(caught.value)
    assert files(tmp_path) == before


@pytest.mark.needs("av", "opencv")
def test_forced_the_folder_is_written_into(track, request_of, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")

    track(request_of(output="full", force=True))

    assert len(files(tmp_path / "full")) == 11


@pytest.mark.needs("av", "opencv", "pyarrow")
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads memory as Linux tells it")
def test_memory_does_not_grow_with_the_video(track, request_of, clip):
    """Were frames kept, 600 of them would take 124 MB; the records of 1,000 take 5."""

    class Large(clip):
        def __iter__(self) -> Iterator[Frame]:
            for index in range(self._count):
                image = np.full((240, 288, 3), index % 200, np.uint8)
                yield Frame(index, index / 25, image)

    resident: dict[int, int] = {}

    def on_frame(done: FrameDone) -> None:
        if done.frame.index % 300 == 299:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            resident[done.frame.index] = pages * 4096

    request = request_of(records=("a.jsonl", "a.csv", "a.parquet"), output="a.mp4")
    track(request, Large(900), on_frame=on_frame)

    assert resident[899] - resident[299] < 20e6
