"""One file in one process: opened, verified and timed as its standard input says, line by line.

Alone in its process a file has a load time, a peak of memory and a crash of its own.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from atpn_benchmarks.guest.job import Entry
from atpn_benchmarks.guest.peer_session import open_peer
from atpn_benchmarks.guest.profiled_run import profiled
from atpn_benchmarks.guest.regions import mark
from atpn_deploy.contract import IMAGE
from atpn_deploy.errors import AtpnError
from atpn_deploy.golden import Golden
from atpn_exporters.opening import open_file
from atpn_exporters.registry import target_named
from atpn_exporters.session import SessionOptions
from atpn_exporters.verification import run_all, verify

Answer = dict[str, Any]


class Worker:
    """Answers commands; every method takes a command's arguments and returns its answer."""

    def __init__(self) -> None:
        self._session: Any = None
        self._entry = Entry("", "")

    def preload(self, modules: list[str]) -> Answer:
        """Import what a file's runtime needs, so that loading the file is all that is timed.

        A runtime may register modules that can't be imported by name; those are left to it.
        """
        for name in modules:
            try:
                importlib.import_module(name)
            except ImportError:
                continue
        return {"idle_bytes": memory()["resident_bytes"]}

    def open(self, entry: dict[str, Any], threads: int, runtime: str) -> Answer:
        """Load a file and run it once."""
        self._entry = Entry(**entry)
        before = set(sys.modules)
        path = Path(self._entry.path)
        started = time.perf_counter()
        if self._entry.target:
            options = SessionOptions(threads, runtime, self._entry.signature, trial=False)
            self._session = open_file(path, options)
            image = np.full(IMAGE.shape, 128, np.uint8)
            loaded = time.perf_counter()
            self._session.run({IMAGE.name: image})
        else:
            options = SessionOptions(threads, runtime)
            self._session = open_peer(path, options, self._entry.shapes or {})
            loaded = time.perf_counter()
            self._session.repeat()
        ended = time.perf_counter()
        return {
            "load_s": loaded - started,
            "first_s": ended - loaded,
            "runtime": self._session.runtime,
            "kernel_family": self._session.kernel_family,
            "modules": [name for name in sys.modules if name not in before],
        }

    def verify(self, images: str, faces: list[bool], expected: str) -> Answer:
        """Hold the file against the reference on the golden crops, by its target's limits."""
        with np.load(expected, allow_pickle=False) as archive:
            outputs = {name: archive[name] for name in archive.files}
        crops = np.load(images, allow_pickle=False)
        golden = Golden(("",) * len(crops), crops, np.array(faces, bool), outputs)
        limits = target_named(self._entry.target).limits
        found = verify(self._session, golden, limits, signature=self._entry.signature)
        return {"complaint": found.complaint, "rows": [asdict(row) for row in found.rows]}

    def warm(self, calls: int, seconds: float) -> Answer:
        """Run so many calls, and so many seconds; the median of the last half of them."""
        taken: list[float] = []
        began = time.perf_counter()
        while len(taken) < calls or time.perf_counter() - began < seconds:
            started = time.perf_counter()
            self._session.repeat()
            taken.append(time.perf_counter() - started)
        return {"median_s": float(np.median(taken[len(taken) // 2 :]))}

    def burst(self, count: int) -> Answer:
        """Time calls one by one, in nanoseconds of the wall and of this process's threads."""
        wall, cpu = timed(self._session.repeat, count)
        return {"wall_ns": wall, "cpu_ns": cpu}

    def regions(self, count: int) -> Answer:
        """Mark calls one by one for an emulator; it names its files by the process and the tag.

        Tags are 1 to `count`. The call marked 0 is not told: it also pays for what Python makes
        once for marking, some hundred instructions that depend on what the process did before.
        """
        tags = list(range(count + 1))
        mark(self._session.repeat, tags)
        return {"process": os.getpid(), "tags": tags[1:]}

    def operators(self, path: str, tag: int) -> Answer:
        """Mark one call under the runtime's profiler; what that noted, operator by operator."""
        events = profiled(Path(path), lambda call: mark(call, [tag]))
        return {"process": os.getpid(), "tag": tag, "events": events}

    def outputs(self, images: str, to: str) -> Answer:
        """What the file computes of the golden crops, by contract name, into an .npz."""
        np.savez(to, allow_pickle=False, **run_all(self._session, np.load(images)))
        return {"steps": self._session.steps}

    def peaks(self, files: list[str]) -> Answer:
        """What this core reaches at most, by micro-benchmarks."""
        from atpn_benchmarks.guest.peaks import measure_peaks

        return measure_peaks([Path(file) for file in files])

    def memory(self) -> Answer:
        """The largest resident memory until now, in bytes, and today's."""
        return dict(memory())


def timed(
    call: Callable[[], object],
    count: int,
    *,
    wall: Callable[[], int] = time.perf_counter_ns,
    cpu: Callable[[], int] = time.process_time_ns,
) -> tuple[list[int], list[int]]:
    """One sample a call. The slower clock is read outside of what the faster one measures."""
    walls, cpus = [0] * count, [0] * count
    gc.disable()
    try:
        for index in range(count):
            cpu_before = cpu()
            before = wall()
            call()
            after = wall()
            cpus[index] = cpu() - cpu_before
            walls[index] = after - before
    finally:
        gc.enable()
    return walls, cpus


def timer_overhead_s(count: int = 2000) -> float:
    """What timing adds to a sample: the median of a call that does nothing, in seconds."""
    walls, _ = timed(lambda: None, count)
    return float(np.median(walls)) * 1e-9


def memory() -> dict[str, int]:
    """Resident bytes of this process: now, and the most so far. 0 where the system tells none."""
    values = {"VmHWM": 0, "VmRSS": 0}
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            key, _, rest = line.partition(":")
            if key in values:
                values[key] = int(rest.split()[0]) * 1024
    except OSError:
        import resource  # macOS, where the unit is a byte

        values["VmHWM"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"peak_bytes": values["VmHWM"], "resident_bytes": values["VmRSS"]}


def serve(commands: TextIO, answers: TextIO) -> None:
    """Answer until the input ends; an error a user can cause is an answer, others end the process.

    A command is {"do": method, arguments...}; an answer is one line, with "error" where it failed.
    """
    worker = Worker()
    for line in commands:
        arguments = json.loads(line)
        do = arguments.pop("do")
        try:
            answer = getattr(worker, do)(**arguments)
        except AtpnError as error:
            answer = {"error": str(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def main(cores: list[int]) -> None:
    """Pin this process to `cores`, where the system can, and serve."""
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # runtimes print; the answers must hold nothing else
    serve(sys.stdin, answers)
