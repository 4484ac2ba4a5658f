"""Faders: their values, and how they take over without a jump.

A fader of a device stands where a hand left it. If the value has been changed elsewhere, it does nothing
until it comes to where the value stands, or crosses it.
"""

from __future__ import annotations

from typing import NamedTuple

from rtsep.control.midi.events import HIGHEST

# So near, in positions, a fader is where its value stands.
NEAR = 2.0


class Scale(NamedTuple):
    """The values of a fader.

    first, last: at position 0 and at HIGHEST. is_whole: whole numbers alone. neutral: a value that is
    held by the positions next to it, so that it can be found again; None where there is none.
    """

    first: float
    last: float
    is_whole: bool = False
    neutral: float | None = None

    def value(self, position: float) -> float:
        """The value at a position."""
        step = (self.last - self.first) / HIGHEST
        value = self.first + step * position
        if self.neutral is not None and abs(value - self.neutral) < 0.75 * abs(step):
            return self.neutral
        return round(value) if self.is_whole else round(value, 2)

    def position(self, value: float) -> float:
        """The position of a value, not rounded; that of an end for what lies beyond it."""
        position = HIGHEST * (value - self.first) / (self.last - self.first)
        return min(max(position, 0.0), float(HIGHEST))

    @property
    def near(self) -> float:
        """How near is near, in positions."""
        return max(NEAR, 0.6 * HIGHEST / abs(self.last - self.first) if self.is_whole else 0.0)


class Pickup:
    """Whether a fader has its value in hand."""

    def __init__(self) -> None:
        self._before: float | None = None
        # The position at which it set the value last; None while it has not taken over.
        self._set: float | None = None

    def moves(self, position: float, stands: float | None, near: float, is_new: bool) -> bool:
        """Whether the value follows to this position.

        Parameters
        ----------
        position : float
            Where the fader has been moved to.
        stands : float or None
            Where the value stands, in positions; None where that is not known.
        near : float
            How near the two are the same, in positions.
        is_new : bool
            Whether `stands` was asked for after the fader had set the value last.
        """
        if stands is not None:
            if self._set is not None and is_new and abs(stands - self._set) > near:
                self._set = None
            if self._set is None:
                crosses = (
                    self._before is not None and (self._before - stands) * (position - stands) <= 0
                )
                if crosses or abs(position - stands) <= near:
                    self._set = position
        self._before = position
        if self._set is None:
            return False
        self._set = position
        return True
