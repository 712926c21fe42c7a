"""The files of an evaluation: JSON, Markdown and plots, all of them or none."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from atpn_deploy.errors import ConfigError, ExportError, MissingToolError
from atpn_deploy.evaluation.cells import Table
from atpn_deploy.evaluation.naming import labels_of
from atpn_deploy.evaluation.record import record_text
from atpn_deploy.evaluation.rendering import to_markdown
from atpn_deploy.evaluation.results import (
    AlignmentResult,
    Evaluation,
    PoseResult,
    TrackingResult,
)

JSON_NAME, MARKDOWN_NAME = "evaluation.json", "evaluation.md"

R = TypeVar("R", AlignmentResult, PoseResult, TrackingResult)


def check_folder(folder: Path, *, force: bool) -> None:
    """Refuse what could not be delivered before anything is measured.

    Raises ConfigError for a file in the folder's place and for an evaluation that lies there
    (unless `force`), and MissingToolError without matplotlib.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file; expected a folder for the results")
    there = [name for name in (JSON_NAME, MARKDOWN_NAME) if (folder / name).exists()]
    if there and not force:
        raise ConfigError(f"{folder / there[0]} exists; add --force to overwrite it")
    if find_spec("matplotlib") is None:
        raise MissingToolError(
            "plots need matplotlib: pip install -c constraints.txt 'atpn-deploy[eval]'"
        )


def deliver(evaluations: Sequence[Evaluation], tables: Sequence[Table], folder: Path) -> list[Path]:
    """Write all files aside, then move them into `folder`; returns their paths, by name.

    Raises ExportError where they can't be written; none is left half-written then.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".atpn-eval-", dir=folder))
    except OSError as error:
        raise ExportError(f"{folder} cannot be written to: {error.strerror}") from error
    try:
        (aside / JSON_NAME).write_text(record_text(evaluations), encoding="utf-8")
        (aside / MARKDOWN_NAME).write_text(markdown(evaluations, tables), encoding="utf-8")
        _draw(evaluations, aside)
        names = sorted(path.name for path in aside.iterdir())
        for name in names:
            (aside / name).replace(folder / name)
    except OSError as error:
        raise ExportError(f"{folder} cannot be written to: {error.strerror or error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return [folder / name for name in names]


def markdown(evaluations: Sequence[Evaluation], tables: Sequence[Table]) -> str:
    """What was measured with what, then the paper's tables with ours in them."""
    rows = [
        f"| `{label}` | {e.runtime} | `{e.sha256}` |"
        for label, e in zip(labels_of(evaluations), evaluations, strict=True)
    ]
    head = "# Evaluation\n\n| what | runtime | sha256 |\n|---|---|---|\n" + "\n".join(rows) + "\n"
    return "\n".join([head, *(to_markdown(table) for table in tables)])


def _draw(evaluations: Sequence[Evaluation], folder: Path) -> None:
    """Every plot for which there are results, as PNG and SVG."""
    from atpn_deploy.evaluation import plots

    labels = labels_of(evaluations)
    for dataset, aligned in _by_dataset(labels, [e.alignment for e in evaluations]).items():
        plots.save(plots.ced(aligned), folder, f"ced-{_as_name(dataset)}")
    for dataset, posed in _by_dataset(labels, [e.pose for e in evaluations]).items():
        plots.save(plots.pose_ced(posed), folder, f"pose-ced-{_as_name(dataset)}")
    for dataset, tracked in _by_dataset(labels, [e.tracking for e in evaluations]).items():
        plots.save(plots.precision_recall(tracked), folder, f"precision-recall-{_as_name(dataset)}")


def _by_dataset(
    labels: Sequence[str], results: Iterable[Sequence[R]]
) -> Mapping[str, Mapping[str, R]]:
    """Data set to label to result, in the order in which they come."""
    found: dict[str, dict[str, R]] = {}
    for label, of_network in zip(labels, results, strict=True):
        for result in of_network:
            found.setdefault(result.dataset, {})[label] = result
    return found


def _as_name(dataset: str) -> str:
    return dataset.lower().replace(" ", "-")
