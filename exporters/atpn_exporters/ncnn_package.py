"""An ncnn model as one folder: model.param, model.bin and metadata.json, which vouches for both.

ncnn reads a graph as text and weights as bare numbers, and neither has a place for a note. It
trusts both, so a folder is checked by hash before ncnn sees it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atpn_deploy.errors import ArtifactError

PARAM, BIN, METADATA = "model.param", "model.bin", "metadata.json"
#: The files whose hashes metadata.json holds.
VOUCHED = (PARAM, BIN)
#: Raised when the folder's layout changes.
LAYOUT = 1
#: For whoever opens the folder: ncnn holds an image channel by channel, which its own reader does.
USAGE = (
    "image: ncnn::Mat::from_pixels(rgb, ncnn::Mat::PIXEL_RGB, 112, 112), 0..255, not normalised; "
    "outputs: by the contract's names; float32 results need opt.use_fp16_packed, use_fp16_storage, "
    "use_fp16_arithmetic and use_bf16_storage set to false before load_param"
)


@dataclass(frozen=True)
class Package:
    """A folder whose files are those that its metadata vouch for."""

    path: Path
    facts: Mapping[str, Any]  # the exporter's; empty if it wrote none
    param: bytes
    weights: bytes


def write_package(path: Path, param: bytes, weights: bytes, facts: Mapping[str, Any]) -> None:
    """Make the folder `path`, which must not exist; equal contents give equal bytes."""
    path.mkdir()
    contents = {PARAM: param, BIN: weights}
    vouched = {name: hashlib.sha256(contents[name]).hexdigest() for name in VOUCHED}
    note = {"layout": LAYOUT, "sha256": vouched, "usage": USAGE, "facts": dict(facts)}
    for name in VOUCHED:
        (path / name).write_bytes(contents[name])
    text = json.dumps(note, sort_keys=True, indent=1, ensure_ascii=False)
    (path / METADATA).write_text(text + "\n", encoding="utf-8")


def read_package(path: Path) -> Package:
    """Open a folder, or raise ArtifactError in one line: missing, foreign, damaged or newer."""
    if not path.is_dir():
        raise ArtifactError(
            f"{path} is no folder; an ncnn model of atpn-export is one with {PARAM}, {BIN} "
            f"and {METADATA}"
        )
    note = _note(path)
    contents = {}
    for name in VOUCHED:
        content = _read(path / name)
        if hashlib.sha256(content).hexdigest() != note["sha256"].get(name):
            raise ArtifactError(
                f"{path / name} ({len(content):,} bytes) is damaged or another model's: its "
                f"sha256 is not the one in {METADATA}; export it again"
            )
        contents[name] = content
    return Package(path, note["facts"], contents[PARAM], contents[BIN])


def read_metadata(path: Path) -> dict[str, Any]:
    """The exporter's facts; ArtifactError as `read_package` has it."""
    return dict(read_package(path).facts)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror}") from error


def _note(path: Path) -> dict[str, Any]:
    """metadata.json, its parts of the right kind."""
    where = path / METADATA
    try:
        note = json.loads(_read(where))
    except ValueError as error:
        raise ArtifactError(f"{where} is no JSON; export the model again") from error
    if not isinstance(note, dict) or "layout" not in note:
        raise ArtifactError(f"{where} is not one of atpn-export: it has no 'layout'")
    if note["layout"] != LAYOUT:
        raise ArtifactError(
            f"{where} is of layout {note['layout']}; this version reads {LAYOUT}: "
            "export the model again or update atpn-deploy"
        )
    if not (isinstance(note.get("sha256"), dict) and isinstance(note.get("facts"), dict)):
        raise ArtifactError(f"{where} is damaged: 'sha256' and 'facts' are no objects")
    return note
