"""The loop of a file, timed by clocks that a test moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from atpn_benchmarks.loop.clip import Clip
from atpn_benchmarks.loop.timing import Clocks, Entrant, LoopTimes, Plan, Spread, time_loops
from atpn_deploy.crop import Box
from atpn_deploy.errors import AtpnError
from atpn_deploy.video.source import Frame

FACE = Box(60, 40, 120)


@dataclass
class Time:
    """Two clocks that stand still until something takes time."""

    cpu: float = 0.0
    wall: float = 0.0

    @property
    def clocks(self) -> Clocks:
        return Clocks(lambda: self.cpu, lambda: self.wall)

    def pass_by(self, cpu: float, wall: float) -> None:
        self.cpu += cpu
        self.wall += wall


class Network:
    """Finds the face in the middle of every crop and takes `seconds(call)` for it."""

    output_names = ("landmarks", "pose", "confidence")

    def __init__(
        self, time: Time, seconds: Callable[[int], tuple[float, float]], confidence: float = 0.95
    ) -> None:
        self._time, self._seconds, self._confidence = time, seconds, confidence
        self.calls = 0

    def run(self, feeds: dict[str, NDArray[np.uint8]]) -> dict[str, NDArray[np.float32]]:
        assert feeds["image"].shape == (1, 112, 112, 3)
        self.calls += 1
        self._time.pass_by(*self._seconds(self.calls))
        square = np.tile(((1 / 6, 1 / 6), (5 / 6, 5 / 6)), (49, 1))
        return {
            "landmarks": square[None].astype(np.float32),
            "pose": np.zeros((1, 3), np.float32),
            "confidence": np.full((1, 1), self._confidence, np.float32),
        }


class Slow:
    """A detector that takes a second, which no frame of the loop may show."""

    def __init__(self, time: Time, boxes: list[Box]) -> None:
        self._time, self._boxes = time, boxes

    def propose(self, image: NDArray[np.uint8]) -> list[Box]:
        self._time.pass_by(1.0, 1.0)
        return self._boxes


def clip(frames: int = 40) -> Clip:
    black = np.zeros((200, 240, 3), np.uint8)
    return Clip("made.mp4", tuple(Frame(k, k / 25, black) for k in range(frames)))


def timed(
    time: Time, *networks: Network, boxes: tuple[Box, ...] = (FACE,), plan: Plan | None = None
) -> list[LoopTimes]:
    detector = Slow(time, list(boxes))
    entrants = [Entrant(f"{k}.tflite", network, detector) for k, network in enumerate(networks)]
    return time_loops(entrants, clip(), plan or Plan(passes=2), time.clocks)


def test_a_frame_takes_what_its_network_takes_on_each_clock() -> None:
    time = Time()

    (times,) = timed(time, Network(time, lambda call: (0.002, 0.00201)))

    assert times.stages_cpu["infer"].median_s == pytest.approx(0.002)
    assert times.stages_wall["infer"].median_s == pytest.approx(0.00201)
    assert times.loop_cpu == Spread(pytest.approx(0.002), pytest.approx(0.002))
    assert times.loop_wall.median_s == pytest.approx(0.00201)
    assert times.stages_cpu["crop"].median_s == 0


def test_the_first_frame_of_each_turn_and_frames_with_a_detector_are_left_out() -> None:
    time = Time()

    (times,) = timed(time, Network(time, lambda call: (0.002, 0.002)))

    # 40 frames are 4 turns of ten; 2 passes on each of 2 clocks; the detector sees first frames.
    assert times.frames == 4 * (40 - 4)
    assert times.detections == 4
    assert times.loop_cpu.p95_s < 0.01


def test_files_take_turns_and_keep_their_own_times() -> None:
    time = Time()
    fast = Network(time, lambda call: (0.001, 0.001))
    slow = Network(time, lambda call: (0.004, 0.004))

    first, second = timed(time, fast, slow)

    assert (first.name, second.name) == ("0.tflite", "1.tflite")
    assert second.loop_cpu.median_s == pytest.approx(4 * first.loop_cpu.median_s)
    assert fast.calls == slow.calls


def test_frames_that_lost_the_processor_are_told_and_left_out() -> None:
    time = Time()
    network = Network(time, lambda call: (0.002, 0.02) if call % 4 == 0 else (0.002, 0.002))

    (times,) = timed(time, network)

    assert 0.2 < times.preempted < 0.3
    assert times.loop_wall.p95_s == pytest.approx(0.002)
    assert len(times.samples_s) == times.frames
    assert max(wall for _, wall in times.samples_s) == pytest.approx(0.02)


def test_a_clip_without_a_face_is_no_measurement() -> None:
    time = Time()
    with pytest.raises(AtpnError, match=r"0.tflite followed no face on 40 frames of made.mp4"):
        timed(time, Network(time, lambda call: (0.002, 0.002)), boxes=())


def test_a_network_that_is_never_sure_follows_nothing() -> None:
    time = Time()
    with pytest.raises(AtpnError, match="followed no face"):
        timed(time, Network(time, lambda call: (0.002, 0.002), confidence=0.3))


def test_the_share_around_the_network_is_of_the_stages_medians() -> None:
    spread = {stage: Spread(s, s) for stage, s in zip("ab", (1.0, 2.0), strict=True)}
    stages = {"infer": Spread(6.0, 9.0), **spread, "c": Spread(1.0, 1.0)}
    whole = Spread(10.0, 13.0)

    times = LoopTimes("a", 1, 1, 0.0, whole, whole, stages, stages, ())

    assert times.around_network == pytest.approx(0.4)


def test_every_pass_is_told() -> None:
    time = Time()
    heard: list[tuple[int, int]] = []
    entrant = Entrant("a", Network(time, lambda call: (0.002, 0.002)), Slow(time, [FACE]))

    time_loops(
        [entrant], clip(), Plan(passes=3), time.clocks, lambda done, of: heard.append((done, of))
    )

    assert heard == [(k, 6) for k in range(1, 7)]
