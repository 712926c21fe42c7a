"""atpn-export: from a checkpoint to verified files for phones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from atpn_deploy.cli.shell import main_of
from atpn_deploy.errors import ConfigError

app = typer.Typer(add_completion=False, rich_markup_mode=None)

SIGNATURES = ("full", "align", "both")


@app.command()
def export(
    format_: Annotated[
        str, typer.Option("--format", help="tflite, onnx or all", metavar="FORMAT")
    ] = "tflite",
    quantize: Annotated[
        str, typer.Option(help="a quantisation of that format (see --list), or all")
    ] = "int8",
    model: Annotated[str, typer.Option(help="shipped weights: atpn-lite or atpn")] = "atpn-lite",
    weights: Annotated[
        Path | None, typer.Option(help="your own .safetensors checkpoint instead")
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
    force: Annotated[bool, typer.Option("--force", help="overwrite existing files")] = False,
    list_: Annotated[
        bool, typer.Option("--list", help="show every format and quantisation, and exit")
    ] = False,
) -> None:
    """Export, prove equal to the reference, report.

    Each file is run on the golden crops and held against PyTorch before it gets its name; a report
    is printed and written as JSON beside it. Exit status: 0 all delivered; 1 a file failed parity;
    2 anything else.
    """
    from rich.console import Console

    from atpn_exporters.registry import TARGETS, select
    from atpn_exporters.tables import target_table

    console = Console()
    if list_:
        console.print(target_table(TARGETS.values()))
        return
    targets = select(format_, quantize)
    if signature not in SIGNATURES:
        raise ConfigError(f"no signature is called {signature!r}; choose {', '.join(SIGNATURES)}")

    from atpn_deploy.weights import open_checkpoint, shipped
    from atpn_exporters.pipeline import export
    from atpn_exporters.planning import ExportPlan
    from atpn_exporters.progress import Bar
    from atpn_exporters.tables import report_table

    checkpoint = open_checkpoint(weights) if weights is not None else shipped(model)
    plan = ExportPlan(checkpoint, targets, output, signature, calibration, force, runtime)
    with Bar(Console(stderr=True)) as bar:
        outcome = export(plan, bar)
    for report in outcome.reports:
        console.print(report_table(report))
        console.print(f"wrote {report.path} and {report.json_path.name}\n", soft_wrap=True)
    for failure in outcome.failures:
        print(f"error: {failure.name}: {failure.error}", file=sys.stderr)
    if outcome.failures:
        raise typer.Exit(max(failure.error.exit_status for failure in outcome.failures))


main = main_of(app)
