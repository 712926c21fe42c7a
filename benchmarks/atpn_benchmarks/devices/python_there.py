"""The Python of a device: which one it is, and whether a guest can run on it."""

from __future__ import annotations

from dataclasses import dataclass

#: The oldest Python that the guest's modules run on.
OLDEST = (3, 10)

#: The environment that our own advice makes on a board; it is looked for first.
ENVIRONMENT = "~/atpn-bench"

#: How Python is started on a board, in words of its shell, in the order they are tried.
PYTHONS = ('"$HOME"/atpn-bench/bin/python', "python3", "python")

#: Where another one is named on this machine.
VARIABLE = "ATPN_DEVICE_PYTHON"

#: The wheels that run deployable files.
RUNTIMES = "ai-edge-litert onnxruntime"

# Runs on any Python, the second included. NumPy is imported: one that is there may not load.
_QUESTIONS = """
import platform, struct, sys, sysconfig
numpy = complaint = ""
try:
    import numpy as found
    numpy = found.__version__
except Exception:
    complaint = str(sys.exc_info()[1])
libc = platform.libc_ver()[0]
if hasattr(sys, "getandroidapilevel"):
    libc = "bionic"
elif "musl" in str(sysconfig.get_config_var("SOABI")):
    libc = "musl"
version = ".".join(map(str, sys.version_info[:3]))
bits = str(8 * struct.calcsize("P"))
answers = [version, sys.executable, platform.machine(), bits, platform.system(), libc, numpy]
sys.stdout.write(" | ".join(" ".join(answer.split()) for answer in answers + [complaint]))
"""


def questions() -> str:
    """Arguments for a Python there, as shell words on one line, that make it tell of itself."""
    # In hexadecimal, for line breaks inside quotes are what some login shells refuse.
    return f"-c 'exec(bytearray.fromhex(\"{_QUESTIONS.encode().hex()}\").decode())'"


@dataclass(frozen=True)
class PythonThere:
    """What one Python has told of itself."""

    command: str  # words of the device's shell
    version: tuple[int, ...]  # (3, 11, 2)
    executable: str
    machine: str  # of the kernel: aarch64, x86_64, armv7l
    bits: int  # of the program: a 64-bit kernel may run a 32-bit one
    system: str  # Linux, Darwin
    libc: str  # glibc, musl, bionic; "" is unknown
    numpy: str  # "" where there is none that loads
    complaint: str  # why NumPy doesn't load

    @property
    def lacking(self) -> str:
        """What keeps a guest from running, and what to type; empty if nothing does."""
        if self.version[:2] < OLDEST:
            wanted = ".".join(map(str, OLDEST))
            return (
                f"has Python {'.'.join(map(str, self.version))} at {self.executable}; {wanted} or "
                f"newer is needed: install one there and say where it is: {VARIABLE}=PATH"
            )
        if self.numpy:
            return ""
        if self.complaint and "No module named" not in self.complaint:
            return f"has a NumPy that {self.executable} can't load: {self.complaint}"
        return f"has no NumPy for {self.executable}: {self._how_to_install}"

    @property
    def _how_to_install(self) -> str:
        if self.libc == "bionic":
            return "in Termux, type there: pkg install python-numpy"
        if self.libc == "musl":
            return f"on Alpine, type there: apk add py3-numpy; {self.remark}"
        line = (
            f"type there: python3 -m venv {ENVIRONMENT} && "
            f"{ENVIRONMENT}/bin/pip install numpy {RUNTIMES}"
        )
        return f"{line}; {self.remark}" if self.remark else line

    @property
    def remark(self) -> str:
        """Why the runtimes may be missing there, in a sentence; empty if they have wheels."""
        if self.libc == "bionic":
            return f"Android's C library (bionic): {RUNTIMES} have no wheels for it"
        if self.libc == "musl":
            return f"its C library is musl: {RUNTIMES} have wheels for glibc only"
        if self.bits == 32:
            return (
                f"its Python is a 32-bit program ({self.machine}): {RUNTIMES} have wheels for "
                "64-bit systems only"
            )
        return ""


def parsed(command: str, told: str) -> PythonThere | None:
    """The answers to `questions`, or None where they are none."""
    parts = [part.strip() for part in told.split("|")]
    if len(parts) < 8:
        return None
    version, executable, machine, bits, system, libc, numpy, *complaint = parts
    return PythonThere(
        command,
        tuple(int(part) for part in version.split(".")),
        executable,
        machine,
        int(bits),
        system,
        libc,
        numpy,
        "|".join(complaint),
    )
