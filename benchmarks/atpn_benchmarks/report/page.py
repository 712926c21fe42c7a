"""The report: one HTML file with everything inside, which asks no network for anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atpn_benchmarks.latency import Ratio
from atpn_benchmarks.report.charts.bars import Bars, bars
from atpn_benchmarks.report.charts.marks import DRIFTS, OURS, SHAPES, own_models
from atpn_benchmarks.report.charts.roofs import roofline
from atpn_benchmarks.report.charts.scatter import Plot, scatter
from atpn_benchmarks.report.choice import Pick, picks
from atpn_benchmarks.report.digits import (
    megabytes,
    microseconds,
    milliseconds,
    percent,
    pixels,
    shortened,
)
from atpn_benchmarks.report.file_sheets import (
    delegation_sheet,
    drift_sheet,
    files_sheet,
    threads_sheet,
    unmeasured_sheet,
)
from atpn_benchmarks.report.layer_sheets import modules_sheet, operators_sheet
from atpn_benchmarks.report.layers import WHOLE, Layers, layers
from atpn_benchmarks.report.palette import DARK, LIGHT
from atpn_benchmarks.report.ratio_sheets import interval, ratios_sheet, times
from atpn_benchmarks.report.ratios import RatioTable, ratio_table
from atpn_benchmarks.report.sheet import Sheet
from atpn_benchmarks.report.standing import (
    Complaint,
    Standing,
    distinct,
    first_threads,
    flaws,
    standings,
)
from atpn_benchmarks.report.terms import (
    condition_facts,
    machine_facts,
    method,
    moment,
    peak_facts,
    settings_facts,
)
from atpn_benchmarks.results import Run
from atpn_deploy.errors import ExportError, MissingToolError

#: Colours of parts of a network, in the style sheet.
HUES = 8
#: Width and height of a chart on a desk and on a phone; the page shows the one that fits.
SIZES = ((1020.0, 470.0), (358.0, 400.0))


@dataclass(frozen=True)
class Card:
    """A file to take, in words."""

    pick: Pick
    #: Lines such as "1.79 x as fast as its float32 file (1.76-1.81)".
    beside: tuple[str, ...]


@dataclass(frozen=True)
class Strip:
    """A piece of the band that shows the parts of a network."""

    name: str
    share: float
    colour: str  # CSS class


@dataclass(frozen=True)
class LayerView:
    """Where the time of one file goes, with its two tables."""

    layers: Layers
    strip: tuple[Strip, ...]
    sheets: tuple[Sheet, Sheet]


@dataclass(frozen=True)
class Section:
    """One device."""

    key: str
    run: Run
    threads: int
    models: tuple[tuple[str, str], ...]  # networks of ours and the path of their shapes
    cards: tuple[Card, ...]
    flawed: int  # files whose figures do not hold
    flaws: tuple[Complaint, ...]
    scatters: tuple[Plot, ...]
    bars: tuple[Bars, ...]
    roofs: tuple[Plot, ...]
    files: Sheet
    ratios: Sheet | None
    more_threads: Sheet | None
    drift: Sheet
    delegation: Sheet
    unmeasured: Sheet
    views: tuple[LayerView, ...]


def html_report(runs: Sequence[Run], path: Path) -> None:
    """Write `path`, a section a run; a file that was there is replaced in one step.

    Raises MissingToolError without Jinja2, ExportError without a run or where it can't be written.
    """
    if not runs:
        raise ExportError("a report needs at least one run: atpn-bench --report out.html makes one")
    text = _rendered(runs)
    aside = path.with_name(path.name + ".partial")
    try:
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        raise ExportError(f"{path} cannot be written: {error.strerror}") from error


def _rendered(runs: Sequence[Run]) -> str:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise MissingToolError(
            "the HTML report needs Jinja2: pip install -c constraints.txt 'atpn-deploy[bench]'"
        ) from error
    environment = Environment(
        loader=PackageLoader("atpn_benchmarks.report"),
        autoescape=True,  # names of files and peers are anybody's
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        mb=megabytes, ms=milliseconds, us=microseconds, percent=percent, px=pixels, brief=brief
    )
    sections = tuple(section(run, f"d{n}") for n, run in enumerate(runs, 1))
    return environment.get_template("report.html.jinja").render(sections=sections, **_constants())


def _constants() -> dict[str, Any]:
    """What the template says of every run alike."""
    return {
        "drifts": DRIFTS,
        "light": LIGHT,
        "dark": DARK,
        "diamond": SHAPES["diamond"],
        "circle": SHAPES["circle"],
        "square": SHAPES["square"],
        "method": method(),
        "moment": moment,
        "machine_facts": machine_facts,
        "settings_facts": settings_facts,
        "condition_facts": condition_facts,
        "peak_facts": peak_facts,
    }


def section(run: Run, key: str) -> Section:
    """Everything that the page shows of one run."""
    run = distinct(run)
    found, ratios = standings(run), ratio_table(run)
    models = own_models(found)
    listed = [each for row in run.rows if (each := layers(row)) is not None]
    return Section(
        key,
        run,
        first_threads(run),
        tuple((name, SHAPES[OURS[n % len(OURS)]]) for n, name in enumerate(models)),
        tuple(_card(pick, ratios) for pick in picks(found)),
        sum(not each.holds for each in found),
        flaws(run),
        tuple(scatter(found, *size) for size in SIZES) if found else (),
        tuple(bars(found, width) for width, _ in SIZES) if found else (),
        _roofs(found, run),
        files_sheet(run),
        ratios_sheet(ratios) if ratios.rows else None,
        threads_sheet(run),
        drift_sheet(run),
        delegation_sheet(run),
        unmeasured_sheet(run),
        tuple(_layer_view(each) for each in listed),
    )


def _roofs(found: Sequence[Standing], run: Run) -> tuple[Plot, ...]:
    if run.peaks is None or first_threads(run) != 1:
        return ()  # the roofs are those of one core
    drawn = (roofline(found, run.peaks, *size) for size in SIZES)
    return tuple(plot for plot in drawn if plot is not None)


def _layer_view(found: Layers) -> LayerView:
    named = [part.name for part in found.parts if part.name != WHOLE]
    strip = (
        Strip(
            part.name,
            part.share,
            f"p{named.index(part.name) % HUES}" if part.name in named else "pn",
        )
        for part in found.parts
    )
    return LayerView(found, tuple(strip), (modules_sheet(found), operators_sheet(found)))


def brief(text: str) -> str:
    """A name in a table's head."""
    return shortened(text, 40)


def _card(pick: Pick, ratios: RatioTable) -> Card:
    found = ratios.row(pick.chosen.row.name)
    beside: list[str] = []
    if found is not None and found.float_gain is not None:
        beside.append(_told(found.float_gain, "as fast as its own float32 file"))
    if found is not None:
        same = pick.chosen.row.runtime
        for peer, each in zip(ratios.peers, found.against, strict=True):
            if peer.row.runtime == same and len(beside) < 3:
                beside.append(_told(each, f"the time of {shortened(peer.row.title, 60)}"))
    return Card(pick, tuple(beside))


def _told(found: Ratio, what: str) -> str:
    """What is so many times as much, with its interval at the end."""
    return f"{times(found.value)}x {what} ({interval(found).replace('-', ' to ')})"
