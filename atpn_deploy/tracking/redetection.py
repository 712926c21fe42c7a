"""When the detector runs: at once where a face was lost, more and more seldom where none is found.

A detector costs tens of times what following a face costs (paper, table 5), so it runs only where
following can't help.
"""

from __future__ import annotations


class Redetection:
    """Frames between two runs of the detector. Ask `due` once a frame, then tell what it found."""

    def __init__(self, rescan_frames: int, longest_wait_frames: int) -> None:
        self._rescan_frames = rescan_frames
        self._longest_wait_frames = longest_wait_frames
        self.hurry()

    def hurry(self) -> None:
        """A face was lost: look in this frame, and begin with short waits again."""
        self._wait_frames = 0
        self._since = self._longest_wait_frames + self._rescan_frames  # the last run: long ago

    def due(self, *, searching: bool, room: bool) -> bool:
        """Whether to run in this frame.

        `searching`: a face is lost, or there is none. `room`: more faces are wanted; without any
        being lost the scene is searched for them every `rescan_frames`, 0 for never.
        """
        self._since += 1
        if searching:
            return self._since >= self._wait_frames
        return room and 0 < self._rescan_frames <= self._since

    def ran(self, *, found: bool) -> None:
        """The detector ran in this frame; `found`: a face was born or recovered."""
        self._since = 0
        doubled = max(1, 2 * self._wait_frames)
        self._wait_frames = 0 if found else min(doubled, self._longest_wait_frames)
