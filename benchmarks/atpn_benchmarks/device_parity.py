"""Parity on a device: its runtimes compute the golden crops, and this machine judges them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from atpn_benchmarks.bench_plan import BenchPlan
from atpn_benchmarks.candidates import Candidate, distinct, ours
from atpn_benchmarks.devices.device import Device
from atpn_benchmarks.devices.naming import named
from atpn_benchmarks.heard import Event, Heard, hear_out
from atpn_benchmarks.packing import packed
from atpn_benchmarks.progress import Bar, Listener
from atpn_benchmarks.vectors_parity import VectorsParity, hold_vectors
from atpn_deploy.errors import AtpnError
from atpn_deploy.golden import KernelGolden, load_kernel_golden
from atpn_exporters.parity_run import ParityRequest, ParityResult
from atpn_exporters.registry import target_named
from atpn_exporters.session import SessionOptions
from atpn_exporters.verification import Computed, Verification, hold_names, judge, run_all


@dataclass(frozen=True)
class DeviceParity:
    """What was found on a device."""

    files: Mapping[Path, ParityResult]
    vectors: VectorsParity


def check_named(
    device: str, files: Sequence[Path], request: ParityRequest, console: Console
) -> DeviceParity:
    """`check_on` the device of that name, with a bar; then its crop and its tracker."""
    with Bar(console) as bar, named(device) as there:
        results = check_on(there, files, request, bar.listener(device))
        vectors = hold_vectors(there)
    return DeviceParity(dict(zip(files, results, strict=True)), vectors)


def check_on(
    device: Device, files: Sequence[Path], request: ParityRequest, listener: Listener
) -> list[ParityResult]:
    """Compare each file as `parity_run.check` does, computed on an open device.

    A quantised file is held, too, against what it gave on the same family of kernels: as recorded,
    else as computed here.
    """
    candidates = distinct(ours(files, request))
    heard = Heard(on_event=listener.take)
    with tempfile.TemporaryDirectory(prefix="atpn-parity-") as scratch:
        plan = BenchPlan(tuple(candidates), runtime=request.runtime, peaks=False)
        job, pushed = packed(candidates, plan, Path(scratch))
        listener.begin(device.name, len(job.entries))
        lost = hear_out(device, pushed, "outputs", heard)
        answers = Answers(device, heard, Path(scratch), lost)
        return [_result(path, candidates, answers) for path in files]


@dataclass(frozen=True)
class Answers:
    """What the device has computed, as far as it came."""

    device: Device
    heard: Heard
    scratch: Path
    lost: str

    def of(self, name: str) -> Computed:
        """What it made of one file; AtpnError says why it made nothing."""
        if name in self.heard.failed:
            raise AtpnError(f"on {self.device.name}: {self.heard.failed[name]['reason']}")
        if name not in self.heard.outputs:
            raise AtpnError(
                f"{self.device.name} computed nothing: {self.lost or 'it says not why'}"
            )
        told: Event = self.heard.outputs[name]
        opened = self.heard.opened[name, 1]
        path = self.scratch / told["file"]
        self.device.pull(told["file"], path)
        with np.load(path, allow_pickle=False) as archive:
            outputs = {output: archive[output] for output in archive.files}
        runtime = f"{opened['runtime']} on {self.device.name}"
        return Computed(runtime, opened["kernel_family"], outputs, told["steps"])


def _result(path: Path, candidates: Sequence[Candidate], answers: Answers) -> ParityResult:
    """One file, all its signatures."""
    mine = [candidate for candidate in candidates if candidate.path == path]
    try:
        found = tuple(_verification(candidate, answers) for candidate in mine)
    except AtpnError as error:
        return ParityResult(path, (), str(error))
    return ParityResult(path, found)


def _verification(candidate: Candidate, answers: Answers) -> Verification:
    row = candidate.row
    if candidate.golden is None or candidate.path is None:
        raise AtpnError(row.reason)
    computed = answers.of(row.name)
    hold_names(tuple(computed.outputs), row.signature)
    target = target_named(row.target)
    kernel = None
    if target.calibrated:
        kernel = load_kernel_golden(row.sha256, computed.family) or _computed_here(
            candidate, computed.family
        )
    return judge(computed, candidate.golden, target.limits, kernel)


def _computed_here(candidate: Candidate, family: str) -> KernelGolden | None:
    """What this machine's runtime makes of the file, if it has the same kernels."""
    if candidate.golden is None or candidate.path is None:
        return None
    row = candidate.row
    options = SessionOptions(signature=row.signature)
    with target_named(row.target).load(candidate.path, options) as session:
        if session.kernel_family != family:
            return None
        outputs: Mapping[str, np.ndarray] = run_all(session, candidate.golden.images)
    return KernelGolden(row.sha256, outputs)
