from __future__ import annotations

import json
import sys
import zipfile
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.cli import detectors as command
from atpn_deploy.crop import Box, box_around
from atpn_deploy.datasets.scenes import Scenes, landmark_boxes
from atpn_deploy.evaluation.detection import FRAMES, filling, iou, measure_detector
from atpn_deploy.evaluation.detection_tables import detection_table, pace_table
from atpn_deploy.evaluation.rendering import from_json

#: Two photographs: a face of 70 px and one of 35, then one of 20 and one that is not to be counted.
BOXES = (
    np.array([[10, 10, 80, 90], [200, 50, 235, 100]], np.float32),
    np.array([[40, 40, 60, 65], [100, 100, 180, 190]], np.float32),
)
USABLE = (np.array([True, True]), np.array([True, False]))
#: The contract squares of those faces.
SQUARES = tuple([box_around(b.reshape(2, 2)) for b in landmark_boxes(boxes)] for boxes in BOXES)
NOWHERE = Box(400, 300, 50)


class Told:
    """A detector that is told the answers by the width of the photograph."""

    def __init__(self, answers: dict[int, list[Box]]) -> None:
        self.answers = answers

    def propose(self, image: np.ndarray) -> list[Box]:
        return self.answers.get(image.shape[1], [])


class Sees:
    """A network that is sure of squares that lie left of x = 150 and leaves each where it is."""

    output_names = ("landmarks", "pose", "confidence")

    def run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        ring = np.linspace(0, 2 * np.pi, 98)
        landmarks = 0.5 + np.stack((np.cos(ring), np.sin(ring)), -1) / 3
        sure = feeds["image"].mean() > 128
        return {
            "landmarks": landmarks[None],
            "pose": np.zeros((1, 3)),
            "confidence": np.array([[0.9 if sure else 0.1]]),
        }


def scenes() -> Scenes:
    images = [np.zeros((480, 640, 3), np.uint8), np.zeros((480, 600, 3), np.uint8)]
    images[0][:, :150] = 255
    return Scenes(images, BOXES, USABLE, (("a", "b"), ("c", "d")))


@pytest.fixture
def detector() -> Told:
    (large, small), (tiny, uncounted) = SQUARES
    moved = Box(small.left + small.side * 0.4, small.top, small.side)  # IoU 0.6 / 1.4
    return Told({640: [large, large, moved, NOWHERE], 600: [tiny, uncounted, NOWHERE]})


@pytest.mark.needs("opencv")
def test_faces_are_found_by_size_and_false_alarms_counted(detector):
    result = measure_detector("told", detector, scenes(), None, clock=count(0, 0.5).__next__)

    alone = result.alone
    assert alone.faces == {30: 2, 60: 1}  # neither the tiny one nor the one that does not count
    assert alone.found == {30: 1, 60: 1}  # the moved square is too far off
    assert alone.false_alarms == 2  # and too near to be a false alarm
    assert alone.squares == 7
    assert alone.photographs == 2
    assert alone.ms == 500
    assert result.decided is None
    assert result.frame_ms == dict.fromkeys(FRAMES, 500)


@pytest.mark.needs("opencv")
def test_the_network_decides_on_what_is_proposed(detector):
    result = measure_detector("told", detector, scenes(), Sees(), clock=count(0, 0.5).__next__)

    assert result.decided is not None
    assert result.decided.squares == 1  # the large face, once
    assert result.decided.found == {30: 1, 60: 1}
    assert result.decided.false_alarms == 0
    assert result.decided.ms == 1000  # detector and network together


@pytest.mark.needs("opencv")
def test_a_photograph_without_faces_and_one_without_squares_count():
    images = [np.zeros((60, 60, 3), np.uint8)]
    empty = (np.zeros((0, 4), np.float32),)
    alarmed = measure_detector(
        "told", Told({60: [Box(5, 5, 30)]}), Scenes(images, empty, (USABLE[0][:0],), ((),)), None
    )
    silent = measure_detector(
        "told", Told({}), Scenes(images, BOXES[:1], USABLE[:1], (("a", "b"),)), None
    )

    assert (alarmed.alone.false_alarms, alarmed.alone.faces) == (1, {30: 0, 60: 0})
    assert (silent.alone.false_alarms, silent.alone.found) == (0, {30: 0, 60: 0})


