"""Boxes that are given in a file, frame by frame, in the place of a detector's."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.crop import Box, box_around
from atpn_deploy.datasets.scenes import LANDMARK_TOP
from atpn_deploy.errors import DetectorError


def _of_face(left: float, top: float, width: float, height: float) -> Box:
    corners = ((left, top + LANDMARK_TOP * height), (left + width, top + height))
    return box_around(np.array(corners))


def _of_landmarks(left: float, top: float, width: float, height: float) -> Box:
    return box_around(np.array(((left, top), (left + width, top + height))))


def _of_square(left: float, top: float, width: float, height: float) -> Box:
    if not math.isclose(width, height, rel_tol=1e-3):
        raise DetectorError(f"a square has width {width:g} and height {height:g}")
    return Box(left, top, width)


#: What a box can frame, to the contract's square. `face`: forehead to chin, as detectors and data
#: sets have it. `landmarks`: the 98 points, brows to chin. `square`: what the network is to see.
FRAMINGS: Mapping[str, Callable[[float, float, float, float], Box]] = {
    "face": _of_face,
    "landmarks": _of_landmarks,
    "square": _of_square,
}
#: No image has pixels further than this from its corner.
FURTHEST_PX = 1e9
#: Fields of a box; those with a default may be left out.
NUMBERS = ("left", "top", "width", "height")
DEFAULTS = {"frame": 0, "framing": "face"}
FIELDS = (*NUMBERS, *DEFAULTS)


@dataclass
class GivenBoxes:
    """A detector that proposes what a file says of the current frame; a photograph is frame 0."""

    by_frame: Mapping[int, tuple[Box, ...]]
    #: The number of the frame that is asked about next, from 0; whoever reads the video sets it.
    frame: int = 0

    def propose(self, image: NDArray[np.uint8]) -> list[Box]:
        """The given squares of the current frame, in the file's order; none where it gives none."""
        return list(self.by_frame.get(self.frame, ()))


def read_boxes(path: Path) -> GivenBoxes:
    """Read a .json or .csv file of boxes, see docs/detectors.md.

    Raises DetectorError with the file and the line for anything that is not as described there.
    """
    if path.suffix not in READERS:
        raise DetectorError(
            f"{path} ends in {path.suffix or 'nothing'!r}; boxes are read from "
            f"{' or '.join(READERS)}"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets write a mark at the start
    except OSError as error:
        raise DetectorError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DetectorError(f"{path} is no text in UTF-8") from error
    by_frame: dict[int, list[Box]] = {}
    for line, record in READERS[path.suffix](path, text):
        try:
            frame, box = _parsed(record)
        except DetectorError as error:
            raise _at(path, line, str(error)) from error
        by_frame.setdefault(frame, []).append(box)
    return GivenBoxes({frame: tuple(boxes) for frame, boxes in by_frame.items()})


def _at(path: Path, line: int, message: str) -> DetectorError:
    return DetectorError(f"{path}, line {line}: {message}")


class _Cursor:
    """A place in a text that only goes forward, and the number of its line."""

    def __init__(self, text: str) -> None:
        self.text, self.place, self.line = text, 0, 1

    def move(self, place: int) -> str:
        """Go to a later place and past the white space there; the character that follows."""
        while self.text[place : place + 1].isspace():
            place += 1
        self.line += self.text.count("\n", self.place, place)
        self.place = place
        return self.text[place : place + 1]


def _json_records(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    """(line, value) of each element of a JSON list."""
    decoder, cursor = json.JSONDecoder(), _Cursor(text)
    if cursor.move(0) != "[":
        raise _at(path, cursor.line, "expected a list: [{...}, {...}]")
    following = cursor.move(cursor.place + 1)
    while following != "]":
        try:
            value, end = decoder.raw_decode(text, cursor.place)
        except json.JSONDecodeError as error:
            raise _at(path, error.lineno, f"no JSON: {error.msg}") from error
        except (ValueError, RecursionError) as error:  # thousands of digits or of brackets
            raise _at(path, cursor.line, f"no boxes: {error}") from error
        yield cursor.line, value
        following = cursor.move(end)
        if following == ",":
            cursor.move(cursor.place + 1)
        elif following != "]":
            raise _at(path, cursor.line, "no JSON: expected a comma or the list's end")
    if cursor.move(cursor.place + 1):
        raise _at(path, cursor.line, "something follows the list's end")


def _csv_records(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    """(line, fields by the first line's names) of each row; empty lines are passed over."""
    rows = csv.reader(text.splitlines())
    try:
        head = [name.strip() for name in next(rows, [])]
        if not set(NUMBERS) <= set(head) <= set(FIELDS) or len(set(head)) != len(head):
            raise _at(
                path,
                1,
                f"its head is {','.join(head) or 'missing'}; expected {','.join(NUMBERS)} and, if "
                f"wanted, {','.join(DEFAULTS)}",
            )
        for row in filter(None, rows):
            if len(row) != len(head):
                raise _at(path, rows.line_num, f"{len(row)} values under {len(head)} names")
            cells = {name: cell.strip() for name, cell in zip(head, row, strict=True)}
            numbers = {name: _number(cell) for name, cell in cells.items() if name != "framing"}
            yield rows.line_num, {k: v for k, v in (cells | numbers).items() if v != ""}
    except csv.Error as error:
        raise _at(path, rows.line_num, f"no CSV: {error}") from error


def _number(cell: str) -> float | int | str:
    """A CSV cell as JSON would hold it; what is no number stays as it is and is refused later."""
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue
    return cell


#: By suffix, what tells the records of a file.
READERS: Mapping[str, Callable[[Path, str], Iterator[tuple[int, Any]]]] = {
    ".json": _json_records,
    ".csv": _csv_records,
}


def _parsed(record: Any) -> tuple[int, Box]:
    """A record to its frame and the contract's square; DetectorError says what is wrong."""
    if not isinstance(record, dict):
        raise DetectorError(f"{json.dumps(record)[:60]} is no object with {', '.join(NUMBERS)}")
    missing, unknown = set(NUMBERS) - set(record), set(record) - set(FIELDS)
    if missing or unknown:
        came = f"{min(missing)} is missing" if missing else f"{min(unknown)!r} is unknown"
        raise DetectorError(f"{came}; a box has {', '.join(FIELDS)}")
    values: dict[str, Any] = DEFAULTS | record
    frame, framing = values["frame"], values["framing"]
    if isinstance(frame, bool) or not isinstance(frame, int) or frame < 0:
        raise DetectorError(f"frame is {frame!r}; expected 0, 1, 2, ...")
    if not isinstance(framing, str) or framing not in FRAMINGS:
        raise DetectorError(f"framing is {framing!r}; expected {', '.join(FRAMINGS)}")
    for name in NUMBERS:
        value = values[name]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not -FURTHEST_PX < value < FURTHEST_PX:  # NaN is between no two numbers
            raise DetectorError(f"{name} is {value!r}; expected a number of pixels")
    if not (values["width"] > 0 and values["height"] > 0):
        raise DetectorError(
            f"width {values['width']} and height {values['height']}; expected both above 0"
        )
    left, top, width, height = (float(values[name]) for name in NUMBERS)
    return frame, FRAMINGS[framing](left, top, width, height)
