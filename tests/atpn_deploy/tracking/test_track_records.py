from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from atpn_deploy.crop import Box
from atpn_deploy.errors import ConfigError, MissingToolError
from atpn_deploy.faces import Face
from atpn_deploy.track_records.comma_separated import COLUMNS, CommaSeparated
from atpn_deploy.track_records.facts import RunFacts
from atpn_deploy.track_records.formats import FORMATS, format_of
from atpn_deploy.track_records.json_lines import JsonLines, open_json_lines
from atpn_deploy.track_records.parquet import Parquet
from atpn_deploy.tracking.frame_faces import Event, FrameFaces, TrackedFace

FACTS = RunFacts("a ü.mp4", 640, 360, "m.tflite", "ab", "stub 1.0", {"every": 1})


def face(confidence: float = 0.91234, shift: float = 0.0) -> Face:
    points = np.arange(196, dtype=np.float64).reshape(98, 2) + shift + 0.123456
    return Face(Box(1.119, -2.5, 30.0), points, np.radians((10.0, -20.0, 30.0)), confidence)


def frame(*faces: TrackedFace, time_s: float = 0.04, events: tuple[Event, ...] = ()) -> FrameFaces:
    return FrameFaces(time_s, faces, events, detected=True)


TRACKED = TrackedFace(1, "tracked", face(), face(), 5)
#: Held where it was; what the network sees there now is another matter.
LOST = TrackedFace(2, "lost", face(0.95), face(0.1, shift=500), 9)


def test_a_line_of_json_holds_a_frame():
    stream = io.StringIO()
    writer = JsonLines(stream, FACTS, owned=False)

    writer.write(7, frame(TRACKED, LOST, events=(Event("lost", 2, "confidence 0.10"),)))
    writer.close()

    header, line = (json.loads(text) for text in stream.getvalue().splitlines())
    assert header == {
        "schema": "atpn-track",
        "schema_version": 1,
        "input": "a ü.mp4",
        "width": 640,
        "height": 360,
        "model": "m.tflite",
        "model_sha256": "ab",
        "runtime": "stub 1.0",
        "options": {"every": 1},
    }
    assert (line["index"], line["time_s"], line["detected"]) == (7, 0.04, True)
    assert line["events"] == [{"kind": "lost", "id": 2, "reason": "confidence 0.10"}]
    first, second = line["faces"]
    assert (first["id"], first["state"], first["confidence"]) == (1, "tracked", 0.9123)
    assert first["box"] == {"left": 1.12, "top": -2.5, "side": 30.0}
    assert first["pose_degrees"] == {"yaw": 10.0, "pitch": -20.0, "roll": 30.0}
    assert first["landmarks"][97] == [194.12, 195.12]
    assert (second["state"], second["confidence"]) == ("lost", 0.1)  # this frame's
    assert second["landmarks"][0] == [0.12, 1.12]  # where it was last seen


def test_what_is_no_number_is_null():
    odd = Face(Box(0, 0, 9), np.full((98, 2), np.inf), np.full(3, np.nan), float("nan"))
    stream = io.StringIO()

    JsonLines(stream, FACTS, owned=False).write(0, frame(TrackedFace(1, "lost", odd, odd, 1)))

    written = json.loads(stream.getvalue().splitlines()[1])["faces"][0]
    assert written["confidence"] is None
    assert written["pose_degrees"] == {"yaw": None, "pitch": None, "roll": None}
    assert written["landmarks"][3] == [None, None]


@pytest.mark.parametrize(("suffix", "lines"), [(".jsonl", 2), (".csv", 2)])
def test_a_frame_is_on_disk_before_the_next(tmp_path: Path, suffix: str, lines: int):
    path = tmp_path / f"a{suffix}"
    writer = FORMATS[suffix].open(path, FACTS)

    writer.write(0, frame(TRACKED))

    assert len(path.read_text(encoding="utf-8").splitlines()) == lines
    assert path.read_text(encoding="utf-8").endswith("\n")
    writer.close()


