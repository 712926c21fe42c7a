"""What a guest has told so far, line by line; whatever breaks off, this much stands."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from atpn_benchmarks.devices.device import Device, DeviceLostError

Event = dict[str, Any]
#: A file's name and the number of threads.
Key = tuple[str, int]


@dataclass
class Samples:
    """Samples of one file on one number of threads, in nanoseconds."""

    per_round: int
    wall_ns: list[int] = field(default_factory=list)
    cpu_ns: list[int] = field(default_factory=list)


@dataclass
class Heard:
    """Events by what they are about."""

    begin: Event = field(default_factory=dict)
    end: Event = field(default_factory=dict)
    peaks: Event | None = None
    opened: dict[Key, Event] = field(default_factory=dict)
    drift: dict[str, Event] = field(default_factory=dict)
    failed: dict[str, Event] = field(default_factory=dict)
    samples: dict[Key, Samples] = field(default_factory=dict)
    regions: dict[str, Event] = field(default_factory=dict)
    operators: dict[str, Event] = field(default_factory=dict)
    outputs: dict[str, Event] = field(default_factory=dict)
    vectors: Event | None = None
    memory: dict[Key, Event] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    on_event: Callable[[Event], None] = lambda event: None

    def line(self, text: str) -> None:
        """Take one line of the guest's output; what is no event (a login's greeting) is left."""
        if not text.startswith("{"):
            return
        try:
            event = json.loads(text)
        except ValueError:
            return  # cut short by a lost connection
        self.take(event)
        self.on_event(event)

    def take(self, event: Event) -> None:
        """Put one event where it belongs."""
        kind, name = event.get("event"), str(event.get("name", ""))
        if kind == "begin":
            self.begin = event
        elif kind == "end":
            self.end = event
        elif kind == "peaks":
            self.peaks = event
        elif kind == "problem":
            self.problems.append(event["reason"])
        elif kind == "open":
            self.opened[name, event["threads"]] = event
        elif kind == "drift":
            self.drift[name] = event
        elif kind == "failed":
            self.failed[name] = event
        elif kind == "regions":
            self.regions[name] = event
        elif kind == "operators":
            self.operators[name] = event
        elif kind == "outputs":
            self.outputs[name] = event
        elif kind == "vectors":
            self.vectors = event
        elif kind == "memory":
            self.memory[name, event["threads"]] = event
        elif kind == "burst":
            key = name, event["threads"]
            kept = self.samples.setdefault(key, Samples(event["per_round"]))
            kept.wall_ns += event["wall_ns"]
            kept.cpu_ns += event["cpu_ns"]


def hear_out(device: Device, files: Mapping[str, Path], command: str, heard: Heard) -> str:
    """Bring the job there and let the guest do it; why it did not come to its end, "" if it did.

    `command` is one of the guest's own. A lost connection is such a reason; other DeviceErrors are
    raised.
    """
    try:
        device.push(files)
        status = device.run(["guest.pyz", command, "job.json"], heard.line)
    except DeviceLostError as error:
        return str(error)
    return f"the guest ended with status {status}: {device.last_errors()}" if status else ""
