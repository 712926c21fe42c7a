"""From a checkpoint to verified files: convert aside, verify, time, and only then deliver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from atpn_deploy.errors import AtpnError, ExportError, ParityError
from atpn_deploy.golden import Golden
from atpn_exporters.artifact_files import deliver, remove, sha256_of, size_bytes
from atpn_exporters.calibration import Calibration, load_calibration
from atpn_exporters.converters import run_tasks
from atpn_exporters.lint.run import read_findings, with_transposes
from atpn_exporters.observation import make_calibration
from atpn_exporters.planning import (
    LINT,
    ExportPlan,
    Piece,
    check_request,
    file_name,
    new_cache,
    pieces_of,
    staging_folder,
    steps_of,
)
from atpn_exporters.progress import Listener
from atpn_exporters.provenance import file_facts
from atpn_exporters.recipes.recipe import check_calibration
from atpn_exporters.references import golden_for
from atpn_exporters.registry import float_twin
from atpn_exporters.report import ExportReport
from atpn_exporters.session import SessionOptions
from atpn_exporters.speed import Speed, compare_speed
from atpn_exporters.tables import counted
from atpn_exporters.target import GraphFacts, Target, signatures_of
from atpn_exporters.verification import verify_file
from atpn_exporters.worker import Request, Task


@dataclass(frozen=True)
class Failure:
    """One file that was not delivered, and why."""

    name: str
    error: AtpnError
    kept: Path | None = None  # the file itself, where it was made and is not right


@dataclass(frozen=True)
class Outcome:
    """All files of one command."""

    reports: tuple[ExportReport, ...]
    failures: tuple[Failure, ...]


def export(plan: ExportPlan, listener: Listener) -> Outcome:
    """Make, verify, time and deliver every file of the plan.

    Raises an AtpnError before anything is made if the request cannot be met; what goes wrong with
    a single file is a Failure, and the other files are delivered.
    """
    check_request(plan)
    with staging_folder(plan.output) as staging:
        pieces = pieces_of(plan, staging)
        listener.plan(steps_of(plan, pieces))
        run = _Run(plan, pieces, staging, listener)
        return run.outcome()


class _Run:
    """One command's state: where things lie and what has failed so far."""

    def __init__(
        self, plan: ExportPlan, pieces: tuple[Piece, ...], staging: Path, listener: Listener
    ) -> None:
        self.plan = plan
        self.pieces = pieces
        self.listener = listener
        self.workspace = staging / "work"
        self.workspace.mkdir()
        self.log = self.workspace / "converters.log"
        self.made: dict[Path, dict[str, Any]] = {}  # staged file to its "done" event
        self.failures: list[Failure] = []

    def outcome(self) -> Outcome:
        """Do everything in order."""
        calibration, cache = self._calibration()
        golden = golden_for(self.plan.checkpoint)
        twins = self._twins()
        self._convert(golden, calibration, cache, twins)
        reports = []
        for piece in self.pieces:
            if piece.staged in self.made:
                self.listener.begin(f"verify {piece.path.name}")
                try:
                    reports.append(self._finish(piece, golden, calibration, twins))
                except ParityError as error:
                    self.failures.append(Failure(piece.path.name, error, failed_path(piece)))
                except AtpnError as error:
                    self.failures.append(Failure(piece.path.name, error))
        return Outcome(tuple(reports), tuple(self.failures))

    def _calibration(self) -> tuple[Calibration | None, Path | None]:
        """The cache that the calibrated targets use: the checkpoint's own, or one made now."""
        calibrated = [piece for piece in self.pieces if piece.target.calibrated]
        if not calibrated:
            return None, None
        checkpoint = self.plan.checkpoint
        if self.plan.calibration_folder is None:
            path = checkpoint.calibration_path
            calibration = load_calibration(path, checkpoint.sha256)
            if self.plan.recipe is not None:
                check_calibration(self.plan.recipe, calibration.manifest)
            return calibration, path
        self.listener.begin("observe activation ranges")
        calibration = make_calibration(
            checkpoint,
            self.plan.calibration_folder,
            tuple(piece.target for piece in calibrated),
            tuple(sorted({s for piece in calibrated for s in signatures_of(piece.signature)})),
            self.workspace,
        )
        if self.plan.recipe is not None:
            check_calibration(self.plan.recipe, calibration.manifest)
        path = new_cache(self.plan)
        calibration.save(path)
        return calibration, path

    def _twins(self) -> dict[tuple[str, str], Path]:
        """The float file by format and signature that each quantised one is timed against."""
        return {
            (piece.target.format, piece.signature): self.workspace
            / file_name("float-twin", float_twin(piece.target), piece.signature)
            for piece in self.pieces
            if float_twin(piece.target) is not piece.target and not piece.target.why_untimed
        }

    def _convert(
        self,
        golden: Golden,
        calibration: Calibration | None,
        cache: Path | None,
        twins: Mapping[tuple[str, str], Path],
    ) -> None:
        """Lint for every piece, then run the converters on them and on the float twins."""
        recipe = self.plan.recipe
        left = () if recipe is None else recipe.float_modules
        tasks = [
            Task("lint", str(self._lint_path(piece)), piece.target.name, piece.signature)
            for piece in self.pieces
        ]
        tasks += [
            Task(
                "export",
                str(piece.staged),
                piece.target.name,
                piece.signature,
                file_facts(
                    self.plan.checkpoint,
                    piece.target,
                    piece.signature,
                    None if calibration is None else calibration.manifest,
                    left,
                ),
                left,
            )
            for piece in self.pieces
        ]
        tasks += [
            Task("export", str(path), f"{format_}-fp32", signature, {})
            for (format_, signature), path in twins.items()
        ]

        def follow(index: int, event: dict[str, Any]) -> None:
            if index == 0 and event["event"] == "start":
                self.listener.begin(LINT)
            if not len(self.pieces) <= index < 2 * len(self.pieces):
                return
            piece = self.pieces[index - len(self.pieces)]
            if event["event"] == "start":
                self.listener.begin(f"convert {piece.path.name}")
            elif event["event"] == "failed":
                self.failures.append(Failure(piece.path.name, ExportError(event["error"])))
            else:
                self.made[piece.staged] = event

        request = Request(
            str(self.plan.checkpoint.path),
            str(self.workspace),
            tuple(tasks),
            "" if cache is None else str(cache),
            str(self._crops(golden)),
        )
        run_tasks(request, self.log, follow)

    def _crops(self, golden: Golden) -> Path:
        """What the linter looks at: the user's calibration crops if there are any, or goldens."""
        calibrated = self.workspace / "crops.npy"
        if calibrated.exists():
            return calibrated
        path = self.workspace / "golden.npy"
        np.save(path, golden.images)
        return path

    def _lint_path(self, piece: Piece) -> Path:
        """Where the linter's findings on one piece are kept until its report."""
        return self.workspace / f"{piece.path.name}.lint.json"

    def _finish(
        self,
        piece: Piece,
        golden: Golden,
        calibration: Calibration | None,
        twins: Mapping[tuple[str, str], Path],
    ) -> ExportReport:
        """Judge one staged file; deliver it, or leave it under another name and raise."""
        target, event = piece.target, self.made[piece.staged]
        facts = target.inspect(piece.staged)
        verifications = verify_file(
            target, piece.staged, piece.signature, golden, runtime=self.plan.runtime
        )
        twin = twins.get((target.format, piece.signature))
        is_float = float_twin(target) is target
        timed = (
            not is_float and all(v.ok for v in verifications) and twin is not None and twin.exists()
        )
        speed = None
        if timed and twin is not None:
            speed = time_against_float(
                target, piece.staged, twin, piece.signature, golden, self.plan.runtime
            )
        verdict = target.why_untimed
        if speed is not None:
            verdict = speed.verdict(target.quantization, why_slow(facts))
        warnings = [piece.note] if piece.note else []
        if target.calibrated and calibration is not None and calibration.manifest.too_small:
            warnings.append(calibration.manifest.too_small)
        if self.plan.recipe is not None and self.plan.recipe.foreign_tools:
            warnings.append(self.plan.recipe.foreign_tools)
        linted = self._lint_path(piece)
        findings = read_findings(linted) if linted.exists() else ()
        report = ExportReport(
            piece.path,
            target.name,
            self.plan.checkpoint.name,
            piece.signature,
            size_bytes(piece.staged),
            sha256_of(piece.staged),
            facts,
            verifications,
            speed,
            verdict,
            tuple(warnings),
            target.read_metadata(piece.staged),
            float(event["seconds"]),
            int(event["peak_bytes"]),
            with_transposes(findings, target, facts.transposes),
        )
        return _deliver(piece, report)


