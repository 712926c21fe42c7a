"""The one file that a device needs: everything a session and its parity import, zipped."""

from __future__ import annotations

import zipfile
from pathlib import Path

import atpn_benchmarks
import atpn_deploy
import atpn_exporters
from atpn_deploy import tracking

MAIN = "import sys\nfrom atpn_benchmarks.guest.main import main\nsys.exit(main())\n"

#: A date in every entry, so that equal code gives equal bytes.
DATE = (1980, 1, 1, 0, 0, 0)


def write_guest(path: Path) -> None:
    """Write the archive, which `python3 guest.pyz COMMAND` runs.

    Of `atpn_deploy` it holds the top level and the tracker with its vectors: training, data sets
    and commands stay here.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, "__main__.py", MAIN)
        for file in [*guest_modules(), *guest_vectors()]:
            root = next(parent for parent in file.parents if parent.name in ROOTS)
            _add(archive, file.relative_to(root.parent).as_posix(), file.read_text("utf-8"))


#: Package to the modules of it that travel.
ROOTS = {
    "atpn_deploy": (
        atpn_deploy,
        ("*.py", "tracking/*.py", "detectors/__init__.py", "detectors/detector.py"),
    ),
    "atpn_exporters": (atpn_exporters, ("**/*.py",)),
    "atpn_benchmarks": (
        atpn_benchmarks,
        ("guest/*.py", "operators/__init__.py", "operators/litert_library.py"),
    ),
}


def guest_modules() -> list[Path]:
    """The source files that go into the archive."""
    found = []
    for package, patterns in ROOTS.values():
        if package.__file__ is None:
            raise ValueError(f"{package.__name__} has no __init__.py")
        init = Path(package.__file__)
        modules = {module for pattern in patterns for module in init.parent.glob(pattern)}
        found += sorted({init, *modules})
    return found


def guest_vectors() -> list[Path]:
    """What crop, tracker and filter are held against there."""
    return sorted(Path(tracking.__path__[0]).glob("*_vectors.json"))


def _add(archive: zipfile.ZipFile, name: str, text: str) -> None:
    archive.writestr(zipfile.ZipInfo(name, DATE), text, zipfile.ZIP_DEFLATED)
