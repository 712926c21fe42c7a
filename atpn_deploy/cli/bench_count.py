"""atpn-bench count: parameters, multiply-adds, memory and bytes of networks and files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atpn_deploy.cli.shell import main_of, write_or_print
from atpn_deploy.errors import AtpnError, ConfigError

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def count(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="exported files and peers; none: the networks themselves", metavar="[FILE...]"
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="network to count: atpn-lite or atpn; else both")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="count the network of your own .safetensors checkpoint")
    ] = None,
    signature: Annotated[
        str | None, typer.Option(help="of a file that holds both: align or full")
    ] = None,
    depth: Annotated[int, typer.Option(min=1, help="how many levels of modules a table shows")] = 2,
    modules: Annotated[
        bool, typer.Option("--modules", help="of files, also a table by module")
    ] = False,
    json_: Annotated[
        Path | None, typer.Option("--json", help="write every figure here, - for standard output")
    ] = None,
) -> None:
    """Count parameters and multiply-adds, bytes moved and memory of activations.

    Without files: PyTorch's networks, batch norms folded, by module and by branch, beside the
    paper's totals and tables 2 and 5. With files: each file's own graph, operator by operator.
    A file that can't be read is named and the others go on. Exit status: 0 all were counted; 2 one
    was not.
    """
    if files and (model or weights):
        raise ConfigError("files say themselves what they are: leave --model and --weights out")

    from rich.console import Console

    console = Console(stderr=json_ == Path("-"))
    if files:
        values, failed = _count_files(files, signature, depth if modules else None, console)
    else:
        values, failed = _count_networks(model, weights, depth, console), False
    if json_ is not None:
        write_or_print(json_, json.dumps(values, indent=2) + "\n")
    if failed:
        raise typer.Exit(AtpnError.exit_status)


def _count_files(
    files: list[Path], signature: str | None, depth: int | None, console: Console
) -> tuple[dict[str, Any], bool]:
    """What JSON holds, and whether a file could not be counted."""
    from atpn_benchmarks.counting.count_tables import (
        FileCount,
        file_table,
        file_values,
        module_table,
    )
    from atpn_benchmarks.counting.files import counted_graph

    counts, failed = [], False
    for path in files:
        try:
            counts.append(FileCount(path, counted_graph(path, signature)))
        except AtpnError as error:
            print(f"error: {error}", file=sys.stderr)
            failed = True
    if counts:
        console.print(file_table(counts))
    if depth is not None:
        for found in counts:
            console.print(module_table(found, depth))
    return {"files": [file_values(found) for found in counts]}, failed


def _count_networks(
    model: str | None, weights: Path | None, depth: int, console: Console
) -> dict[str, Any]:
    """What JSON holds."""
    from atpn_benchmarks.counting.count_tables import network_table, network_values
    from atpn_benchmarks.counting.network import count_network
    from atpn_benchmarks.counting.published import table_2, table_5
    from atpn_deploy.config import CONFIGS, config_named
    from atpn_deploy.evaluation.rendering import to_terminal
    from atpn_deploy.weights import open_checkpoint

    if model is not None and weights is not None:
        raise ConfigError("--model and --weights both name a network: give one of them")
    if weights is not None:
        configs = [open_checkpoint(weights).config]
    else:
        configs = [config_named(model)] if model is not None else list(CONFIGS.values())
    networks = [count_network(config) for config in configs]
    for network in networks:
        console.print(network_table(network, depth))
    tables = [table_2(networks), table_5(networks)]
    for table in tables:
        console.print(to_terminal(table))
    return {
        "networks": [network_values(network) for network in networks],
        "tables": [table.to_dict() for table in tables],
    }


main = main_of(app)


if __name__ == "__main__":
    main()
