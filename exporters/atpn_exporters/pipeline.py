"""From a checkpoint to verified files: convert aside, verify, time, and only then deliver."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atpn_deploy.errors import AtpnError, ExportError, ParityError
from atpn_deploy.golden import Golden
from atpn_exporters.calibration import Calibration, load_calibration
from atpn_exporters.converters import run_tasks
from atpn_exporters.observation import make_calibration
from atpn_exporters.planning import (
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
from atpn_exporters.references import golden_for
from atpn_exporters.registry import float_twin
from atpn_exporters.report import ExportReport
from atpn_exporters.session import SessionOptions
from atpn_exporters.speed import Speed, compare_speed
from atpn_exporters.tables import counted
from atpn_exporters.target import GraphFacts, signatures_of
from atpn_exporters.verification import verify_file
from atpn_exporters.worker import Request, Task


@dataclass(frozen=True)
class Failure:
    """One file that was not delivered, and why."""

    name: str
    error: AtpnError


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
        self._convert(calibration, cache, twins)
        reports = []
        for piece in self.pieces:
            if piece.staged in self.made:
                self.listener.begin(f"verify {piece.path.name}")
                try:
                    reports.append(self._finish(piece, golden, calibration, twins))
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
            return load_calibration(path, checkpoint.sha256), path
        self.listener.begin("observe activation ranges")
        calibration = make_calibration(
            checkpoint,
            self.plan.calibration_folder,
            tuple(piece.target for piece in calibrated),
            tuple(sorted({s for piece in calibrated for s in signatures_of(piece.signature)})),
            self.workspace,
        )
        path = new_cache(self.plan)
        calibration.save(path)
        return calibration, path

    def _twins(self) -> dict[tuple[str, str], Path]:
        """The float file by format and signature that each quantised one is timed against."""
        return {
            (piece.target.format, piece.signature): self.workspace
            / file_name("float-twin", float_twin(piece.target), piece.signature)
            for piece in self.pieces
            if float_twin(piece.target) is not piece.target
        }

    def _convert(
        self,
        calibration: Calibration | None,
        cache: Path | None,
        twins: Mapping[tuple[str, str], Path],
    ) -> None:
        """Run the converters on every piece, then on the float twins."""
        tasks = [
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
                ),
            )
            for piece in self.pieces
        ]
        tasks += [
            Task("export", str(path), f"{format_}-fp32", signature, {})
            for (format_, signature), path in twins.items()
        ]

        def follow(index: int, event: dict[str, Any]) -> None:
            if index >= len(self.pieces):
                return
            piece = self.pieces[index]
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
        )
        run_tasks(request, self.log, follow)

    def _finish(
        self,
        piece: Piece,
        golden: Golden,
        calibration: Calibration | None,
        twins: Mapping[tuple[str, str], Path],
    ) -> ExportReport:
        """Judge one staged file; deliver it, or leave it under another name and raise."""
        target, event = piece.target, self.made[piece.staged]
        content = piece.staged.read_bytes()
        facts = target.inspect(piece.staged)
        verifications = verify_file(
            target, piece.staged, piece.signature, golden, runtime=self.plan.runtime
        )
        twin = twins.get((target.format, piece.signature))
        is_float = float_twin(target) is target
        timed = (
            not is_float and all(v.ok for v in verifications) and twin is not None and twin.exists()
        )
        speed = self._speed(piece, twin, golden) if timed and twin is not None else None
        warnings = [piece.note] if piece.note else []
        if target.calibrated and calibration is not None and calibration.manifest.too_small:
            warnings.append(calibration.manifest.too_small)
        report = ExportReport(
            piece.path,
            target.name,
            self.plan.checkpoint.name,
            piece.signature,
            len(content),
            hashlib.sha256(content).hexdigest(),
            facts,
            verifications,
            speed,
            "" if speed is None else speed.verdict(target.quantization, why_slow(facts)),
            tuple(warnings),
            target.read_metadata(piece.staged),
            float(event["seconds"]),
            int(event["peak_bytes"]),
        )
        return _deliver(piece, report)

    def _speed(self, piece: Piece, twin: Path, golden: Golden) -> Speed:
        """Time the file and its float twin in the same rounds, on the first golden crop."""
        signature = "full" if piece.signature == "both" else piece.signature
        options = SessionOptions(runtime=self.plan.runtime, signature=signature)
        image = {"image": golden.images[:1]}
        with (
            piece.target.load(piece.staged, options) as quantised,
            float_twin(piece.target).load(twin, options) as floating,
        ):
            quantised.run(image)
            floating.run(image)
            return compare_speed(quantised.repeat, floating.repeat)


def _deliver(piece: Piece, report: ExportReport) -> ExportReport:
    """Rename a good file into place with its report beside it; name a bad one for what it is."""
    bad = next((v for v in report.verifications if not v.ok), None)
    staged_report = piece.staged.with_name(piece.staged.name + ".json")
    report.save(staged_report)
    failed = piece.path.with_name(f"{piece.path.stem}.failed{piece.path.suffix}")
    failed_report = failed.with_name(failed.name + ".json")
    if bad is None:
        failed.unlink(missing_ok=True)  # of an earlier try, which this one makes good
        failed_report.unlink(missing_ok=True)
        staged_report.rename(report.json_path)
        piece.staged.rename(piece.path)
        return report
    staged_report.rename(failed_report)
    piece.staged.rename(failed)
    raise ParityError(
        f"{piece.path.name} is not delivered: {bad.complaint} on {bad.runtime}; "
        f"the file is kept as {failed} for a look"
    )


def why_slow(facts: GraphFacts) -> str:
    """What keeps a quantised file from being fast, read from its graph; empty if unknown."""
    if facts.undelegated:
        return f"XNNPACK does not take {counted(facts.undelegated)}"
    return ""
