"""`--recipe auto` and `--recipe FILE` on a real network: ONNX and `align`, the quickest pair."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from atpn_deploy.errors import ConfigError, ExportError, ParityError, UnsupportedError
from atpn_deploy.golden import Golden
from atpn_deploy.weights import shipped
from atpn_exporters.pipeline import Outcome, export
from atpn_exporters.planning import ExportPlan
from atpn_exporters.progress import Silent
from atpn_exporters.recipes.delivery import deliver, export_by, recipe_path
from atpn_exporters.recipes.pareto import Choice
from atpn_exporters.recipes.recipe import load_recipe
from atpn_exporters.recipes.search import SearchResult, search
from atpn_exporters.registry import TARGETS
from atpn_exporters.speed import Speed
from atpn_exporters.target import Target

pytestmark = pytest.mark.needs("torch", "onnx", "onnxruntime", "onnxsim")

#: No drift is too much here: what is tested is the way, whatever the weights.
TARGET = replace(
    TARGETS["onnx-int8"],
    limits=tuple(replace(limit, value=1e9) for limit in TARGETS["onnx-int8"].limits),
)


def steady(
    target: Target, path: Path, twin: Path, signature: str, golden: Golden, runtime: str
) -> Speed:
    """A clock without noise: a file is as slow as it is large."""
    assert path.is_file()
    assert twin.is_file()
    assert (signature, runtime) == ("align", "auto")
    milliseconds = [size / 1e6 for size in (path.stat().st_size, twin.stat().st_size)]
    return Speed((milliseconds[0],) * 10, (milliseconds[1],) * 10)


@dataclass(frozen=True)
class Found:
    """One search and what was delivered of it."""

    plan: ExportPlan
    result: SearchResult
    outcome: Outcome


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """The second candidate is taken, whatever was measured, so that something is left in float."""
    folder = tmp_path_factory.mktemp("auto")
    plan = ExportPlan(shipped("atpn-lite"), (TARGET,), folder, "align")
    result = search(plan, Silent(), most=3, timer=steady)
    candidates = [m for m in result.measurements if not m.reference]
    assert result.recipe is not None
    taken = replace(
        result,
        choice=Choice(candidates[1], "for the test"),
        recipe=replace(result.recipe, float_modules=candidates[1].float_modules),
    )
    return Found(plan, taken, deliver(plan, taken, Silent()))


def test_every_candidate_is_measured(found: Found) -> None:
    [reference, *candidates] = found.result.measurements
    assert reference.name == "float"
    assert reference.ratio == 1
    assert reference.drift < 1e-12
    assert len(candidates) == 3
    assert [m.failed for m in candidates] == [""] * 3
    assert candidates[0].float_modules == ()
    assert candidates[1].float_operators > candidates[0].float_operators
    assert candidates[1].size_bytes > candidates[0].size_bytes
    assert {row.output for row in candidates[0].rows} == {"landmarks"}


def test_modules_are_ranked_by_damage(found: Found) -> None:
    shares = [damage.share for damage in found.result.ranking]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0
    assert found.result.ranking[0].errors["landmarks, mean px"] > 0


def test_file_recipe_and_records_lie_side_by_side(found: Found) -> None:
    assert found.outcome.failures == ()
    names = {path.name for path in found.plan.output.iterdir()}
    file = "atpn-lite-align-int8.onnx"
    expected = {file, f"{file}.json", f"{file}.recipe.json", f"{file}.pareto.json"}
    assert names - {f"{file}.pareto.png"} == expected
    facts = json.loads((found.plan.output / f"{file}.pareto.json").read_text())
    assert facts["chosen"] == found.result.choice.chosen.name
    assert len(facts["candidates"]) == 4


def test_the_recipe_gives_the_same_bytes_again(found: Found, tmp_path: Path) -> None:
    [report] = found.outcome.reports
    recipe = recipe_path(report.path)
    plan = replace(found.plan, output=tmp_path / "again")
    again = export_by(str(recipe), plan, Silent(), lambda table: None)
    assert again.reports[0].sha256 == report.sha256 == found.result.choice.chosen.sha256
    assert again.reports[0].metadata["float_modules"] == list(load_recipe(recipe).float_modules)


def test_another_networks_recipe_is_refused(found: Found, own_weights: Path) -> None:
    from atpn_deploy.weights import open_checkpoint

    recipe = recipe_path(found.outcome.reports[0].path)
    other = replace(found.plan, checkpoint=open_checkpoint(own_weights), force=True)
    with pytest.raises(ConfigError, match="the recipe is for atpn-lite with the weights"):
        export_by(str(recipe), other, Silent(), lambda table: None)


def test_a_module_that_is_not_there_is_named(found: Found, tmp_path: Path) -> None:
    recipe = replace(load_recipe(recipe_path(found.outcome.reports[0].path)), float_modules=("x",))
    outcome = export(replace(found.plan, output=tmp_path, recipe=recipe), Silent())
    assert "the network has no module x" in str(outcome.failures[0].error)


def test_nothing_is_delivered_where_nothing_may_be_taken(found: Found, tmp_path: Path) -> None:
    nothing = replace(found.result, choice=Choice(None, "none is good"), recipe=None)
    with pytest.raises(ParityError, match="is not delivered: none is good"):
        deliver(replace(found.plan, output=tmp_path), nothing, Silent())
    names = sorted(path.suffix for path in tmp_path.iterdir())
    assert ".json" in names
    assert ".onnx" not in names


def test_a_request_that_cannot_be_searched_is_refused_before_the_work(
    found: Found, tmp_path: Path
) -> None:
    plan = replace(found.plan, output=tmp_path)
    with pytest.raises(ConfigError, match="measures one file"):
        search(replace(plan, targets=(TARGET, TARGETS["tflite-int8"])), Silent())
    with pytest.raises(ConfigError, match="measures one file"):
        search(replace(plan, signature="both"), Silent())
    with pytest.raises(UnsupportedError, match="onnx-fp32 takes no recipe"):
        search(replace(plan, targets=(TARGETS["onnx-fp32"],)), Silent())
    with pytest.raises(ExportError, match="exists and is kept"):
        search(found.plan, Silent())
