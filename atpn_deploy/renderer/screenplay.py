"""What happens in a rendered sequence: who is where, turned how, behind what, from cut to cut."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from atpn_deploy.errors import DatasetError

FPS = 25.0


@dataclass(frozen=True)
class Key:
    """A face at one frame; between two keys everything changes evenly."""

    frame: int  # counted within its shot
    x: float  # middle of the face at rest, shares of the picture; outside of 0 to 1 it is outside
    y: float
    size: float  # longer side of the points' box at rest, share of the picture's height
    yaw: float = 0.0  # degrees, signs as in `atpn_deploy.pose`
    pitch: float = 0.0
    roll: float = 0.0
    jaw: float = 0.0  # 0 closed to 1 wide open
    lids: float = 0.0  # 0 open to 1 closed
    smile: float = 0.0  # 0 to 1


@dataclass(frozen=True)
class Actor:
    """One face in a shot: the same person looks the same in every shot."""

    person: int
    keys: tuple[Key, ...]  # by frame; before the first and after the last nothing changes

    def at(self, frame: int) -> Key:
        """How the face is at a frame of the shot."""
        frames = [key.frame for key in self.keys]
        values = {
            field.name: float(
                np.interp(frame, frames, [getattr(key, field.name) for key in self.keys])
            )
            for field in dataclasses.fields(Key)
            if field.name != "frame"
        }
        return Key(frame, **values)


@dataclass(frozen=True)
class Bar:
    """A plain rectangle in front of everything, in shares of the picture."""

    first: int  # the frame of its shot in which it comes
    end: int  # the frame in which it is gone
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Shot:
    """Frames between two cuts; of the actors a later one passes in front of an earlier one."""

    frames: int
    actors: tuple[Actor, ...]
    bars: tuple[Bar, ...] = ()


def still() -> tuple[Shot, ...]:
    """A face that does not move at all: what changes is the camera's noise."""
    return (Shot(100, (Actor(1, (Key(0, 0.5, 0.5, 0.4, yaw=5),)),)),)


def motion() -> tuple[Shot, ...]:
    """A face that wanders, comes nearer, turns, nods, leans, speaks and blinks."""
    keys = (
        Key(0, 0.40, 0.50, 0.35),
        Key(25, 0.60, 0.50, 0.35, yaw=20, jaw=0.4),
        Key(50, 0.60, 0.45, 0.50, yaw=35, pitch=8, smile=0.8),
        Key(75, 0.50, 0.50, 0.55, yaw=0, pitch=-12, jaw=0.9, lids=0.2),
        Key(80, 0.49, 0.50, 0.54, yaw=-5, pitch=-10, jaw=0.6, lids=1.0),
        Key(85, 0.48, 0.50, 0.52, yaw=-10, pitch=-8, jaw=0.4),
        Key(110, 0.40, 0.55, 0.40, yaw=-35, roll=15, smile=0.4),
        Key(140, 0.50, 0.50, 0.30, yaw=0, roll=-10),
        Key(149, 0.50, 0.50, 0.30),
    )
    return (Shot(150, (Actor(1, keys),)),)


def dash() -> tuple[Shot, ...]:
    """A face that crosses the picture at 12 pixels a frame (300 a second), there and back."""
    steps = ((0, 0.2), (10, 0.2), (30, 0.8), (40, 0.8), (60, 0.2), (69, 0.2))
    return (Shot(70, (Actor(2, tuple(Key(frame, x, 0.5, 0.35) for frame, x in steps)),)),)


def occlusion() -> tuple[Shot, ...]:
    """A bar hides the whole face for 15 frames, later its mouth for 20, as a hand would."""
    actor = Actor(3, (Key(0, 0.45, 0.5, 0.4), Key(99, 0.55, 0.5, 0.4, yaw=10)))
    return (
        Shot(100, (actor,), (Bar(30, 45, 0.3, 0.2, 0.66, 0.8), Bar(65, 85, 0.34, 0.56, 0.7, 0.78))),
    )


def leaving() -> tuple[Shot, ...]:
    """A face leaves over the right border, is away for 20 frames, and comes back."""
    keys = (
        *(Key(0, 0.5, 0.5, 0.4), Key(40, 1.2, 0.5, 0.4, yaw=25)),
        *(Key(60, 1.2, 0.5, 0.4, yaw=-25), Key(100, 0.5, 0.5, 0.4), Key(119, 0.5, 0.5, 0.4)),
    )
    return (Shot(120, (Actor(4, keys),)),)


def cuts() -> tuple[Shot, ...]:
    """Four shots of 30 frames: every cut puts a face where none was."""
    places = ((5, 0.3, 0.45, 0.5), (6, 0.75, 0.6, 0.3), (5, 0.25, 0.55, 0.3), (6, 0.7, 0.4, 0.5))
    return tuple(
        Shot(30, (Actor(person, (Key(0, x, y, size), Key(29, x, y, size, yaw=15))),))
        for person, x, y, size in places
    )


def crossing() -> tuple[Shot, ...]:
    """Two faces pass each other, the one in front hiding the other."""
    behind = (Key(0, 0.2, 0.5, 0.33, yaw=10), Key(99, 0.8, 0.5, 0.33, yaw=10))
    in_front = (Key(0, 0.8, 0.52, 0.42, yaw=-10), Key(99, 0.2, 0.52, 0.42, yaw=-10))
    return (Shot(100, (Actor(7, behind), Actor(8, in_front))),)


@dataclass(frozen=True)
class Screenplay:
    """A sequence that the command can render."""

    name: str
    category: str  # which of 300VW's it is like: A is well lit and seen, C in the wild
    shots: tuple[Shot, ...]


#: Every screenplay by the name that the command takes, in the order of a report.
SCREENPLAYS: Mapping[str, Screenplay] = MappingProxyType(
    {
        play.name: play
        for play in (
            Screenplay("still", "A", still()),
            Screenplay("motion", "A", motion()),
            Screenplay("dash", "A", dash()),
            Screenplay("occlusion", "C", occlusion()),
            Screenplay("leaving", "C", leaving()),
            Screenplay("cuts", "C", cuts()),
            Screenplay("crossing", "C", crossing()),
        )
    }
)


def screenplay_named(name: str) -> Screenplay:
    """The screenplay of that name; DatasetError lists the names."""
    if name not in SCREENPLAYS:
        raise DatasetError(
            f"no sequence is called {name!r}; choose one of {', '.join(SCREENPLAYS)} or all"
        )
    return SCREENPLAYS[name]
