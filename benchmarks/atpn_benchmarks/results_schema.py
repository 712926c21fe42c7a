"""The JSON Schema of a result file, made from the records: docs/bench-results.schema.json.

After a change of the records:

    python -m atpn_benchmarks.results_schema > docs/bench-results.schema.json
"""

from __future__ import annotations

import json
from typing import Any

from atpn_benchmarks.results import SCHEMA
from atpn_benchmarks.results_file import adapter


def json_schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12."""
    schema = adapter().json_schema()
    error = schema["$defs"]["Drift"]["properties"]["error"]
    # A drift that is not finite: `results_file` reads it as NaN, which JSON doesn't have.
    error["anyOf"] = [{"type": error.pop("type")}, {"type": "null"}]
    schema["properties"]["schema"]["const"] = SCHEMA
    for record in schema["$defs"].values():  # pydantic says it of the outermost alone
        record["additionalProperties"] = False
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "description": f"A result of atpn-bench, schema {SCHEMA}; see bench-results.md",
    } | schema


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2))
