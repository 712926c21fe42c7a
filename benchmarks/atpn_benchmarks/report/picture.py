"""`python -m atpn_benchmarks.report.picture out.html bench.png`: the head of a report as a picture.

For the documentation; takes Chromium and, from the `test` extra, Playwright.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atpn_deploy.cli.shell import main_of
from atpn_deploy.errors import ExportError, MissingToolError

if TYPE_CHECKING:
    from playwright.sync_api import Browser

app = typer.Typer(add_completion=False, rich_markup_mode=None)

#: What a browser calls itself, in the order in which they are sought.
BROWSERS = ("chromium", "chromium-browser")
#: No display card, no sandbox (containers forbid its system calls), and no talking to its makers.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDTH, HEIGHT, MARGIN = 1120, 900, 12


def chromium() -> str | None:
    """The path of an installed Chromium; None where there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless Chromium with a profile of its own; MissingToolError without one."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise MissingToolError(
            "a picture of a report needs Playwright: pip install -c constraints.txt "
            "'atpn-deploy[test]'"
        ) from error
    path = chromium()
    if path is None:
        raise MissingToolError("a picture of a report needs Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            yield opened
        finally:
            opened.close()


def take(
    opened: Browser, report: Path, picture: Path, *, charts: int = 1, dark: bool = False
) -> None:
    """A PNG of `report` from its top to the end of its first `charts` charts.

    Raises ExportError where there is no such report or the picture can't be written.
    """
    if not report.is_file():
        raise ExportError(f"there is no report {report}: atpn-bench --report {report} makes it")
    page = opened.new_page(
        viewport={"width": WIDTH, "height": HEIGHT},
        color_scheme="dark" if dark else "light",
        device_scale_factor=1.5,
    )
    page.goto(report.resolve().as_uri())
    figures = page.locator("figure")
    last = figures.nth(min(charts, figures.count()) - 1) if figures.count() else None
    box = None if last is None else last.bounding_box()
    height = HEIGHT if box is None else box["y"] + box["height"] + MARGIN
    image = page.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": WIDTH, "height": height})
    page.close()
    try:
        picture.write_bytes(image)
    except OSError as error:
        raise ExportError(f"{picture} cannot be written: {error.strerror}") from error


@app.command()
def picture(
    report: Annotated[Path, typer.Argument(help="a report of atpn-bench")],
    image: Annotated[Path, typer.Argument(help="the PNG to write")],
    charts: Annotated[int, typer.Option(min=1, help="end after so many charts")] = 1,
    dark: Annotated[bool, typer.Option("--dark", help="as a dark system shows it")] = False,
) -> None:
    """Take a picture of the head of a report."""
    with browser() as opened:
        take(opened, report, image, charts=charts, dark=dark)


main = main_of(app)

if __name__ == "__main__":
    main()
