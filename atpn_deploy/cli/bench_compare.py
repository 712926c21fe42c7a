"""atpn-bench compare: what changed from one run to another, and whether a build may pass."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from atpn_deploy.cli.shell import main_of, write_or_print

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def compare(
    old: Annotated[
        str, typer.Argument(help="result file, id in the history, last or last~N", metavar="A")
    ],
    new: Annotated[str, typer.Argument(help="the same, of the later run", metavar="B")],
    relative_to: Annotated[
        str | None,
        typer.Option(
            help="divide each row by this row of its own run, by `unchanged` (the mean of the "
            "files that are the same in both), or by `nothing`; default: unchanged, if any is"
        ),
    ] = None,
    run_to_run: Annotated[
        str | None,
        typer.Option(
            metavar="PERCENT",
            help="how far an unchanged file moves from run to run (standard deviation); default: "
            "measured on four unchanged files or more, else 1.3% (7% relative to nothing)",
        ),
    ] = None,
    fail_if_slower: Annotated[
        str | None,
        typer.Option(metavar="PERCENT", help="exit status 1 if a row is surely slower by so much"),
    ] = None,
    json_: Annotated[
        Path | None, typer.Option("--json", help="write it here, - for standard output")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="write tables in Markdown here, - for standard output")
    ] = None,
    history: Annotated[Path | None, typer.Option(help="the history that holds the ids")] = None,
) -> None:
    """Hold run B against run A: times with intervals, and every other fact that changed.

    Exit status: 0 done, and no row is slower by more than --fail-if-slower; 1 one is; 2 the runs
    can't be compared; 3 of a row it can't be told (docs/bench-results.md says when).
    """
    from rich.console import Console

    from atpn_benchmarks.comparison import compare as compared
    from atpn_benchmarks.comparison_tables import (
        comparison_dict,
        comparison_markdown,
        comparison_table,
    )
    from atpn_benchmarks.history import run_named
    from atpn_benchmarks.slowness_gate import gate, parse_limit, parse_percent

    limit = parse_limit(fail_if_slower, "--fail-if-slower") if fail_if_slower is not None else None
    moves = parse_percent(run_to_run, "--run-to-run") if run_to_run is not None else None
    comparison = compared(
        run_named(old, history),
        run_named(new, history),
        sources=(old, new),
        relative_to=relative_to,
        run_to_run=moves,
    )
    verdict = gate(comparison, limit) if limit is not None else None
    console = Console(stderr=Path("-") in (json_, markdown))
    console.print(comparison_table(comparison, verdict))
    if json_ is not None:
        write_or_print(json_, json.dumps(comparison_dict(comparison, verdict), indent=2) + "\n")
    if markdown is not None:
        write_or_print(markdown, comparison_markdown(comparison, verdict))
    if verdict is not None and verdict.exit_status:
        raise typer.Exit(verdict.exit_status)


main = main_of(app)


if __name__ == "__main__":
    main()
