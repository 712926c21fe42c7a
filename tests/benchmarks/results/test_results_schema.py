"""The published JSON Schema is that of the records, and says what the reader takes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from atpn_benchmarks.results import Run
from atpn_benchmarks.results_file import run_text
from atpn_benchmarks.results_schema import json_schema
from atpn_deploy.cli.bench import app

DOCS = Path(__file__).resolve().parents[3] / "docs"
SCHEMA_FILE = DOCS / "bench-results.schema.json"


def test_the_published_schema_is_current() -> None:
    """After a change: python -m atpn_benchmarks.results_schema > docs/bench-results.schema.json."""
    assert json.loads(SCHEMA_FILE.read_text()) == json_schema()


def complaints(value: Any, schema: dict[str, Any], root: dict[str, Any], place: str) -> list[str]:
    """What JSON Schema says against a value, for the keywords that ours uses; others fail."""
    if "$ref" in schema:
        return complaints(value, root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root, place)
    if "anyOf" in schema:
        found = [complaints(value, choice, root, place) for choice in schema["anyOf"]]
        return [] if [] in found else found[0]
    known = {
        *("type", "title", "description", "default", "enum", "const", "items", "properties"),
        *("required", "additionalProperties", "$defs", "$schema"),
    }
    assert set(schema) <= known, place
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
    kind = kinds.get(schema.get("type", ""), (int, float) if "type" in schema else object)
    if schema.get("type") == "null":
        kind = type(None)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        return [f"{place} is no {schema['type']}"]
    found = []
    if value not in schema.get("enum", [value]) or value != schema.get("const", value):
        found.append(f"{place} is {value}")
    if isinstance(value, dict):
        found += [
            f"{place}.{key} is missing" for key in schema.get("required", ()) if key not in value
        ]
        rest = schema.get("additionalProperties", True)
        for key, item in value.items():
            below = schema.get("properties", {}).get(key, rest)
            if below is False:
                found.append(f"{place}.{key} is unknown")
            elif below is not True:
                found += complaints(item, below, root, f"{place}.{key}")
    if isinstance(value, list):
        for i, item in enumerate(value):
            found += complaints(item, schema["items"], root, f"{place}.{i}")
    return found


def test_a_run_follows_the_schema(run: Run) -> None:
    schema = json_schema()

    assert complaints(json.loads(run_text(run)), schema, schema, "run") == []


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("rows", 0, "size_bytes"), "much"),
        (("rows", 0, "extra"), 1),
        (("rows", 0, "state"), "fine"),
        (("schema",), 2),
        (("machine", "cores"), None),
        (("rows", 0, "timings", 0, "wall_s", 2), "x"),
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(
    run: Run, place: tuple[str | int, ...], value: object
) -> None:
    found = json.loads(run_text(run))
    inner = found
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    schema = json_schema()

    assert len(complaints(found, schema, schema, "run")) == 1


def test_a_drift_that_is_null_follows_the_schema(run: Run) -> None:
    found = json.loads(run_text(run))
    found["rows"][0]["drift"][0]["error"] = None
    schema = json_schema()

    assert complaints(found, schema, schema, "run") == []


RECORDS = {"Run": json_schema()} | json_schema()["$defs"]


@pytest.mark.parametrize("record", sorted(RECORDS))
def test_the_page_tells_every_field(record: str) -> None:
    page = (DOCS / "bench-results.md").read_text()
    section = re.search(rf"^### {record}\b.*?(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
    assert section, f"docs/bench-results.md has no section on {record}"
    cells = re.findall(r"^\| (`[^|]*) \|", section[0], re.MULTILINE)
    told = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}

    assert told == set(RECORDS[record]["properties"])


@pytest.mark.needs("onnx", "onnxruntime")
def test_what_atpn_bench_writes_follows_the_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer of one addition, timed in earnest, beside a file that is not there."""
    import onnx
    from onnx import TensorProto, helper

    shape = [1, 8]
    node = helper.make_node("Add", ["x", "x"], ["y"])
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("x", "y")]
    graph = helper.make_graph([node], "sum", ends[:1], ends[1:])
    opset = [helper.make_opsetid("", 17)]
    (tmp_path / "peers").mkdir()
    onnx.save(
        helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "peers" / "sum.onnx"
    )
    monkeypatch.setenv("ATPN_BENCH_HISTORY", str(tmp_path / "kept.sqlite"))
    words = (tmp_path / "none.onnx", "--peers", tmp_path / "peers", "--no-peaks", "--quick")
    few = ("--samples", "10", "--seconds", "0.01", "--json", tmp_path / "run.json")

    made = CliRunner().invoke(app, [str(word) for word in (*words, *few)])

    assert (tmp_path / "run.json").exists(), str(made.exception)
    found = json.loads((tmp_path / "run.json").read_text())
    schema = json_schema()
    assert complaints(found, schema, schema, "run") == []
    assert [row["name"] for row in found["rows"]] == ["none.onnx", "sum.onnx"]
    assert len(found["rows"][-1]["timings"][0]["wall_s"]) >= 10
