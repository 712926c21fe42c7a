"""The tables of docs/bisect.md, from what `atpn-export --bisect` wrote beside the files.

`python -m atpn_benchmarks.bisect_rows exported/*.bisect.json` prints one Markdown table a report.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer


def main(
    reports: Annotated[list[Path], typer.Argument(help="reports of atpn-export --bisect")],
    rows: Annotated[int, typer.Option(help="layers of each file")] = 5,
) -> None:
    """Print the worst layers of each file as Markdown."""
    for path in reports:
        print(markdown(json.loads(path.read_text(encoding="utf-8")), rows) + "\n")


def markdown(report: dict[str, Any], rows: int) -> str:
    """The file, what it is off by as a whole, and its worst layers."""
    whole = report["whole_file"]
    lines = [
        f"`{report['file']}`: {_amounts(whole)} as a whole, {report['runtime']}",
        "",
        "| layer | operators | landmarks | pose | isolated error | cumulative error |",
        "|---|---|---|---|---|---|",
    ]
    for layer in report["layers"][:rows]:
        damage = layer["damage"]
        lines.append(
            f"| `{layer['layer']}` | {', '.join(layer['computing'])} "
            f"| {_number(damage['landmarks_px'], ' px')} | {_number(damage['pose_degrees'], '°')} "
            f"| {_share(layer['isolated'])} | {_share(layer['cumulative'])} |"
        )
    return "\n".join(lines)


def _amounts(damage: dict[str, float | None] | None) -> str:
    if damage is None:
        return "it does not run"
    texts = [_number(damage["landmarks_px"], " px"), _number(damage["pose_degrees"], "°")]
    return " and ".join(text for text in texts if text != "-")


def _number(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{value:.2g}{unit}"


def _share(error: dict[str, Any] | None) -> str:
    """A relative error in percent."""
    return "-" if error is None or error["relative"] is None else f"{100 * error['relative']:.2g} %"


if __name__ == "__main__":
    typer.run(main)
