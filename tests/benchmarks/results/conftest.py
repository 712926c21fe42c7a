"""Runs as atpn-bench would find them, with seeded noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest

from atpn_benchmarks.latency import Rules, summarise
from atpn_benchmarks.results import (
    SCHEMA,
    Conditions,
    Cost,
    Delegation,
    Drift,
    Machine,
    OperatorTime,
    Row,
    Run,
    Settings,
    Summary,
    Timing,
)

#: Our files by name, with the seconds that one inference takes; the peers' stand below.
OURS = {"atpn-lite-int8.tflite": 0.9e-3, "atpn-lite-fp32.tflite": 1.7e-3, "atpn-fp32.onnx": 2.4e-3}
PEERS = {f"peer{i}.tflite": 0.4e-3 * (i + 1) for i in range(5)}
MACHINE = Machine(
    "AMD EPYC 9R45", "x86_64", 2, 8 << 30, ("avx2", "fma"), "Linux 6.1", "glibc 2.36", "3.11.7"
)
#: So few samples as tests can afford are valid.
LOOSE = Rules(samples=1, seconds=0.0)


def bare(p50_s: float) -> Summary:
    """What the median alone says."""
    return Summary(p50_s, p50_s, p50_s, p50_s, p50_s, p50_s, 0.0, ())


@dataclass(frozen=True)
class Maker:
    """Makes runs; what one asks for is what the rows then differ by."""

    rounds: int = 30
    burst: int = 4
    intervals: bool = False  # of each median, which take time and few tests look at

    def timing(
        self, p50_s: float, noise: np.random.Generator, *, threads: int = 1, wobble: float = 0.01
    ) -> Timing:
        """Samples whose rounds move by `wobble` and whose calls scatter by 2 %."""
        rounds = 1 + wobble * noise.standard_normal((self.rounds, 1))
        calls = 1 + 0.02 * np.abs(noise.standard_normal((self.rounds, self.burst)))
        wall = np.round((p50_s * rounds * calls).ravel(), 9)
        return Timing(
            threads,
            load_s=0.004,
            first_s=2 * p50_s,
            peak_memory_bytes=40 << 20,
            idle_memory_bytes=30 << 20,
            burst=self.burst,
            wall_s=tuple(wall.tolist()),
            cpu_s=tuple(wall.tolist()),
            summary=summarise(wall, wall, threads=threads, burst=self.burst, rules=LOOSE)
            if self.intervals
            else bare(float(np.median(wall))),
        )

    def run(
        self,
        seed: int,
        *,
        ours: Mapping[str, float] = OURS,
        peers: Mapping[str, float] = PEERS,
        slower: Mapping[str, float] | None = None,  # name to factor
        machine_moves: float = 1.0,  # factor on everything
        file_moves: float = 0.0,  # standard deviation of each file's own factor
        hashes: str = "a",  # the first letter of our files' sha256
        threads: tuple[int, ...] = (1,),
    ) -> Run:
        """A run with everything timed validly."""
        noise = np.random.default_rng(seed)
        rows = []
        for name, p50_s in {**ours, **peers}.items():
            factor = machine_moves * (slower or {}).get(name, 1.0)
            factor *= float(np.exp(file_moves * noise.standard_normal()))
            timings = tuple(
                self.timing(p50_s * factor / count**0.5, noise, threads=count) for count in threads
            )
            sha256 = ("b" if name in peers else hashes) * 64
            rows.append(self.row(name, timings, peer=name in peers, sha256=sha256))
        return Run(
            SCHEMA,
            f"2026112{seed % 10}T0430{seed % 60:02d}-{seed:06x}",
            f"2026-11-2{seed % 10}T04:30:{seed % 60:02d}+00:00",
            12.5,
            "local",
            "0.1.0",
            MACHINE,
            Settings(threads, (1,), 20, 300, 1.0, seed),
            Conditions("performance", 3.1e9, None),
            Conditions("performance", 3.0e9, 51.5),
            0.01,
            3e-7,
            tuple(rows),
        )

    def row(self, name: str, timings: tuple[Timing, ...], *, peer: bool, sha256: str) -> Row:
        """A timed row with every kind of fact."""
        return Row(
            name,
            name.replace("-", " "),
            "" if peer else "tflite-int8",
            name.split(".")[0],
            "" if peer else "full",
            peer,
            "timed",
            sha256=sha256,
            size_bytes=1_000_000,
            runtime="LiteRT 2.3.0",
            kernel_family="xnnpack",
            drift=() if peer else (Drift("landmarks", "mean", "faces", 0.14, 0.5, "px"),),
            delegation=Delegation(1, 120, {"TANH": 1}, 2),
            cost=Cost(750_000, 94_000_000, 1_000_000, 400_000, 3_000_000, {}, 94_000_000),
            timings=timings,
            operators=(OperatorTime("conv", "CONV_2D", "low.stem", True, 1e-5, 100),),
        )

    def changed(self, run: Run, name: str, **fields: object) -> Run:
        """The run with fields of one row set."""
        rows = [replace(row, **fields) if row.name == name else row for row in run.rows]  # type: ignore[arg-type]
        return replace(run, rows=tuple(rows))


@pytest.fixture(scope="session")
def maker() -> Maker:
    return Maker()


@pytest.fixture(scope="session")
def run(maker: Maker) -> Run:
    return replace(maker, intervals=True).run(1)
