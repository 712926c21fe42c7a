"""atpn-parity: is this file still what was trained? For CI: exit status 0 or 1."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from atpn_deploy.cli.bisecting import explain_failure
from atpn_deploy.cli.shell import main_of, write_or_print

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def parity(
    files: Annotated[
        list[Path],
        typer.Argument(help="files and folders that atpn-export wrote", metavar="FILE..."),
    ],
    weights: Annotated[
        Path | None, typer.Option(help="hold against your own .safetensors checkpoint")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="hold against these shipped weights, whatever the file says")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="limits of this target, for a file without ATPN metadata")
    ] = None,
    runtime: Annotated[
        str,
        typer.Option(help="runs .tflite: auto, litert, tflite-runtime, tensorflow, or all of them"),
    ] = "auto",
    device: Annotated[
        str | None,
        typer.Option(
            help="compute there: ssh:USER@HOST, adb:SERIAL, or qemu:cortex-a76 (ARM, here)"
        ),
    ] = None,
    json_: Annotated[
        Path | None, typer.Option("--json", help="write the rows here, - for standard output")
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="write a JUnit report here")] = None,
) -> None:
    """Run each file on the golden crops and compare with the reference in pixels and degrees.

    Of a file that is off, every layer is held against the reference's (see atpn-export --bisect).

    Exit status: 0 every file is within its limits; 1 one is not; 2 one could not be compared.
    """
    from rich.console import Console

    from atpn_exporters.junit import write_junit
    from atpn_exporters.parity_run import ParityRequest, check
    from atpn_exporters.report import verification_dict
    from atpn_exporters.tables import parity_table

    console = Console(stderr=json_ == Path("-"))
    request = ParityRequest(weights, model, target, runtime)
    there = {}
    if device is not None:
        from atpn_benchmarks.device_parity import check_named

        there = check_named(device, files, request, Console(stderr=True))
    results = []
    for path in files:
        result = there[path] if path in there else check(path, request)
        results.append(result)
        console.print(f"[bold]{path}[/bold]", highlight=False, soft_wrap=True)
        for verification in result.verifications:
            console.print(parity_table(verification))
        if result.error:
            print(f"error: {path}: {result.error}", file=sys.stderr)
        elif not result.ok and device is None:
            explain_failure(path, _checkpoint(weights, model), console)
    if json_ is not None:
        text = json.dumps(
            [
                {
                    "file": str(result.path),
                    "ok": result.ok,
                    "error": result.error,
                    "parity": [verification_dict(v) for v in result.verifications],
                }
                for result in results
            ],
            indent=2,
        )
        write_or_print(json_, text + "\n")
    if junit is not None:
        write_or_print(junit, write_junit(results))
    worst = max(result.exit_status for result in results)
    if worst:
        raise typer.Exit(worst)


def _checkpoint(weights: Path | None, model: str | None) -> Path | None:
    """The checkpoint that was asked for; None leaves it to the file's own word."""
    from atpn_deploy.weights import shipped

    return shipped(model).path if weights is None and model is not None else weights


main = main_of(app)


if __name__ == "__main__":
    main()
