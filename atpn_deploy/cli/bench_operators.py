"""atpn-bench operators: where the time of an inference goes, by module, kind or operator."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from atpn_deploy.cli.shell import main_of, write_or_print
from atpn_deploy.errors import AtpnError, ConfigError

app = typer.Typer(add_completion=False, rich_markup_mode=None)

WAYS = ("module", "kind", "operator")


@app.command()
def operators(
    files: Annotated[list[Path], typer.Argument(help=".tflite and .onnx files", metavar="FILE...")],
    by: Annotated[str, typer.Option(help=f"what a row is: {', '.join(WAYS)}")] = "module",
    signature: Annotated[
        str | None, typer.Option(help="of a .tflite that holds both: align or full")
    ] = None,
    rounds: Annotated[
        int, typer.Option(min=1, help="of five runs each with and without the profiler")
    ] = 40,
    threads: Annotated[int, typer.Option(min=1, help="threads of the runtime")] = 1,
    builtin: Annotated[
        bool, typer.Option("--builtin", help="run .tflite on LiteRT's own kernels, not XNNPACK's")
    ] = False,
    json_: Annotated[
        Path | None, typer.Option("--json", help="write every row here, - for standard output")
    ] = None,
) -> None:
    """Time every operator of each file by the runtime's own clock.

    The sum of the operators is held against whole runs without a profiler. A file that can't be
    profiled is named and the others go on. Exit status: 0 all were profiled; 2 one was not.
    """
    if by not in WAYS:
        raise ConfigError(f"--by takes {', '.join(WAYS)}, not {by!r}")

    from rich.console import Console

    from atpn_benchmarks.operators.operator_tables import profile_table, profile_values
    from atpn_benchmarks.operators.timing import profile

    console = Console(stderr=json_ == Path("-"))
    profiles, failed = [], False
    for path in files:
        kernels = "builtin" if builtin and path.suffix == ".tflite" else None
        try:
            with console.status(f"profiling {path.name}"):
                profiles.append(profile(path, signature, rounds, kernels, threads))
        except AtpnError as error:
            print(f"error: {error}", file=sys.stderr)
            failed = True
            continue
        console.print(profile_table(profiles[-1], by))
    if json_ is not None:
        values = [profile_values(found) for found in profiles]
        write_or_print(json_, json.dumps(values, indent=2) + "\n")
    if failed:
        raise typer.Exit(AtpnError.exit_status)


main = main_of(app)


if __name__ == "__main__":
    main()
