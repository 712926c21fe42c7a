"""What the measured files are called in tables and plots, and which are of one network."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

from atpn_deploy.evaluation.cells import Pair
from atpn_deploy.evaluation.results import Evaluation

#: What a file's name says of how it was exported; what stands before it names the network.
EXPORTED_AS = re.compile(r"(-align)?-(fp\d+|(dynamic-|full-)?int\d+(x\d+)?)([-.].*)?$")


def labels_of(evaluations: Sequence[Evaluation]) -> list[str]:
    """What each is called in the tables: its name, with runtime and hash where needed to tell."""
    for labels in (
        [e.model for e in evaluations],
        [f"{e.model} on {e.runtime}" for e in evaluations],
        [f"{e.model} on {e.runtime}, {e.sha256[:8]}" for e in evaluations],
    ):
        if len(set(labels)) == len(labels):
            return labels
    seen: Counter[str] = Counter()
    numbered = []
    for label in labels:
        seen[label] += 1
        numbered.append(f"{label} ({seen[label]})" if seen[label] > 1 else label)
    return numbered


def pairs_by_name(labels: Sequence[str]) -> list[Pair]:
    """Each file and the first one given of the same network: `atpn-int8.onnx`, `atpn.safetensors`.

    The names are those that atpn-export writes; others are told apart by their whole stem.
    """
    return pairs_by_origin(labels, [""] * len(labels))


def pairs_by_origin(labels: Sequence[str], made_from: Sequence[str]) -> list[Pair]:
    """Each file and the first one given of the same checkpoint, by its hash or else by name.

    `made_from` are the hashes, empty where a file doesn't say.
    """
    first: dict[str, str] = {}
    pairs = []
    for label, origin in zip(labels, made_from, strict=True):
        keys = [key for key in (origin, network_of(label)) if key]
        reference = next((first[key] for key in keys if key in first), label)
        for key in keys:
            first.setdefault(key, reference)
        if reference != label:
            pairs.append((label, reference))
    return pairs


def network_of(label: str) -> str:
    """`atpn-lite` for atpn-lite.safetensors, atpn-lite-int8.tflite, atpn-lite-align-fp32.onnx."""
    name = label.split(" on ")[0]
    stem = PurePath(name).stem
    return EXPORTED_AS.sub("", stem)
