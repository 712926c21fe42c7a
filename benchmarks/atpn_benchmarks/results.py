"""What a run of atpn-bench found: plain records that become one JSON file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from atpn_benchmarks.arm.counts import InstructionCounts

#: Version of the records below, as the file carries it. A field that changes its meaning or goes
#: away raises it; one that is added with a default does not.
SCHEMA = 1

#: What became of a file. "timed": the figures hold. "counted": its instructions on an emulated core
#: do, and it was not timed. "invalid": measured, but a rule of validity is broken. "partial": the
#: device was lost in the middle. "not timed": it misses a parity limit. "not run": its file, its
#: runtime or its place is missing. "failed": it did not load or run.
State = Literal["timed", "counted", "invalid", "partial", "not timed", "not run", "failed"]


@dataclass(frozen=True)
class Machine:
    """What the figures were measured on, read on the device itself. "" and 0 are unknown."""

    cpu: str  # "AMD EPYC 9R45", "Cortex-A76"
    architecture: str  # x86_64, aarch64
    cores: int
    memory_bytes: int
    features: tuple[str, ...]  # instruction sets that kernels choose by: avx2, asimddp, i8mm, ...
    system: str  # "Linux 6.1.0", "Android 14"
    libc: str  # "glibc 2.36"
    python: str  # "3.11.7"; "" where none runs
    board: str = (
        ""  # "emulated by QEMU", "Raspberry Pi 5 Model B Rev 1.0", a phone's or a Mac's model
    )

    @property
    def identity(self) -> tuple[str, str, int, tuple[str, ...]]:
        """Two runs are of one kind of machine if these are equal; a new kernel changes nothing."""
        return self.cpu, self.architecture, self.cores, self.features


@dataclass(frozen=True)
class Conditions:
    """The state of the measuring cores at one moment; None and "" are unknown."""

    governor: str
    frequency_hz: float | None
    temperature_c: float | None


@dataclass(frozen=True)
class Settings:
    """What was asked for."""

    threads: tuple[int, ...]
    cores: tuple[int, ...]  # what the process was pinned to; the first n of them for n threads
    warmup: int  # calls before the first sample
    samples: int  # at least so many samples a file and thread count
    seconds: float  # and at least so many seconds of them
    seed: int  # of the order in the rounds


@dataclass(frozen=True)
class Summary:
    """What the samples say, wall seconds of the calls that were not preempted.

    The interval is a 95 % bootstrap over rounds.
    """

    p50_s: float
    p95_s: float
    p99_s: float
    p50_low_s: float
    p50_high_s: float
    cpu_p50_s: float  # processor seconds of all threads
    preempted: float  # share of the samples that were, 0..1
    #: Rules that the samples break, each in a sentence; empty if they are valid.
    broken: tuple[str, ...]


@dataclass(frozen=True)
class Timing:
    """One file on one number of threads."""

    threads: int
    load_s: float  # from the path to a session that can run
    first_s: float  # the first inference
    peak_memory_bytes: int  # largest resident memory of the process that held this file alone
    idle_memory_bytes: int  # the same process before it opened the file
    burst: int  # samples of a round, one after the other; the last round may be cut short
    wall_s: tuple[float, ...]
    cpu_s: tuple[float, ...]
    summary: Summary | None  # None where there is no sample

    @property
    def valid(self) -> bool:
        """Whether every rule is kept."""
        return self.summary is not None and not self.summary.broken


@dataclass(frozen=True)
class Drift:
    """One parity limit held against what this device computed."""

    output: str
    statistic: str  # max, mean
    scope: str  # all, faces
    error: float
    limit: float
    unit: str  # px, % inter-ocular, degree, probability, step


@dataclass(frozen=True)
class Delegation:
    """What XNNPACK takes of a graph."""

    partitions: int
    operators: int
    undelegated: dict[str, int]  # operator type to count
    transposes: int


@dataclass(frozen=True)
class Cost:
    """What one inference takes by the file's own graph; see `counting`."""

    parameters: int
    macs: int  # multiply-adds of convolutions and linear layers
    weight_bytes: int
    activation_bytes: int  # the largest sum of tensors that are alive at once
    moved_bytes: int  # read and written by all operators, weights included
    uncounted: dict[str, int]  # operator type to count: neither multiply-adds nor bytes known
    #: Multiply-adds that run in int8, of `macs`.
    int8_macs: int = 0

    @property
    def intensity(self) -> float:
        """Multiply-adds per byte moved."""
        return self.macs / self.moved_bytes if self.moved_bytes else 0.0


