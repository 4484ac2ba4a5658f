"""What a stream counts about itself."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rtsep.system.memory import touched_zeros

# Durations kept for the percentiles: 10 minutes of callbacks at a block of 1024, the newest ones.
KEPT = 1 << 15
# Xruns, and late masks, of which it is kept when they were, the newest ones.
KEPT_MOMENTS = 1000


class Durations:
    """Durations of something done again and again. One writer; all but `add` from any thread."""

    def __init__(self) -> None:
        self._seconds = touched_zeros(KEPT, np.float64)
        self._own_seconds = touched_zeros(KEPT, np.float64)
        self.count = 0
        self.longest_s = self.longest_own_s = 0.0

    def add(self, seconds: float, own_s: float = 0.0) -> None:
        """Note one duration, and how much of it the thread itself ran. Real-time safe."""
        self._seconds[self.count % KEPT] = seconds
        self._own_seconds[self.count % KEPT] = own_s
        self.count += 1
        if seconds > self.longest_s:
            self.longest_s = seconds
        if own_s > self.longest_own_s:
            self.longest_own_s = own_s

    def newest(self, count: int) -> NDArray[np.float64]:
        """A copy of the newest `count` durations in seconds, oldest first; fewer if there are fewer."""
        ends = self.count
        begins = max(0, ends - min(count, KEPT))
        return self._seconds[np.arange(begins, ends) % KEPT]

    def summary(self) -> dict[str, float]:
        """p50 and p99 of the newest durations and the longest of all, in milliseconds."""
        return self._summary(self._seconds, self.longest_s)

    def own_summary(self) -> dict[str, float]:
        """As `summary`, of what the thread itself ran: without the time that others had the core."""
        return self._summary(self._own_seconds, self.longest_own_s)

    def _summary(self, seconds: NDArray[np.float64], longest_s: float) -> dict[str, float]:
        kept = seconds[: min(self.count, KEPT)]
        if not len(kept):
            return {"p50": 0.0, "p99": 0.0, "max": 0.0}
        p50, p99 = np.percentile(kept, [50, 99])
        return {"p50": 1e3 * float(p50), "p99": 1e3 * float(p99), "max": 1e3 * longest_s}


class Moments:
    """When something was, the newest KEPT_MOMENTS times, in Unix time. One writer; readers: any thread.

    What an audio thread kept in a list would grow for as long as it plays.
    """

    def __init__(self) -> None:
        self._times_s = touched_zeros(KEPT_MOMENTS, np.float64)
        self.count = 0

    def add(self, now_s: float) -> None:
        """Note a moment. Real-time safe."""
        self._times_s[self.count % KEPT_MOMENTS] = now_s
        self.count += 1

    def newest(self) -> list[float]:
        """Those that are kept, the oldest first."""
        numbers = np.arange(max(0, self.count - KEPT_MOMENTS), self.count) % KEPT_MOMENTS
        times_s: list[float] = self._times_s[numbers].tolist()
        return times_s


@dataclass
class Counters:
    """Writer: audio thread. Readers: any.

    waited_s: what callbacks have waited for masks, see asked_ahead.py.
    bad_samples: instants at which the input was replaced, see dsp/bad_samples.py.
    nonfinite_blocks: blocks, of the device or of a hop, that held one or more of them.
    xruns: by PortAudio's names. xrun_times_s, late_mask_times_s: when the newest were, in Unix time.
    """

    hops: int = 0
    late_masks: int = 0
    waited_s: float = 0.0
    bad_samples: int = 0
    nonfinite_blocks: int = 0
    xruns: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            ("input_overflow", "input_underflow", "output_overflow", "output_underflow"), 0
        )
    )
    xrun_times_s: Moments = field(default_factory=Moments)
    late_mask_times_s: Moments = field(default_factory=Moments)

    def set_to(self, other: Counters) -> None:
        """Take over what an engine counts; the device's xruns stay."""
        self.hops, self.late_masks = other.hops, other.late_masks
        self.waited_s = other.waited_s
        self.bad_samples, self.nonfinite_blocks = other.bad_samples, other.nonfinite_blocks

    def add_rise(self, before: Counters, now: Counters) -> None:
        """Add what an engine has counted from `before` to `now`."""
        self.hops += now.hops - before.hops
        self.waited_s += now.waited_s - before.waited_s
        for _ in range(now.late_masks - before.late_masks):
            self.count_late_mask()
        self.bad_samples += now.bad_samples - before.bad_samples
        self.nonfinite_blocks += now.nonfinite_blocks - before.nonfinite_blocks

    def count_late_mask(self) -> None:
        """Count a hop whose masks were late, now."""
        self.late_masks += 1
        self.late_mask_times_s.add(time.time())

    def count_bad_samples(self, instants: int) -> None:
        """Count what `mend` has found in a block; nothing for 0."""
        if instants:
            self.bad_samples += instants
            self.nonfinite_blocks += 1

    def count_xruns(self, status: object) -> None:
        """Count the flags that PortAudio reports with a block."""
        told = [name for name in self.xruns if getattr(status, name)]
        for name in told:
            self.xruns[name] += 1
        if told:
            self.xrun_times_s.add(time.time())


def latency_parts_ms(
    algorithm_ms: float,
    device_in_s: float = 0.0,
    device_out_s: float = 0.0,
    device_measured_s: float | None = None,
) -> dict[str, float | None]:
    """The statistics' `latency_ms`: of the plan, of the devices as PortAudio states it, and in all.

    `device_measured`: what both devices took by PortAudio's clocks; None where it has none.
    """
    device_in_ms, device_out_ms = 1000 * device_in_s, 1000 * device_out_s
    return {
        "algorithm": algorithm_ms,
        "device_input": device_in_ms,
        "device_output": device_out_ms,
        "total": algorithm_ms + device_in_ms + device_out_ms,
        "device_measured": None if device_measured_s is None else 1000 * device_measured_s,
    }
