"""The config: frozen, complete, and strict when read back."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from typing import Any

import pytest

from atpn_deploy.config import ATPN_CONFIG, ATPN_LITE_CONFIG, CONFIGS, ATPNConfig, config_named
from atpn_deploy.errors import ConfigError


def test_a_config_survives_json() -> None:
    for config in CONFIGS.values():
        assert ATPNConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_config_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ATPN_CONFIG.name = "other"  # type: ignore[misc]


def test_lite_differs_only_in_its_activation_and_attention() -> None:
    lite, full = ATPN_LITE_CONFIG.to_dict(), ATPN_CONFIG.to_dict()
    assert {key for key in full if full[key] != lite[key]} == {
        "name",
        "hard_swish",
        "squeeze_excite",
    }
    rows = (*ATPN_LITE_CONFIG.mid, *ATPN_LITE_CONFIG.high, *ATPN_LITE_CONFIG.branch)
    assert {(row.activation, row.squeeze_excite) for row in rows} == {("relu", False)}


def test_the_paper_has_hard_swish_and_attention_from_the_middle_on() -> None:
    assert {row.activation for row in ATPN_CONFIG.low} == {"relu"}
    assert {(row.activation, row.squeeze_excite) for row in ATPN_CONFIG.high} == {
        ("hard_swish", True)
    }


def test_an_unknown_name_is_refused_with_the_choices() -> None:
    with pytest.raises(ConfigError, match=r"'atpn-tiny'; choose one of atpn-lite, atpn"):
        config_named("atpn-tiny")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"landmark_count": 106}, "expected 98"),
        ({"neck_width": 50}, "multiple of 4"),
    ],
)
def test_an_impossible_network_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        replace(ATPN_CONFIG, **change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"depth": 3}, "unknown fields \\['depth'\\]"),
        ({"stem_width": "16"}, "stem_width is '16'"),
        ({"neck_width": 48.0}, "neck_width is 48.0"),
        ({"multiview": 1}, "multiview is 1"),
        ({"heatmap_floor": None}, "heatmap_floor is None"),
    ],
)
def test_a_foreign_field_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ATPNConfig.from_dict(ATPN_CONFIG.to_dict() | change)


def test_a_missing_field_is_refused() -> None:
    values = ATPN_CONFIG.to_dict()
    del values["multiview"]
    with pytest.raises(ConfigError, match=r"lacks \['multiview'\]"):
        ATPNConfig.from_dict(values)
