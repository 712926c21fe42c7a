"""A search's result for people: a table in the terminal, and the same in Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from atpn_exporters.recipes.pareto import Measurement, front
from atpn_exporters.recipes.search import SearchResult

LEFT = "left in float"
COLUMNS = (
    "#",
    "",
    LEFT,
    "landmarks",
    "pose",
    "confidence",
    "of a limit",
    "x float",
    "KB",
    "partitions",
)
#: The same for 80 columns of a terminal.
NARROW = ("#", "", "file", "points", "pose", "conf.", "of limit", "speed", "KB", "parts")


def cells(number: int, measured: Measurement, mark: str) -> tuple[str, ...]:
    """One row: number, mark, what it is, its errors, speed, size and delegation."""
    first = (str(number), mark, measured.name)
    if measured.failed:
        return (*first, f"not made: {measured.failed}", *[""] * (len(COLUMNS) - 4))
    low, high = measured.interval
    spread = "" if measured.reference and measured.ratio == 1 else f" ({low:.2f} to {high:.2f})"
    verdict = "" if measured.within else ", beyond"
    return (
        *first,
        _error(measured, "landmarks", "px", "{:.2f} px"),
        _error(measured, "pose", "degree", "{:.2f}°"),
        _error(measured, "confidence", "probability", "{:.3f}"),
        f"{measured.drift:.0%}{verdict}",
        f"{measured.ratio:.2f}{spread}",
        f"{measured.size_bytes / 1000:,.0f}",
        "-" if measured.partitions is None else str(measured.partitions),
    )


def _error(measured: Measurement, output: str, unit: str, form: str) -> str:
    """One error, or a dash for an output that the file does not compute."""
    computed = any((row.output, row.unit) == (output, unit) for row in measured.rows)
    return form.format(measured.error(output, unit)) if computed else "-"


def rows(result: SearchResult) -> Iterator[tuple[str, ...]]:
    """All rows: references first, the Pareto set marked, the chosen one most."""
    best = {measured.name for measured in front(result.measurements)}
    for number, measured in enumerate(result.measurements, 1):
        chosen = measured is result.choice.chosen
        mark = "taken" if chosen else "Pareto" if measured.name in best else ""
        yield cells(number, measured, mark)


def modules(result: SearchResult) -> Iterator[tuple[str, str]]:
    """The number of each row that leaves modules in float, and their names."""
    for number, measured in enumerate(result.measurements, 1):
        if measured.float_modules:
            yield str(number), ", ".join(measured.float_modules)


def pareto_table(result: SearchResult) -> RenderableType:
    """The table, the modules by its numbers and the choice, for a terminal."""
    title = f"{result.model} as {result.target}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in NARROW:
        table.add_column(column, no_wrap=column != "file")
    for number, mark, name, *errors, ratio, size, partitions in rows(result):
        style = {"taken": "bold green", "Pareto": "green"}.get(mark, "")
        # The interval has no room beside the others in 80 columns; it is in the JSON.
        speed = ratio.partition(" (")[0]
        table.add_row(number, mark, name, *errors, speed, size, partitions, style=style)
    left = Table(title=LEFT, title_justify="left", show_header=False, box=None)
    for number, names in modules(result):
        left.add_row(number, names)
    return Group(table, left, Text(f"\n{result.choice.sentence}\n"))


def markdown(result: SearchResult) -> str:
    """The same for a page of documentation."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    told = dict(modules(result))
    for number, mark, name, *rest in rows(result):
        left = f"{name}: {told[number]}" if number in told else name
        lines.append("| " + " | ".join((number, mark, left, *rest)) + " |")
    sentence = result.choice.sentence
    return "\n".join([*lines, "", f"{sentence[0].upper()}{sentence[1:]}."])
