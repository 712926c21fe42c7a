"""Times of frames: from a container's stamps, which may be absent or jump, to rising seconds."""

from __future__ import annotations

from fractions import Fraction


class Timeline:
    """Places one frame after the other; sound stamps come through exactly.

    The first frame is at 0. A frame without a stamp follows one period after its forerunner. So
    does one whose stamp jumps back, as where recordings were joined: the stamps after it are taken
    from there. A stamp that merely repeats is put half a period on, and the next sound one counts
    again.
    """

    def __init__(self, period_s: Fraction) -> None:
        self._period_s = period_s
        self._offset_s = Fraction(0)  # from a stamp to the time since the first frame
        self._last_s: Fraction | None = None
        self._origin_s = Fraction(0)

    def place(self, stamp_s: Fraction | None) -> float:
        """The next frame's time in seconds, from its stamp in seconds."""
        time_s = self._placed(stamp_s)
        self._last_s = time_s
        return float(time_s)

    def _placed(self, stamp_s: Fraction | None) -> Fraction:
        if self._last_s is None:
            self._origin_s = stamp_s or Fraction(0)
            return Fraction(0)
        if stamp_s is None:
            return self._last_s + self._period_s
        plain_s = stamp_s - self._origin_s
        if plain_s > self._last_s:
            self._offset_s = Fraction(0)
        elif plain_s + self._offset_s <= self._last_s:
            back_s = self._last_s - plain_s - self._offset_s
            step_s = self._period_s if back_s >= self._period_s else self._period_s / 2
            self._offset_s = self._last_s + step_s - plain_s
        return plain_s + self._offset_s
