"""What a run of atpn-bench is asked to do."""

from __future__ import annotations

from dataclasses import dataclass

from atpn_benchmarks.candidates import Candidate
from atpn_benchmarks.latency import Rules


@dataclass(frozen=True)
class BenchPlan:
    """What the user asked for."""

    candidates: tuple[Candidate, ...]
    threads: tuple[int, ...] = (1,)
    cores: tuple[int, ...] = ()  # empty: the fastest of the device
    warmup: int = 10
    rounds: int = 200
    rules: Rules = Rules()  # noqa: RUF009  frozen
    seed: int = 0
    runtime: str = "auto"
    peaks: bool = True  # measure what a core reaches at most
