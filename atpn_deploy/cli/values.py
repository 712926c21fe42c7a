"""`python -m atpn_deploy.cli.values`: NaN, infinity and lost bits inside a Core ML file, no Mac."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from atpn_deploy.cli.shell import main_of, write_or_print

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def values(
    file: Annotated[Path, typer.Argument(help="a .mlpackage", metavar="FILE")],
    function: Annotated[
        str | None, typer.Option(help="function of a package that has several: align or full")
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            help="round each result to float16 where the program declares it (declared), "
            "everywhere (fp16), or nowhere (fp32)"
        ),
    ] = "declared",
    rows: Annotated[int, typer.Option(help="how many values to show", min=1)] = 15,
    json_: Annotated[
        Path | None, typer.Option("--json", help="write every value here, - for standard output")
    ] = None,
) -> None:
    """Run a Core ML file on the golden crops, operator by operator, and look at every value.

    Exit status: 0 every value is a number; 1 one is NaN or infinite; 2 the file cannot be run.
    """
    from rich.console import Console

    from atpn_deploy.golden import load_inputs
    from atpn_exporters.mil.evaluator import precision_named
    from atpn_exporters.mil.health_report import health_report, health_table

    report = health_report(file, load_inputs().images, function, precision_named(precision))
    Console(stderr=json_ == Path("-")).print(health_table(report, rows))
    if json_ is not None:
        write_or_print(json_, json.dumps(report.as_dict(), indent=2) + "\n")
    if report.broken:
        raise typer.Exit(1)


main = main_of(app)

if __name__ == "__main__":
    main()
