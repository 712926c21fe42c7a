"""What a search leaves beside its file: the recipe, the measurements, the plot."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.console import RenderableType

from atpn_deploy.errors import ExportError, ParityError
from atpn_exporters.pipeline import Outcome, export
from atpn_exporters.planning import ExportPlan, file_name
from atpn_exporters.progress import Listener
from atpn_exporters.recipes.pareto_plot import can_plot, plot
from atpn_exporters.recipes.pareto_table import pareto_table
from atpn_exporters.recipes.recipe import load_recipe
from atpn_exporters.recipes.search import SearchResult, search


def export_by(
    recipe: str | None,
    plan: ExportPlan,
    listener: Listener,
    show: Callable[[RenderableType], None],
) -> Outcome:
    """Export as a recipe says: a file's name, `auto` to find one here, or None for none.

    `show` is given the table of a search.
    """
    if recipe is None:
        return export(plan, listener)
    if recipe != "auto":
        return export(replace(plan, recipe=load_recipe(Path(recipe))), listener)
    result = search(plan, listener)
    show(pareto_table(result))
    return deliver(plan, result, listener)


def deliver(plan: ExportPlan, result: SearchResult, listener: Listener) -> Outcome:
    """Export the chosen recipe anew and lay the search's records beside the file.

    The file is made as `--recipe FILE` makes it, so what is delivered is what the recipe gives.
    Raises ParityError if no candidate may be taken and ExportError if the bytes are not those that
    were measured.
    """
    name = file_name(plan.checkpoint.name, plan.targets[0], plan.signature)
    measured = result.choice.chosen
    if result.recipe is None or measured is None:
        plan.output.mkdir(parents=True, exist_ok=True)
        _write_records(plan.output, name, result)
        raise ParityError(f"{name} is not delivered: {result.choice.sentence}")
    outcome = export(replace(plan, recipe=result.recipe), listener)
    for report in outcome.reports:
        if report.sha256 != measured.sha256:
            raise ExportError(
                f"{report.path} has sha256 {report.sha256[:12]}..., the file that was measured "
                f"{measured.sha256[:12]}...: exporting twice gave two files; report it"
            )
        result.recipe.save(recipe_path(report.path))
    _write_records(plan.output, name, result)
    return outcome


def recipe_path(file: Path) -> Path:
    """Where the recipe of a file lies: beside it."""
    return file.with_name(file.name + ".recipe.json")


def _write_records(folder: Path, name: str, result: SearchResult) -> None:
    """The measurements as JSON and, with matplotlib, as a plot."""
    text = json.dumps(result.to_dict(), indent=2)
    (folder / f"{name}.pareto.json").write_text(text + "\n")
    if can_plot():
        plot(result, folder / f"{name}.pareto.png")
