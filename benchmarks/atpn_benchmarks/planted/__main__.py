"""The table of docs/bisect.md: `python -m atpn_benchmarks.planted --model atpn-lite`."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from atpn_benchmarks.planted import onnx_faults
from atpn_benchmarks.planted.fault import Found
from atpn_benchmarks.planted.trial import KINDS, trial

PLACES = {0: "not found", 1: "first", 2: "second", 3: "third"}


def main(
    model: Annotated[str, typer.Option(help="shipped weights: atpn-lite or atpn")] = "atpn-lite",
    crops: Annotated[int, typer.Option(help="golden faces to compare on")] = 3,
    every_layer: Annotated[
        bool,
        typer.Option("--every-layer", help="one small fault in each layer of an .onnx instead"),
    ] = False,
) -> None:
    """Plant every fault into files of every format and say where the bisect puts its layer."""
    from atpn_deploy.weights import shipped
    from atpn_exporters.bisect.run import golden_faces

    network = shipped(model).load()
    images = golden_faces(crops)[1]
    if every_layer:
        with TemporaryDirectory(prefix="atpn-planted-") as folder:
            faults = onnx_faults.every_layer(network)
            print(summary(trial("onnx", network, images, Path(folder), faults)))
        return
    found: dict[str, tuple[Found, ...]] = {}
    for format_ in KINDS:
        with TemporaryDirectory(prefix="atpn-planted-") as folder:
            found[format_] = trial(format_, network, images, Path(folder))
    print(markdown(found))
    if any(first(row) < 0.9 * len(row) for row in found.values()):
        sys.exit(1)


def first(found: tuple[Found, ...]) -> int:
    """How many faults were named first."""
    return sum(item.rank == 1 for item in found)


def summary(found: tuple[Found, ...]) -> str:
    """How many were first, by quantisation, and those that were not."""
    lines = []
    for base in dict.fromkeys(item.base for item in found):
        row = tuple(item for item in found if item.base == base)
        behind = [
            f"{item.module} ({PLACES.get(item.rank, f'{item.rank}th')}, {item.damage_px:.2g} px)"
            for item in row
            if item.rank != 1
        ]
        alone = sum(item.alone_suspect for item in row)
        lines.append(
            f"{base}: {first(row)} of {len(row)} first, {alone} the only layer beyond rounding; "
            f"not first: {', '.join(behind) or 'none'}"
        )
    return "\n".join(lines)


def markdown(found: dict[str, tuple[Found, ...]]) -> str:
    """One row a fault, one column a format: where its layer came, in which file, what it costs."""
    names = list(dict.fromkeys(item.fault for row in found.values() for item in row))
    lines = ["| fault | layer | " + " | ".join(found) + " |", "|---" * (len(found) + 2) + "|"]
    for name in names:
        items = [next((i for i in row if i.fault == name), None) for row in found.values()]
        module = next(item.module for item in items if item is not None)
        cells = [_cell(item, module) for item in items]
        lines.append(f"| {name} | `{module}` | " + " | ".join(cells) + " |")
    totals = [f"**{first(row)} of {len(row)}**" for row in found.values()]
    lines.append("| named first | | " + " | ".join(totals) + " |")
    return "\n".join(lines)


def _cell(item: Found | None, module: str) -> str:
    """`first, fp32, 1.2 px`, another layer than the row's, and what came first instead."""
    if item is None:
        return "-"
    cost = f"{item.damage_px:.2g} px" if item.damage_px < float("inf") else "NaN or infinite"
    texts = [PLACES.get(item.rank, f"{item.rank}th"), item.base, cost]
    if item.module != module:
        texts.append(f"`{item.module}`")
    if item.rank != 1:
        texts.append(f"first was `{item.first}`")
    return ", ".join(texts)


if __name__ == "__main__":
    typer.run(main)
