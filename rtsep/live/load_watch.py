"""Whether a stream's load has been too high for too long: one bad moment is none of its business."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from rtsep.constants import HOP, SAMPLE_RATE
from rtsep.live.live_engine import LiveEngine

# Hops that are looked at: two seconds.
WATCHED_HOPS = round(2 * SAMPLE_RATE / HOP)
# Part of the hops with late masks from which on it is too much, in every part of the time watched: a
# stall of a second, as another program causes by starting, leaves one of the parts alone.
TOO_LATE = 0.05
PARTS = 4
# Part of its deadline that a run takes in the median, above which it is too much.
TOO_BUSY = 0.9


class LoadWatch:
    """Looks at one plan. A new one begins with a new plan. One user at a time.

    hops, late_masks: what the stream's counters say at the beginning.
    """

    def __init__(self, hops: int, late_masks: int):
        # (hops, late masks), oldest first
        self._noted = deque([(hops, late_masks)])

    def note(self, hops: int, late_masks: int, load: float) -> str | None:
        """Take the counters of now, and a run's part of its deadline; why it is too much, or None.

        Time is counted in hops, so a stream that stands still is not judged.
        """
        noted = self._noted
        if hops > noted[-1][0]:
            noted.append((hops, late_masks))
        while len(noted) > 2 and hops - noted[1][0] >= WATCHED_HOPS:
            noted.popleft()
        first_hops, first_late = noted[0]
        if hops - first_hops < WATCHED_HOPS:
            return None
        if load > TOO_BUSY:
            return f"a run takes {load:.0%} of its deadline"
        borders = np.linspace(first_hops, hops, PARTS + 1)
        late_by_part = np.diff(np.interp(borders, *np.array(noted).T))
        if late_by_part.min() < TOO_LATE * (hops - first_hops) / PARTS:
            return None
        return f"late masks in {(late_masks - first_late) / (hops - first_hops):.0%} of hops"


def newest_runs_ms(engine: LiveEngine, seconds: float) -> NDArray[np.float64]:
    """Durations of the slowest worker's runs in the newest `seconds`, in ms; 0 where there are none."""
    count = max(1, round(1000 * seconds / engine.plan.period_ms))
    runs_s = [worker.durations.newest(count) for worker in engine.workers]
    slowest_s = max(runs_s, key=lambda each: float(np.sum(each)))
    return 1000 * slowest_s if len(slowest_s) else np.zeros(1)
