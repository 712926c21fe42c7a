"""A run as a JSON file: written whole or not at all, read strictly, migrated from older schemas."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atpn_benchmarks import results
from atpn_benchmarks.results import Row, Run, Timing
from atpn_deploy import __version__
from atpn_deploy.errors import MissingToolError, ResultsError

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError
    from pydantic_core import ErrorDetails

#: From a schema to the next one: a function on the plain JSON object. An entry is added together
#: with every raise of `results.SCHEMA`; what can't be migrated has none.
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}


def write_run(run: Run, path: Path) -> None:
    """Write aside, then rename, so that `path` holds a whole run at every moment.

    ResultsError where that fails; `path` is then what it was. A device such as /dev/stdout is
    written to as it is.
    """
    text = run_text(run)
    target = path.resolve()  # a link stays one
    whole = target.is_file() or not target.exists()
    aside = target.with_name(f".{target.name}.{os.getpid()}.part") if whole else target
    try:
        with aside.open("w", encoding="utf-8") as file:
            file.write(text)
            if whole:
                file.flush()
                os.fsync(file.fileno())  # a rename may reach the disk before what it names
        if whole:
            aside.replace(target)
    except OSError as error:
        kept = "; the one before is still there" if whole and target.exists() else ""
        raise ResultsError(f"cannot write {path}: {error.strerror}{kept}") from error
    finally:
        if whole:
            aside.unlink(missing_ok=True)


def read_run(path: Path) -> Run:
    """The run in a file; ResultsError in one line that names the file and the field."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ResultsError(f"cannot read {path}: {error.strerror}") from error
    return run_of(text, str(path))


def run_text(run: Run) -> str:
    """One line of JSON, samples in nanoseconds' precision.

    A drift that is not finite becomes null. ResultsError, with the field, for any other figure
    that is not finite and for a run that contradicts itself: nobody could read it back.
    """
    records = adapter()
    from pydantic_core import PydanticSerializationError

    rounded = replace(run, rows=tuple(_rounded(row) for row in run.rows))
    try:
        text = records.dump_json(rounded, warnings="none")
    except PydanticSerializationError as error:
        raise ResultsError(f"run {run.id} holds what has no place in JSON: {error}") from error
    run_of(text, f"run {run.id}")  # also finds what has another type than its field
    return text.decode() + "\n"


def run_of(text: bytes, source: str) -> Run:
    """The run in JSON text that comes from `source`, migrated where its schema is older."""
    records = adapter()
    from pydantic import ValidationError

    found = _migrated(_parsed(text, source), source)
    infinite = _take_infinite(found)
    try:
        run = records.validate_json(json.dumps(found))
    except ValidationError as error:
        raise ResultsError(f"{source}: {_first(error, found)}") from error
    if complaint := _contradiction(run):
        raise ResultsError(f"{source}: {complaint}; the file is damaged, measure again")
    return _with_infinite(run, infinite)


@cache
def adapter() -> TypeAdapter[Run]:
    """What reads and writes the records; MissingToolError without pydantic."""
    try:
        from pydantic import TypeAdapter
    except ModuleNotFoundError as error:
        raise MissingToolError(
            "results are read and written with pydantic: "
            "pip install -c constraints.txt 'atpn-deploy[bench]'"
        ) from error

    return TypeAdapter(Run)


def _parsed(text: bytes, source: str) -> dict[str, Any]:
    """The JSON object, which must be one of ours in a schema that can be read."""
    from pydantic_core import from_json

    try:
        found: object = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise ResultsError(f"{source} is not JSON, or was cut off: {error}") from error
    if not isinstance(found, dict) or type(found.get("schema")) is not int or "rows" not in found:
        raise ResultsError(
            f"{source} is JSON, but no result of atpn-bench, which is an object with the fields "
            "schema and rows; atpn-bench --json FILE writes one"
        )
    return found


