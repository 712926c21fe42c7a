"""Making an ARM environment: only what is missing or stale; what was begun is taken up again."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from atpn_benchmarks.arm.commands import CommandError, output
from atpn_benchmarks.arm.cores import CORES
from atpn_benchmarks.arm.emulator import Emulator
from atpn_benchmarks.arm.environment import SETUP, Environment, Made, Stamp, lacking
from atpn_benchmarks.arm.parts import PARTS, Part, Workshop
from atpn_benchmarks.arm.region_file import read_region
from atpn_deploy.errors import ArmError
from atpn_exporters.progress import Listener, Step

#: Seconds of trying it out.
TRIAL = Step("trying it out", 3.0)

#: A loop of known length between two marks.
TRIAL_SCRIPT = """
import ctypes, platform
mark = ctypes.CDLL(None).syscall
mark(0x7A70, 1, 0)
sum(range(1000))
mark(0x7A70, 2, 0)
print(platform.machine())
"""


def stale_parts(workshop: Workshop, parts: Sequence[Part] = PARTS) -> list[str]:
    """The parts that a set-up would make."""
    return lacking(workshop.folder, {part.name: part.recipe(workshop) for part in parts})


def open_environment(folder: Path) -> Environment:
    """A whole environment of this version, or ArmError with what to type."""
    stamp = Stamp.read(folder)
    if not stamp.parts:
        raise ArmError(f"no ARM environment in {folder}; make it: {SETUP}")
    qemu = folder / "emulator" / "qemu-aarch64"
    workshop = Workshop(folder, "", qemu.readlink() if qemu.is_symlink() else None)
    if stale := stale_parts(workshop):
        raise ArmError(
            f"the ARM environment in {folder} is stale or incomplete ({', '.join(stale)}); "
            f"renew it: {SETUP}"
        )
    return Environment(folder)


def make(workshop: Workshop, listener: Listener) -> Environment:
    """Make what is missing or stale, then try it out.

    A part counts as made once its folder and its stamp are there: interrupted at any point, the
    next call goes on from the parts and the packages that are whole.
    """
    with _locked(workshop.folder):
        stale = stale_parts(workshop)
        todo = [part for part in PARTS if part.name in stale]
        listener.plan([*(Step(part.title, part.typical_s) for part in todo), TRIAL])
        for part in todo:
            listener.begin(part.title)
            _make_part(part, workshop)
        listener.begin(TRIAL.label)
        environment = Environment(workshop.folder)
        try:
            try_out(environment)
        except ArmError:  # what does not count is not whole
            Stamp.read(workshop.folder).without("emulator").save(workshop.folder)
            raise
    return environment


def _make_part(part: Part, workshop: Workshop) -> None:
    folder = workshop.folder
    partial = folder / f"{part.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    versions = part.make(workshop, partial)
    stamp = Stamp.read(folder).without(part.name)
    stamp.save(folder)
    shutil.rmtree(folder / part.name, ignore_errors=True)
    partial.replace(folder / part.name)
    stamp.with_part(part.name, Made(part.recipe(workshop), versions)).save(folder)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One set-up at a time: ArmError for a second one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("w")
    except OSError as error:
        raise ArmError(f"can't write to {folder}: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ArmError(f"another set-up is making {folder}; wait for it to end") from error
        yield


def try_out(environment: Environment) -> None:
    """Count a loop on an emulated core; ArmError says what doesn't work."""
    options = output([*environment.qemu, "-h"])
    if "-plugin" not in options:
        raise ArmError(
            f"{environment.qemu[-1]} takes no plugins, so it can't count: one configured with "
            f"--enable-plugins is needed; leave out --qemu for Debian's"
        )
    emulator = Emulator(environment, CORES["cortex-a76"])
    with tempfile.TemporaryDirectory(prefix="atpn-arm-") as scratch:
        try:
            words = emulator.words(f"{scratch}/trial")
            told = output([*words, "-c", TRIAL_SCRIPT]).strip()
        except CommandError as error:
            raise ArmError(f"Python does not start on the emulated core: {error}") from error
        found = list(Path(scratch).glob("trial.*"))
        if told != "aarch64" or len(found) != 1:
            raise ArmError(
                f"the emulated core tells {told!r} and counted {len(found)} regions; expected "
                f"'aarch64' and 1; make the environment anew: {SETUP} --remove, then {SETUP}"
            )
        read_region(found[0].read_text())
