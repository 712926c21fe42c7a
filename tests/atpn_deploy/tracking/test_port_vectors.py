"""The vectors hold here, cover every rule, and the page for ports says what the code does."""

from __future__ import annotations

import ast
import copy
import re
import subprocess
import sys
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from atpn_deploy import tracking
from atpn_deploy.tracking.smoothing import STRENGTHS
from atpn_deploy.tracking.track import Lifecycle
from atpn_deploy.tracking.tracker import TrackerOptions
from atpn_deploy.tracking.vectors import (
    MISMATCHES,
    read_vectors,
    run_vectors,
    smoothing_mismatches,
    tracking_mismatches,
)

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "tracking-port.md").read_text()
FOLDER = Path(tracking.__path__[0])

Rows = list[list[str]]


def table(heading: str) -> Rows:
    """The rows of the table below a heading of the page, cells without their back quotes."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines[2:]]


def without_numbers(reason: str) -> str:
    return re.sub(r"\d+(\.\d+)?", "N", reason)


def test_everything_comes_out_as_the_vectors_say():
    assert run_vectors() == []


def test_the_files_are_small_enough_to_travel():
    sizes = {name: (FOLDER / f"{name}_vectors.json").stat().st_size for name in MISMATCHES}

    assert all(sizes.values())
    assert sum(sizes.values()) < 300_000


def world(name: str) -> dict[str, Any]:
    (case,) = [case for case in read_vectors("tracking")["cases"] if case["name"].startswith(name)]
    return copy.deepcopy(case)


@pytest.mark.parametrize(
    ("field", "value", "told", "times"),
    [
        ("detected", True, "detected is False; expected True", 2),  # with the filter off and on
        ("events", [["birth", 2, "confidence 0.95"]], "events is []", 2),
        ("looks", [], "looks is [[", 2),
        ("tracks", [], "tracks is [[1, 'tracked'", 1),
        ("shown", [], "shown is [[1, 'tracked'", 1),
    ],
)
def test_what_differs_from_a_world_is_told(field, value, told, times):
    case = world("hidden for 10 frames")
    case["frames"][3][field] = value

    lines = list(tracking_mismatches(case))

    assert len(lines) == times
    assert told in lines[0]
    assert "frame 3" in lines[0]


@pytest.mark.parametrize(("place", "shift"), [(2, 0.02), (4, -0.02), (0, 1)])
def test_a_square_that_is_a_little_off_and_another_id_are_told(place, shift):
    case = world("hidden for 10 frames")
    case["frames"][3]["tracks"][0][place] += shift

    assert len(list(tracking_mismatches(case))) == 1


def test_a_square_within_the_tolerance_is_not():
    case = world("hidden for 10 frames")
    case["frames"][3]["tracks"][0][2] += 0.005

    assert list(tracking_mismatches(case)) == []


@pytest.mark.parametrize(("place", "shift"), [(0, 0.002), (4, 2e-5), (11, -0.002)])
def test_what_differs_from_a_filtered_face_is_told(place, shift):
    case = copy.deepcopy(read_vectors("smoothing")["cases"][0])
    case["expected"]["light"][2][place] += shift

    (line,) = smoothing_mismatches(case)

    assert "light, frame 2" in line


def told_events() -> set[tuple[str, str]]:
    """Kind and reason of every event in the worlds."""
    return {
        (kind, without_numbers(reason))
        for case in read_vectors("tracking")["cases"]
        for frame in case["frames"]
        for kind, _, reason in frame["events"]
    }


def test_every_event_of_the_page_occurs_in_the_worlds_and_no_other():
    page = {(row[3], row[4]) for row in table("States") if row[3]}

    assert len(page) == 11
    assert {(kind, without_numbers(reason)) for kind, reason in page} == told_events()


def test_every_row_without_an_event_occurs_too():
    pairs = [
        (before[1], now[1], bool(frame["events"]))
        for case in read_vectors("tracking")["cases"]
        for last, frame in zip(case["frames"], case["frames"][1:], strict=False)
        for before in last["tracks"]
        for now in frame["tracks"]
        if before[0] == now[0]
    ]

    assert len([row for row in table("States") if not row[3]]) == 2
    assert ("tracked", "tracked", False) in pairs
    assert ("lost", "lost", False) in pairs


def test_every_reason_in_the_code_is_on_the_page():
    tracker = (FOLDER / "tracker.py").read_text() + (FOLDER / "track.py").read_text()
    tree = ast.parse(tracker)
    given = [arg for node in ast.walk(tree) if isinstance(node, ast.Call) for arg in node.args]
    given += [node.value for node in ast.walk(tree) if isinstance(node, ast.Return) and node.value]
    phrases = {
        "".join(
            part.value if isinstance(part, ast.Constant) else "N"
            for part in getattr(node, "values", [node])
        )
        for node in given
        if isinstance(node, ast.JoinedStr) or isinstance(getattr(node, "value", None), str)
    }

    reasons = {phrase for phrase in phrases if " " in phrase}

    assert len(reasons) == 9
    assert reasons <= {without_numbers(row[4]) for row in table("States")}


def constant(name: str) -> Any:
    """A default of the tracker's options, or a constant of one of its modules."""
    options = TrackerOptions()
    for holder in (options.lifecycle, options):
        if hasattr(holder, name):
            return getattr(holder, name)
    modules = ("faces", "crop", *(f"tracking.{path.stem}" for path in FOLDER.glob("[!_]*.py")))
    found = {
        getattr(import_module(f"atpn_deploy.{module}"), name)
        for module in modules
        if hasattr(import_module(f"atpn_deploy.{module}"), name)
    }
    (value,) = found
    return value