@dataclass(frozen=True)
class OperatorTime:
    """One operator of a graph, or one of its fused groups, as the runtime itself timed it."""

    name: str  # as the runtime or the file calls it
    kind: str  # operator type: "Conv", "CONV_2D", "Fully Connected (NC, QS8)"
    module: str  # PyTorch module that it belongs to; "" for the network as a whole
    delegated: bool
    median_s: float
    macs: int = 0


@dataclass(frozen=True)
class Fraction:
    """One file beside the limit of the core it ran on: the roofline's, at its intensity."""

    limit_s: float  # the least time that peak and bandwidth allow
    fraction: float  # limit_s / p50, 0..1
    bound: Literal["compute", "memory"]


@dataclass(frozen=True)
class Row:
    """One deployable file or peer; also a registered target that was not run, with the reason."""

    name: str  # unique within the run: "atpn-lite-int8.tflite"
    title: str  # what tables show: "atpn-lite TFLite int8"
    target: str  # name in the registry; "" for a peer
    model: str  # atpn-lite, atpn, or the peer's own name
    signature: str  # full, align; "" for a peer
    peer: bool
    state: State
    reason: str = ""  # in a sentence; empty only for "timed" and "counted"
    sha256: str = ""
    size_bytes: int = 0
    runtime: str = ""  # "LiteRT 2.3.0"
    kernel_family: str = ""
    drift: tuple[Drift, ...] = ()
    delegation: Delegation | None = None
    cost: Cost | None = None
    timings: tuple[Timing, ...] = ()
    fraction: Fraction | None = None  # on one thread
    operators: tuple[OperatorTime, ...] = ()
    instructions: InstructionCounts | None = None  # on an emulated core, which is never timed

    def timing(self, threads: int) -> Timing | None:
        """The timing on so many threads, if there is one."""
        return next((timing for timing in self.timings if timing.threads == threads), None)


@dataclass(frozen=True)
class Peaks:
    """What one core reaches, by micro-benchmarks on the device; None where one could not run."""

    fp32_macs_per_s: float | None
    int8_macs_per_s: float | None
    #: Bytes a second, read and written, of a working set that fits the second-level cache.
    cache_bytes_per_s: float | None
    memory_bytes_per_s: float | None  # and of one that fits no cache
    how: dict[str, str]  # field to what was run for it
    last_cache_bytes: int = 0  # of the largest cache that serves the core; 0 is unknown


@dataclass(frozen=True)
class Run:
    """Everything that one run on one device found."""

    #: How `results_file` reads this record and those inside it: nothing extra, nothing converted.
    __pydantic_config__: ClassVar = {"strict": True, "extra": "forbid", "allow_inf_nan": False}

    schema: int
    id: str  # unique: time and a random part
    started_at: str  # ISO 8601, UTC
    seconds: float  # how long it took
    device: str  # as it was asked for: local, ssh:pi@board, adb:SERIAL
    version: str  # of atpn-deploy
    machine: Machine
    settings: Settings
    before: Conditions
    after: Conditions
    #: Share of the measuring cores that others used meanwhile, 0..1 of one core each.
    competing_load: float | None
    timer_overhead_s: float  # what taking one sample adds
    rows: tuple[Row, ...]
    peaks: Peaks | None = None
    problems: tuple[str, ...] = ()  # what went wrong beside the rows, each in a sentence

    def row(self, name: str) -> Row | None:
        """The row of that name, if there is one."""
        return next((row for row in self.rows if row.name == name), None)
