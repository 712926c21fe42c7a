"""The traced network computes what the network does, as a whole and from any point on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest

from atpn_exporters.tracing import TracedNetwork, is_within

if TYPE_CHECKING:
    from atpn_deploy.model import ATPN

pytestmark = pytest.mark.needs("torch")


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (2, 112, 112, 3), np.uint8)


@pytest.fixture(scope="module")
def traced(reference: Callable[[str], ATPN]) -> TracedNetwork:
    from atpn_deploy.folding import FoldedATPN

    return TracedNetwork(FoldedATPN(reference("atpn"), "full"))


def test_outputs_are_the_networks(traced: TracedNetwork, crops: np.ndarray) -> None:
    import torch

    expected = traced.network(torch.from_numpy(crops).float())
    outputs = traced.outputs(traced.run(crops))
    assert set(outputs) == {"landmarks", "pose", "confidence"}
    for name, value in outputs.items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=0)


def test_operators_are_named_after_their_modules(traced: TracedNetwork) -> None:
    kinds = {(site.module, site.kind) for site in traced.sites.values()}
    assert ("low.stem.act", "hard_swish") in kinds
    assert ("high.mid.0.squeeze_excite", "mul") in kinds
    assert ("alignment.coord.2", "add") in kinds
    assert ("heatmap", "amin") in kinds
    paths = {path for path, _ in traced.network.named_modules()}
    assert {site.module for site in traced.sites.values()} <= paths


def test_readers_are_seen_through_what_only_moves_values(traced: TracedNetwork) -> None:
    [head] = [s for s in traced.sites.values() if s.module == "pose.head.depthwise"]
    assert [reader.module for reader in traced.readers(head.name)] == ["pose.head.linear"]


def test_a_rerun_computes_only_what_depends_on_the_change(
    traced: TracedNetwork, crops: np.ndarray
) -> None:
    values = traced.run(crops)
    [act] = [s for s in traced.sites.values() if s.module == "pose.rows.3.expand.act"]
    again = traced.rerun(values, {act.name: lambda value: value * 2}, {})
    before, after = traced.outputs(values), traced.outputs(again)
    assert (before["pose"] != after["pose"]).any()
    assert after["landmarks"] is before["landmarks"]
    assert after["confidence"] is before["confidence"]


def test_a_layer_can_stand_in_for_another(traced: TracedNetwork, crops: np.ndarray) -> None:
    import copy

    values = traced.run(crops)
    [site] = [s for s in traced.sites.values() if s.module == "tracking.head.linear"]
    layer = copy.deepcopy(traced.layer(site))
    assert layer is not None
    layer.bias.data += 1  # of the logit
    after = traced.outputs(traced.rerun(values, {}, {site.name: layer}))
    before = traced.outputs(values)["confidence"].double().logit()
    np.testing.assert_allclose(after["confidence"].double().logit() - before, 1, atol=1e-3)


@pytest.mark.parametrize(
    ("module", "part", "inside"),
    [("a.b", "a", True), ("a", "a", True), ("ab", "a", False), ("a", "a.b", False)],
)
def test_a_module_lies_within_its_parents(module: str, part: str, inside: bool) -> None:
    assert is_within(module, part) == inside
