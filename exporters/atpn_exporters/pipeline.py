"""From a checkpoint to verified files: convert aside, verify, time, and only then deliver."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from atpn_deploy.errors import AtpnError, ExportError, ParityError, UnsupportedError
from atpn_deploy.golden import Golden
from atpn_deploy.weights import Checkpoint
from atpn_exporters.calibration import Calibration, load_calibration
from atpn_exporters.converters import run_tasks
from atpn_exporters.observation import make_calibration
from atpn_exporters.progress import Listener, Step
from atpn_exporters.provenance import file_facts
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
class ExportPlan:
    """What the user asked for."""

    checkpoint: Checkpoint
    targets: tuple[Target, ...]
    output: Path
    signature: str = "full"
    calibration_folder: Path | None = None
    force: bool = False
    runtime: str = "auto"


@dataclass(frozen=True)
class Piece:
    """One file to make."""

    target: Target
    signature: str
    path: Path  # its final name
    staged: Path  # where it is made and judged
    note: str = ""


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


def file_name(model: str, target: Target, signature: str) -> str:
    """`atpn-lite-int8.tflite`, `atpn-lite-align-int8.tflite`."""
    part = "" if signature == "full" else f"-{signature}"
    return f"{model}{part}-{target.quantization}{target.suffix}"


def export(plan: ExportPlan, listener: Listener) -> Outcome:
    """Make, verify, time and deliver every file of the plan.

    Raises an AtpnError before anything is made if the request cannot be met; what goes wrong with
    a single file is a Failure, and the other files are delivered.
    """
    _check_request(plan)
    with _staging(plan.output) as staging:
        pieces = _pieces(plan, staging)
        listener.plan(_steps(plan, pieces))
        run = _Run(plan, pieces, staging, listener)
        return run.outcome()


def _check_request(plan: ExportPlan) -> None:
    if plan.checkpoint.config.landmark_count != 98:
        raise UnsupportedError(
            f"{plan.checkpoint.path} has {plan.checkpoint.config.landmark_count} landmarks; "
            "the contract of exported files is 98"
        )
    for target in plan.targets:
        target.require()


@contextmanager
def _staging(output: Path) -> Iterator[Path]:
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


def _pieces(plan: ExportPlan, staging: Path) -> tuple[Piece, ...]:
    """The files to make; `both` becomes two where a target cannot hold two signatures."""
    pieces = []
    for target in plan.targets:
        split = plan.signature == "both" and "both" not in target.signatures
        for signature in ("align", "full") if split else (plan.signature,):
            name = file_name(plan.checkpoint.name, target, signature)
            note = f"{target.name} cannot hold two signatures in one file: wrote two" * split
            pieces.append(Piece(target, signature, plan.output / name, staging / name, note))
    kept = [str(piece.path) for piece in pieces if piece.path.exists()]
    if kept and not plan.force:
        raise ExportError(f"{', '.join(kept)} exists and is kept; overwrite with --force")
    return tuple(pieces)


def _steps(plan: ExportPlan, pieces: tuple[Piece, ...]) -> list[Step]:
    """What will be shown as progress, with typical seconds on two cores."""
    steps, converted = [], set()
    if plan.calibration_folder is not None:
        steps.append(Step("observe activation ranges", 45))
    for piece in pieces:
        first = (piece.target.format, piece.signature) not in converted
        converted.add((piece.target.format, piece.signature))
        conversion = 30.0 if piece.target.format == "tflite" else 12.0
        steps.append(Step(f"convert {piece.path.name}", conversion if first else 3.0))
    steps += [Step(f"verify {piece.path.name}", 3.0) for piece in pieces]
    return steps


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
        path = self.workspace / f"{checkpoint.name}.calibration.json"
        calibration.save(path)
        shutil.copy(path, self.plan.output / path.name)
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
        timed = all(v.ok for v in verifications) and twin is not None and twin.exists()
        speed = self._speed(piece, twin) if timed and twin is not None else None
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

    def _speed(self, piece: Piece, twin: Path) -> Speed:
        """Time the file and its float twin in the same rounds."""
        signature = "full" if piece.signature == "both" else piece.signature
        options = SessionOptions(runtime=self.plan.runtime, signature=signature)
        image = {"image": np.full((1, 112, 112, 3), 127, np.uint8)}
        with (
            piece.target.load(piece.staged, options) as quantised,
            float_twin(piece.target).load(twin, options) as floating,
        ):
            return compare_speed(lambda: quantised.run(image), lambda: floating.run(image))


def _deliver(piece: Piece, report: ExportReport) -> ExportReport:
    """Rename a good file into place with its report beside it; name a bad one for what it is."""
    bad = next((v for v in report.verifications if not v.ok), None)
    staged_report = piece.staged.with_name(piece.staged.name + ".json")
    report.save(staged_report)
    if bad is None:
        staged_report.rename(report.json_path)
        piece.staged.rename(piece.path)
        return report
    failed = piece.path.with_name(f"{piece.path.stem}.failed{piece.path.suffix}")
    staged_report.rename(failed.with_name(failed.name + ".json"))
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
