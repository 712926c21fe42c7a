"""A user's own detector, named as MODULE:FACTORY: imported, called, and held to the interface."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.crop import Box
from atpn_deploy.detectors.detector import Detector
from atpn_deploy.errors import DetectorError

#: "my_module:factory", "package.module:Class"; a Windows path is none, for a drive is one letter.
NAME = re.compile(r"(?P<module>[A-Za-z_][\w.]+):(?P<factory>[A-Za-z_]\w*)")


def is_own(text: str) -> bool:
    """Whether `text` names a factory."""
    return NAME.fullmatch(text) is not None


def open_own(text: str) -> Detector:
    """Import the module, from the working folder too, call the factory with nothing.

    What the two raise of their own accord is not caught. Raises DetectorError where there is no
    such module or factory, or where what it makes has no `propose`; and, when its turn comes, where
    `propose` answers with anything but boxes.
    """
    match = NAME.fullmatch(text)
    if match is None:
        raise DetectorError(f"{text!r} is no MODULE:FACTORY, such as my_detector:make")
    module, name = match["module"], match["factory"]
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # a console script does not look there
    try:
        absent = find_spec(module) is None
    except ModuleNotFoundError:  # of a dotted name, the package
        absent = True
    if absent:
        raise DetectorError(
            f"--detector {text}: there is no module {module}; looked in {here} and where Python "
            "finds modules (PYTHONPATH)"
        )
    factory = getattr(import_module(module), name, None)
    if not callable(factory):
        came = "has no" if factory is None else "holds no function or class"
        raise DetectorError(f"--detector {text}: {module} {came} {name}")
    made = factory()
    if not callable(getattr(made, "propose", None)):
        raise DetectorError(
            f"--detector {text} makes a {type(made).__name__} without propose(image); expected "
            "an object that has it (docs/detectors.md)"
        )
    return _Checked(text, made)


class _Checked:
    """A detector whose answers are looked at: a foreign one is told by its first mistake."""

    def __init__(self, text: str, detector: Detector) -> None:
        self._text, self._detector = text, detector

    def propose(self, image: NDArray[np.uint8]) -> list[Box]:
        """The squares of the user's detector."""
        boxes = self._detector.propose(image)
        if not isinstance(boxes, list | tuple):
            raise DetectorError(
                f"--detector {self._text}: propose returned a {type(boxes).__name__}; expected a "
                "list of atpn_deploy.crop.Box"
            )
        for box in boxes:
            if not isinstance(box, Box):
                raise DetectorError(
                    f"--detector {self._text}: propose returned {str(box)[:60]!r} among its boxes; "
                    "expected atpn_deploy.crop.Box(left, top, side)"
                )
        return list(boxes)
