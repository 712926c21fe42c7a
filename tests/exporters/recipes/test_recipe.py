"""A recipe is read strictly and refused by what it does not belong to."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from atpn_deploy.config import CONFIGS
from atpn_deploy.errors import CalibrationError, ConfigError, UnsupportedError
from atpn_deploy.weights import Checkpoint
from atpn_exporters.calibration import Manifest
from atpn_exporters.recipes.recipe import (
    Recipe,
    check_calibration,
    check_fits,
    check_modules,
    load_recipe,
    recipe_for,
)
from atpn_exporters.registry import TARGETS

CHECKPOINT = Checkpoint(Path("mine.safetensors"), "a" * 64, CONFIGS["atpn"], {})
CALIBRATION = Manifest(100, "c" * 64, "crops")
TARGET = TARGETS["tflite-int8"]
RECIPE = recipe_for(CHECKPOINT, TARGET, "full", ("low.stem", "heatmap"), CALIBRATION, "because")


def test_a_recipe_survives_its_file(tmp_path: Path) -> None:
    RECIPE.save(tmp_path / "recipe.json")
    assert load_recipe(tmp_path / "recipe.json") == RECIPE


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no recipe"),
        ("[]", "is no recipe"),
        ("{}", "is no recipe"),
        (json.dumps({"float_modules": [], "unknown": 1}), "is no recipe"),
    ],
)
def test_what_is_no_recipe_is_one_clear_error(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_recipe(path)


def test_an_absent_file_and_a_later_version_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load_recipe(tmp_path / "none.json")
    replace(RECIPE, version=9).save(tmp_path / "later.json")
    with pytest.raises(ConfigError, match="version 9; this program reads 1"):
        load_recipe(tmp_path / "later.json")


def test_a_fitting_recipe_is_taken() -> None:
    check_fits(RECIPE, CHECKPOINT, (TARGET,), "full")
    check_calibration(RECIPE, CALIBRATION)
    assert RECIPE.foreign_tools == ""


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (replace(RECIPE, checkpoint_sha256="b" * 64), "bbbbbbbbbbbb..., not for atpn with aaaaaa"),
        (replace(RECIPE, target="onnx-int8"), "add --format onnx --quantize int8"),
        (replace(RECIPE, signature="align"), "add --signature align"),
    ],
)
def test_another_networks_recipe_is_refused(recipe: Recipe, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_fits(recipe, CHECKPOINT, (TARGET,), "full")


def test_a_target_that_cannot_leave_anything_in_float_says_so() -> None:
    fp32 = TARGETS["tflite-fp32"]
    recipe = replace(RECIPE, target="tflite-fp32")
    with pytest.raises(UnsupportedError, match="tflite-fp32 takes no recipe"):
        check_fits(recipe, CHECKPOINT, (fp32,), "full")


def test_ranges_of_other_crops_are_refused() -> None:
    with pytest.raises(CalibrationError, match="100 of dddddddddddd"):
        check_calibration(RECIPE, replace(CALIBRATION, crops_sha256="d" * 64))


def test_other_tools_are_named() -> None:
    other = replace(RECIPE, tools={"torch": "1.0"})
    assert "torch 1.0 (here 2" in other.foreign_tools or "here none" in other.foreign_tools


def test_a_module_is_named_as_pytorch_does_and_may_stand_for_its_parts() -> None:
    known = frozenset(("", "low", "low.stem", "alignment.coord.0"))
    check_modules(("low.stem", "alignment.coord"), known)
    with pytest.raises(ConfigError, match=r"no module low\.st, heat"):
        check_modules(("low.st", "heat", "low"), known)
