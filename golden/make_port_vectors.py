"""Write the vectors of tracker and filter that ports are checked with (docs/tracking-port.md).

Run by hand: `python golden/make_port_vectors.py`. Tests only ever read. The worlds (port_worlds.py)
and the motions are scripted; what is expected of them is what the code says of them on the day, so
look at the difference before it is committed. (The crop's vectors come from a slow reference
instead, in tests/atpn_deploy/test_crop.py.)
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from port_worlds import DEFAULTS, Facts, rounded, worlds

from atpn_deploy.tracking.vectors import FACES_BY_STRENGTH, filtered, play

FOLDER = Path(__file__).parents[1] / "atpn_deploy" / "tracking"

#: Before which frames of a motion the filter is reset.
RESETS = {"a face that was lost and is found elsewhere": [6]}

Motion = list[tuple[float, float, float, float, float, float, float]]


def motions() -> Iterator[tuple[str, Motion]]:
    """Name and measured faces: seconds, x, y and size in pixels, yaw, pitch, roll in radians."""
    yield "a still face", [(k / 30, 150, 110, 60, 0.1, 0, 0) for k in range(16)]
    yield (
        "at rest, 300 pixels a second, at rest",
        [(k / 30, 60 + 10 * min(max(k - 5, 0), 12), 110, 60, 0, 0, 0) for k in range(24)],
    )
    yield (
        "a face that grows and nods",
        [(k / 25, 150, 110, 60 * 1.05**k, 0, 0.4 * math.sin(k / 2), 0.02 * k) for k in range(16)],
    )
    yield (
        "a large face: speed counts in sides of its box",
        [(k / 30, 300 + 10 * k, 300, 400, 0, 0, 0) for k in range(10)],
    )
    yield (
        "a face that was lost and is found elsewhere",
        [(k / 30, 100 + 2 * k + (60 if k >= 6 else 0), 110, 60, 0.1, 0, 0) for k in range(10)],
    )
    yield (
        "a roll beyond pi goes on at -pi",
        [(k / 30, 150, 110, 60, 0, 0, math.remainder(2.9 + 0.08 * k, math.tau)) for k in range(10)],
    )
    yield (
        "uneven times, a time that stands still, one that goes back, a gap of 0.6 s",
        [
            (time_s, 150 + 3 * k, 110, 60, 0.05 * k, 0, 0)
            for k, time_s in enumerate((0, 0.03, 0.05, 0.12, 0.12, 0.15, 0.1, 0.14, 0.74, 0.78))
        ],
    )


def tracking_cases() -> Iterator[Facts]:
    """Each world with what the tracker says of each frame."""
    for name, frames, extra in worlds():
        case: Facts = {
            "name": name,
            "size": extra.get("size", [320, 240]),
            "fps": 30,
            "options": DEFAULTS | {k: v for k, v in extra.items() if k in DEFAULTS},
            "frames": frames,
        }
        told: list[Facts] = [{} for _ in frames]
        for strength, name_of_faces in FACES_BY_STRENGTH.items():
            for expected, played in zip(told, play(case, strength), strict=True):
                expected |= _rounded(played.described(name_of_faces))
        _check_margins(case, told)
        for one, expected in zip(frames, told, strict=True):
            one |= expected
        yield case


def _rounded(values: Any) -> Any:
    """The same with every fraction at three digits."""
    if isinstance(values, dict):
        return {name: _rounded(value) for name, value in values.items()}
    if isinstance(values, list):
        return [_rounded(value) for value in values]
    return round(values, 3) if isinstance(values, float) else values


def _check_margins(case: Facts, told: list[Facts]) -> None:
    """Stop where a hundredth of a pixel, or 1e-5 of confidence, would change what happens."""
    moved = [
        {**one, "faces": [[x + 0.01, y - 0.01, s + 0.01, c - 1e-5] for x, y, s, c in one["faces"]]}
        for one in case["frames"]
    ]
    again = [one.described("tracks") for one in play({**case, "frames": moved}, "off")]
    for number, (one, other) in enumerate(zip(told, again, strict=True)):
        if _decisions(one) != _decisions(other):
            raise SystemExit(f"{case['name']}, frame {number}: a near thing; {one} against {other}")


def _decisions(told: Facts) -> list[Any]:
    tracks = [track[:2] for track in told["tracks"]]
    return [told["detected"], len(told["looks"]), tracks, [event[:2] for event in told["events"]]]


def smoothing_cases() -> Iterator[Facts]:
    """Each motion with what the filter makes of it."""
    for name, motion in motions():
        measured = [rounded(row, 6) for row in motion]
        resets = RESETS.get(name, [])
        expected = {
            strength: [rounded(values, 6) for values in filtered(measured, strength, resets)]
            for strength in ("light", "strong")
        }
        yield {"name": name, "measured": measured, "resets": resets, "expected": expected}


def write(name: str, cases: Iterable[Facts], rows: tuple[str, ...]) -> None:
    """A file with one line for each element of the lists named in `rows`."""
    texts = []
    for case in cases:
        fields = [
            f'"{key}": {_lines(value) if key in rows else json.dumps(value)}'
            for key, value in case.items()
        ]
        texts.append("  {" + ",\n   ".join(fields) + "}")
    about = "docs/tracking-port.md says what this is; golden/make_port_vectors.py writes it"
    body = ",\n".join(texts)
    (FOLDER / f"{name}_vectors.json").write_text(
        f'{{"about": {json.dumps(about)},\n "cases": [\n{body}\n ]}}\n', "utf-8"
    )


def _lines(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",\n    ".join(f'"{k}": {_lines(v)}' for k, v in value.items()) + "}"
    return "[\n    " + ",\n    ".join(json.dumps(row) for row in value) + "]"


def main() -> None:
    """Write both files."""
    write("tracking", tracking_cases(), ("frames",))
    write("smoothing", smoothing_cases(), ("measured", "expected"))


if __name__ == "__main__":
    main()
