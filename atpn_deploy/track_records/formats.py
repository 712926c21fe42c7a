"""Which suffix is which kind of records: a list one can read."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from atpn_deploy.errors import ConfigError
from atpn_deploy.track_records.comma_separated import CommaSeparated
from atpn_deploy.track_records.facts import RecordWriter, RunFacts
from atpn_deploy.track_records.json_lines import JsonLines, open_json_lines
from atpn_deploy.track_records.parquet import Parquet, require_pyarrow


def _nothing() -> None:
    """What a format without a tool of its own requires."""


@dataclass(frozen=True)
class RecordFormat:
    """One kind of file."""

    suffix: str
    open: Callable[[Path, RunFacts], RecordWriter]
    require: Callable[[], None] = _nothing  # MissingToolError where its library is absent


FORMATS = {
    format_.suffix: format_
    for format_ in (
        RecordFormat(".jsonl", open_json_lines),
        RecordFormat(".csv", CommaSeparated),
        RecordFormat(".parquet", Parquet, require_pyarrow),
    )
}


def format_of(path: Path) -> RecordFormat:
    """The format that a file's suffix names; ConfigError for another suffix."""
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(
            f"--records {path} ends in {path.suffix or 'nothing'!r}; "
            f"expected one of {' '.join(FORMATS)}, or - for JSON Lines on standard output"
        )
    return FORMATS[path.suffix.lower()]


def open_stdout(facts: RunFacts) -> RecordWriter:
    """JSON Lines on standard output."""
    return JsonLines(sys.stdout, facts, owned=False)
