"""Folders of stand-in videos, and runs over them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from atpn_exporters.fleet.coordinator import Coordinator, FleetRequest
from atpn_exporters.fleet.job import Crew, Setup
from atpn_exporters.fleet.listing import list_videos
from atpn_exporters.fleet.processes import ProcessCrew
from atpn_exporters.fleet.report import Failure, FleetReport, Plan, Progress
from atpn_exporters.fleet.results import Recipe

if TYPE_CHECKING:
    from stand_in import StandIn

HERE = str(Path(__file__).parent)


@pytest.fixture(autouse=True)
def stand_in_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers import what they open by name, from the path of their parent."""
    monkeypatch.syspath_prepend(HERE)


@dataclass
class Heard:
    """A listener that keeps what it is told."""

    plans: list[Plan] = field(default_factory=list)
    progresses: list[Progress] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    on_progress: Callable[[Progress], None] = lambda progress: None

    def planned(self, plan: Plan) -> None:
        self.plans.append(plan)

    def progress(self, progress: Progress) -> None:
        self.progresses.append(progress)
        self.on_progress(progress)

    def failed(self, failure: Failure) -> None:
        self.failures.append(failure)


@dataclass
class Fleet:
    """A folder of stand-in videos and the results of runs over it."""

    root: Path
    recipe: Recipe = field(default_factory=lambda: Recipe("model", "options"))
    heard: Heard = field(default_factory=Heard)

    @property
    def videos(self) -> Path:
        return self.root / "videos"

    @property
    def results(self) -> Path:
        return self.root / "results"

    @property
    def setup(self) -> StandIn:
        from stand_in import StandIn

        return StandIn(self.root / "begun")

    def add(self, name: str, what: str = "whole", frames: int = 10) -> Path:
        path = self.videos / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{what}\n{frames}\n")
        return path

    def request(self) -> FleetRequest:
        listing = list_videos(self.videos, self.results)
        return FleetRequest(self.videos, self.results, listing, self.recipe)

    def run(
        self,
        workers: int = 1,
        setup: Setup | None = None,
        crew: Callable[[int], Crew] | None = None,
    ) -> FleetReport:
        self.heard = replace(self.heard, plans=[], progresses=[], failures=[])
        opened = crew or (lambda videos: ProcessCrew(workers, setup or self.setup))
        return Coordinator(self.request(), self.heard).run(opened)

    def begun(self) -> list[str]:
        """Names of the videos that workers began, in that order."""
        return [line.partition(" ")[2] for line in self._log()]

    def begun_by(self) -> set[int]:
        """Ids of the processes that began any."""
        return {int(line.split()[0]) for line in self._log()}

    def _log(self) -> list[str]:
        log = self.root / "begun"
        return log.read_text(errors="surrogateescape").splitlines() if log.exists() else []

    def summary(self, name: str) -> dict[str, Any]:
        read: dict[str, Any] = json.loads((self.results / f"{name}.summary.json").read_text())
        return read

    def whole(self) -> dict[str, Any]:
        """summary.json."""
        read: dict[str, Any] = json.loads((self.results / "summary.json").read_text())
        return read

    def left_over(self) -> list[Path]:
        """Claims and works that nobody took away."""
        hidden = self.results / ".atpn-track"
        return [path for path in hidden.rglob("*") if path.name not in ("claims", "work")]


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)
