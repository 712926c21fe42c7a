"""Boards that milliseconds are estimated for: those with a published one-thread table."""

from __future__ import annotations

from dataclasses import dataclass

from atpn_deploy.errors import ConfigError


@dataclass(frozen=True)
class Board:
    """One board, at the frequency that its latencies were published for."""

    name: str  # as in the tables of `published`
    title: str
    core: str  # cortex-a76
    gigahertz: float


#: In the order of tables: by core, the board that most people have first.
BOARDS = (
    Board("rpi5", "Raspberry Pi 5", "cortex-a76", 2.4),
    Board("rpi4b", "Raspberry Pi 4 B", "cortex-a72", 1.8),
    Board("rk3399", "RK3399, big core", "cortex-a72", 1.8),
    Board("opi-cm4", "Orange Pi CM4, RK3566", "cortex-a55", 1.8),
    Board("rock3a", "Rock 3A, RK3568", "cortex-a55", 2.0),
    Board("rpi3b+", "Raspberry Pi 3 B+", "cortex-a53", 1.4),
    Board("uno-q", "Arduino UNO Q", "cortex-a53", 2.0),
    Board("eaidk310", "EAIDK-310, RK3228H", "cortex-a53", 1.3),
    Board("ax630c", "AX630C", "cortex-a53", 1.2),
)


def board_named(name: str) -> Board:
    """The board of that name; ConfigError lists those that there are."""
    for board in BOARDS:
        if board.name == name:
            return board
    names = ", ".join(board.name for board in BOARDS)
    raise ConfigError(f"no board is called {name!r}; choose one of {names}")


def boards_with(core: str) -> tuple[Board, ...]:
    """The boards that have this core; none for one that no table was published of."""
    return tuple(board for board in BOARDS if board.core == core)
