"""Networks of others beside ours: an ONNX file and a few words on what it wants to see."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.contract import CROP_SIDE, LANDMARKS
from atpn_deploy.crop import MARGIN
from atpn_deploy.errors import ArtifactError, MissingToolError
from atpn_deploy.evaluation.network import Network
from atpn_deploy.landmarks import OUTER_EYE_CORNERS

#: A description ends in this, such as faceland98.peer.json.
SUFFIX = ".peer.json"

Order = Literal["RGB", "BGR"]


@dataclass(frozen=True)
class Peer:
    """A landmark network that takes (1, 3, 112, 112) and answers with the fractions of its crop."""

    file: str  # .onnx, beside the description
    output: str  # its landmarks: x, y, x, y, ... of 98 or 68 points
    order: Order = "RGB"  # of the channels
    scale: float = 1 / 255  # pixels are multiplied by it
    margin: float = MARGIN  # the box of the points is extended by this share on every side


def read_peer(path: Path) -> Peer:
    """Read a description; ArtifactError says what is wrong with it."""
    try:
        values: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} can't be read as JSON: {error}") from error
    known = [field.name for field in fields(Peer)]
    if not isinstance(values, dict) or not {"file", "output"} <= values.keys() <= set(known):
        raise ArtifactError(
            f"{path} describes no network; expected file and output, and of order, scale and "
            "margin what differs from RGB, 1/255 and 0.25 (docs/evaluation.md)"
        )
    numbers = [values.get("scale", 1), values.get("margin", 0)]
    if values.get("order", "RGB") not in get_args(Order) or not all(
        isinstance(number, int | float) and np.isfinite(number) for number in numbers
    ):
        raise ArtifactError(
            f"{path} has order {values.get('order')!r}, scale and margin {numbers}; expected RGB "
            "or BGR, and two numbers"
        )
    return Peer(**values)


def of_peer(path: Path, threads: int = 1) -> Network:
    """A network that is measured with its own crop.

    Raises ArtifactError for a description or file that doesn't fit, MissingToolError without ONNX
    Runtime.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingToolError(
            f"{path.name} needs ONNX Runtime: pip install -c constraints.txt 'atpn-deploy[onnx]'"
        ) from error
    peer = read_peer(path)
    file = path.parent / peer.file
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    try:
        content = file.read_bytes()
        session = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
        given = session.get_inputs()[0].name
        session.run([peer.output], {given: np.zeros((1, 3, CROP_SIDE, CROP_SIDE), np.float32)})
    except OSError as error:
        raise ArtifactError(f"{file}, which {path.name} names, can't be read: {error}") from error
    except Exception as error:
        line = str(error).splitlines()[0]
        raise ArtifactError(f"{file} does not run as {path.name} says: {line}") from error

    def predict(crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        ordered = crops if peer.order == "RGB" else crops[..., ::-1]
        planar = ordered.transpose(0, 3, 1, 2).astype(np.float32) * np.float32(peer.scale)
        rows = [session.run([peer.output], {given: crop[None]})[0] for crop in planar]
        return {LANDMARKS.name: np.stack(rows).reshape(len(crops), -1, 2).astype(np.float32)}

    count = predict(np.zeros((1, CROP_SIDE, CROP_SIDE, 3), np.uint8))[LANDMARKS.name].shape[1]
    if count not in OUTER_EYE_CORNERS:
        raise ArtifactError(f"{file} finds {count} points; only 98 (WFLW) or 68 can be measured")
    return Network(
        peer.file,
        f"onnxruntime {onnxruntime.__version__}",
        hashlib.sha256(content).hexdigest(),
        count,
        (LANDMARKS.name,),
        predict,
        margin=peer.margin,
    )
