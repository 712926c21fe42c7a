"""What goes to a device: the job, the files, the golden crops and the guest that reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from atpn_benchmarks.bench_plan import BenchPlan
from atpn_benchmarks.candidates import Candidate
from atpn_benchmarks.guest.job import Entry, Job
from atpn_benchmarks.guest_archive import write_guest
from atpn_benchmarks.peak_files import peak_files
from atpn_deploy.golden import Golden


def packed(
    candidates: Sequence[Candidate], plan: BenchPlan, scratch: Path
) -> tuple[Job, dict[str, Path]]:
    """The job, and what goes to the device by the name that it has there."""
    files: dict[str, Path] = {}
    entries = []
    goldens: dict[int, str] = {}
    images = ""
    faces: tuple[bool, ...] = ()
    for number, candidate in enumerate(c for c in candidates if c.runs):
        if candidate.path is None:
            raise ValueError(f"{candidate.row.name} has no file")
        # A number keeps names apart and free of whatever a shell would mind.
        there = str(PurePosixPath("files", f"{number}{candidate.path.suffix}"))
        files[there] = candidate.path
        expected = ""
        if candidate.golden is not None:
            expected = goldens.setdefault(id(candidate.golden), f"expected-{len(goldens)}.npz")
            if expected not in files:
                files[expected] = _save_outputs(candidate.golden, scratch / expected)
            if not images:
                images, faces = "images.npy", tuple(map(bool, candidate.golden.faces))
                np.save(scratch / images, candidate.golden.images)
                files[images] = scratch / images
        row = candidate.row
        signature = row.signature or "full"
        entries.append(
            Entry(row.name, there, row.target, signature, expected, candidate.shapes or None)
        )
    peaks = []
    if plan.peaks:
        for path in peak_files(scratch):
            files[path.name] = path
            peaks.append(path.name)
    job = Job(
        tuple(entries),
        plan.threads,
        plan.cores,
        plan.warmup,
        plan.rules.samples,
        plan.rules.seconds,
        plan.rounds,
        plan.seed,
        images,
        faces,
        plan.runtime,
        tuple(peaks),
    )
    job.save(scratch / "job.json")
    write_guest(scratch / "guest.pyz")
    files |= {name: scratch / name for name in ("job.json", "guest.pyz")}
    return job, files


def _save_outputs(golden: Golden, path: Path) -> Path:
    np.savez(path, allow_pickle=False, **golden.outputs)
    return path
