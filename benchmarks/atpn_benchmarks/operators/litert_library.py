"""LiteRT's profiler through its C library, which its Python interpreter does not offer."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atpn_deploy.errors import MissingToolError

Handle = ctypes.c_void_p
#: Types of events that stand for operators: one that LiteRT runs itself, and one of a delegate.
OPERATOR, DELEGATE_OPERATOR, DELEGATED = 2, 4, 8
#: What LiteRT notes as the first event of every run.
FIRST = "LiteRT::Run[buffer registration]"
#: Keys of option blocks, each a text in TOML.
RUNTIME_OPTIONS, CPU_OPTIONS = b"runtime_options_string", b"xnnpack"
#: The accelerator to run on: the processor.
PROCESSOR = 1
#: How a buffer is locked that is written to.
WRITE = 1
#: Element types of inputs by the library's number.
ELEMENTS = {1: "float32", 2: "int32", 3: "uint8", 4: "int64", 7: "int16", 9: "int8", 10: "float16"}


class Layout(ctypes.Structure):
    """Shape of a tensor."""

    _fields_ = (
        ("rank", ctypes.c_uint, 7),
        ("has_strides", ctypes.c_uint, 1),
        ("dimensions", ctypes.c_int32 * 8),
        ("strides", ctypes.c_uint32 * 8),
    )


class TensorType(ctypes.Structure):
    """Element type and shape of a tensor."""

    _fields_ = (("element", ctypes.c_int), ("layout", Layout))


class ProfiledEvent(ctypes.Structure):
    """What the profiler notes of one event; times in microseconds."""

    _fields_ = (
        ("tag", ctypes.c_char_p),
        ("kind", ctypes.c_int),
        ("start_us", ctypes.c_uint64),
        ("elapsed_us", ctypes.c_uint64),
        ("memory_before", ctypes.c_int64 * 3),
        ("memory_after", ctypes.c_int64 * 3),
        ("index", ctypes.c_uint64),
        ("subgraph", ctypes.c_uint64),
        ("source", ctypes.c_int),
    )


@dataclass(frozen=True)
class Event:
    """One operator of one run."""

    tag: str  # "CONV_2D", or XNNPACK's "Convolution (NHWC, QC8) IGEMM"
    delegated: bool
    index: int  # in the graph, or in the partition where it is delegated
    elapsed_us: int


class LiteRTError(RuntimeError):
    """A call of the library failed."""


class ProfiledModel:
    """A .tflite of one signature, opened by the C library with its profiler on."""

    def __init__(self, path: Path, kernels: str, threads: int) -> None:
        """`kernels`: xnnpack, or builtin for LiteRT's own without a delegate."""
        self._library = _library()
        self._kept: list[Any] = []  # what the library points to without owning it
        self._environment = self._made("LiteRtCreateEnvironment", 0, None)
        self._model = self._made("LiteRtCreateModelFromFile", self._environment, str(path).encode())
        options = self._made("LiteRtCreateOptions")
        self._call("LiteRtSetOptionsHardwareAccelerators", options, PROCESSOR)
        self._add(options, RUNTIME_OPTIONS, "enable_profiling = true\n")
        self._add(options, CPU_OPTIONS, f'num_threads = {threads}\nkernel_mode = "{kernels}"\n')
        self._compiled = self._made(
            "LiteRtCreateCompiledModel", self._environment, self._model, options
        )
        self._profiler = self._made("LiteRtCompiledModelGetProfiler", self._compiled)
        if self._profiler.value is None:
            raise LiteRTError("this version of LiteRT made no profiler")
        self._inputs = self._buffers("Input")
        for buffer in self._inputs:
            self._fill(buffer)
        self._outputs = self._buffers("Output")

    def run(self) -> tuple[Event, ...]:
        """Run once; the operators in the order in which they ran."""
        self._call("LiteRtResetProfiler", self._profiler)
        self._call("LiteRtStartProfiler", self._profiler)
        self._call(
            "LiteRtRunCompiledModel",
            self._compiled,
            ctypes.c_size_t(0),
            ctypes.c_size_t(len(self._inputs)),
            self._inputs,
            ctypes.c_size_t(len(self._outputs)),
            self._outputs,
        )
        self._call("LiteRtStopProfiler", self._profiler)
        return tuple(self._events())

    def _events(self) -> Iterator[Event]:
        count = ctypes.c_int()
        self._call("LiteRtGetNumProfilerEvents", self._profiler, ctypes.byref(count))
        size = ctypes.sizeof(ProfiledEvent)
        # Twice the room and a pattern in it: how far it is overwritten tells the size of an event,
        # and one of another size is not read.
        room = ctypes.create_string_buffer(
            b"\xa5" * (2 * size * count.value), 2 * size * count.value
        )
        self._call("LiteRtGetProfilerEvents", self._profiler, count, room)
        written = len(room.raw.rstrip(b"\xa5"))
        if not size * (count.value - 1) < written <= size * count.value:
            raise LiteRTError(f"an event has {written / max(1, count.value):.0f} bytes, not {size}")
        events = ctypes.cast(room, ctypes.POINTER(ProfiledEvent))
        for position in range(count.value):
            event = events[position]
            if event.kind in (OPERATOR, DELEGATE_OPERATOR, DELEGATED):
                yield Event(
                    event.tag.decode(), event.kind != OPERATOR, event.index, event.elapsed_us
                )

    def _buffers(self, side: str) -> Any:
        """A buffer for every input or output."""
        signature = self._made("LiteRtGetModelSignature", self._model, ctypes.c_size_t(0))
        count = ctypes.c_size_t()
        self._call(f"LiteRtGetNumSignature{side}s", signature, ctypes.byref(count))
        buffers = (Handle * count.value)()
        for position in range(count.value):
            index = ctypes.c_size_t(position)
            tensor = self._made(f"LiteRtGetSignature{side}TensorByIndex", signature, index)
            kind = TensorType()
            self._call("LiteRtGetRankedTensorType", tensor, ctypes.byref(kind))
            requirements = self._made(
                f"LiteRtGetCompiledModel{side}BufferRequirements",
                self._compiled,
                ctypes.c_size_t(0),
                index,
            )
            buffers[position] = self._made(
                "LiteRtCreateManagedTensorBufferFromRequirements",
                self._environment,
                ctypes.byref(kind),
                requirements,
            ).value
        return buffers

    def _fill(self, buffer: int) -> None:
        """Write noise: what lies in memory may be slow to compute with."""
        handle, kind, size = Handle(buffer), TensorType(), ctypes.c_size_t()
        self._call("LiteRtGetTensorBufferTensorType", handle, ctypes.byref(kind))
        self._call("LiteRtGetTensorBufferPackedSize", handle, ctypes.byref(size))
        if kind.element not in ELEMENTS:
            return
        dtype = np.dtype(ELEMENTS[kind.element])
        values = noise((size.value // dtype.itemsize,), dtype)
        place = Handle()
        self._call("LiteRtLockTensorBuffer", handle, ctypes.byref(place), WRITE)
        ctypes.memmove(place, values.ctypes.data, values.nbytes)
        self._call("LiteRtUnlockTensorBuffer", handle)

    def _add(self, options: Handle, key: bytes, text: str) -> None:
        """Add a block of options."""
        free = ctypes.CFUNCTYPE(None, Handle)(lambda data: None)
        content = ctypes.create_string_buffer(text.encode())
        self._kept += [free, content]
        block = self._made("LiteRtCreateOpaqueOptions", key, ctypes.cast(content, Handle), free)
        self._call("LiteRtAddOpaqueOptions", options, block)

    def _made(self, function: str, *arguments: Any) -> Handle:
        """What a call returns in its last argument."""
        made = Handle()
        self._call(function, *arguments, ctypes.byref(made))
        return made

    def _call(self, function: str, *arguments: Any) -> None:
        status = getattr(self._library, function)(*arguments)
        if status:
            raise LiteRTError(f"{function} returned {status}")


def noise(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The same noise each time: 0..1, or 0..100 in integers."""
    random = np.random.default_rng(0).random(shape)
    scale = 1 if np.issubdtype(dtype, np.floating) else 100
    return (random * scale).astype(dtype)


def _library() -> ctypes.CDLL:
    try:
        import ai_edge_litert
    except ImportError as error:
        raise MissingToolError(
            "timing the operators of a .tflite needs LiteRT: pip install 'atpn-deploy[tflite]'"
        ) from error
    return ctypes.CDLL(str(Path(ai_edge_litert.__path__[0]) / "libLiteRt.so"))
