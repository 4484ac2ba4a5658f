"""Has more sound kept where it runs out again and again."""

from __future__ import annotations

from collections import deque

# What runs dry so often in such a time is given more sound from then on, up to a limit. Once may happen
# to anybody, as where the machine stands still.
DRY_TIMES, DRY_WITHIN_S = 3, 30.0
# What follows sooner is part of the same event: of one stall it may run dry several times.
EVENT_S = 1.0
LENGTHENED_S = 0.008


class DryWatch:
    """Counts; for one thread.

    kept_s: seconds of sound that are kept now. Writer: that thread; readers: any.
    most_s: the most that may be.
    """

    def __init__(self, kept_s: float, most_s: float):
        self.kept_s, self._most_s = kept_s, most_s
        self._first_s = kept_s
        self._dry_s: deque[float] = deque(maxlen=DRY_TIMES)  # when it last ran dry

    @property
    def lengthened_s(self) -> float:
        """Seconds of sound kept beyond what was kept at first; for any thread."""
        return self.kept_s - self._first_s

    def note(self, now_s: float) -> bool:
        """It has run dry; whether `kept_s` has been raised, as that was once too often."""
        if self._dry_s and now_s - self._dry_s[-1] < EVENT_S:
            return False
        self._dry_s.append(now_s)
        if len(self._dry_s) < DRY_TIMES or now_s - self._dry_s[0] > DRY_WITHIN_S:
            return False
        self._dry_s.clear()
        if self.kept_s + LENGTHENED_S > self._most_s:
            return False
        self.kept_s += LENGTHENED_S
        return True
