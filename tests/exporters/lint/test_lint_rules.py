"""Every rule has a network that trips it, and one network trips none."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from atpn_exporters.arithmetic import Arithmetic, Fault
from atpn_exporters.lint import evidence
from atpn_exporters.lint.document import page
from atpn_exporters.lint.evidence import Evidence, gather
from atpn_exporters.lint.finding import Case, Finding, broken
from atpn_exporters.lint.rules import RULES
from atpn_exporters.lint.run import with_transposes
from atpn_exporters.registry import TARGETS

if TYPE_CHECKING:
    from torch import nn

#: A target on which everything that a rule looks for would hurt.
HARSH = Arithmetic(
    int8=True,
    half=True,
    no_int8_kernel=frozenset(("hard_swish",)),
    instead="is computed in float",
    faults=(Fault(("linear", "hard_swish"), 2, "reported by someone"),),
)


def clean() -> nn.Module:
    """A convolution, a ReLU, a 1x1 convolution added to its input, a mean and a linear layer."""
    import torch
    from torch import Tensor, nn

    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 3, 4, 1)
            self.act = nn.ReLU()
            self.project = nn.Conv2d(8, 8, 1)
            self.head = nn.Sequential(nn.Linear(8, 6))

        def forward(self, image: Tensor) -> dict[str, Tensor]:
            features = self.act(self.stem(image.permute(0, 3, 1, 2) * (1 / 255)))
            both = features + self.project(features)
            return {"landmarks": self.head(both.mean((2, 3)))}

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = Small().eval().requires_grad_(False)
        for layer in (network.stem, network.project):  # positive sums: no ReLU is ever closed
            layer.weight.uniform_(0.1, 0.3)
            layer.bias.uniform_(0.1, 0.2)
        network.head[0].weight.uniform_(0.2, 0.4)
    return network


def crops() -> np.ndarray:
    """(6, 112, 112, 3): noise of different brightness."""
    rng = np.random.default_rng(0)
    levels = np.linspace(40, 250, 6)[:, None, None, None]
    return (rng.random((6, 112, 112, 3)) * levels).astype(np.uint8)


def test_crops_are_looked_at_in_parts_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bright_first = crops()[::-1].copy()  # later parts hold no extremes
    whole = gather(clean(), bright_first)
    monkeypatch.setattr(evidence, "PART", 4)
    parts = gather(clean(), bright_first)
    assert parts.crops == whole.crops == 6
    assert parts.sites.keys() == whole.sites.keys()
    for name, one in whole.sites.items():
        other = parts.sites[name]
        # Another batch, another order of float32 sums.
        for field in ("low", "high", "largest", "channel_low", "channel_high"):
            np.testing.assert_allclose(getattr(other, field), getattr(one, field), rtol=1e-4)
        assert other.shape == one.shape
    assert parts.spread["landmarks"][0] == pytest.approx(whole.spread["landmarks"][0], rel=1e-4)


def silence_a_channel(network: nn.Module) -> None:
    network.stem.weight[1] = 0


def shrink_a_channel_under_its_bias(network: nn.Module) -> None:
    network.project.weight[2] *= 1e-12
    network.project.bias[2] = 5


def swish(network: nn.Module) -> None:
    from torch import nn

    network.act = nn.Hardswish()


def swish_behind_linear(network: nn.Module) -> None:
    from torch import nn

    network.head.append(nn.Hardswish())


def grow(network: nn.Module) -> None:
    network.project.weight *= 1e5


def shrink_a_row(network: nn.Module) -> None:
    network.project.weight[1] *= 1e-8


def stand_still(network: nn.Module) -> None:
    network.head[0].weight.zero_()


def grow_a_channel(network: nn.Module) -> None:
    network.project.weight[0] *= 3000


def shrink_an_addend(network: nn.Module) -> None:
    network.project.weight *= 1e-3
    network.project.bias *= 1e-3


#: By rule: what is done to the clean network, and the module that must be named.
TRIPS: dict[str, tuple[Callable[[nn.Module], None], str]] = {
    "Q001": (silence_a_channel, "act"),
    "Q002": (shrink_a_channel_under_its_bias, "project"),
    "Q003": (swish, "act"),
    "Q004": (swish_behind_linear, "head.1"),
    "Q005": (grow, "project"),
    "Q006": (shrink_a_row, "project"),
    "Q007": (lambda network: None, ""),
    "Q008": (stand_still, "landmarks"),
    "Q009": (grow_a_channel, "project"),
    "Q010": (shrink_an_addend, ""),
}


def linted(change: Callable[[nn.Module], None], transposes: int = 0) -> dict[str, Finding]:
    network = clean()
    change(network)
    findings = broken(RULES, Case(gather(network, crops()), HARSH, transposes))
    return {finding.rule: finding for finding in findings}


@pytest.mark.needs("torch")
def test_a_clean_network_trips_no_rule() -> None:
    assert linted(lambda network: None) == {}


def test_every_rule_has_a_network_that_trips_it() -> None:
    assert list(TRIPS) == [rule.id for rule in RULES]


@pytest.mark.needs("torch")
@pytest.mark.parametrize("rule", TRIPS)
def test_a_rule_is_tripped_and_names_the_module(rule: str) -> None:
    change, module = TRIPS[rule]
    found = linted(change, transposes=3 if rule == "Q007" else 0)
    assert rule in found
    assert module in [spot.module for spot in found[rule].spots]
    assert all(math.isfinite(spot.measured) for spot in found[rule].spots)


@pytest.mark.needs("torch")
def test_measured_values_are_those_of_the_network() -> None:
    assert linted(silence_a_channel)["Q001"].spots[0].measured == 1
    assert linted(lambda network: None, transposes=3)["Q007"].spots[0].measured == 3
    ratio = linted(shrink_an_addend)["Q010"].spots[0].measured
    assert 300 < ratio < 3000
    assert "float16 ends at 65,504" in linted(grow)["Q005"].line


@pytest.mark.needs("torch")
def test_a_float_target_is_not_told_of_int8() -> None:
    evidence = gather(clean(), crops())
    assert broken(RULES, Case(evidence, Arithmetic())) == ()
    network = clean()
    shrink_an_addend(network)
    grow_a_channel(network)
    assert broken(RULES, Case(gather(network, crops()), Arithmetic())) == ()


@pytest.mark.needs("torch")
def test_outputs_of_nan_are_found_still() -> None:
    network = clean()
    network.head[0].weight.fill_(float("nan"))
    ids = [f.rule for f in broken(RULES, Case(gather(network, crops()), Arithmetic(half=True)))]
    assert {"Q005", "Q008"} <= set(ids)


@pytest.mark.needs("torch")
def test_findings_survive_json() -> None:
    import json

    [finding] = [f for rule, f in linted(grow).items() if rule == "Q005"]
    assert Finding.from_dict(json.loads(json.dumps(finding.to_dict()))) == finding


def test_the_transposes_of_a_graph_join_in_the_order_of_the_rules() -> None:
    target = TARGETS["tflite-int8"]
    still = Evidence({}, {"landmarks": (0.0, "px")}, 4)
    before = broken(RULES, Case(still, target.arithmetic))
    ids = [finding.rule for finding in with_transposes(before, target, 2)]
    assert ids == ["Q007", "Q008"]
    assert with_transposes((), target, 0) == ()
    assert with_transposes((), TARGETS["onnx-int8"], 1) == ()  # NHWC to NCHW, by contract


def test_what_a_runtime_lacks_is_told_by_the_targets_own_records() -> None:
    assert "hard_swish" in TARGETS["tflite-int8"].arithmetic.no_int8_kernel
    assert "hard_swish" in TARGETS["onnx-int8"].arithmetic.no_int8_kernel
    assert not TARGETS["tflite-fp32"].arithmetic.int8


def test_the_page_is_written_from_the_rules() -> None:
    written = Path(__file__).parents[3] / "docs" / "lint.md"
    assert written.read_text() == page()
    assert len({rule.id for rule in RULES}) == len(RULES)
