"""The roofline: multiply-adds a second over multiply-adds a byte, under what the core can do."""

from __future__ import annotations

from collections.abc import Sequence

from atpn_benchmarks.report.charts.labels import Anchor, Box, Label, place, text_width
from atpn_benchmarks.report.charts.marks import NAME, RADIUS, Mark, tip_of
from atpn_benchmarks.report.charts.scales import Scale, log_scale
from atpn_benchmarks.report.charts.scatter import TEXT, Plot
from atpn_benchmarks.report.digits import billions, shortened, significant
from atpn_benchmarks.report.standing import Standing
from atpn_benchmarks.results import Peaks

#: More multiply-adds than this share in int8 make a file an int8 file here.
INT8_SHARE = 0.5


def placed_files(found: Sequence[Standing]) -> tuple[Standing, ...]:
    """The files that have a place in the chart: their work is known."""
    return tuple(e for e in found if e.row.cost and e.row.cost.macs and e.row.cost.moved_bytes)


def roofs(peaks: Peaks) -> tuple[tuple[str, str, float], ...]:
    """Class, name and multiply-adds a second of each flat roof that was measured."""
    known = (
        ("roof-fp32", "fp32", peaks.fp32_macs_per_s),
        ("roof-int8", "int8", peaks.int8_macs_per_s),
    )
    return tuple((css, f"{name} {billions(v)} GMAC/s", v) for css, name, v in known if v)


def slopes(peaks: Peaks) -> tuple[tuple[str, str, float], ...]:
    """Class, name and bytes a second of each slope that was measured."""
    known = (
        ("slope-cache", "cache", peaks.cache_bytes_per_s),
        ("slope-memory", "memory", peaks.memory_bytes_per_s),
    )
    return tuple((css, f"{name} {billions(v)} GB/s", v) for css, name, v in known if v)


def rate(each: Standing) -> float:
    """Multiply-adds a second that a file reaches at its median."""
    return each.row.cost.macs / each.summary.p50_s if each.row.cost else 0.0


def is_int8(each: Standing) -> bool:
    """Whether most multiply-adds run in int8."""
    cost = each.row.cost
    return cost is not None and cost.int8_macs > INT8_SHARE * cost.macs


def roofline(found: Sequence[Standing], peaks: Peaks, width: float, height: float) -> Plot | None:
    """The chart; None where no roof was measured or no file's work is known."""
    files, flat, steep = placed_files(found), roofs(peaks), slopes(peaks)
    if not files or not flat:
        return None
    frame = Box(52, 12, width - 12, height - 44)
    ridges = [top / bandwidth for _, _, top in flat for _, _, bandwidth in steep]
    intensities = [each.row.cost.intensity for each in files if each.row.cost]
    x = log_scale([*intensities, *ridges], frame.left, frame.right, margin=0.12)
    rates = [rate(each) / 1e9 for each in files]
    y = log_scale([*rates, *(top / 1e9 for _, _, top in flat)], frame.bottom, frame.top)
    notes = _roof_notes(flat, steep, x, y, frame)
    order = sorted(files, key=lambda each: each.p50_ms)
    anchors = [
        Anchor(x(e.row.cost.intensity), y(rate(e) / 1e9), RADIUS, shortened(e.row.title, NAME))
        for e in order
        if e.row.cost
    ]
    labels = place(anchors, [note.box for note in notes], frame, TEXT, far=False)
    return Plot(
        width,
        height,
        frame,
        x.ticks(),
        y.ticks(),
        "multiply-adds per byte moved",
        "GMAC/s",
        (*_flat_lines(flat, steep, x, y), *_steep_lines(flat, steep, x, y)),
        tuple(_mark(each, x, y) for each in order),
        tuple(label for label in labels if label is not None),
        tuple(notes),
    )


def _flat_lines(
    flat: Sequence[tuple[str, str, float]],
    steep: Sequence[tuple[str, str, float]],
    x: Scale,
    y: Scale,
) -> list[tuple[str, str]]:
    """Each roof from where the fastest slope reaches it to the right edge."""
    fastest = max((bandwidth for _, _, bandwidth in steep), default=0.0)
    lines = []
    for css, _, top in flat:
        start = max(top / fastest, x.low) if fastest else x.low
        height = y(top / 1e9)
        lines.append((f"roof {css}", f"{x(start)},{height} {x(x.high)},{height}"))
    return lines


def _steep_lines(
    flat: Sequence[tuple[str, str, float]],
    steep: Sequence[tuple[str, str, float]],
    x: Scale,
    y: Scale,
) -> list[tuple[str, str]]:
    """Each slope from the edge of the drawing up to the highest roof."""
    highest = max(top for _, _, top in flat)
    lines = []
    for css, _, bandwidth in steep:
        start = max(x.low, y.low * 1e9 / bandwidth)
        end = min(x.high, highest / bandwidth)
        if start < end:
            points = [(at, at * bandwidth / 1e9) for at in (start, end)]
            text = " ".join(f"{x(at)},{y(height)}" for at, height in points)
            lines.append((f"roof {css}", text))
    return lines


def _roof_notes(
    flat: Sequence[tuple[str, str, float]],
    steep: Sequence[tuple[str, str, float]],
    x: Scale,
    y: Scale,
    frame: Box,
) -> list[Label]:
    """Names of the roofs where they begin, of the slopes beside their lower halves."""
    notes = []
    fastest = max((bandwidth for _, _, bandwidth in steep), default=0.0)
    for _, name, top in flat:
        start = max(top / fastest, x.low) if fastest else x.low
        notes.append(_note(name, x(start) + 26, y(top / 1e9) - 6))
    highest = max(top for _, _, top in flat)
    for _, name, bandwidth in steep:
        start = max(x.low, y.low * 1e9 / bandwidth)
        end = min(x.high, highest / bandwidth)
        if start < end:
            at = start * (end / start) ** 0.12
            wide = text_width(name, TEXT)
            left = min(x(at) + 8, frame.right - wide)
            notes.append(_note(name, left, y(at * bandwidth / 1e9) + 12))
    return [note for note in notes if frame.holds(note.box)]


def _note(text: str, left: float, base: float) -> Label:
    box = Box(left, base - TEXT, left + text_width(text, TEXT), base + 3)
    return Label(text, round(left, 1), round(base, 1), box, None)


def _mark(each: Standing, x: Scale, y: Scale) -> Mark:
    cost = each.row.cost
    intensity = cost.intensity if cost else x.low
    kind = "peer" if each.row.peer else "quantised" if is_int8(each) else "float"
    shape = "diamond" if each.row.peer else "square" if is_int8(each) else "circle"
    hollow = " hollow" if each.row.signature == "align" else ""
    tip = (
        *tip_of(each),
        f"{billions(rate(each))} GMAC/s at {significant(intensity)} multiply-adds a byte",
    )
    classes = f"mark {kind}{hollow}{'' if each.holds else ' flawed'}"
    return Mark(x(intensity), y(rate(each) / 1e9), shape, classes, tip, each.row.name)