NUMBERS = table("The numbers")


@pytest.mark.parametrize(("name", "value"), [row[:2] for row in NUMBERS])
def test_the_page_says_the_numbers_of_the_code(name, value):
    assert float(value) == constant(name)


def test_no_number_of_the_tracker_s_options_is_left_out():
    named = {row[0] for row in NUMBERS}
    options = {field.name for kind in (Lifecycle, TrackerOptions) for field in fields(kind)}

    assert options - named == {"lifecycle", "max_faces", "smoothing"}


def test_the_page_says_the_constants_of_the_filter():
    said = {
        row[0]: [float(n) for n in re.findall(r"[\d.]+", f"{row[1]} {row[2]}")] for row in FILTER
    }

    assert said == {
        name: [
            strength.tuning.place.minimum_hz,
            strength.tuning.place.hz_per_squared_speed,
            strength.tuning.pose.minimum_hz,
            strength.tuning.pose.hz_per_squared_speed,
        ]
        for name, strength in STRENGTHS.items()
        if strength.tuning is not None
    }


FILTER = table("The filter")


def test_what_is_said_to_show_a_mistake_exists():
    names = {case["name"] for name in MISMATCHES for case in read_vectors(name)["cases"]}
    quoted = [
        re.findall(r'"([^"]+)"', row[1]) for row in table("What goes wrong, and what shows it")
    ]

    shown = {name for some in quoted for name in some}

    assert len(shown) >= 12
    assert shown <= names


def test_every_world_states_every_option():
    wanted = {field.name for kind in (Lifecycle, TrackerOptions) for field in fields(kind)}

    for case in read_vectors("tracking")["cases"]:
        assert set(case["options"]) == wanted - {"lifecycle", "smoothing"}


def test_the_script_gives_the_worlds_that_are_stored():
    sys.path.insert(0, str(ROOT / "golden"))
    try:
        script = import_module("port_worlds")
    finally:
        sys.path.remove(str(ROOT / "golden"))
    stored = read_vectors("tracking")["cases"]

    scripted = {name: frames for name, frames, _ in script.worlds()}

    assert [case["name"] for case in stored] == list(scripted)
    for case in stored:
        given = [
            {
                key: frame[key]
                for key in frame
                if key not in ("detected", "looks", "tracks", "events", "shown")
            }
            for frame in case["frames"]
        ]
        assert given == scripted[case["name"]], case["name"]


#: What a board need not have.
ABSENT = ("cv2", "PIL", "rich", "scipy", "torch", "typer", "av", "matplotlib", "onnxruntime")


def test_the_vectors_run_with_numpy_alone():
    script = (
        f"import sys; sys.modules.update(dict.fromkeys({ABSENT!r}))\n"
        "from atpn_deploy.tracking.vectors import main\n"
        "sys.exit(main())\n"
    )
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{script}"]

    result = subprocess.run(command, capture_output=True, text=True, cwd=FOLDER)

    assert (result.returncode, result.stdout) == (0, "all vectors hold\n"), result.stderr[-600:]


#: What the standard library and the language have only since Python 3.11.
SINCE_3_11 = {
    "typing": {"Self", "assert_never", "assert_type", "LiteralString", "Never", "reveal_type"},
    "enum": {"StrEnum", "verify", "member", "nonmember"},
    "datetime": {"UTC"},
    "builtins": {"ExceptionGroup", "BaseExceptionGroup"},
}
ON_A_BOARD = [
    *sorted(FOLDER.glob("*.py")),
    *[ROOT / "atpn_deploy" / f"{name}.py" for name in ("contract", "crop", "crop_bands", "errors")],
    *[ROOT / "atpn_deploy" / f"{name}.py" for name in ("faces", "stage_times")],
    ROOT / "atpn_deploy" / "detectors" / "detector.py",
]


def newer_than_3_10(source: str) -> list[str]:
    """What a module uses that Python 3.10 lacks, names below TYPE_CHECKING left out."""
    tree = ast.parse(source, feature_version=(3, 10))
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    nodes = [node for node in ast.walk(tree) if id(node) not in typing_only]
    imported = [
        f"{node.module}.{name.name}"
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        for name in node.names
        if name.name in SINCE_3_11.get(node.module or "", ())
    ]
    modules = [
        name.name
        for node in nodes
        if isinstance(node, ast.Import)
        for name in node.names
        if name.name == "tomllib"
    ]
    names = [node.id for node in nodes if isinstance(node, ast.Name)]
    return imported + modules + [name for name in names if name in SINCE_3_11["builtins"]]


@pytest.mark.parametrize("path", ON_A_BOARD, ids=lambda path: path.stem)
def test_a_board_s_modules_are_python_3_10(path):
    assert newer_than_3_10(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "from typing import Self",
        "from datetime import UTC",
        "import tomllib",
        "def f():\n    raise ExceptionGroup('', [])",
    ],
)
def test_what_is_newer_would_be_noticed(source):
    assert newer_than_3_10(source) != []


def test_what_only_a_type_checker_reads_may_be_newer():
    assert newer_than_3_10("if TYPE_CHECKING:\n    from typing import Self") == []
