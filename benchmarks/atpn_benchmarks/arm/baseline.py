"""The instructions that every shipped file took when somebody last agreed to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from atpn_benchmarks.counting.operators import CountedOperator
from atpn_benchmarks.results import Row
from atpn_deploy.errors import AtpnError, ResultsError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

#: What to type for a new one.
WRITE = "--write-instructions"


@dataclass(frozen=True)
class Taken:
    """One file on one core."""

    sha256: str  # of the file
    runtime: str  # "LiteRT 2.3.0"
    kernel_family: str
    instructions: int
    by_class: dict[str, int]
    #: What the graph consists of, by `operator_label`, to how often; empty where it can't be read.
    operators: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Baseline:
    """What was agreed to, by core and by the name of the file."""

    __pydantic_config__: ClassVar = {"strict": True, "extra": "forbid"}

    cores: dict[str, dict[str, Taken]]
    emulator: str  # "QEMU 7.2"; counts do not depend on it, but who doubts them wants to know

    def of(self, core: str) -> Mapping[str, Taken]:
        """The files of a core; ResultsError if it was never counted on."""
        if core not in self.cores:
            raise ResultsError(
                f"the baseline holds no {core}, only {', '.join(sorted(self.cores)) or 'nothing'}: "
                f"type {WRITE}"
            )
        return self.cores[core]

    def with_rows(self, core: str, taken: Mapping[str, Taken]) -> Baseline:
        """The same with these files of a core put in or renewed, in the order of names."""
        files = dict(sorted({**self.cores.get(core, {}), **taken}.items()))
        return Baseline(dict(sorted({**self.cores, core: files}.items())), self.emulator)


def operator_label(operator: CountedOperator) -> str:
    """Kind, place and size of an operator: equal for those that nobody could tell apart."""
    where = f" in {operator.module}" if operator.module else ""
    size = f", {operator.macs:,} multiply-adds" if operator.macs else ""
    return f"{operator.kind}{where}{size}"


def operators_in(path: Path, signature: str | None) -> dict[str, int]:
    """The operators of a file's graph by label; none where its format can't be read."""
    from atpn_benchmarks.counting.files import counted_operators

    try:
        return labelled(counted_operators(path, signature))
    except AtpnError:
        return {}  # the counts can be judged without; what grew is then not named


def labelled(operators: Iterable[CountedOperator]) -> dict[str, int]:
    """How often each label stands for an operator."""
    return dict(sorted(Counter(map(operator_label, operators)).items()))


def taken(rows: Sequence[Row], paths: Mapping[str, Path]) -> dict[str, Taken]:
    """What each row of ours took that was counted; `paths` to the files by row."""
    found = {}
    for row in rows:
        if row.peer or row.instructions is None or row.state != "counted":
            continue
        path = paths.get(row.name)
        operators = operators_in(path, row.signature or None) if path else {}
        counts = row.instructions
        found[row.name] = Taken(
            row.sha256,
            row.runtime,
            row.kernel_family,
            counts.instructions,
            dict(counts.by_class),
            operators,
        )
    return found


def read_baseline(path: Path) -> Baseline:
    """Read a baseline; ResultsError in one line where it is missing or damaged."""
    from pydantic import ValidationError

    try:
        return _adapter().validate_json(path.read_bytes())
    except OSError as error:
        raise ResultsError(
            f"cannot read the baseline {path}: {error.strerror}; type {WRITE} for a new one"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ResultsError(f"{path} is no baseline of instructions: {where}: {first['msg']}") from (
            error
        )


def write_baseline(baseline: Baseline, path: Path) -> None:
    """Write it, sorted and indented: it is committed, and a change is to be read."""
    partial = path.with_name(f".{path.name}.part")
    try:
        partial.write_bytes(_adapter().dump_json(baseline, indent=1) + b"\n")
        partial.replace(path)
    except OSError as error:
        raise ResultsError(f"cannot write {path}: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)


def _adapter() -> TypeAdapter[Baseline]:
    from pydantic import TypeAdapter

    return TypeAdapter(Baseline)
