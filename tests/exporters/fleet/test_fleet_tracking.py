"""What a worker opens, and which options make a result another one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from atpn_deploy.errors import FleetError
from atpn_deploy.tracking.tracker import TrackerOptions
from atpn_exporters.artifact_files import sha256_of
from atpn_exporters.fleet.claims import Claims
from atpn_exporters.fleet.tracking import TrackingSetup
from atpn_exporters.following.request import TrackRequest


@pytest.fixture
def setup(tmp_path: Path) -> TrackingSetup:
    model = tmp_path / "model.tflite"
    model.write_text("a model")
    (tmp_path / "videos").mkdir()
    request = TrackRequest(input="", model=model)
    folders = tmp_path / "videos", tmp_path / "results"
    Claims(folders[1]).open()
    return TrackingSetup(request, *folders, (".jsonl",), False, sha256_of(model))


CHANGES: dict[str, Callable[[TrackingSetup], TrackingSetup]] = {
    "every": lambda s: replace(s, request=replace(s.request, every=2)),
    "seconds": lambda s: replace(s, request=replace(s.request, max_seconds=1.0)),
    "runtime": lambda s: replace(s, request=replace(s.request, runtime="tensorflow")),
    "detector": lambda s: replace(s, request=replace(s.request, detector="own:make")),
    "tracker": lambda s: replace(
        s, request=replace(s.request, tracker=TrackerOptions(max_faces=1))
    ),
    "format": lambda s: replace(s, formats=(".csv",)),
    "drawn": lambda s: replace(s, draw=True),
    "model": lambda s: replace(s, model_sha256="other"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_changes_the_results_makes_another_recipe(
    setup: TrackingSetup, change: Callable[[TrackingSetup], TrackingSetup]
) -> None:
    assert change(setup).recipe() != setup.recipe()


def test_where_it_runs_and_lies_does_not(setup: TrackingSetup) -> None:
    moved = replace(setup, folder=Path("elsewhere"), output_dir=Path("there"))

    assert moved.recipe() == setup.recipe()
    assert replace(setup, request=replace(setup.request, threads=4)).recipe() == setup.recipe()


def test_a_detectors_file_counts_not_its_name(setup: TrackingSetup, tmp_path: Path) -> None:
    recipes = []
    for name, text in (("a.onnx", "one"), ("b.onnx", "one"), ("b.onnx", "two")):
        (tmp_path / name).write_text(text)
        request = replace(setup.request, detector=str(tmp_path / name))
        recipes.append(replace(setup, request=request).recipe())

    assert recipes[0] == recipes[1] != recipes[2]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: replace(s, folder=Path("/nowhere")), "/nowhere is not there; videos, results"),
        (lambda s: replace(s, output_dir=Path("/nowhere")), r"/nowhere/\.atpn-track is not there"),
        (lambda s: replace(s, model_sha256="other"), r"model\.tflite is another file than"),
        (lambda s: s, r"a worker on .*: .*model\.tflite"),
    ],
)
def test_a_machine_that_is_of_no_use_says_why(
    setup: TrackingSetup, change: Callable[[TrackingSetup], TrackingSetup], words: str
) -> None:
    with pytest.raises(FleetError, match=words):
        change(setup).open()


def test_a_file_without_all_tasks_is_refused_before_any_video(
    setup: TrackingSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Half:
        output_names = ("landmarks",)

    monkeypatch.setattr("atpn_exporters.fleet.tracking.open_file", lambda path, options: Half())
    with pytest.raises(FleetError, match="no pose and no confidence"):
        setup.open()
