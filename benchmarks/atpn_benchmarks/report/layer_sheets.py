"""Tables of where the time goes: modules and operators of one file."""

from __future__ import annotations

from atpn_benchmarks.report.digits import (
    billions,
    microseconds,
    millions,
    percent,
)
from atpn_benchmarks.report.layers import Layers, Part
from atpn_benchmarks.report.sheet import MISSING, Cell, Head, Sheet, Tone, figure, words
from atpn_benchmarks.results import OperatorTime
from atpn_exporters.tables import plural


def modules_sheet(found: Layers) -> Sheet:
    """Modules, or a peer's kinds of operator, slowest first."""
    name = "kind" if found.row.peer else "module"
    heads = (
        Head("module", name, numeric=False),
        Head("time", "time", "us"),
        Head("share", "share"),
        Head("operators", "operators"),
        Head("outside", "outside", explained="operators that no delegate took"),
        Head("macs", "work", "MMAC"),
        Head("rate", "rate", "GMAC/s"),
    )
    rows = tuple(_module_row(part) for part in found.modules)
    return Sheet("modules", f"By {name}", heads, rows)


def operators_sheet(found: Layers) -> Sheet:
    """The slowest operators, and how much the others take."""
    heads = (
        Head("operator", "operator", numeric=False),
        Head("kind", "kind", numeric=False),
        Head("time", "time", "us"),
        Head("share", "share"),
        Head("macs", "work", "MMAC"),
    )
    rows = tuple(_operator_row(each, found.seconds) for each in found.operators)
    caption = ""
    if found.rest:
        caption = (
            f"{plural(found.rest, 'more operator')} take {microseconds(found.rest_s)} us "
            f"together; the JSON lists them."
        )
    return Sheet("operators", "By operator", heads, rows, caption)


def _module_row(part: Part) -> tuple[Cell, ...]:
    tone: Tone = "warn" if part.undelegated else ""
    rate = part.macs_per_s
    return (
        words(part.name),
        figure(microseconds(part.seconds), part.seconds),
        figure(percent(part.share), part.share),
        figure(str(part.operators), part.operators),
        figure(str(part.undelegated), part.undelegated, tone),
        figure(millions(part.macs), part.macs) if part.macs else MISSING,
        figure(billions(rate), rate) if part.macs else MISSING,
    )


def _operator_row(each: OperatorTime, total_s: float) -> tuple[Cell, ...]:
    share = each.median_s / total_s if total_s > 0 else 0.0
    name = each.name if each.delegated else f"{each.name} (outside the delegate)"
    return (
        words(name, note=each.module if each.module != each.name else ""),
        words(each.kind),
        figure(microseconds(each.median_s), each.median_s),
        figure(percent(share), share),
        figure(millions(each.macs), each.macs) if each.macs else MISSING,
    )