def test_csv_has_a_row_a_face_and_one_for_a_frame_without(tmp_path: Path):
    path = tmp_path / "a.csv"
    writer = CommaSeparated(path, FACTS)
    writer.write(0, frame(TRACKED, LOST))
    writer.write(1, frame(time_s=0.08))
    writer.close()

    with path.open(newline="") as stream:
        one, two, none = csv.DictReader(stream)
    assert len(COLUMNS) == 11 + 2 * 98
    assert (one["frame"], one["time_s"], one["id"], one["state"]) == ("0", "0.04", "1", "tracked")
    assert (one["confidence"], one["box_left"], one["box_side"]) == ("0.9123", "1.12", "30.0")
    assert (one["yaw_degrees"], one["roll_degrees"]) == ("10.0", "30.0")
    assert (one["x0"], one["y0"], one["x97"], one["y97"]) == ("0.12", "1.12", "194.12", "195.12")
    assert (two["state"], two["confidence"]) == ("lost", "0.1")
    assert (none["frame"], none["state"]) == ("1", "none")
    assert {none[name] for name in COLUMNS if name not in ("frame", "time_s", "state")} == {""}


@pytest.mark.needs("pyarrow")
def test_parquet_holds_the_same(tmp_path: Path):
    import pyarrow.parquet as pq

    writer = Parquet(tmp_path / "a.parquet", FACTS)
    writer.write(0, frame(TRACKED, LOST))
    writer.write(1, frame(time_s=0.08))
    writer.close()

    table = pq.read_table(tmp_path / "a.parquet")
    one, two, none = table.to_pylist()
    assert (one["frame"], one["time_s"], one["detected"]) == (0, 0.04, True)
    assert (one["id"], one["state"], two["state"]) == (1, "tracked", "lost")
    assert one["confidence"] == pytest.approx(0.91234)
    assert two["confidence"] == pytest.approx(0.1)
    assert (one["box_left"], one["pitch_degrees"]) == pytest.approx((1.119, -20.0))
    assert one["landmarks_x"] == pytest.approx(TRACKED.face.landmarks[:, 0])
    assert one["landmarks_y"] == pytest.approx(TRACKED.face.landmarks[:, 1])
    assert {
        value for name, value in none.items() if name not in ("frame", "time_s", "detected")
    } == {None}
    facts = json.loads(table.schema.metadata[b"atpn-track"])
    assert facts == FACTS.as_dict()


@pytest.mark.needs("pyarrow")
def test_parquet_is_written_in_groups(tmp_path: Path):
    import pyarrow.parquet as pq

    writer = Parquet(tmp_path / "a.parquet", FACTS, group_rows=4)
    for index in range(10):
        writer.write(index, frame(TRACKED, LOST))
    writer.close()

    file = pq.ParquetFile(tmp_path / "a.parquet")
    groups = [file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)]
    assert groups == [4, 4, 4, 4, 4]
    assert file.read().column("frame").to_pylist() == sorted([*range(10), *range(10)])


@pytest.mark.needs("pyarrow")
def test_parquet_of_no_frame_can_be_read(tmp_path: Path):
    import pyarrow.parquet as pq

    Parquet(tmp_path / "a.parquet", FACTS).close()

    assert pq.read_table(tmp_path / "a.parquet").num_rows == 0


def test_without_pyarrow_the_pip_line_is_given(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    format_of(Path("a.csv")).require()
    with pytest.raises(MissingToolError, match=r"pip install .*atpn-deploy\[parquet\]"):
        format_of(Path("a.parquet")).require()


@pytest.mark.parametrize("name", ["a.json", "a", "a.jsonl.gz"])
def test_another_suffix_is_refused_with_those_that_are_taken(name: str):
    with pytest.raises(ConfigError, match=r"expected one of \.jsonl \.csv \.parquet"):
        format_of(Path(name))


def test_capitals_are_the_same_suffix(tmp_path: Path):
    assert format_of(Path("A.CSV")) is FORMATS[".csv"]
    writer = open_json_lines(tmp_path / "A.JSONL", FACTS)
    writer.close()


def test_the_page_names_every_field():
    page = (Path(__file__).parents[3] / "docs" / "tracking.md").read_text(encoding="utf-8")
    stream = io.StringIO()
    writer = JsonLines(stream, FACTS, owned=False)
    writer.write(7, frame(TRACKED, events=(Event("lost", 2, "confidence 0.10"),)))
    header, line = (json.loads(text) for text in stream.getvalue().splitlines())
    face_fields = line["faces"][0]

    fields = [*header, *line, *line["events"][0], *face_fields]
    fields += [*face_fields["box"], *face_fields["pose_degrees"]]

    assert [field for field in fields if f"`{field}`" not in page] == []
    assert ", ".join(COLUMNS[:13]) in page
