"""A recipe: everything that decides an int8 file's bytes beside the weights, as one JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from atpn_deploy.errors import CalibrationError, ConfigError, UnsupportedError
from atpn_deploy.weights import Checkpoint
from atpn_exporters.calibration import Manifest
from atpn_exporters.provenance import tool_versions
from atpn_exporters.target import Target
from atpn_exporters.tracing import is_within

#: Raised when a field changes its meaning.
RECIPE_VERSION = 1


@dataclass(frozen=True)
class Recipe:
    """How one network becomes one int8 file."""

    model: str
    checkpoint_sha256: str
    target: str
    signature: str
    float_modules: tuple[str, ...]  # PyTorch paths, left in float beside what the target leaves
    calibration_sha256: str  # of the crops that the activation ranges come from
    calibration_crops: int
    tools: Mapping[str, str]
    choice: str = ""  # why this one, where it was found by measuring
    version: int = RECIPE_VERSION

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @property
    def foreign_tools(self) -> str:
        """A sentence where the installed tools are not the recipe's, else empty."""
        here = tool_versions()
        other = [
            f"{name} {version} (here {here.get(name, 'none')})"
            for name, version in self.tools.items()
            if here.get(name) != version
        ]
        if not other:
            return ""
        return f"the recipe was made with {', '.join(other)}: the bytes may differ"


def recipe_for(
    checkpoint: Checkpoint,
    target: Target,
    signature: str,
    float_modules: tuple[str, ...],
    calibration: Manifest,
    choice: str = "",
) -> Recipe:
    """The recipe of what would be exported here and now."""
    return Recipe(
        checkpoint.name,
        checkpoint.sha256,
        target.name,
        signature,
        float_modules,
        calibration.crops_sha256,
        calibration.count,
        tool_versions(),
        choice,
    )


def load_recipe(path: Path) -> Recipe:
    """Read a recipe; ConfigError if it is missing or none."""
    if not path.is_file():
        raise ConfigError(
            f"{path} does not exist; give a recipe that --recipe auto wrote, or auto itself"
        )
    try:
        values = json.loads(path.read_text())
        recipe = Recipe(**{**values, "float_modules": tuple(values["float_modules"])})
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is no recipe: {error!r}") from error
    if recipe.version != RECIPE_VERSION:
        raise ConfigError(
            f"{path} is a recipe of version {recipe.version}; this program reads {RECIPE_VERSION}"
        )
    return recipe


def check_fits(
    recipe: Recipe, checkpoint: Checkpoint, targets: tuple[Target, ...], signature: str
) -> None:
    """Raise an AtpnError if a recipe is another network's, target's or signature's."""
    if recipe.checkpoint_sha256 != checkpoint.sha256:
        raise ConfigError(
            f"the recipe is for {recipe.model} with the weights {recipe.checkpoint_sha256[:12]}..."
            f", not for {checkpoint.name} with {checkpoint.sha256[:12]}...; make one for these "
            "weights with --recipe auto"
        )
    format_, _, quantization = recipe.target.partition("-")
    if [target.name for target in targets] != [recipe.target]:
        raise ConfigError(
            f"the recipe is for {recipe.target}, not for {', '.join(t.name for t in targets)}; "
            f"add --format {format_} --quantize {quantization}"
        )
    if recipe.signature != signature:
        raise ConfigError(
            f"the recipe is for the signature {recipe.signature}, not {signature}; "
            f"add --signature {recipe.signature}"
        )
    refuse_unless_choosable(targets[0])


def refuse_unless_choosable(target: Target) -> None:
    """Raise UnsupportedError for a target that cannot be told what to leave in float."""
    if target.plan is None:
        raise UnsupportedError(
            f"{target.name} takes no recipe: it cannot be told what to leave in float; "
            "a recipe is for an int8 file, such as --format tflite --quantize int8"
        )


def check_calibration(recipe: Recipe, calibration: Manifest) -> None:
    """Raise CalibrationError if the ranges at hand are not those of the recipe."""
    if recipe.calibration_sha256 != calibration.crops_sha256:
        raise CalibrationError(
            f"the recipe was made with {recipe.calibration_crops} calibration crops of sha256 "
            f"{recipe.calibration_sha256[:12]}..., the ranges at hand come from "
            f"{calibration.count} of {calibration.crops_sha256[:12]}...; give the same crops with "
            "--calibration DIR, or make a new recipe with --recipe auto"
        )


def check_modules(float_modules: tuple[str, ...], known: frozenset[str]) -> None:
    """Raise ConfigError for a module that is neither in the network nor a part of it."""
    unknown = [m for m in float_modules if not any(is_within(path, m) for path in known)]
    if unknown:
        raise ConfigError(
            f"the network has no module {', '.join(unknown)}; a module is named as PyTorch does, "
            "such as alignment.coord.2"
        )
