"""Measure anew what docs/recipes.md shows: `python -m atpn_exporters.recipes.document docs`.

Takes some five minutes on two cores; a machine that does nothing else gives the steadiest ratios.
"""

from __future__ import annotations

import os
import platform
import re
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from atpn_deploy.errors import ConfigError
from atpn_deploy.weights import shipped
from atpn_exporters.planning import ExportPlan
from atpn_exporters.progress import Bar
from atpn_exporters.recipes.pareto_plot import plot
from atpn_exporters.recipes.pareto_table import markdown
from atpn_exporters.recipes.search import SearchResult, search
from atpn_exporters.registry import target_named

#: What the page shows: shipped weights and a target each.
SHOWN = (("atpn", "tflite-int8"), ("atpn", "onnx-int8"), ("atpn-lite", "tflite-int8"))
#: Modules of the ranking that are shown.
RANKED = 8


def section(result: SearchResult, picture: str) -> str:
    """Table, choice, plot and the head of the ranking of one search, as Markdown."""
    ranking = [
        "| module, quantised alone | share of a limit | landmarks | pose | multiply-adds |",
        "|---|---|---|---|---|",
    ]
    for damage in result.ranking[:RANKED]:
        ranking.append(
            f"| {damage.module} | {damage.share:.0%} "
            f"| {damage.errors.get('landmarks, mean px', 0):.2f} px "
            f"| {damage.errors.get('pose, mean degree', 0):.2f}° "
            f"| {damage.multiply_adds / 1e6:.2f} M |"
        )
    return "\n\n".join(
        (
            markdown(result),
            f"![Drift against speed of every file of {result.model} as {result.target}]({picture})",
            f"The {RANKED} modules that int8 hurts most:",
            "\n".join(ranking),
        )
    )


def spliced(page: str, name: str, text: str) -> str:
    """The page with `text` between its two marks of that name; ConfigError if it has none."""
    opening, closing = f"<!-- {name} -->", f"<!-- end of {name} -->"
    pattern = re.compile(f"{re.escape(opening)}.*?{re.escape(closing)}", re.DOTALL)
    if not pattern.search(page):
        raise ConfigError(f"the page has no place for {name}: put {opening} and {closing} into it")
    return pattern.sub(lambda match: f"{opening}\n{text}\n{closing}", page)


def measured(model: str, target: str, bar: Bar) -> SearchResult:
    """One search on shipped weights, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="atpn-recipes-") as folder:
        plan = ExportPlan(shipped(model), (target_named(target),), Path(folder) / "out")
        return search(plan, bar)


def main() -> None:
    """Rewrite the page and its plots in the folder given; further words choose model/target."""
    folder, wanted = Path(sys.argv[1]), sys.argv[2:]
    page = folder / "recipes.md"
    for model, target in SHOWN:
        name = f"{model}/{target}"
        if wanted and name not in wanted:
            continue
        with Bar(Console(stderr=True)) as bar:
            result = measured(model, target, bar)
        picture = f"recipes-{model}-{target}.png"
        plot(result, folder / picture)
        page.write_text(spliced(page.read_text(), name, section(result, picture)))
    machine = f"Measured on {platform.machine()} with {os.cpu_count()} cores, one thread."
    page.write_text(spliced(page.read_text(), "machine", machine))


if __name__ == "__main__":
    main()