def _migrated(found: dict[str, Any], source: str) -> dict[str, Any]:
    """The object in today's schema."""
    came = found["schema"]
    if came > results.SCHEMA:
        raise ResultsError(
            f"{source} has schema {came}, written by atpn-deploy {found.get('version', '?')}; this "
            f"atpn-deploy {__version__} knows up to {results.SCHEMA}: update it, or measure again"
        )
    while found["schema"] < results.SCHEMA:
        step = MIGRATIONS.get(found["schema"])
        if step is None:
            raise ResultsError(
                f"{source} has schema {came}, which can't be brought to today's {results.SCHEMA}: "
                "measure again"
            )
        found = step(found) | {"schema": found["schema"] + 1}
    return found


def _first(error: ValidationError, found: dict[str, Any]) -> str:
    """The first complaint as "rows.3.size_bytes: Input should be ..., got 'a lot'"."""
    details: ErrorDetails = error.errors(include_url=False)[0]
    field = ".".join(str(step) for step in details["loc"])
    if details["type"] == "missing":
        return f"the field {field} is missing; the file is damaged, measure again"
    if details["type"] == "unexpected_keyword_argument":
        return (
            f"this atpn-deploy {__version__} does not know the field {field}, written by "
            f"{found.get('version', '?')}: update it, or measure again"
        )
    came = str(json.dumps(details["input"]))
    return f"{field}: {details['msg']}, got {came if len(came) < 60 else came[:57] + '...'}"


def _contradiction(run: Run) -> str:
    """What in a run can't be, field and sentence; "" if nothing."""
    names = [row.name for row in run.rows]
    for i, row in enumerate(run.rows):
        if row.name in names[:i]:
            return f"rows.{i}.name: {row.name} stands there twice"
        for j, timing in enumerate(row.timings):
            if complaint := _bad_samples(timing):
                return f"rows.{i}.timings.{j}.{complaint}"
    return ""


def _bad_samples(timing: Timing) -> str:
    """What can't be in samples, as "field: sentence"; "" if nothing."""
    if timing.threads < 1:
        return f"threads: {timing.threads} is not a number of threads"
    if timing.burst < 1:
        return f"burst: {timing.burst} is not a number of samples"
    if len(timing.cpu_s) != len(timing.wall_s):
        return f"cpu_s: {len(timing.cpu_s)} samples beside {len(timing.wall_s)} of wall_s"
    if any(sample <= 0 for sample in timing.wall_s):
        return "wall_s: a call took no time at all"
    if timing.summary is not None and not timing.summary.p50_s > 0:
        return "summary.p50_s: a call took no time at all"
    return ""


def _rounded(row: Row) -> Row:
    """The row with its samples in whole nanoseconds: a clock that says more says noise."""
    return replace(
        row,
        timings=tuple(
            replace(
                timing,
                wall_s=tuple(round(sample, 9) for sample in timing.wall_s),
                cpu_s=tuple(round(sample, 9) for sample in timing.cpu_s),
            )
            for timing in row.timings
        ),
    )


def _take_infinite(found: dict[str, Any]) -> set[tuple[int, int]]:
    """Fill in every drift that is null; where they stood: row and place in it.

    JSON has no NaN. A file whose outputs are not finite has such a drift, and it is what its row
    has to tell; every other figure must be finite.
    """
    taken: set[tuple[int, int]] = set()
    rows = found["rows"] if isinstance(found["rows"], list) else []
    for i, row in enumerate(rows):
        drifts = row.get("drift") if isinstance(row, dict) else None
        for j, drift in enumerate(drifts if isinstance(drifts, list) else []):
            if isinstance(drift, dict) and drift.get("error", 0.0) is None:
                drift["error"] = 0.0
                taken.add((i, j))
    return taken


def _with_infinite(run: Run, taken: set[tuple[int, int]]) -> Run:
    """The run with NaN where a drift was null."""
    if not taken:
        return run
    return replace(
        run,
        rows=tuple(
            replace(
                row,
                drift=tuple(
                    replace(drift, error=float("nan")) if (i, j) in taken else drift
                    for j, drift in enumerate(row.drift)
                ),
            )
            for i, row in enumerate(run.rows)
        ),
    )
