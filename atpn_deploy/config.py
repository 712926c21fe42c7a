"""Which ATPN: every choice of the paper, its ablations included, as one frozen record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from atpn_deploy.errors import ConfigError

Activation = Literal["relu", "hard_swish"]


@dataclass(frozen=True)
class Row:
    """One inverted residual: (kernel, expansion, out, squeeze-excite, activation, stride)."""

    kernel: int
    expansion: int
    out: int
    squeeze_excite: bool
    activation: Activation
    stride: int


@dataclass(frozen=True)
class ATPNConfig:
    """Everything that decides the shape of the network; two equal configs have equal tensors.

    The rows of the stages are written for the paper's network; `hard_swish` and `squeeze_excite`
    replace those two choices everywhere at once, which is all that separates `atpn-lite` from
    `atpn`.
    """

    name: str = "atpn"
    #: 98 (WFLW) or 68 (300W, 300VW).
    landmark_count: int = 98
    #: False puts ReLU where the paper has hard-swish.
    hard_swish: bool = True
    #: False leaves squeeze-and-excitation out of every block.
    squeeze_excite: bool = True
    #: Table 7, "low-level features": the alignment branch sees 28x28 and 14x14 beside 7x7.
    low_level_features: bool = True
    #: Table 7, "multiview block".
    multiview: bool = True
    #: Table 7, "CoordConv": coordinate planes before the downsampling and in the depthwise head.
    coord_conv: bool = True
    #: Tables 8 and 9, "feature sharing": False gives each branch a stem and low stage of its own.
    feature_sharing: bool = True
    #: Tables 8 and 9, "heatmap": False feeds the branches the bare low-level features.
    heatmap: bool = True
    #: Channels of the 3x3 /2 stem.
    stem_width: int = 16
    #: Channels of each pyramid level in the neck.
    neck_width: int = 48
    #: Channels of each level after its CoordConv downsampling to 7x7.
    coord_width: int = 160
    #: Equation 1's lower bound of the heat map.
    heatmap_floor: float = 0.5

    def __post_init__(self) -> None:
        if self.landmark_count not in (68, 98):
            raise ConfigError(
                f"landmark_count is {self.landmark_count}; expected 98 (WFLW) or 68 (300W)"
            )
        if self.neck_width % 4:
            raise ConfigError(
                f"neck_width is {self.neck_width}; the multiview block needs a multiple of 4"
            )

    def row(
        self, kernel: int, expansion: int, out: int, squeeze_excite: bool, act: str, stride: int
    ) -> Row:
        """Read one row of the paper's notation, with this config's two replacements applied."""
        activation: Activation = "hard_swish" if act == "HS" and self.hard_swish else "relu"
        se = squeeze_excite and self.squeeze_excite
        return Row(kernel, expansion, out, se, activation, stride)

    @property
    def activation(self) -> Activation:
        """The activation outside the inverted residuals (stem, multiview, CoordConv)."""
        return "hard_swish" if self.hard_swish else "relu"

    @property
    def low(self) -> tuple[Row, ...]:
        """56x56 to 24 x 28 x 28: the features that all three tasks share."""
        r = self.row
        return (
            r(3, 16, 16, False, "RE", 1),
            r(3, 48, 24, False, "RE", 2),
            r(3, 72, 24, False, "RE", 1),
        )

    @property
    def mid(self) -> tuple[Row, ...]:
        """28x28 to 40 x 14 x 14."""
        r = self.row
        return (r(5, 96, 40, True, "HS", 2), r(5, 120, 40, True, "HS", 1))

    @property
    def high(self) -> tuple[Row, ...]:
        """14x14 to 96 x 7 x 7."""
        r = self.row
        return (
            r(5, 240, 96, True, "HS", 2),
            r(5, 576, 96, True, "HS", 1),
            r(5, 576, 96, True, "HS", 1),
        )

    @property
    def branch(self) -> tuple[Row, ...]:
        """The rows of the tracking branch and of the pose branch, 28x28 to 56 x 7 x 7."""
        r = self.row
        return (
            r(3, 72, 24, False, "RE", 1),
            r(5, 96, 40, True, "HS", 2),
            r(5, 160, 40, True, "HS", 1),
            r(5, 160, 40, True, "HS", 1),
            r(5, 200, 56, True, "HS", 2),
            r(5, 240, 56, True, "HS", 1),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ATPNConfig:
        """Read `to_dict` back; an unknown, missing or mistyped field raises ConfigError."""
        expected = {field.name for field in fields(cls)}
        unknown, missing = sorted(set(values) - expected), sorted(expected - set(values))
        if unknown or missing:
            raise ConfigError(
                f"config has unknown fields {unknown} and lacks {missing}; "
                "it was written by another version of atpn-deploy"
            )
        for field in fields(cls):
            if type(values[field.name]) is not type(field.default):
                raise ConfigError(
                    f"{field.name} is {values[field.name]!r}; expected something like "
                    f"{field.default!r}"
                )
        return cls(**values)


ATPN_CONFIG = ATPNConfig()
ATPN_LITE_CONFIG = replace(ATPN_CONFIG, name="atpn-lite", hard_swish=False, squeeze_excite=False)
CONFIGS = {config.name: config for config in (ATPN_LITE_CONFIG, ATPN_CONFIG)}


def config_named(name: str) -> ATPNConfig:
    """The shipped config of that name; ConfigError names the choices."""
    if name not in CONFIGS:
        raise ConfigError(f"no model is called {name!r}; choose one of {', '.join(CONFIGS)}")
    return CONFIGS[name]


#: What an ablation leaves out (tables 7, 8 and 9), as typed and as a field of the config.
MODULES = {
    "low-level-features": "low_level_features",
    "multiview": "multiview",
    "coord-conv": "coord_conv",
    "feature-sharing": "feature_sharing",
    "heatmap": "heatmap",
}


def variant_named(name: str, without: Iterable[str] = (), landmark_count: int = 98) -> ATPNConfig:
    """A shipped config less some modules or with 68 points; the name says how it differs."""
    config = config_named(name)
    left_out = sorted(set(without))
    if unknown := sorted(set(left_out) - set(MODULES)):
        raise ConfigError(f"no module is called {unknown}; choose from {', '.join(MODULES)}")
    parts = [name, *(f"without-{module}" for module in left_out)]
    parts += ["68"] if landmark_count == 68 else []
    return replace(
        config,
        name="-".join(parts),
        landmark_count=landmark_count,
        low_level_features="low-level-features" not in left_out,
        multiview="multiview" not in left_out,
        coord_conv="coord-conv" not in left_out,
        feature_sharing="feature-sharing" not in left_out,
        heatmap="heatmap" not in left_out,
    )
