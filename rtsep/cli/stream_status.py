"""What the displays show of a running stream: loads, levels with held peaks, counters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rtsep.models.registry import SAMPLE_RATE

if TYPE_CHECKING:
    from rtsep.realtime.engine import Engine
    from rtsep.realtime.stats import Durations

PEAK_HOLD_S = 1.5
PEAK_FALL_DB_PER_S = 20.0
# So long a counter that has gone up is news.
RECENT_S = 10.0


@dataclass(frozen=True)
class Load:
    """Time spent of the time allowed: in the median and at worst, both 1 at the limit."""

    name: str
    p50: float
    worst: float
    limit_ms: float


def played_s(engine: Engine) -> float:
    """Seconds of audio that have passed through the engine."""
    return engine.counters.hops * engine.plan.hop / SAMPLE_RATE


def percent(part: float) -> str:
    """A part of 1 in per cent, with a decimal where it is small."""
    if 0 < part < 0.001:
        return "under 0.1 %"
    return f"{100 * part:.{0 if part >= 0.1 else 1}f} %"


def share_of_hops(count: int, hops: int) -> str:
    """Words to follow a count of hops: how many per cent of all they are; nothing for none."""
    return f" ({percent(count / hops)} of hops)" if count and hops else ""


class LoadReader:
    """Reads the loads of the callback and of each worker.

    The callback's limit is the mean time between two calls, which is one block.
    """

    def __init__(self, engine: Engine):
        self._engine = engine
        self._loads: list[Load | None] = [None] * (1 + len(engine.workers))
        self._next = 0

    def read_one(self) -> list[Load | None]:
        """All loads, one of them brought up to date: percentiles over minutes take their time."""
        self._loads[self._next] = self._read(self._next)
        self._next = (self._next + 1) % len(self._loads)
        return self._loads

    def read_all(self) -> list[Load | None]:
        """All loads as they are now: the callback's, then the workers'; None before the first run."""
        self._loads = [self._read(i) for i in range(len(self._loads))]
        return self._loads

    def _read(self, i: int) -> Load | None:
        engine = self._engine
        if i == 0:
            calls = engine.callback_durations.count
            block_ms = 1e3 * played_s(engine) / calls if calls else 0.0
            return _load("callback", engine.callback_durations, block_ms)
        worker = engine.workers[i - 1]
        return _load(worker.stem, worker.durations, engine.plan.deadline_ms)


def _load(name: str, durations: Durations, limit_ms: float) -> Load | None:
    if limit_ms <= 0 or durations.count == 0:
        return None
    summary = durations.summary()
    return Load(name, summary["p50"] / limit_ms, summary["max"] / limit_ms, limit_ms)


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
