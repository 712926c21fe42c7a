"""A .mlpackage on disk, written so that equal programs give equal bytes.

coremltools draws the identifiers of Manifest.json at random, stamps the day into the program's
metadata and, for a program from torch.export, leaves a debugging file beside the manifest. None of
it means anything to Core ML: a manifest's identifiers only tie its entries together, so here they
are made from the content that they name.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from atpn_deploy.contract import IMAGE, OUTPUTS
from atpn_deploy.errors import ArtifactError
from atpn_exporters.mil.package import open_package

#: Key of the JSON facts among the package's own metadata.
METADATA_KEY = "atpn"
#: Where a package keeps its program and its weights, as Core ML's own writer lays them out.
FOLDER = "com.apple.CoreML"
PROGRAM = f"{FOLDER}/model.mlmodel"
WEIGHTS = f"{FOLDER}/weights"
WEIGHT_FILE = f"{WEIGHTS}/weight.bin"
#: coremltools' stamp of the day, which would make two exports of one thing differ.
DATE_KEY = "com.github.apple.coremltools.conversion_date"


def write_package(spec: Any, weights: bytes, facts: Mapping[str, Any], path: Path) -> None:
    """Write a program (a `Model` message, changed in place) and its weight file as a .mlpackage.

    `path` must not exist. `name`, `version`, `author` and `license` of the facts also fill the
    fields that Xcode shows; the JSON holds all of them, keys sorted.
    """
    _describe(spec, facts)
    data = path / "Data"
    (data / WEIGHTS).mkdir(parents=True)
    program = spec.SerializeToString(deterministic=True)
    (data / PROGRAM).write_bytes(program)
    (data / WEIGHT_FILE).write_bytes(weights)
    (path / "Manifest.json").write_text(_manifest(program, weights))


def _describe(spec: Any, facts: Mapping[str, Any]) -> None:
    """Put the facts and what each tensor means into the program's description."""
    description = spec.description
    meanings = {tensor.name: tensor.meaning for tensor in (IMAGE, *OUTPUTS)}
    described = description.functions or (description,)
    for function in described:
        for feature in (*function.input, *function.output):
            feature.shortDescription = meanings.get(feature.name, "")
    metadata = description.metadata
    metadata.userDefined.pop(DATE_KEY, None)
    if not facts:
        return
    metadata.shortDescription = ", ".join(
        str(facts[key]) for key in ("name", "description") if key in facts
    )
    metadata.versionString = str(facts.get("version", ""))
    metadata.author = str(facts.get("author", ""))
    metadata.license = str(facts.get("license", ""))
    metadata.userDefined[METADATA_KEY] = json.dumps(facts, sort_keys=True, ensure_ascii=False)


def _manifest(program: bytes, weights: bytes) -> str:
    """Manifest.json as Core ML's own writer words it, its identifiers made from the content."""
    entries = {
        _identifier("program", program): {
            "author": FOLDER,
            "description": "CoreML Model Specification",
            "name": "model.mlmodel",
            "path": PROGRAM,
        },
        _identifier("weights", weights): {
            "author": FOLDER,
            "description": "CoreML Model Weights",
            "name": "weights",
            "path": WEIGHTS,
        },
    }
    manifest = {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": entries,
        "rootModelIdentifier": _identifier("program", program),
    }
    return json.dumps(manifest, indent=4, sort_keys=True) + "\n"


def _identifier(kind: str, content: bytes) -> str:
    """A UUID that says nothing but which content it stands for."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{kind} {hashlib.sha256(content).hexdigest()}"))


def read_metadata(path: Path) -> dict[str, Any]:
    """The facts inside a .mlpackage of this project, {} for another's.

    Raises ArtifactError for a package that is missing, damaged or truncated, and for facts that are
    no JSON object.
    """
    text = open_package(path).metadata.get(METADATA_KEY, "{}")
    try:
        facts = json.loads(text)
    except ValueError:
        facts = None
    if not isinstance(facts, dict):
        raise ArtifactError(f"{path}: the metadata {METADATA_KEY!r} is no JSON object")
    return facts
