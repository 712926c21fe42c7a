"""What an operation was given, by parameter, in the form in which an operator wants it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.errors import ArtifactError
from atpn_exporters.mil.program import Constant


class Arguments:
    """The values of one operation's parameters; floats are float32 arrays.

    Raises ArtifactError for a parameter that the operation needs and was not given.
    """

    def __init__(self, values: Mapping[str, tuple[Constant, ...]], outputs: int = 1) -> None:
        self._values = values
        #: How many values the operation writes.
        self.outputs = outputs

    def has(self, parameter: str) -> bool:
        """Whether the parameter was given."""
        return parameter in self._values

    def arrays(self, parameter: str) -> tuple[NDArray[Any], ...]:
        """All arrays of a parameter that is a list."""
        return tuple(self._as_array(parameter, value) for value in self._bound(parameter))

    def array(self, parameter: str) -> NDArray[Any]:
        """The one array of a parameter."""
        return self._as_array(parameter, self._one(parameter))

    def optional(self, parameter: str) -> NDArray[Any] | None:
        """The array of a parameter, or None where it was not given."""
        return self.array(parameter) if self.has(parameter) else None

    def text(self, parameter: str, default: str) -> str:
        """The text of a parameter."""
        if not self.has(parameter):
            return default
        value = self._one(parameter)
        if not isinstance(value, str):
            raise ArtifactError(f"the parameter {parameter!r} is an array; expected a text")
        return value

    def number(self, parameter: str, default: float | None = None) -> float:
        """The number of a parameter; it has no default where `default` is None."""
        if default is not None and not self.has(parameter):
            return default
        return float(self.array(parameter).reshape(()).item())

    def integers(self, parameter: str, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """The integers of a parameter; a scalar is one of them."""
        if default is not None and not self.has(parameter):
            return default
        return tuple(int(value) for value in np.atleast_1d(self.array(parameter)))

    def integer(self, parameter: str, default: int | None = None) -> int:
        """The integer of a parameter."""
        (value,) = self.integers(parameter, None if default is None else (default,))
        return value

    def flag(self, parameter: str, default: bool = False) -> bool:
        """The truth value of a parameter."""
        return bool(self.array(parameter).reshape(()).item()) if self.has(parameter) else default

    def _bound(self, parameter: str) -> tuple[Constant, ...]:
        if parameter not in self._values:
            raise ArtifactError(f"the parameter {parameter!r} is missing")
        return self._values[parameter]

    def _one(self, parameter: str) -> Constant:
        bound = self._bound(parameter)
        if len(bound) != 1:
            raise ArtifactError(f"the parameter {parameter!r} has {len(bound)} values; expected 1")
        return bound[0]

    @staticmethod
    def _as_array(parameter: str, value: Constant) -> NDArray[Any]:
        if isinstance(value, str):
            raise ArtifactError(f"the parameter {parameter!r} is the text {value!r}, not an array")
        return value
