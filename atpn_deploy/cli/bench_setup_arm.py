"""atpn-bench setup-arm: the environment that emulated ARM cores run in, without root."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from atpn_deploy.cli.shell import main_of

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def setup_arm(
    folder: Annotated[
        Path | None,
        typer.Option(help="where to make it; else $ATPN_ARM_FOLDER or the user's cache"),
    ] = None,
    mirror: Annotated[
        str, typer.Option(help="Debian mirror, such as http://HOST/debian; else this machine's")
    ] = "",
    qemu: Annotated[
        Path | None, typer.Option(help="a qemu-aarch64 of your own instead of Debian's")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="remove it, packages included")] = False,
) -> None:
    """Make what `--device qemu:cortex-a76` runs in: Debian's QEMU and arm64 packages, the wheels.

    Takes about a minute, 800 MB and no root. A second call makes only what is missing or stale.
    """
    from rich.console import Console

    from atpn_benchmarks.arm.environment import default_folder
    from atpn_benchmarks.arm.environment import remove as remove_environment
    from atpn_benchmarks.arm.making import make
    from atpn_benchmarks.arm.parts import Workshop
    from atpn_exporters.progress import Bar

    where = (folder or default_folder()).expanduser().resolve()
    if remove:
        removed = remove_environment(where)
        print(f"{'removed' if removed else 'there is no'} {where}", file=sys.stderr)
        return
    with Bar(Console(stderr=True)) as bar:
        environment = make(Workshop(where, mirror, qemu), bar)
    versions = environment.versions
    named = ("qemu-user", "python3.11", "ai-edge-litert", "onnxruntime", "ncnn", "llvm-19")
    for name in named:
        print(f"{name} {versions[name]}")
    print(where)


main = main_of(app)


if __name__ == "__main__":
    main()
