"""Counting the networks of the published table: where the cycles in `published` come from."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from atpn_benchmarks.arm import wheels
from atpn_benchmarks.arm.boards import BOARDS
from atpn_benchmarks.arm.cores import CORES
from atpn_benchmarks.arm.emulator import Emulator
from atpn_benchmarks.arm.environment import Environment
from atpn_benchmarks.arm.mca import BlockCycles
from atpn_benchmarks.arm.region_file import Region, read_region
from atpn_benchmarks.arm.validation import FOLDER, Executed, Published
from atpn_deploy.errors import ArmError

#: Pixels of the square input where it is not `SIDE`, as ncnn's benchncnn.cpp has them.
SIDES = {"squeezenet": 227, "squeezenet_int8": 227, "blazeface": 128}
SIDE = 224

#: A network may be slow in an emulator: ResNet takes half a minute on a quiet machine.
PATIENCE_S = 1200

#: As benchncnn does it: no weights are needed, zeros take as long.
SCRIPT = """
import ctypes, os, sys
sys.path.insert(0, "release")
import ncnn, numpy

param, side = sys.argv[1], int(sys.argv[2])
net = ncnn.Net()
net.opt.num_threads = 1
net.opt.use_vulkan_compute = False
if net.load_param(param):
    sys.exit(f"ncnn can't read {param}")
net.load_model("zeros.bin")
pixels = numpy.full((3, side, side), 0.01, "f4")  # the Mat does not keep it
image = ncnn.Mat(pixels)
mark = ctypes.CDLL(None).syscall


def infer():
    extractor = net.create_extractor()
    for name in net.input_names():
        extractor.input(name, image)
    for name in net.output_names():
        extractor.extract(name)


infer()
mark(0x7A70, 1, 0)
infer()
mark(0x7A70, 2, 0)
os._exit(0)
"""

#: More zeros than any of the networks has weights; the file has no blocks on the disk.
ZEROS = 1 << 30


#: Where releases are unpacked, beside the script, and what it imports first.
RELEASE = "release"


@dataclass(frozen=True, order=True)
class Wanted:
    """One run that the published table asks for."""

    runtime: str  # "ncnn 1.0.20261020"
    network: str
    core: str


def wanted(published: Sequence[Published]) -> tuple[Wanted, ...]:
    """Every run that the fits need, once."""
    cores = {board.name: board.core for board in BOARDS}
    return tuple(sorted({Wanted(p.runtime, p.network, cores[p.board]) for p in published}))


def remeasure(
    environment: Environment, params: Path, runs: Sequence[Wanted], tell: Callable[[str], None]
) -> tuple[Executed, ...]:
    """Count every run; ArmError where a file is missing or a run fails.

    `params` holds ncnn's NETWORK.param files; `tell` hears what is counted next.
    """
    if absent := [run.network for run in runs if not (params / f"{run.network}.param").is_file()]:
        raise ArmError(
            f"{params} holds no {absent[0]}.param: give the folder benchmark/ of ncnn's source"
        )
    cycles = BlockCycles.of_environment(environment)
    releases = {name: _release(environment, name) for name in {run.runtime for run in runs}}
    found = []
    for run in runs:
        tell(f"{run.network} on {run.core} by {run.runtime}")
        emulator = Emulator(environment, CORES[run.core])
        region = _region(emulator, params / f"{run.network}.param", releases[run.runtime])
        summed = cycles.sum(region.blocks, run.core)
        found.append(
            Executed(run.core, run.network, run.runtime, region.instructions, summed.cycles)
        )
    return tuple(found)


def _release(environment: Environment, runtime: str) -> Path | None:
    """The wheel of an earlier release, fetched if need be; None for the environment's own."""
    version = runtime.removeprefix("ncnn ")
    if version == environment.versions.get("ncnn"):
        return None
    earlier = wheels.wheels_in((FOLDER / "wheels.txt").read_text())
    for wheel in earlier:
        if wheel.version == version:
            return wheels.fetch([wheel], environment.folder / "packages")[0]
    raise ArmError(f"{runtime} is neither in the environment nor in {FOLDER / 'wheels.txt'}")


def _region(emulator: Emulator, param: Path, release: Path | None) -> Region:
    """One inference after a first one."""
    with tempfile.TemporaryDirectory(prefix="atpn-ncnn-") as scratch:
        folder = Path(scratch)
        (folder / "network.py").write_text(SCRIPT)
        with (folder / "zeros.bin").open("wb") as zeros:
            zeros.truncate(ZEROS)
        if release is not None:
            wheels.unpack([release], folder / RELEASE)
        side = SIDES.get(param.stem, SIDE)
        done = subprocess.run(
            [*emulator.words("region"), "network.py", str(param.resolve()), str(side)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE_S,
            check=False,
        )
        regions = sorted(folder.glob("region.*.0"))
        if done.returncode or len(regions) != 1:
            last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
            raise ArmError(f"{param.name} on {emulator.core.title}: {last}")
        return read_region(regions[0].read_text())
