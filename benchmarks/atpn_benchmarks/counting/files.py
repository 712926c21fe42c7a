"""What an exported file costs, from the file itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from atpn_benchmarks.counting.count import count
from atpn_benchmarks.counting.formats import Format, format_of
from atpn_benchmarks.counting.fusion import with_products
from atpn_benchmarks.counting.graph import Graph
from atpn_benchmarks.counting.modules import architecture_of, modules_of
from atpn_benchmarks.counting.operators import CountedGraph, CountedOperator, cost
from atpn_benchmarks.results import Cost
from atpn_deploy.errors import AtpnError
from atpn_exporters.opening import by_suffix


def counted_graph(path: Path, signature: str | None = None) -> CountedGraph:
    """One signature of a file, operator by operator; None takes the only one, or `full`.

    Raises ArtifactError for a file that is missing, damaged, of a suffix that no format has, or
    without that signature; MissingToolError where the format's reader is not installed.
    """
    kind = format_of(path)
    graph = with_products(kind.read(path, signature), kind.vocabulary)
    return count(graph, kind.vocabulary, _modules(path, kind, graph))


def counted_operators(path: Path, signature: str | None = None) -> tuple[CountedOperator, ...]:
    """Every operator that runs in an inference; errors as `counted_graph` has them."""
    return counted_graph(path, signature).operators


def cost_of(path: Path, signature: str | None = None) -> Cost:
    """The sums over a file's operators; errors as `counted_graph` has them."""
    kind = format_of(path)
    graph = with_products(kind.read(path, signature), kind.vocabulary)
    return cost(count(graph, kind.vocabulary, {}))


def _modules(path: Path, kind: Format, graph: Graph) -> Mapping[str, str]:
    """First output of each node to its module; a file that is no ATPN's goes by its own names."""
    try:
        facts = by_suffix(path).read_metadata(path)
    except AtpnError:  # it can be counted all the same
        facts = {}
    full = len(graph.outputs) > 1
    architecture = architecture_of(str(facts.get("model", "")), "full" if full else "align")
    if architecture is not None:
        return modules_of(graph, kind.vocabulary, architecture, kind.naming)
    return {node.result: node.label for node in graph.nodes}
