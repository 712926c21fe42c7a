"""What the Python of a device tells, and what is said where a guest can't run on it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

from atpn_benchmarks.devices import python_there
from atpn_benchmarks.devices.python_there import PythonThere, parsed, questions
from atpn_benchmarks.guest.main import NEEDS_PYTHON

GOOD = PythonThere(
    "python3", (3, 11, 2), "/usr/bin/python3", "aarch64", 64, "Linux", "glibc", "1.26.4", ""
)
BARE = replace(GOOD, numpy="", complaint="No module named 'numpy'")


def test_this_python_answers() -> None:
    told = subprocess.run(
        ["sh", "-c", f"{sys.executable} {questions()}"], capture_output=True, text=True, check=True
    )
    found = parsed("python3", told.stdout)
    assert found is not None
    assert found.version == tuple(sys.version_info[:3])
    assert found.executable == sys.executable
    assert found.bits == 64
    assert found.numpy
    assert found.lacking == ""


def test_questions_pass_any_login_shell() -> None:
    assert not set("\n!\\`$") & set(questions())


def test_what_is_no_answer_is_none() -> None:
    assert parsed("python3", "Python was not found; run without arguments to install") is None


def test_it_needs_what_the_guest_needs() -> None:
    assert python_there.OLDEST == NEEDS_PYTHON


def test_a_good_one_lacks_nothing() -> None:
    assert (GOOD.lacking, GOOD.remark) == ("", "")


def test_an_old_one_is_told() -> None:
    old = replace(GOOD, version=(3, 9, 2))
    assert old.lacking.startswith("has Python 3.9.2 at /usr/bin/python3; 3.10 or newer is needed")


def test_a_line_to_type_where_numpy_is_missing() -> None:
    assert BARE.lacking == (
        "has no NumPy for /usr/bin/python3: type there: python3 -m venv ~/atpn-bench && "
        "~/atpn-bench/bin/pip install numpy ai-edge-litert onnxruntime"
    )


def test_a_numpy_that_does_not_load_is_told_from_none() -> None:
    broken = replace(BARE, complaint="libopenblas.so.0: cannot open shared object file")
    assert "can't load: libopenblas.so.0" in broken.lacking


def test_another_libc_is_told() -> None:
    assert "apk add py3-numpy; its C library is musl" in replace(BARE, libc="musl").lacking
    assert "wheels for glibc only" in replace(GOOD, libc="musl").remark


def test_termux_is_told() -> None:
    assert "pkg install python-numpy" in replace(BARE, libc="bionic").lacking


def test_a_32_bit_program_on_a_64_bit_kernel_is_told() -> None:
    assert "its Python is a 32-bit program (aarch64)" in replace(GOOD, bits=32).remark
    assert "32-bit" in replace(BARE, bits=32).lacking