def test_overlap_of_squares_is_intersection_over_union():
    ones, others = [Box(0, 0, 10), Box(50, 50, 4)], [Box(5, 0, 10), Box(0, 0, 10), Box(2, 2, 5)]

    assert iou(ones, others) == pytest.approx(np.array([[1 / 3, 1, 0.25], [0, 0, 0]]))
    assert iou([], others).shape == (0, 3)


@pytest.mark.needs("opencv")
@pytest.mark.parametrize("shape", [(100, 400), (400, 100), (40, 30), (240, 320)])
def test_a_frame_is_filled_by_the_middle_of_the_photograph(shape):
    image = np.zeros((*shape, 3), np.uint8)
    image[..., 0] = np.linspace(0, 255, shape[1], dtype=np.uint8)
    image[..., 1] = np.linspace(0, 255, shape[0], dtype=np.uint8)[:, None]

    frame = filling(image, (320, 240))

    assert frame.shape == (240, 320, 3)
    assert frame[..., 0].mean() == pytest.approx(127, abs=2)
    assert frame[..., 1].mean() == pytest.approx(127, abs=2)


@pytest.mark.needs("opencv")
def test_the_tables_hold_each_detector_alone_and_with_the_network(detector):
    results = [
        measure_detector(name, detector, scenes(), Sees(), clock=count(0, 0.5).__next__)
        for name in ("one", "other")
    ]

    table = detection_table(results, "photos", "net.tflite")
    pace = pace_table(results, "photos")

    assert [(row.group, row.label) for row in table.rows] == [
        ("alone", "one"),
        ("alone", "other"),
        ("net.tflite deciding", "one"),
        ("net.tflite deciding", "other"),
    ]
    assert [cell.text for cell in table.rows[0].cells] == ["1", "1", "1.00", "3.50", "500.0"]
    assert [cell.text for cell in table.rows[2].cells] == ["1", "1", "0.00", "0.50", "1,000.0"]
    assert "1 of 60 px or more and 2 of 30 px or more" in table.notes[0]
    assert [column.name for column in pace.columns] == [
        "400 x 300 ↓",
        "640 x 360 ↓",
        "1920 x 1080 ↓",
    ]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A tiny detection_wider."""
    import cv2

    folder = tmp_path / "detection_wider"
    folder.mkdir()
    labels = {}
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        for name, boxes in zip(("a.jpg", "b.jpg"), BOXES, strict=True):
            _, encoded = cv2.imencode(".jpg", np.zeros((480, 640, 3), np.uint8))
            archive.writestr(name, encoded.tobytes())
            xywh = np.hstack((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]))
            flags = [[0] * 6] * len(boxes)
            labels[name] = {
                "boxes_xywh": xywh.tolist(),
                "attrs_blur_expr_illum_invalid_occl_pose": flags,
            }
    (folder / "boxes.json").write_text(json.dumps(labels))
    return tmp_path


def run(*words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["detectors", *words])
    with pytest.raises(SystemExit) as stop:
        command.main()
    return int(stop.value.code or 0)


@pytest.mark.needs("opencv")
def test_the_command_writes_its_tables_as_json(data, monkeypatch, capsys):
    name = f"detector_of_{data.name.replace('-', '_')}"
    (data / f"{name}.py").write_text(
        "from atpn_deploy.crop import Box\n"
        "class Made:\n"
        "    def propose(self, image):\n"
        "        return [Box(5, 5, 30)]\n"
    )
    monkeypatch.chdir(data)
    monkeypatch.setattr(sys, "path", list(sys.path))

    status = run(
        "--data", ".", "--detector", f"{name}:Made", "--json", "-", monkeypatch=monkeypatch
    )

    assert status == 0
    found, pace = from_json(capsys.readouterr().out)
    assert [row.label for row in found.rows] == [f"{name}:Made"]
    assert [cell.value for cell in found.rows[0].cells][:4] == [0, 0, 1, 1]
    assert len(pace.rows[0].cells) == len(FRAMES)


@pytest.mark.needs("opencv")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--data", "absent", "--detector", "haar"), "boxes.json cannot be read"),
        (("--data", ".", "--detector", "hare"), "hare is unknown"),
        (("--data", ".", "--detector", "haar", "--model", "absent.tflite"), "does not exist"),
    ],
)
def test_what_is_missing_is_one_line(data, monkeypatch, capsys, words, message):
    monkeypatch.chdir(data)

    assert run(*words, monkeypatch=monkeypatch) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