def time_against_float(
    target: Target, path: Path, twin: Path, signature: str, golden: Golden, runtime: str
) -> Speed:
    """Time a file and its float twin in the same rounds, on the first golden crop."""
    opened = "full" if signature == "both" else signature
    options = SessionOptions(runtime=runtime, signature=opened)
    image = {"image": golden.images[:1]}
    with (
        target.load(path, options) as quantised,
        float_twin(target).load(twin, options) as floating,
    ):
        quantised.run(image)
        floating.run(image)
        return compare_speed(quantised.repeat, floating.repeat)


def failed_path(piece: Piece) -> Path:
    """Where a file is kept that failed parity."""
    return piece.path.with_name(f"{piece.path.stem}.failed{piece.path.suffix}")


def _deliver(piece: Piece, report: ExportReport) -> ExportReport:
    """Rename a good file into place with its report beside it; name a bad one for what it is."""
    bad = next((v for v in report.verifications if not v.ok), None)
    staged_report = piece.staged.with_name(piece.staged.name + ".json")
    report.save(staged_report)
    failed = failed_path(piece)
    failed_report = failed.with_name(failed.name + ".json")
    if bad is None:
        remove(failed)  # of an earlier try, which this one makes good
        failed_report.unlink(missing_ok=True)
        staged_report.rename(report.json_path)
        deliver(piece.staged, piece.path)
        return report
    staged_report.rename(failed_report)
    deliver(piece.staged, failed)
    raise ParityError(
        f"{piece.path.name} is not delivered: {bad.complaint} on {bad.runtime}; "
        f"the file is kept as {failed} for a look"
    )


def why_slow(facts: GraphFacts) -> str:
    """What keeps a quantised file from being fast, read from its graph; empty if unknown."""
    if facts.undelegated:
        return f"XNNPACK does not take {counted(facts.undelegated)}"
    return ""
