"""The one file that a device needs: everything a session and its parity import, zipped."""

from __future__ import annotations

import zipfile
from pathlib import Path

import atpn_benchmarks
import atpn_deploy
import atpn_exporters

MAIN = "import sys\nfrom atpn_benchmarks.guest.main import main\nsys.exit(main())\n"

#: A date in every entry, so that equal code gives equal bytes.
DATE = (1980, 1, 1, 0, 0, 0)


def write_guest(path: Path) -> None:
    """Write the archive, which `python3 guest.pyz COMMAND` runs.

    Of `atpn_deploy` it holds the top level alone: training, data sets and commands stay here.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, "__main__.py", MAIN)
        for module in guest_modules():
            root = next(parent for parent in module.parents if parent.name in ROOTS)
            _add(archive, module.relative_to(root.parent).as_posix(), module.read_text())


#: Package to the modules of it that travel.
ROOTS = {
    "atpn_deploy": (atpn_deploy, ("*.py",)),
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


def _add(archive: zipfile.ZipFile, name: str, text: str) -> None:
    archive.writestr(zipfile.ZipInfo(name, DATE), text, zipfile.ZIP_DEFLATED)
