"""What XNNPACK takes of a file, without running it."""

from __future__ import annotations

from pathlib import Path

from atpn_benchmarks.results import Delegation
from atpn_exporters.opening import by_suffix


def delegation_of(path: Path) -> Delegation | None:
    """The delegation report of a file, ours or another's; None where the format has no delegate.

    Of a file with two signatures the operators of both are added up, partitions are the worse
    one's. Raises ArtifactError for a file that can't be read.
    """
    if path.suffix == ".tflite":
        found = _unsigned(path)
        if found is not None:
            return found
    facts = by_suffix(path).inspect(path)
    if facts.partitions is None:
        return None
    return Delegation(
        facts.partitions, sum(facts.operators.values()), dict(facts.undelegated), facts.transposes
    )


def _unsigned(path: Path) -> Delegation | None:
    """That of a .tflite without signatures, as older converters write them; None for others."""
    from atpn_deploy.tflite_bytes import read_content
    from atpn_exporters.tflite_flatbuffer import read_model
    from atpn_exporters.tflite_graph import delegation, unsigned_graph

    model = read_model(path)
    if model.signatureDefs:
        return None
    partitions, outside = delegation(read_content(path))
    operators = unsigned_graph(model).operators
    transposes = sum(operator.kind == "TRANSPOSE" for operator in operators)
    return Delegation(partitions, len(operators), dict(sorted(outside.items())), transposes)
