"""Networks in lockstep: one look of the detector a frame, and each its own loop."""

from __future__ import annotations

import numpy as np
import pytest

from atpn_deploy.contract import OUTPUTS
from atpn_deploy.crop import Box, box_around
from atpn_deploy.tracking.scripted_world import grid
from atpn_deploy.video.source import Frame
from atpn_exporters.closed_loop.lanes import OneLook, TorchSession, in_lockstep
from atpn_exporters.closed_loop.run import LoopResult, _Lane, _run

SIZE, WHERE = 80.0, (128.0, 120.0)


class MapNetwork:
    """A network for images whose red and green are column and row and whose blue is the frame.

    It sees from a crop where it was cut, and answers with a square face at WHERE, moved to the
    right by `drift` pixels a frame and lost in the frames of `blind`.
    """

    output_names = tuple(spec.name for spec in OUTPUTS)

    def __init__(self, drift: float = 0.0, blind: range = range(0)) -> None:
        self.drift, self.blind = drift, blind
        self.centres: list[float] = []  # column of each crop that it was shown

    def run(self, feeds):
        crop = np.asarray(feeds["image"], np.float64)[0]
        frame = round(float(crop[..., 2].mean()))
        left, right, top = crop[:, 0, 0].mean(), crop[:, -1, 0].mean(), crop[0, :, 1].mean()
        side = (right - left) * 112 / 111
        box = Box(left + 0.5 - side / 224, top + 0.5 - side / 224, side)
        self.centres.append(box.left + side / 2)
        points = grid() * SIZE + (WHERE[0] + self.drift * frame, WHERE[1])
        return {
            "landmarks": box.from_image(points)[None].astype(np.float32),
            "pose": np.zeros((1, 3), np.float32),
            "confidence": np.array([[0.1 if frame in self.blind else 0.99]], np.float32),
        }


class Proposer:
    """Frames the face and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def propose(self, image):
        self.asked += 1
        return [box_around(grid() * SIZE + WHERE)]


def frames(count: int) -> list[Frame]:
    column, row = np.meshgrid(np.arange(256), np.arange(240))
    planes = [np.stack((column, row, np.full_like(row, k)), -1) for k in range(count)]
    return [Frame(k, k / 25, np.asarray(plane, np.uint8)) for k, plane in enumerate(planes)]


def test_the_detector_looks_once_at_a_frame() -> None:
    proposer = Proposer()
    for _, seen in in_lockstep(frames(40), [MapNetwork(), MapNetwork()], proposer):
        assert [len(one.tracked) for one in seen] == [1, 1]
    looks = proposer.asked
    alone = Proposer()
    list(in_lockstep(frames(40), [MapNetwork()], alone))
    assert looks == alone.asked
    look = OneLook(proposer)
    (first, second) = (frame.image for frame in frames(2))
    assert look.propose(first) == look.propose(first)
    look.propose(second)
    assert proposer.asked == looks + 2


def test_every_crop_comes_from_a_networks_own_landmarks() -> None:
    still, drifting = MapNetwork(), MapNetwork(drift=0.5)
    list(in_lockstep(frames(30), [still, drifting], Proposer()))
    assert still.centres[-1] == pytest.approx(WHERE[0], abs=1)
    assert drifting.centres[-1] == pytest.approx(WHERE[0] + 0.5 * 29, abs=2)


def verdicts(file: MapNetwork, count: int = 60) -> dict[str, bool]:
    """Rules of a file against a reference that sees the same face standing still."""
    from atpn_exporters.closed_loop.rules import Comparison, judged
    from atpn_exporters.limits import INT8_LIMITS

    lane = _Lane(None, "stub", place=1, reference=0, called="stub")  # type: ignore[arg-type]
    passed: list[int] = []
    seen = _run(frames(count), [MapNetwork(), file], [lane], Proposer(), passed.append)
    assert seen == sum(passed) == count
    found = judged(Comparison.of(seen, lane.pairing, lane.figures), INT8_LIMITS)
    return {verdict.rule.name: verdict.ok for verdict in found}


def test_a_loop_like_the_references_holds() -> None:
    assert all(verdicts(MapNetwork()).values())


def test_a_drifting_loop_grows() -> None:
    found = verdicts(MapNetwork(drift=0.1))
    assert not found["growth of the drift"]
    assert not found["landmarks, median"]
    assert found["tracks lost"]


def test_a_face_lost_at_a_frame_is_a_lost_track() -> None:
    assert not verdicts(MapNetwork(blind=range(30, 40)))["tracks lost"]


def test_pytorch_answers_as_a_session() -> None:
    asked = []

    def predict(crops):
        asked.append(crops.shape)
        return {"confidence": np.zeros((1, 1), np.float32)}

    session = TorchSession(predict)
    assert session.run({"image": np.zeros((1, 112, 112, 3), np.uint8)})["confidence"].shape == (
        1,
        1,
    )
    assert asked == [(1, 112, 112, 3)]
    assert session.output_names == ("landmarks", "pose", "confidence")


def test_what_was_not_compared_is_not_ok(tmp_path) -> None:
    assert LoopResult(tmp_path).exit_status == 1
    assert LoopResult(tmp_path, error="no").exit_status == 2
