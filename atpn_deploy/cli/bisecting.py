"""The layer at fault, shown: on request, and by itself after a file has failed parity."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from atpn_deploy.errors import AtpnError, MissingToolError

if TYPE_CHECKING:
    from rich.console import Console


def show_bisect(path: Path, weights: Path | None, console: Console) -> None:
    """Print the table of a file's layers and write JSON and plot beside the file.

    `weights` is the user's own checkpoint, None for the shipped one that the file names. Raises an
    AtpnError where the file can't be bisected.
    """
    from atpn_exporters.bisect.plot import draw
    from atpn_exporters.bisect.run import bisect
    from atpn_exporters.bisect.tables import bisect_table

    with console.status(f"bisecting {path.name}") as status:

        def on_layer(done: int, count: int) -> None:
            status.update(f"bisecting {path.name}: layer {done} of {count}")

        report = bisect(path, weights, on_layer)
    report.save()
    console.print(bisect_table(report))
    try:
        drawn = f", {draw(report).name}"
    except MissingToolError as error:
        drawn = f"; no plot: {error}"
    console.print(f"wrote {report.json_path}{drawn}", soft_wrap=True, highlight=False)


def explain_failure(path: Path, weights: Path | None, console: Console) -> None:
    """`show_bisect` of a file that failed; what keeps it from being bisected is one line."""
    try:
        show_bisect(path, weights, console)
    except AtpnError as error:
        console.print(f"the layer at fault was not looked for: {error}", soft_wrap=True)
