"""atpn-parity: is this file still what was trained? For CI: exit status 0 or 1."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from atpn_deploy.cli.bisecting import explain_failure
from atpn_deploy.cli.shell import main_of, write_or_print
from atpn_deploy.errors import ConfigError

app = typer.Typer(add_completion=False, rich_markup_mode=None)

#: Of a crop or a tracker that is off on a device: what is wrong goes on and on.
SHOWN_MISMATCHES = 5


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
    video: Annotated[
        str | None,
        typer.Option(
            help="follow the faces of this video or folder of frames instead, each file in its "
            "own closed loop: drift, jitter, tracks that are lost"
        ),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(help="with --video: hold against this exported file and not PyTorch"),
    ] = None,
    frames: Annotated[
        int | None, typer.Option(help="with --video: follow at most so many frames", min=1)
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="with --video: draw the drift over time, .png")
    ] = None,
) -> None:
    """Run each file on the golden crops and compare with the reference in pixels and degrees.

    Of a file that is off, every layer is held against the reference's (see atpn-export --bisect).
    With --video the files follow faces instead, and none may lose a track that the reference keeps.
    With --device, crop, tracker and filter run their vectors there too, and must hold.

    Exit status: 0 every file is within its limits; 1 one is not; 2 one could not be compared.
    """
    from rich.console import Console

    from atpn_exporters.junit import write_junit
    from atpn_exporters.parity_run import ParityRequest, check
    from atpn_exporters.report import verification_dict
    from atpn_exporters.tables import parity_table

    console = Console(stderr=json_ == Path("-"))
    if video is not None:
        _refuse_beside_video(device)
        from atpn_deploy.cli.parity_video import VideoOptions, compare_on_video
        from atpn_exporters.closed_loop.run import LoopRequest

        wanted = LoopRequest(weights, model, reference, target, runtime)
        options = VideoOptions(video, frames, plot, json_, junit)
        if status := compare_on_video(files, wanted, options, console):
            raise typer.Exit(status)
        return
    _refuse_without_video(reference, frames, plot)
    request = ParityRequest(weights, model, target, runtime)
    there = None
    if device is not None:
        from atpn_benchmarks.device_parity import check_named

        there = check_named(device, files, request, Console(stderr=True))
    results = []
    for path in files:
        result = check(path, request) if there is None else there.files[path]
        results.append(result)
        console.print(f"[bold]{path}[/bold]", highlight=False, soft_wrap=True)
        for verification in result.verifications:
            console.print(parity_table(verification))
        if result.error:
            print(f"error: {path}: {result.error}", file=sys.stderr)
        elif not result.ok and device is None:
            explain_failure(path, _checkpoint(weights, model), console)
    if there is not None:
        console.print(there.vectors.line, highlight=False, soft_wrap=True)
        for mismatch in there.vectors.mismatches[:SHOWN_MISMATCHES]:
            print(f"error: {device}: {mismatch}", file=sys.stderr)
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
    if there is not None:
        worst = max(worst, int(not there.vectors.ok))
    if worst:
        raise typer.Exit(worst)


def _refuse_beside_video(device: str | None) -> None:
    if device is not None:
        raise ConfigError("--device computes golden crops; with --video files run here: leave it")


def _refuse_without_video(reference: Path | None, frames: int | None, plot: Path | None) -> None:
    given = {"--reference": reference, "--frames": frames, "--plot": plot}
    lost = [name for name, value in given.items() if value is not None]
    if lost:
        raise ConfigError(f"{lost[0]} needs --video VIDEO; the golden crops are no video")


def _checkpoint(weights: Path | None, model: str | None) -> Path | None:
    """The checkpoint that was asked for; None leaves it to the file's own word."""
    from atpn_deploy.weights import shipped

    return shipped(model).path if weights is None and model is not None else weights


main = main_of(app)


if __name__ == "__main__":
    main()
