"""How errors and damage are counted, ranked and told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from atpn_exporters.bisect.layers import Layer
from atpn_exporters.bisect.measure import Damage, Error, Examination, Finding, damage, error_of
from atpn_exporters.bisect.report import BisectReport
from atpn_exporters.bisect.tables import beyond_rounding, bisect_table, verdict

SMALL = Error(1e-6, 1e-7, finite=True)
WHOLE = Damage(0.5, 0.1, 0.0)
RUINED = Error(np.inf, np.inf, finite=False)


def finding(name: str, px: float, error: Error = SMALL, problem: str = "") -> Finding:
    layer = Layer(name, name, (name,), (0,), ("Conv",), ("Conv",), {"a": "b"}, "c")
    return Finding(0, layer, error, Damage(px, 0.0, 0.0), error, problem)


def report(*findings: Finding, whole: Damage | None = WHOLE) -> BisectReport:
    ranked = tuple(sorted(findings, key=lambda f: f.rank))
    problem = "" if whole else "it is broken"
    return BisectReport(
        Path("f.onnx"),
        "atpn",
        "0" * 64,
        "full",
        "ORT",
        ("face",),
        Examination(ranked, whole, problem),
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_ranks_first(bad: float) -> None:
    ranked = report(finding("a", 3.0), finding("b", bad, RUINED), finding("c", 0.1))
    assert [f.layer.name for f in ranked.examination.findings] == ["b", "a", "c"]


def test_equal_damage_is_ranked_by_the_error_itself() -> None:
    ranked = report(finding("a", 0.0), finding("b", 0.0, Error(1.0, 0.5, finite=True)))
    assert ranked.worst.layer.name == "b"


def test_damage_is_the_largest_share_of_what_an_int8_file_may_lose() -> None:
    assert Damage(0.5, 0.0, 0.0).score == pytest.approx(1)
    assert Damage(0.1, 3.0, 0.0).score == pytest.approx(2)
    assert Damage(0.1, 0.1, 0.3).score == pytest.approx(3)
    assert Damage(0.25, None, None).score == pytest.approx(0.5)
    assert Damage(np.nan, None, None).score == np.inf


def test_damage_is_in_pixels_degrees_and_probability() -> None:
    expected = {
        "landmarks": np.full((2, 98, 2), 0.5),
        "pose": np.zeros((2, 3)),
        "confidence": np.array([[0.5], [0.5]]),
    }
    actual = {
        "landmarks": expected["landmarks"] + [1 / 112, 0],
        "pose": expected["pose"] + np.pi / 180,
        "confidence": np.array([[0.5], [0.75]]),
    }
    found = damage(actual, expected)
    assert found.landmarks_px == pytest.approx(1)
    assert found.pose_degrees == pytest.approx(1)
    assert found.confidence == pytest.approx(0.25)
    alone = damage({"landmarks": actual["landmarks"]}, expected)
    assert (alone.pose_degrees, alone.confidence) == (None, None)


def test_error_is_absolute_and_relative() -> None:
    found = error_of(np.array([3.0, 4.5]), np.array([3.0, 4.0]))
    assert found.largest == pytest.approx(0.5)
    assert found.relative == pytest.approx(0.1)
    assert error_of(np.zeros(3), np.zeros(3)).relative == 0
    assert error_of(np.ones(3), np.zeros(3)).relative == np.inf
    assert not error_of(np.array([np.nan]), np.zeros(1)).finite


def test_json_has_null_for_what_is_not_finite() -> None:
    text = json.dumps(report(finding("a", np.nan, RUINED, "it fails")).to_dict(), allow_nan=False)
    [layer] = json.loads(text)["layers"]
    assert layer["damage"]["landmarks_px"] is None
    assert layer["isolated"] == {"largest": None, "relative": None, "finite": False}
    assert layer["problem"] == "it fails"


@pytest.mark.parametrize(
    ("findings", "whole", "said"),
    [
        ([finding("a.b", 0.4)], Damage(0.5, 0.1, 0.0), "a.b alone costs 0.4 px"),
        ([finding("a.b", 1e-6)], Damage(1e-6, 0.0, 0.0), "no layer does more than rounding"),
        ([finding("a.b", np.inf, RUINED, "no shape")], None, "a.b fails: no shape"),
        ([finding("a.b", 0.4)], None, "does not run: it is broken"),
        ([finding("a.b", np.nan, RUINED)], Damage(np.nan, 0.0, 0.0), "a.b alone costs nan px"),
    ],
)
def test_verdict_names_the_layer_and_the_cost(
    findings: list[Finding], whole: Damage | None, said: str
) -> None:
    assert said in verdict(report(*findings, whole=whole))


@pytest.mark.parametrize(
    ("steps", "beyond"), [(None, False), (0.29, False), (0.38, False), (0.7, True), (np.nan, True)]
)
def test_layer_that_rounding_does_not_explain_is_named_however_little_it_costs(
    steps: float | None, beyond: bool
) -> None:
    quiet = replace(finding("quiet.layer", 0.001), steps=steps)
    found = report(finding("loud.layer", 0.4), quiet)
    assert quiet.beyond_rounding is beyond
    assert ("quiet.layer" in beyond_rounding(found)) is beyond
    assert "loud.layer" not in beyond_rounding(found)


def test_table_fits_eighty_columns_with_whole_layer_names() -> None:
    from rich.console import Console

    console = Console(width=80, record=True, file=None, quiet=False)
    names = ["alignment.multiview.0.second.conv", "pose.rows.4.squeeze_excite.reduce"]
    with console.capture() as captured:
        console.print(bisect_table(report(*(finding(name, 0.123456) for name in names))))
    text = captured.get()
    assert all(name in text for name in names)
    assert "0.12" in text
    assert "1e-05 %" in text  # the last column
    assert max(len(line) for line in text.splitlines()) <= 80
