"""Run by `litert_times` in a process of its own: a library that is another than expected ends it.

Usage: python -m atpn_benchmarks.operators.litert_child FILE KERNELS THREADS ROUNDS
Writes one JSON object to standard output.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from atpn_benchmarks.operators.litert_library import ProfiledModel, noise
from atpn_benchmarks.operators.operator_profile import timed

#: Runs of a kind before they are timed, and of one round.
WARMUP, BURST = 5, 5


def main() -> None:
    """Let runs with and without the profiler take turns, and write what each took."""
    path, kernels, threads, rounds = Path(sys.argv[1]), *sys.argv[2:]
    plain = open_plain(path, kernels, int(threads))
    profiled = ProfiledModel(path, kernels, int(threads))
    for _ in range(WARMUP):
        plain.invoke()
        profiled.run()
    whole = []
    runs = []
    for _ in range(int(rounds)):
        plain.invoke()  # brings its own weights back into the caches
        for _ in range(BURST):
            whole.append(timed(plain.invoke))
        profiled.run()  # and these theirs
        runs += [profiled.run() for _ in range(BURST)]
    row = [(event.tag, event.delegated, event.index) for event in runs[0]]
    same = [run for run in runs if [(e.tag, e.delegated, e.index) for e in run] == row]
    elapsed_us = [[event.elapsed_us for event in run] for run in same]
    json.dump({"events": row, "elapsed_us": elapsed_us, "whole": whole}, sys.stdout)


def open_plain(path: Path, kernels: str, threads: int) -> Any:
    """The interpreter that everything else is timed with, its inputs filled with noise."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kinds = {
        "xnnpack": OpResolverType.AUTO,
        "builtin": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    }
    interpreter = Interpreter(
        str(path), num_threads=threads, experimental_op_resolver_type=kinds[kernels]
    )
    interpreter.allocate_tensors()
    for slot in interpreter.get_input_details():
        values = noise(tuple(slot["shape"]), np.dtype(slot["dtype"]))
        interpreter.set_tensor(slot["index"], values)
    return interpreter


if __name__ == "__main__":
    main()
