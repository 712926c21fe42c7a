"""What a .pte file holds, read from its bytes: methods, operators, delegates, texts.

Read before the native runtime sees the file, because that trusts it: one wrong byte in a program
can end the process. So the exporter seals a file with its sha256 behind the last segment, where no
runtime looks.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atpn_deploy.errors import ArtifactError
from atpn_exporters.flatbuffer_table import Table
from atpn_exporters.xnnpack_graph import Node, nodes_of

#: Bytes 4 to 8 of a program, and bytes 8 to 12: the header that says where the segments lie.
IDENTIFIER, EXTENDED_HEADER = b"ET12", b"eh00"
#: Opens the last bytes of a sealed file; the sha256 of all before it follows.
SEAL = b"atpn-sha256:"
SEAL_LENGTH = len(SEAL) + hashlib.sha256().digest_size
#: The only version of the schema so far.
SCHEMA_VERSION = 0
BACKEND = "XnnpackBackend"

#: Fields of the schema's tables.
VERSION, PLANS, SEGMENTS = 0, 1, 4  # of a program
NAME, VALUES, INPUTS, OUTPUTS, CHAINS, OPERATORS, DELEGATES = 0, 2, 3, 4, 5, 6, 7  # of a plan
BUFFER, ALLOCATION = 5, 6  # of a tensor
#: Types of the schema's unions.
TENSOR, TEXT = 5, 6
KERNEL_CALL, DELEGATE_CALL = 1, 2
#: Where a delegate's data lie, if not inside the flatbuffer.
IN_SEGMENT = 1

#: The method that returns the exporter's facts, as JSON.
FACTS = "atpn"

Shape = tuple[int, ...]


def outputs_method(signature: str) -> str:
    """The method that returns the names of a signature's outputs, in order, by commas."""
    return f"{signature}_outputs"


@dataclass(frozen=True)
class Method:
    """One entry point of a program."""

    name: str
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    text: str | None  # what a method without instructions returns, if that is a text
    kernels: tuple[str, ...]  # operators outside every delegate, one entry a call
    delegates: tuple[tuple[Node, ...], ...]  # the operators inside, one entry a call


def sealed(program: bytes) -> bytes:
    """The program as it is written to disk."""
    return program + SEAL + hashlib.sha256(program).digest()


def read_program(path: Path) -> bytes:
    """The bytes of a file whose seal fits, without the seal; else ArtifactError in one line."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror}") from error
    try:
        _check_length(content)
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error}") from error
    program, seal = content[:-SEAL_LENGTH], content[-SEAL_LENGTH:]
    if not seal.startswith(SEAL):
        raise ArtifactError(
            f"{path} has no seal: it is cut off or not from atpn-export; export it again"
        )
    if seal != SEAL + hashlib.sha256(program).digest():
        raise ArtifactError(f"{path} is damaged: its sha256 is not the sealed one; export it again")
    return program


def read_methods(path: Path) -> dict[str, Method]:
    """The methods of a .pte file by name; ArtifactError in one line if it is none or damaged."""
    program = read_program(path)
    try:
        return _methods(program)
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error}") from error
    except (struct.error, LookupError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path} is damaged: {error}; export it again") from error


def read_metadata(path: Path) -> dict[str, Any]:
    """The facts that the exporter wrote into the file; empty if it holds none."""
    facts = read_methods(path).get(FACTS)
    if facts is None or facts.text is None:
        return {}
    try:
        values = json.loads(facts.text)
    except ValueError as error:
        raise ArtifactError(f"{path}: what its method {FACTS!r} returns is no JSON") from error
    if not isinstance(values, dict):
        raise ArtifactError(f"{path}: what its method {FACTS!r} returns is no JSON object")
    return values


def _methods(content: bytes) -> dict[str, Method]:
    segments_at = _check_length(content)
    program = Table.root(content)
    version = program.number(VERSION)
    if version != SCHEMA_VERSION:
        raise ArtifactError(
            f"a .pte file of schema version {version}; version {SCHEMA_VERSION} is expected: "
            "export it again with this version's ExecuTorch"
        )
    segments = [
        (segments_at + table.number(0, "<Q"), table.number(1, "<Q"))
        for table in program.tables(SEGMENTS)
    ]
    beyond = max((start + size for start, size in segments), default=0)
    if beyond > len(content):
        raise ArtifactError(f"cut off: a segment ends at {beyond:,} of {len(content):,} bytes")
    methods = [_method(plan, content, segments) for plan in program.tables(PLANS)]
    return {method.name: method for method in methods}


def _check_length(content: bytes) -> int:
    """Where the segments begin; ArtifactError for other files and cut-off ones."""
    if content[4:8] != IDENTIFIER:
        raise ArtifactError(
            f"no ExecuTorch program: bytes 4 to 8 are {content[4:8]!r}, expected {IDENTIFIER!r}"
        )
    if content[8:12] != EXTENDED_HEADER or len(content) < 40:
        raise ArtifactError("no extended header, so its length cannot be checked; export it again")
    length, program, base, size = struct.unpack_from("<IQQQ", content, 12)
    expected = max(program, base + (size if length >= 32 else 0))
    if len(content) < expected:
        raise ArtifactError(f"cut off: {len(content):,} of {expected:,} bytes")
    return int(base)


def _method(plan: Table, content: bytes, segments: list[tuple[int, int]]) -> Method:
    values = list(plan.tables(VALUES))
    operators = [f"{table.text(0)}.{table.text(1)}" for table in plan.tables(OPERATORS)]
    delegates = list(plan.tables(DELEGATES))
    kernels, inside = [], []
    for chain in plan.tables(CHAINS):
        for instruction in chain.tables(2):
            kind = instruction.number(0, "<B")
            index = instruction.table(1).number(0) if kind in (KERNEL_CALL, DELEGATE_CALL) else 0
            if kind == KERNEL_CALL:
                kernels.append(operators[index])
            elif kind == DELEGATE_CALL:
                data = _delegate_data(delegates[index], content, segments)
                arguments = instruction.table(1).numbers(1)
                constants = {n for n, value in enumerate(arguments) if _is_constant(values[value])}
                inside.append(nodes_of(data, frozenset(constants)))
    outputs = [values[index] for index in plan.numbers(OUTPUTS)]
    texts = [value.table(1).text(0) for value in outputs if value.number(0, "<B") == TEXT]
    return Method(
        plan.text(NAME),
        tuple(_shape(values[index]) for index in plan.numbers(INPUTS)),
        tuple(_shape(value) for value in outputs),
        texts[0] if texts and not (kernels or inside) else None,
        tuple(kernels),
        tuple(inside),
    )


def _delegate_data(delegate: Table, content: bytes, segments: list[tuple[int, int]]) -> bytes:
    backend = delegate.text(0)
    if backend != BACKEND:
        raise ArtifactError(f"a part of the program is for {backend}; expected {BACKEND}")
    reference = delegate.table(1)
    if reference.number(0, "<b") != IN_SEGMENT:
        raise ArtifactError("a delegate's data lie inside the program; export it again")
    start, size = segments[reference.number(1)]
    return content[start : start + size]


def _is_constant(value: Table) -> bool:
    """Whether a value is a tensor that the program holds and never changes."""
    if value.number(0, "<B") != TENSOR:
        return False
    tensor = value.table(1)
    return tensor.number(BUFFER) != 0 and not tensor.has(ALLOCATION)


def _shape(value: Table) -> Shape:
    """A tensor's shape; empty for any other value."""
    return value.table(1).numbers(2) if value.number(0, "<B") == TENSOR else ()
