"""What the displays show of a running stream: loads, levels with held peaks, counters."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtsep.constants import SAMPLE_RATE

if TYPE_CHECKING:
    from rtsep.live.live_engine import LiveEngine
    from rtsep.live.recorder import Recorder
    from rtsep.live.stats import Durations

PEAK_HOLD_S = 1.5
PEAK_FALL_DB_PER_S = 20.0
# Loads are those of so long: what the machine does now, and long enough for rare outliers to be seen.
LOAD_S = 3.0
# So long a counter that has gone up is news.
RECENT_S = 10.0


@dataclass(frozen=True)
class Load:
    """Time spent of the time allowed: in the median and at worst, both 1 at the limit."""

    name: str
    p50: float
    worst: float
    limit_ms: float


def percent(part: float) -> str:
    """A part of 1 in per cent, with a decimal where it is small."""
    if 0 < part < 0.001:
        return "under 0.1 %"
    return f"{100 * part:.{0 if part >= 0.1 else 1}f} %"


def share_of_hops(count: int, hops: int) -> str:
    """Words to follow a count of hops: how many per cent of all they are; nothing for none."""
    return f" ({percent(count / hops)} of hops)" if count and hops else ""


def lost_samples(recorder: Recorder | None) -> int:
    """Samples that were played and are not in the recording; none where nothing is recorded."""
    return 0 if recorder is None else recorder.lost_samples


def not_recorded(samples: int) -> str:
    """Words for samples that are missing from the recording."""
    return f"not recorded {samples / SAMPLE_RATE:.1f} s"


class LoadReader:
    """Reads the loads of the callback and of each worker: those of the last LOAD_S.

    The callback's limit is the mean time between two calls, which is one block.
    """

    def __init__(self, engine: LiveEngine):
        self._engine = engine
        self._recent: dict[str, RecentCount] = {}

    def read(self, now_s: float) -> list[Load | None]:
        """The callback's load, then the workers'; None before the first run."""
        engine = self._engine
        callback = self._load("callback", engine.callback_durations, engine.block_ms, now_s)
        deadline_ms = engine.plan.deadline_ms
        return [
            callback,
            *(self._load(w.stem, w.durations, deadline_ms, now_s) for w in engine.workers),
        ]

    def _load(self, name: str, durations: Durations, limit_ms: float, now_s: float) -> Load | None:
        recent = self._recent.setdefault(name, RecentCount())
        count = recent.update(durations.count, now_s)
        if limit_ms <= 0 or durations.count == 0:
            return None
        import numpy as np  # rtsep-play does without, until its networks are on their way

        # With long plans there may have been no run of late: then the last one tells.
        newest_ms = 1e3 * np.sort(durations.newest(max(1, count)))
        p50_ms, worst_ms = newest_ms[len(newest_ms) // 2], newest_ms[-1]
        return Load(name, float(p50_ms) / limit_ms, float(worst_ms) / limit_ms, limit_ms)


class RecentCount:
    """By how much a counter has gone up within the last LOAD_S, or since the last look at it."""

    def __init__(self) -> None:
        # (when, count then), the first of them LOAD_S ago or longer
        self._looks = deque([(float("-inf"), 0)])

    def update(self, count: int, now_s: float) -> int:
        """Take the count of now."""
        if count < self._looks[-1][1]:  # another counter of the same name
            self._looks = deque([(float("-inf"), 0)])
        self._looks.append((now_s, count))
        while self._looks[1][0] <= now_s - LOAD_S:
            self._looks.popleft()
        return count - self._looks[0][1]


class PeakHold:
    """The highest level of late, by name; held for a while, then falling."""

    def __init__(self) -> None:
        # name: (held level in dB, when it was reached)
        self._held: dict[str, tuple[float, float]] = {}

    def update(self, levels_db: Mapping[str, float], now_s: float) -> dict[str, float]:
        """Take the levels of now; give the peaks to show."""
        shown = {}
        for name, level in levels_db.items():
            held, reached_s = self._held.get(name, (level, now_s))
            falling_s = max(0.0, now_s - reached_s - PEAK_HOLD_S)
            peak = held - PEAK_FALL_DB_PER_S * falling_s
            if level >= peak:
                self._held[name] = (level, now_s)
                peak = level
            shown[name] = peak
        return shown


class RecentRise:
    """Whether a counter has gone up within RECENT_S."""

    def __init__(self) -> None:
        self._count = 0
        self._risen_s = float("-inf")

    def update(self, count: int, now_s: float) -> bool:
        """Take the count of now; True while its last rise is news."""
        if count > self._count:
            self._risen_s = now_s
        self._count = count
        return now_s - self._risen_s < RECENT_S
