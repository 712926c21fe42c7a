"""`--recipe auto`: rank the modules, try sets of them in float, measure each file for real."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from atpn_deploy.errors import AtpnError, ConfigError
from atpn_deploy.golden import Golden
from atpn_exporters.artifact_files import sha256_of, size_bytes
from atpn_exporters.calibration import Calibration, load_calibration
from atpn_exporters.converters import raise_failure, run_tasks
from atpn_exporters.observation import make_calibration
from atpn_exporters.pipeline import time_against_float
from atpn_exporters.planning import ExportPlan, check_request, pieces_of, staging_folder
from atpn_exporters.progress import Listener, Step
from atpn_exporters.provenance import file_facts
from atpn_exporters.recipes.candidates import Candidate, candidates
from atpn_exporters.recipes.pareto import Choice, Measurement, choose, front
from atpn_exporters.recipes.recipe import Recipe, recipe_for, refuse_unless_choosable
from atpn_exporters.recipes.sensitivity import Damage, read_ranking
from atpn_exporters.references import golden_for
from atpn_exporters.registry import float_twin, pure_twin
from atpn_exporters.speed import Speed
from atpn_exporters.target import Target
from atpn_exporters.verification import verify_file
from atpn_exporters.worker import Request, Task

#: Sets of modules tried unless told otherwise: two to four minutes on two cores.
MOST_CANDIDATES = 10

#: The step in which modules are ranked; it includes the conversion to float.
RANK = "rank modules"
#: Times a file against its float twin: (target, file, float file, signature, golden, runtime).
Timer = Callable[[Target, Path, Path, str, Golden, str], Speed]


@dataclass(frozen=True)
class SearchResult:
    """Everything that was measured, and what came of it."""

    model: str
    target: str
    signature: str
    ranking: tuple[Damage, ...]
    measurements: tuple[Measurement, ...]
    choice: Choice
    recipe: Recipe | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        best = {m.name for m in front(self.measurements)}
        return {
            "model": self.model,
            "target": self.target,
            "signature": self.signature,
            "choice": self.choice.sentence,
            "chosen": None if self.choice.chosen is None else self.choice.chosen.name,
            "candidates": [{**m.to_dict(), "pareto": m.name in best} for m in self.measurements],
            "ranking": [asdict(damage) for damage in self.ranking],
        }


def search(
    plan: ExportPlan,
    listener: Listener,
    *,
    most: int = MOST_CANDIDATES,
    timer: Timer = time_against_float,
) -> SearchResult:
    """Find which modules to leave in float; nothing is delivered.

    Raises an AtpnError if the plan is not for one target that takes recipes, or if the float
    network cannot be converted or ranked; a candidate that cannot be made is a row that says so.
    """
    if len(plan.targets) != 1 or plan.signature == "both":
        raise ConfigError(
            "--recipe auto measures one file: name one --format and one --quantize, and "
            "--signature full or align"
        )
    refuse_unless_choosable(plan.targets[0])
    check_request(plan)
    with staging_folder(plan.output) as workspace:
        pieces_of(plan, workspace)  # a file that would be kept is known before the work
        return _Search(plan, listener, workspace, most, timer).result()


class _Search:
    """One search: where things lie and what is known so far."""

    def __init__(
        self, plan: ExportPlan, listener: Listener, workspace: Path, most: int, timer: Timer
    ) -> None:
        self.plan = plan
        self.target = plan.targets[0]
        self.listener = listener
        self.workspace = workspace
        self.most = most
        self.timer = timer
        self.log = workspace / "converters.log"

    def result(self) -> SearchResult:
        """Do everything in order."""
        self.listener.plan(self._steps())
        calibration, cache = self._calibration()
        golden = golden_for(self.plan.checkpoint)
        ranking = self._rank(golden, cache)
        tried = candidates(ranking, self.most)
        pieces = [*self._references(), *(_piece(self, c, i) for i, c in enumerate(tried, 1))]
        failures = self._make(pieces, calibration, cache)
        measurements = []
        for number, piece in enumerate(pieces):
            self.listener.begin(f"measure file {number + 1}")
            measurements.append(self._measured(piece, failures.get(number, ""), golden))
        choice = choose(measurements)
        modules = () if choice.chosen is None else choice.chosen.float_modules
        recipe = recipe_for(
            self.plan.checkpoint,
            self.target,
            self.plan.signature,
            modules,
            calibration.manifest,
            choice.sentence,
        )
        return SearchResult(
            self.plan.checkpoint.name,
            self.target.name,
            self.plan.signature,
            tuple(ranking),
            tuple(measurements),
            choice,
            None if choice.chosen is None else recipe,
        )

    def _steps(self) -> list[Step]:
        """What will be shown as progress, with typical seconds on two cores."""
        files = self.most + len(self._references())
        first = Step("observe activation ranges", 45)
        steps = [] if self.plan.calibration_folder is None else [first]
        steps.append(Step(RANK, 50.0 if self.target.format == "tflite" else 30.0))
        steps += [Step(f"make file {number + 1}", 3.0) for number in range(files)]
        return [*steps, *(Step(f"measure file {number + 1}", 6.0) for number in range(files))]

    def _calibration(self) -> tuple[Calibration, Path]:
        """The ranges to quantise with: the checkpoint's own, or those of the user's crops."""
        checkpoint = self.plan.checkpoint
        if self.plan.calibration_folder is None:
            path = checkpoint.calibration_path
            return load_calibration(path, checkpoint.sha256), path
        self.listener.begin("observe activation ranges")
        calibration = make_calibration(
            checkpoint,
            self.plan.calibration_folder,
            self.plan.targets,
            (self.plan.signature,),
            self.workspace,
        )
        path = self.workspace / "calibration.json"
        calibration.save(path)
        return calibration, path

    def _rank(self, golden: Golden, cache: Path) -> list[Damage]:
        """Convert to float and see what int8 does to each module alone."""
        self.listener.begin(RANK)
        crops, output = self.workspace / "crops.npz", self.workspace / "ranking.json"
        np.savez(crops, images=golden.images, faces=golden.faces)
        name, signature = self.target.name, self.plan.signature
        probe = self.workspace / f"probe{self.target.suffix}"
        # The plain file comes first: what keeps it from being made would keep every other.
        tasks = (
            Task("export", str(probe), name, signature, {}),
            Task("sensitivity", str(output), name, signature),
        )
        checkpoint = str(self.plan.checkpoint.path)
        request = Request(checkpoint, str(self.workspace), tasks, str(cache), str(crops))
        run_tasks(request, self.log, raise_failure)
        return read_ranking(output)

    def _references(self) -> list[_Piece]:
        """The float file, then the scheme that leaves nothing in float, where there is one."""
        float_ = float_twin(self.target)
        pieces = [_Piece("float", float_, (), self.workspace / f"float{float_.suffix}", True)]
        pure = pure_twin(self.target)
        if pure is not None:
            path = self.workspace / f"pure{pure.suffix}"
            pieces.append(_Piece(f"nothing in float ({pure.quantization})", pure, (), path, True))
        return pieces

    def _make(
        self, pieces: Sequence[_Piece], calibration: Calibration, cache: Path
    ) -> dict[int, str]:
        """Convert every file; why one failed, by its number."""
        failures: dict[int, str] = {}

        def follow(index: int, event: dict[str, Any]) -> None:
            if event["event"] == "start":
                self.listener.begin(f"make file {index + 1}")
            elif event["event"] == "failed":
                failures[index] = str(event["error"])

        plan = self.plan
        tasks = tuple(
            Task(
                "export",
                str(piece.path),
                piece.target.name,
                plan.signature,
                file_facts(
                    plan.checkpoint,
                    piece.target,
                    plan.signature,
                    calibration.manifest,
                    piece.float_modules,
                ),
                piece.float_modules,
            )
            for piece in pieces
        )
        request = Request(str(plan.checkpoint.path), str(self.workspace), tasks, str(cache))
        run_tasks(request, self.log, follow)
        return failures

    def _measured(self, piece: _Piece, failed: str, golden: Golden) -> Measurement:
        """Drift, delegation, size and speed of one file; one that cannot run says why."""
        blank = Measurement(piece.name, piece.float_modules, reference=piece.reference)
        if failed:
            return replace(blank, failed=failed)
        plan, target, path = self.plan, piece.target, piece.path
        try:
            judged = replace(target, limits=self.target.limits)  # references too
            verifications = verify_file(judged, path, plan.signature, golden, runtime=plan.runtime)
            facts = target.inspect(path)
            rows = tuple(row for v in verifications for row in v.rows)
            if still := next((v.complaint for v in verifications if not v.varies), ""):
                return replace(blank, failed=still)
            twin = self._references()[0].path
            speed = self.timer(target, path, twin, plan.signature, golden, plan.runtime)
        except AtpnError as error:
            return replace(blank, failed=str(error))
        same = piece.path == twin  # the float file against itself is 1 by definition
        return replace(
            blank,
            rows=rows,
            size_bytes=size_bytes(path),
            sha256=sha256_of(path),
            ratio=1.0 if same else speed.ratio,
            interval=(1.0, 1.0) if same else speed.interval,
            partitions=facts.partitions,
            float_operators=sum(facts.float_operators.values()),
        )


@dataclass(frozen=True)
class _Piece:
    """One file to make and measure."""

    name: str
    target: Target
    float_modules: tuple[str, ...]
    path: Path
    reference: bool = False


def _piece(search: _Search, candidate: Candidate, number: int) -> _Piece:
    path = search.workspace / f"{number}{search.target.suffix}"
    return _Piece(candidate.name, search.target, candidate.float_modules, path)
