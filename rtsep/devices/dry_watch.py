"""Has more sound kept where it runs out again and again, and less again where it does not."""

from __future__ import annotations

from collections import deque

# What runs dry so often in such a time is given more sound from then on, up to a limit. Once may happen
# to anybody, as where the machine stands still.
DRY_TIMES, DRY_WITHIN_S = 3, 30.0
# What follows sooner is part of the same event: of one stall it may run dry several times.
EVENT_S = 1.0
# One step, up or down.
STEP_S = 0.008
# What has not run dry for so long keeps a step less. Where that was too little, the next step down comes
# after twice the time.
WET_S = 300.0


class DryWatch:
    """Counts; for one thread, but for what is said to be for any.

    first_s, most_s: seconds of sound that are kept at first, and at most.
    """

    def __init__(self, first_s: float, most_s: float):
        self._first_s, self._most_s = first_s, most_s
        # Writer: the one thread; readers: any.
        self._steps = 0
        self._dry_s: deque[float] = deque(maxlen=DRY_TIMES)  # when it last ran dry
        # Since when it has neither run dry nor taken a step, and how long that has to last.
        self._wet_since_s, self._wet_s = 0.0, WET_S
        self._was_shortened = False

    @property
    def kept_s(self) -> float:
        """Seconds of sound that are kept now; for any thread."""
        return self._first_s + self.lengthened_s

    @property
    def lengthened_s(self) -> float:
        """Seconds of sound kept beyond what was kept at first; for any thread."""
        return self._steps * STEP_S

    def note_dry(self, now_s: float) -> bool:
        """It has run dry; whether `kept_s` has been raised, as that was once too often."""
        self._wet_since_s = now_s
        if self._dry_s and now_s - self._dry_s[-1] < EVENT_S:
            return False
        self._dry_s.append(now_s)
        if len(self._dry_s) < DRY_TIMES or now_s - self._dry_s[0] > DRY_WITHIN_S:
            return False
        self._dry_s.clear()
        if self.kept_s + STEP_S > self._most_s:
            return False
        self._steps += 1
        if self._was_shortened:
            self._was_shortened = False
            self._wet_s *= 2
        return True

    def note_wet(self, now_s: float) -> bool:
        """It has not run dry; whether `kept_s` has been lowered, as it has not for long."""
        if not self._steps or now_s - self._wet_since_s < self._wet_s:
            return False
        self._steps -= 1
        self._wet_since_s, self._was_shortened = now_s, True
        return True
