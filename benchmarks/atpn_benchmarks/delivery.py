"""Where the results of a command go: history, JSON, page, Markdown and charts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from atpn_benchmarks.history import History
from atpn_benchmarks.report.markdown import markdown
from atpn_benchmarks.report.page import html_report
from atpn_benchmarks.report.plots import plots
from atpn_benchmarks.results import Run
from atpn_benchmarks.results_file import run_text, write_run
from atpn_deploy.cli.shell import write_or_print
from atpn_deploy.errors import AtpnError


@dataclass(frozen=True)
class Places:
    """None is nowhere, but the history has a place of its own; `-` is standard output."""

    report: Path | None = None
    markdown: Path | None = None
    json: Path | None = None
    plots: Path | None = None
    history: Path | None = None


def deliver(runs: Sequence[Run], places: Places, console: Console) -> list[str]:
    """Write every form that was asked for; what failed, a line each, costs others nothing."""
    forms = (_history, _json, _report, _plots, _markdown)
    failed = []
    for form in forms:
        try:
            form(runs, places, console)
        except AtpnError as error:
            failed.append(str(error))
    return failed


def _history(runs: Sequence[Run], places: Places, console: Console) -> None:
    history = History(places.history)
    for run in runs:
        history.append(run)
        console.print(f"kept as {run.id} in {history.path}", highlight=False, soft_wrap=True)


def _json(runs: Sequence[Run], places: Places, console: Console) -> None:
    if places.json == Path("-"):
        for run in runs:
            print(run_text(run), end="")
    elif places.json is not None:
        for run, path in zip(runs, _paths(places.json, runs, ".json"), strict=True):
            _make(path.parent)
            write_run(run, path)
            _say(path, console)


def _report(runs: Sequence[Run], places: Places, console: Console) -> None:
    if places.report is not None and runs:
        html_report(runs, places.report)
        _say(places.report, console)


def _plots(runs: Sequence[Run], places: Places, console: Console) -> None:
    if places.plots is not None:
        for run, folder in zip(runs, _paths(places.plots, runs, ""), strict=True):
            _make(folder)
            plots(run, folder)
            _say(folder, console)


def _markdown(runs: Sequence[Run], places: Places, console: Console) -> None:
    if places.markdown is not None:
        write_or_print(places.markdown, "\n".join(markdown(run) for run in runs))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AtpnError(f"cannot make {folder}: {error.strerror}") from error


def _paths(path: Path, runs: Sequence[Run], suffix: str) -> list[Path]:
    """The path itself for one run; one in that folder for each device of several."""
    if len(runs) == 1:
        return [path]
    names = [re.sub(r"[^\w.@-]+", "-", run.device) for run in runs]
    return [path / f"{name}{suffix}" for name in names]


def _say(path: Path, console: Console) -> None:
    console.print(f"wrote {path}", highlight=False, soft_wrap=True)
