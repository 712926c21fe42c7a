"""atpn-export: from a checkpoint to verified files for phones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from atpn_deploy.cli.bisecting import explain_failure, show_bisect
from atpn_deploy.cli.shell import main_of
from atpn_deploy.errors import ConfigError

app = typer.Typer(add_completion=False, rich_markup_mode=None)

SIGNATURES = ("full", "align", "both")


@app.command()
def export(
    format_: Annotated[
        str, typer.Option("--format", help="a format (see --list), or all", metavar="FORMAT")
    ] = "tflite",
    quantize: Annotated[
        str, typer.Option(help="a quantisation of that format (see --list), or all")
    ] = "int8",
    model: Annotated[str, typer.Option(help="shipped weights: atpn-lite or atpn")] = "atpn-lite",
    weights: Annotated[
        Path | None,
        typer.Option("--weights", "--checkpoint", help="your own .safetensors checkpoint instead"),
    ] = None,
    signature: Annotated[
        str, typer.Option(help="full: all three tasks; align: landmarks only; both: in one file")
    ] = "full",
    output: Annotated[Path, typer.Option(help="folder for the files")] = Path("exported"),
    calibration: Annotated[
        Path | None,
        typer.Option(help="folder of square face crops to calibrate with, not the shipped ranges"),
    ] = None,
    runtime: Annotated[
        str, typer.Option(help="runs .tflite: auto, litert, tflite-runtime or tensorflow")
    ] = "auto",
    recipe: Annotated[
        str | None,
        typer.Option(
            help="which modules an int8 file leaves in float: a recipe file, or auto to find them",
            metavar="auto|FILE",
        ),
    ] = None,
    lint_: Annotated[
        bool, typer.Option("--lint", help="say what int8 or float16 will hurt, export nothing")
    ] = False,
    bisect: Annotated[
        Path | None,
        typer.Option(
            help="say which layer of an existing file is at fault, export nothing", metavar="FILE"
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="overwrite existing files")] = False,
    list_: Annotated[
        bool, typer.Option("--list", help="show every format and quantisation, and exit")
    ] = False,
) -> None:
    """Export, prove equal to the reference, report.

    Each file is run on the golden crops and held against PyTorch before it gets its name; a report
    is printed and written as JSON beside it. Of a file that fails, every layer is held against
    PyTorch's, as --bisect does for a file that is there. Exit status: 0 all delivered; 1 a file
    failed parity; 2 anything else.
    """
    from rich.console import Console

    from atpn_exporters.registry import TARGETS, select
    from atpn_exporters.tables import target_table

    console = Console()
    if list_:
        console.print(target_table(TARGETS.values()))
        return
    if bisect is not None:
        show_bisect(bisect, weights, console)
        return
    if lint_ and recipe is not None:
        raise ConfigError("--lint exports nothing and --recipe exports: give one of them")
    targets = select(format_, quantize)
    if signature not in SIGNATURES:
        raise ConfigError(f"no signature is called {signature!r}; choose {', '.join(SIGNATURES)}")

    from atpn_deploy.weights import open_checkpoint, shipped
    from atpn_exporters.lint.standalone import lint, save
    from atpn_exporters.planning import ExportPlan
    from atpn_exporters.progress import Bar
    from atpn_exporters.recipes.delivery import export_by
    from atpn_exporters.tables import lint_table, report_table

    checkpoint = open_checkpoint(weights) if weights is not None else shipped(model)
    plan = ExportPlan(checkpoint, targets, output, signature, calibration, force, runtime)
    if lint_:
        with Bar(Console(stderr=True)) as bar:
            linted = lint(plan, bar)
        console.print(lint_table(linted))
        path = output / f"{checkpoint.name}.lint.json"
        save(linted, path)
        console.print(f"wrote {path}", soft_wrap=True)
        return
    tables: list[Any] = []  # of a search; shown whatever comes of it, once the bar is gone
    try:
        with Bar(Console(stderr=True)) as bar:
            outcome = export_by(recipe, plan, bar, tables.append)
    finally:
        for table in tables:
            console.print(table)
    for report in outcome.reports:
        console.print(report_table(report))
        console.print(f"wrote {report.path} and {report.json_path.name}\n", soft_wrap=True)
    for failure in outcome.failures:
        print(f"error: {failure.name}: {failure.error}", file=sys.stderr)
        if failure.kept is not None:
            explain_failure(failure.kept, weights, console)
    if outcome.failures:
        raise typer.Exit(max(failure.error.exit_status for failure in outcome.failures))


main = main_of(app)


if __name__ == "__main__":
    main()
