"""Where the time of a step goes, by a clock that only the stages themselves move on."""

from __future__ import annotations

import numpy as np
import pytest

from atpn_deploy.faces import judge, look
from atpn_deploy.stage_times import STAGES, StageTimes
from atpn_deploy.tracking.scripted_world import Scene, ScriptedFace, ScriptedWorld
from atpn_deploy.tracking.tracker import Tracker, TrackerOptions

IMAGE = np.zeros((240, 320, 3), np.uint8)
FACES = (ScriptedFace(80, 120, 60, 0.9), ScriptedFace(220, 120, 60, 0.9))
#: Seconds that each takes in the world of this file.
DETECT_S, CROP_S, INFER_S = 100.0, 1.0, 10.0


class SlowWorld(ScriptedWorld):
    """Detector, crop and network move the clock on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.scene = Scene(FACES, tuple(face.box for face in FACES))

    def clock(self) -> float:
        return self.now

    def propose(self, image):
        self.now += DETECT_S
        return super().propose(image)

    def cut(self, image, box):
        self.now += CROP_S
        return super().cut(image, box)

    def run(self, feeds):
        self.now += INFER_S
        return super().run(feeds)


def test_a_look_is_a_crop_and_an_inference():
    world = SlowWorld()
    times = StageTimes(world.clock)

    look(IMAGE, FACES[0].box, world, times, world.cut)

    assert times.seconds == dict.fromkeys(STAGES, 0.0) | {"crop": CROP_S, "infer": INFER_S}


def test_a_proposal_is_looked_at_twice():
    world = SlowWorld()
    times = StageTimes(world.clock)

    judge(IMAGE, [face.box for face in FACES], world, times=times, cut=world.cut)

    assert times.calls["crop"] == times.calls["infer"] == 4
    assert times.total == 4 * (CROP_S + INFER_S)


def test_the_stages_of_a_step_add_up_to_the_time_of_the_step():
    world = SlowWorld()
    times = StageTimes(world.clock)
    tracker = Tracker(world, world, times=times, cut=world.cut)

    for k in range(3):
        tracker.step(IMAGE, k / 30)

    looks = 4 + 2 + 2  # two passes over two proposals, then one look a face
    assert times.seconds["detect"] == DETECT_S
    assert times.seconds["crop"] == looks * CROP_S
    assert times.seconds["infer"] == looks * INFER_S
    assert times.calls["track"] == 3
    assert times.calls["filter"] == 6
    assert times.total == world.now
    assert tracker.times is times


def test_what_is_no_stage_of_its_own_is_the_tracker_s():
    """With a clock that ticks at every reading nothing is lost and nothing counted twice."""
    ticks = iter(range(10_000))
    world = SlowWorld()
    times = StageTimes(lambda: float(next(ticks)))
    tracker = Tracker(world, world, TrackerOptions(smoothing="off"), times, world.cut)

    began = times.clock()
    tracker.step(IMAGE, 0.0)
    passed = times.clock() - began

    assert times.total == pytest.approx(passed - 2)  # from the first reading of a step to its last
    assert times.seconds["track"] > 0
