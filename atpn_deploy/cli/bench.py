"""atpn-bench: how big and how fast each deployable file is, here, on a board and beside peers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from atpn_deploy.cli.emulating import count_emulated, is_emulated
from atpn_deploy.cli.shell import main_of
from atpn_deploy.errors import ConfigError

app = typer.Typer(add_completion=False, rich_markup_mode=None)

#: First words that are commands of their own, and the modules that hold them.
COMMANDS = {
    "compare": "atpn_deploy.cli.bench_compare",
    "count": "atpn_deploy.cli.bench_count",
    "history": "atpn_deploy.cli.bench_history",
    "loop": "atpn_deploy.cli.bench_loop",
    "operators": "atpn_deploy.cli.bench_operators",
    "setup-arm": "atpn_deploy.cli.bench_setup_arm",
    "validate-arm": "atpn_deploy.cli.bench_validate_arm",
}

EPILOG = (
    "Further commands, each with --help: compare A B (what changed between two results), history "
    "(what was measured here before), count (parameters and multiply-adds per module), loop (time "
    "per frame of a video), operators (time per operator), setup-arm (what --device "
    "qemu:cortex-a76 runs in), validate-arm (how far off --estimate is)."
)


@app.command(epilog=EPILOG)
def bench(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="files that atpn-export wrote; none: all in --exported", metavar="FILE"
        ),
    ] = None,
    exported: Annotated[
        Path, typer.Option(help="folder of files to take where none are named")
    ] = Path("exported"),
    peers: Annotated[
        Path | None,
        typer.Option(help="folder of other .onnx and .tflite files for the same rounds"),
    ] = None,
    device: Annotated[
        list[str] | None,
        typer.Option(help="local, ssh:USER@HOST, adb:SERIAL or qemu:CORE; several run at once"),
    ] = None,
    threads: Annotated[str, typer.Option(help="numbers of threads, such as 1,2,4")] = "1",
    cores: Annotated[
        str, typer.Option(help="cores to pin to, such as 2,3; else the fastest ones")
    ] = "",
    quick: Annotated[bool, typer.Option("--quick", help="fewer samples, for a first look")] = False,
    samples: Annotated[
        int | None, typer.Option(help="samples a file that a valid median needs", min=10)
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="and seconds that they take together", min=0.01)
    ] = None,
    operators: Annotated[
        bool, typer.Option("--operators", help="time every operator too, here alone")
    ] = False,
    peaks: Annotated[
        bool, typer.Option("--peaks/--no-peaks", help="measure what a core reaches at most")
    ] = True,
    report: Annotated[Path | None, typer.Option(help="one HTML page with everything")] = None,
    plots: Annotated[Path | None, typer.Option(help="folder for the charts as PNG and SVG")] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="the tables as Markdown, - for standard output")
    ] = None,
    json_: Annotated[
        Path | None,
        typer.Option("--json", help="the result for machines; of several devices a folder"),
    ] = None,
    history: Annotated[
        Path | None, typer.Option(help="SQLite file that keeps every run; see history --help")
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(help="hold it against an earlier run: a result file, an id, or last"),
    ] = None,
    fail_if_slower: Annotated[
        str | None, typer.Option(help="exit status 1 if a file became slower by more, such as 5%")
    ] = None,
    relative_to: Annotated[
        str | None,
        typer.Option(help="compare ratios to this file of the same run, not absolute times"),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="hold the files against your own .safetensors checkpoint")
    ] = None,
    benchmark_model: Annotated[
        Path | None,
        typer.Option(help="TensorFlow Lite's benchmark_model, for a phone without Python"),
    ] = None,
    cool_below: Annotated[
        float | None,
        typer.Option(help="wait until a device is cooler, at most 5 minutes", metavar="CELSIUS"),
    ] = None,
    estimate: Annotated[
        bool,
        typer.Option("--estimate", help="on an emulated core: milliseconds on boards that have it"),
    ] = False,
    fail_if_more_instructions: Annotated[
        str | None,
        typer.Option(help="on an emulated core: exit status 1 if a file takes more, such as 1%"),
    ] = None,
    instructions: Annotated[
        Path, typer.Option(help="baseline that --fail-if-more-instructions compares with")
    ] = Path("benchmarks/instructions.json"),
    write_instructions: Annotated[
        bool, typer.Option("--write-instructions", help="put what was counted into that baseline")
    ] = False,
    runtime: Annotated[
        str, typer.Option(help="runs .tflite: auto, litert, tflite-runtime or tensorflow")
    ] = "auto",
) -> None:
    """Time files in shuffled rounds, each held to its reference first, and say what to trust.

    A file that misses its parity limits is not timed; a figure that breaks a rule of validity is
    marked with the reason. Exit status: 0 done; 1 a file is off its reference, or slower than
    asked; 2 a file or a device failed; 3 whether it became slower can't be told.
    """
    from rich.console import Console

    from atpn_benchmarks.arm.counting_command import CountRequest
    from atpn_benchmarks.bench_command import BenchRequest, perform, verdict_line
    from atpn_benchmarks.comparison import compare
    from atpn_benchmarks.comparison_tables import comparison_table
    from atpn_benchmarks.delivery import Places, deliver
    from atpn_benchmarks.history import run_named
    from atpn_benchmarks.report.terminal import terminal_tables
    from atpn_benchmarks.slowness_gate import gate, parse_limit
    from atpn_exporters.parity_run import ParityRequest

    console = Console(stderr=Path("-") in (markdown, json_))
    limit = parse_limit(fail_if_slower, "--fail-if-slower") if fail_if_slower is not None else None
    if fail_if_slower is not None and baseline is None:
        raise ConfigError("--fail-if-slower compares with an earlier run: add --baseline RUN")
    if baseline is not None and len(device or ()) > 1:
        raise ConfigError("--baseline is of one machine: give one --device")
    earlier = run_named(baseline, history) if baseline is not None else None
    request = BenchRequest(
        files=tuple(files or ()),
        exported=exported,
        peers=peers,
        devices=tuple(device or ("local",)),
        threads=_numbers("--threads", threads, least=1),
        cores=_numbers("--cores", cores, least=0),
        quick=quick,
        samples=samples,
        seconds=seconds,
        operators=operators,
        peaks=peaks,
        parity=ParityRequest(weights, runtime=runtime),
        benchmark_model=benchmark_model,
        cool_below_c=cool_below,
    )
    places = Places(report, markdown, json_, plots, history)
    if is_emulated(request.devices):
        more = fail_if_more_instructions
        counting = CountRequest(
            estimate=estimate,
            operators=operators,
            limit=parse_limit(more, "--fail-if-more-instructions") if more is not None else None,
            baseline=instructions,
            write=write_instructions,
            complete=not files,
        )
        raise typer.Exit(count_emulated(request, counting, places, console))
    if estimate or write_instructions or fail_if_more_instructions is not None:
        raise ConfigError("instructions are counted on an emulated core: --device qemu:cortex-a76")
    outcome = perform(request, console)
    for run in outcome.runs:
        console.print(terminal_tables(run))
    unwritten = deliver(outcome.runs, places, console)
    status = 2 if unwritten else outcome.exit_status
    if earlier is not None and outcome.runs:
        comparison = compare(
            earlier, outcome.runs[0], sources=(str(baseline), "this run"), relative_to=relative_to
        )
        verdict = gate(comparison, limit) if limit is not None else None
        console.print(comparison_table(comparison, verdict))
        status = max(status, verdict.exit_status if verdict is not None else 0)
    console.print(verdict_line(outcome))
    for complaint in (*outcome.complaints, *unwritten):
        print(f"error: {complaint}", file=sys.stderr)
    if status:
        raise typer.Exit(status)


def _numbers(option: str, text: str, least: int) -> tuple[int, ...]:
    """`1,2,4` as numbers; ConfigError for anything else."""
    words = [word for word in text.split(",") if word.strip()]
    if not all(word.strip().isdigit() and int(word) >= least for word in words):
        raise ConfigError(f"{option} {text!r} came; expected numbers from {least}, such as 1,2,4")
    return tuple(dict.fromkeys(int(word) for word in words)) or ((1,) if least else ())


main = main_of(app, COMMANDS)


if __name__ == "__main__":
    main()
