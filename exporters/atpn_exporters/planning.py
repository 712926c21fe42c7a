"""What an export will make: the files, where they are made, and the steps on the way."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from atpn_deploy.errors import ConfigError, ExportError, UnsupportedError
from atpn_deploy.weights import Checkpoint
from atpn_exporters.progress import Step
from atpn_exporters.recipes.recipe import Recipe, check_fits
from atpn_exporters.target import Target, signatures_of

#: The step in which the linter looks at the network.
LINT = "lint"


@dataclass(frozen=True)
class ExportPlan:
    """What the user asked for."""

    checkpoint: Checkpoint
    targets: tuple[Target, ...]
    output: Path
    signature: str = "full"
    calibration_folder: Path | None = None
    force: bool = False
    runtime: str = "auto"
    recipe: Recipe | None = None


@dataclass(frozen=True)
class Piece:
    """One file to make."""

    target: Target
    signature: str
    path: Path  # its final name
    staged: Path  # where it is made and judged
    note: str = ""


def file_name(model: str, target: Target, signature: str) -> str:
    """`atpn-lite-int8.tflite`, `atpn-lite-align-int8.tflite`."""
    part = "" if signature == "full" else f"-{signature}"
    return f"{model}{part}-{target.quantization}{target.suffix}"


def check_request(plan: ExportPlan) -> None:
    """Raise an AtpnError for what can be seen to fail before anything is made."""
    if plan.checkpoint.config.landmark_count != 98:
        raise UnsupportedError(
            f"{plan.checkpoint.path} has {plan.checkpoint.config.landmark_count} landmarks; "
            "the contract of exported files is 98"
        )
    if plan.calibration_folder is not None and not any(t.calibrated for t in plan.targets):
        raise ConfigError(
            f"{', '.join(t.name for t in plan.targets)} uses no calibration; "
            "leave --calibration out"
        )
    if plan.recipe is not None:
        check_fits(plan.recipe, plan.checkpoint, plan.targets, plan.signature)
    for target in plan.targets:
        target.require()


@contextmanager
def staging_folder(output: Path) -> Iterator[Path]:
    """A folder inside `output`, so that a finished file is renamed and never copied; removed."""
    made = not output.exists()
    try:
        output.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".atpn-export-", dir=output))
    except OSError as error:
        raise ExportError(f"cannot write to {output}: {error.strerror or error}") from error
    try:
        yield staging
    except OSError as error:
        raise ExportError(f"cannot write to {output}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if made and not any(output.iterdir()):
            output.rmdir()


def pieces_of(plan: ExportPlan, staging: Path) -> tuple[Piece, ...]:
    """The files to make; `both` becomes two where a target cannot hold two signatures."""
    pieces = []
    for target in plan.targets:
        split = plan.signature == "both" and "both" not in target.signatures
        for signature in ("align", "full") if split else (plan.signature,):
            name = file_name(plan.checkpoint.name, target, signature)
            note = f"{target.name} cannot hold two signatures in one file: wrote two" * split
            pieces.append(Piece(target, signature, plan.output / name, staging / name, note))
    made = [piece.path for piece in pieces]
    if plan.calibration_folder is not None:
        made.append(new_cache(plan))
    kept = [str(path) for path in made if path.exists()]
    if kept and not plan.force:
        raise ExportError(f"{', '.join(kept)} exists and is kept; overwrite with --force")
    return tuple(pieces)


def new_cache(plan: ExportPlan) -> Path:
    """Where the cache goes that is made from the user's own crops."""
    return plan.output / f"{plan.checkpoint.name}.calibration.json"


def steps_of(plan: ExportPlan, pieces: tuple[Piece, ...]) -> list[Step]:
    """What will be shown as progress, with typical seconds on two cores."""
    steps, converted = [], set()
    if plan.calibration_folder is not None:
        steps.append(Step("observe activation ranges", 45))
    steps.append(Step(LINT, 5.0))
    for piece in pieces:
        first = (piece.target.format, piece.signature) not in converted
        converted.add((piece.target.format, piece.signature))
        pace = piece.target.pace
        seconds = pace.first_s if first else pace.further_s
        steps.append(Step(f"convert {piece.path.name}", seconds))
    for piece in pieces:
        seconds = piece.target.pace.verify_s * len(signatures_of(piece.signature))
        steps.append(Step(f"verify {piece.path.name}", seconds))
    return steps
