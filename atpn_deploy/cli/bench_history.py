"""atpn-bench history: the runs of this computer, and the course of one file over them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atpn_deploy.cli.shell import main_of, write_or_print

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def history(
    file: Annotated[
        str | None, typer.Option(help="the course of the row of this name", metavar="NAME")
    ] = None,
    relative_to: Annotated[
        str | None, typer.Option(help="with --file: divide by this row of the same run")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="list so many runs, the newest")] = 20,
    export: Annotated[
        tuple[str, Path] | None,
        typer.Option(help="write the run with this id (or last, last~N) to a file, - prints it"),
    ] = None,
    json_: Annotated[
        Path | None, typer.Option("--json", help="write it here, - for standard output")
    ] = None,
    history: Annotated[Path | None, typer.Option(help="another history than this user's")] = None,
) -> None:
    """List the runs that atpn-bench kept, or show how one file's median moved over them.

    Exit status: 0 done; 2 there is no such file or run, or the history can't be read.
    """
    from rich.console import Console

    from atpn_benchmarks.history import History
    from atpn_benchmarks.history_tables import entries_table
    from atpn_deploy.errors import ConfigError

    if relative_to is not None and file is None:
        raise ConfigError("--relative-to needs --file NAME")
    if export is not None and (file is not None or json_ is not None):
        raise ConfigError("--export writes the whole run: leave out --file and --json")
    console = Console(stderr=Path("-") in (json_, export[1] if export else None))
    if export is not None:
        _export(history, *export)
    elif file is not None:
        _course(history, file, relative_to or "", json_, console)
    else:
        entries = History(history).entries()
        console.print(entries_table(entries, limit))
        if json_ is not None:
            write_or_print(json_, json.dumps([asdict(e) for e in entries], indent=2) + "\n")


def _export(history: Path | None, wanted: str, path: Path) -> None:
    from atpn_benchmarks.history import History
    from atpn_benchmarks.results_file import run_text, write_run

    run = History(history).load(wanted)
    if path == Path("-"):
        write_or_print(path, run_text(run))
    else:
        write_run(run, path)


def _course(
    history: Path | None, name: str, relative_to: str, json_: Path | None, console: Console
) -> None:
    from atpn_benchmarks.history import History
    from atpn_benchmarks.history_tables import course_table, courses, courses_dict
    from atpn_deploy.errors import ResultsError

    kept = History(history)
    for wanted in filter(None, (name, relative_to)):
        if wanted not in (known := kept.names()):
            raise ResultsError(
                f"{kept.path} has no timed file {wanted}; it has {', '.join(known) or 'none'}"
            )
    others = kept.figures(relative_to) if relative_to else []
    found = courses(name, kept.figures(name), relative_to, others)
    for course in found:
        console.print(course_table(course))
    if json_ is not None:
        write_or_print(json_, json.dumps(courses_dict(found), indent=2) + "\n")


main = main_of(app)


if __name__ == "__main__":
    main()
