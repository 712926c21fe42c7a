from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.crop import Box, box_around
from atpn_deploy.detectors.given import GivenBoxes, read_boxes
from atpn_deploy.errors import DetectorError

IMAGE = np.zeros((10, 10, 3), np.uint8)


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_a_photographs_boxes_are_frame_0(tmp_path):
    path = written(tmp_path, "b.json", '[{"left": 10, "top": 20, "width": 40, "height": 50}]')

    (box,) = read_boxes(path).propose(IMAGE)

    landmarks = np.array(((10, 20 + 0.234 * 50), (50, 70)))  # a face box begins at the forehead
    assert box == box_around(landmarks)


@pytest.mark.parametrize(
    ("framing", "box"),
    [("landmarks", Box(10 + 20 - 30, 20 + 15 - 30, 60)), ("square", Box(10, 20, 40))],
)
def test_the_framing_says_what_a_box_holds(tmp_path, framing, box):
    height = 40 if framing == "square" else 30
    record = {"left": 10, "top": 20, "width": 40, "height": height, "framing": framing}
    of_json = written(tmp_path, "b.json", json.dumps([record]))
    of_csv = written(
        tmp_path, "b.csv", f"framing,left,top,width,height\n{framing},10,20,40,{height}\n"
    )

    assert read_boxes(of_json).propose(IMAGE) == [box]
    assert read_boxes(of_csv).propose(IMAGE) == [box]


def test_each_frame_has_its_own_boxes(tmp_path):
    path = written(
        tmp_path,
        "b.csv",
        "frame, left, top, width, height\n3,1,2,3.5,4\n\n3,5,6,7,8\n0,1,2,3,4\n",
    )
    given = read_boxes(path)

    counts = []
    for given.frame in range(5):
        counts.append(len(given.propose(IMAGE)))

    assert counts == [1, 0, 0, 2, 0]


def test_a_file_from_a_spreadsheet_and_an_empty_list_are_taken(tmp_path):
    (tmp_path / "b.csv").write_bytes(b"\xef\xbb\xbfleft,top,width,height\r\n1,2,3,4\r\n")

    assert len(read_boxes(tmp_path / "b.csv").propose(IMAGE)) == 1
    assert read_boxes(written(tmp_path, "b.json", " [ ] \n")) == GivenBoxes({})
    assert read_boxes(written(tmp_path, "c.csv", "left,top,width,height\n")) == GivenBoxes({})


GOOD = '{"left": 1, "top": 2, "width": 3, "height": 4}'


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "expected a list"),
        ("{}", 1, "expected a list"),
        (f"[\n{GOOD},\n{GOOD}", 3, "expected a comma or the list's end"),
        (f"[\n{GOOD}\n{GOOD}]", 3, "expected a comma or the list's end"),
        (f"[\n{GOOD},\n]", 3, "no JSON: Expecting value"),
        (f"[\n{GOOD}]\n\n7", 4, "something follows"),
        (f"[{GOOD},\n\n{{'left': 1}}]", 3, "no JSON: Expecting property name"),
        (f"[{GOOD},\n5]", 2, "5 is no object"),
        ('[\n{"left": 1}]', 2, "height is missing; a box has left, top, width, height, frame, fr"),
        (f'[{GOOD[:-1]}, "x": 1}}]', 1, "'x' is unknown"),
        (f'[{GOOD[:-1]}, "frame": -1}}]', 1, "frame is -1; expected 0, 1, 2"),
        (f'[{GOOD[:-1]}, "frame": true}}]', 1, "frame is True"),
        (f'[{GOOD[:-1]}, "frame": 1.5}}]', 1, "frame is 1.5"),
        (f'[{GOOD[:-1]}, "framing": "head"}}]', 1, "framing is 'head'; expected face, landmarks"),
        (f'[{GOOD[:-1]}, "framing": ["face"]}}]', 1, r"framing is \['face'\]"),
        ("[" * 9999, 1, "no boxes: maximum recursion"),
        (f'[{{"left": {"1" * 9999}}}]', 1, "no boxes: Exceeds the limit"),
        (f"[{GOOD.replace('1', '1' * 400)}]", 1, "left is 1+; expected a number"),
        (f'[{GOOD[:-1]}, "framing": "square"}}]', 1, "a square has width 3 and height 4"),
        ('[{"left": NaN, "top": 2, "width": 3, "height": 4}]', 1, "left is nan; expected a number"),
        ('[{"left": 1, "top": "2", "width": 3, "height": 4}]', 1, "top is '2'; expected a number"),
        ('[{"left": 1, "top": 2, "width": 0, "height": 4}]', 1, "width 0 and height 4; expected"),
    ],
)
def test_a_wrong_json_names_file_and_line(tmp_path, text, line, message):
    path = written(tmp_path, "b.json", text)

    with pytest.raises(DetectorError, match=rf"b\.json, line {line}: .*{message}"):
        read_boxes(path)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "its head is missing; expected left,top,width,height"),
        ("1,2,3,4\n", 1, "its head is 1,2,3,4"),
        ("left,top,width,height,left\n", 1, "its head is"),
        ("left,top,width,height,score\n", 1, "its head is"),
        ("left,top,width,height\n1,2,3,4\n1,2,3\n", 3, "3 values under 4 names"),
        ("left,top,width,height\n1,2,x,4\n", 2, "width is 'x'; expected a number"),
        ("left,top,width,height\n1,,3,4\n", 2, "top is missing"),
        ("frame,left,top,width,height\n\n0.5,1,2,3,4\n", 3, "frame is 0.5"),
        ("left,top,width,height\n1,2,inf,4\n", 2, "width is inf"),
        ("left,top,width,height\n1,2,-3,4\n", 2, "width -3 and height 4"),
    ],
)
def test_a_wrong_csv_names_file_and_line(tmp_path, text, line, message):
    path = written(tmp_path, "b.csv", text)

    with pytest.raises(DetectorError, match=rf"b\.csv, line {line}: .*{message}"):
        read_boxes(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DetectorError, match=r"b.txt ends in '.txt'; boxes are read from .json or"):
        read_boxes(tmp_path / "b.txt")
    with pytest.raises(DetectorError, match="cannot be read: No such file"):
        read_boxes(tmp_path / "b.json")
    (tmp_path / "b.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DetectorError, match="no text in UTF-8"):
        read_boxes(tmp_path / "b.json")


def test_a_long_video_is_read_in_one_pass(tmp_path):
    records = [{"frame": k, "left": 1, "top": 2, "width": 3, "height": 4} for k in range(20_000)]
    path = written(tmp_path, "b.json", json.dumps(records, indent=1))

    began = time.process_time()
    given = read_boxes(path)

    assert len(given.by_frame) == 20_000
    assert time.process_time() - began < 10  # counting lines anew for each would take minutes
