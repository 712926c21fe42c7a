"""TensorFlow Lite's own `benchmark_model`: how it is called, and what its report says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from atpn_deploy.errors import AtpnError


class BenchmarkModelError(AtpnError):
    """benchmark_model ended without a report; says with what."""


@dataclass(frozen=True)
class Report:
    """One call of the program: it opens the file, warms up, runs it `calls` times."""

    calls: int
    mean_s: float  # of one inference
    load_s: float
    first_s: float
    memory_bytes: int  # by which the process grew; 0 is unknown
    kernel_family: str  # XNNPACK, or builtin


def command(
    program: str,
    graph: str,
    *,
    threads: int,
    warmup: int,
    calls: int,
    mask: int,
    signature: str = "",
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> str:
    """Words of the device's shell.

    `mask` has a bit for each core, 0 pins to none; `shapes` are of inputs whose file leaves a
    length open.
    """
    pinned = ["taskset", f"{mask:x}"] if mask else []
    options = [
        f"--graph={graph}",
        f"--num_threads={threads}",
        f"--warmup_runs={warmup}",
        "--warmup_min_secs=0",
        f"--num_runs={calls}",
        "--min_secs=0",
        "--use_xnnpack=true",
    ]
    if signature:
        options.append(f"--signature_to_run_for={signature}")
    if shapes:
        options.append(f"--input_layer={','.join(shapes)}")
        lengths = (",".join(map(str, shape)) for shape in shapes.values())
        options.append(f"--input_layer_shape={':'.join(lengths)}")
    return shlex.join([*pinned, program, *options]) + " 2>&1"


_TIMINGS = re.compile(
    r"Inference timings in us: Init: ([\d.e+]+), First inference: ([\d.e+]+), "
    r"Warmup \(avg\): [\d.e+]+, Inference \(avg\): ([\d.e+]+)"
)
_COUNT = re.compile(r"count=(\d+) ")
_MEMORY = re.compile(r"emory footprint.*\(MB\).*overall=([\d.]+)")
_DELEGATE = "XNNPACK delegate"


def parsed(output: str) -> Report:
    """Read its report; BenchmarkModelError with its last line where there is none."""
    timings, counts = _TIMINGS.search(output), _COUNT.findall(output)
    if not timings or not counts:
        last = [line for line in output.splitlines() if line.strip()][-1:]
        raise BenchmarkModelError(f"benchmark_model has no report: {''.join(last) or 'no output'}")
    memory = _MEMORY.search(output)
    return Report(
        calls=int(counts[-1]),
        mean_s=float(timings[3]) * 1e-6,
        load_s=float(timings[1]) * 1e-6,
        first_s=float(timings[2]) * 1e-6,
        memory_bytes=round(float(memory[1]) * 2**20) if memory else 0,
        kernel_family="XNNPACK" if _DELEGATE in output else "builtin",
    )
