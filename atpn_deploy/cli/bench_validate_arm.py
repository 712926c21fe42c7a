"""atpn-bench validate-arm: how far off the estimated milliseconds are, on published latencies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atpn_deploy.cli.shell import main_of, write_or_print

if TYPE_CHECKING:
    from atpn_benchmarks.arm.validation import Published

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def validate_arm(
    remeasure: Annotated[
        Path | None,
        typer.Option(help="count the networks anew from ncnn's .param files in this folder"),
    ] = None,
    cycles: Annotated[
        Path | None,
        typer.Option(help="the table of cycles to fit on, and to write where they are remeasured"),
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="the tables as Markdown, - for standard output")
    ] = None,
) -> None:
    """Fit the estimator on the published table, leaving each network out once, and say the error.

    Needs nothing but this package; --remeasure needs the environment of setup-arm and some
    minutes. Exit status: 0 every board is within 10 % mean and 30 % worst, 1 one is not.
    """
    from rich.console import Console

    from atpn_benchmarks.arm import validation
    from atpn_benchmarks.arm.validation_tables import (
        others_markdown,
        validation_markdown,
        validation_table,
    )

    console = Console(stderr=markdown == Path("-"))
    table = cycles or validation.CYCLES
    published = validation.read_published(validation.PUBLISHED)
    unfitted = validation.read_published(validation.OTHERS)
    if remeasure is not None:
        _remeasure(remeasure, [*published, *unfitted], table)
    executed = validation.read_executed(table)
    fits = validation.validate(published, executed)
    others = others_markdown(validation.others(fits, unfitted, executed))
    console.print(validation_table(fits))
    console.print(f"networks that stand in no fit\n\n{others}", highlight=False, soft_wrap=True)
    if markdown is not None:
        write_or_print(markdown, f"{validation_markdown(fits)}\n{others}")
    if not all(fit.good for fit in fits):
        raise typer.Exit(1)


def _remeasure(folder: Path, published: Sequence[Published], table: Path) -> None:
    """Count every network on every core and write the table."""
    from rich.console import Console

    from atpn_benchmarks.arm.environment import default_folder
    from atpn_benchmarks.arm.making import open_environment
    from atpn_benchmarks.arm.remeasuring import remeasure, wanted
    from atpn_benchmarks.arm.validation import write_executed

    environment = open_environment(default_folder())
    with Console(stderr=True).status("") as status:
        executed = remeasure(environment, folder, wanted(published), status.update)
    write_executed(table, executed)


main = main_of(app)


if __name__ == "__main__":
    main()
