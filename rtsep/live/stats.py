"""What a stream counts about itself."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

# Durations kept for the percentiles: 10 minutes of callbacks at a block of 1024, the newest ones.
KEPT = 1 << 15
# Xruns of which it is kept when they were, the newest ones.
KEPT_XRUNS = 1000


class Durations:
    """Durations of something done again and again. One writer; all but `add` from any thread."""

    def __init__(self) -> None:
        self._seconds = np.zeros(KEPT, np.float64)
        self.count = 0
        self.longest_s = 0.0

    def add(self, seconds: float) -> None:
        """Note one duration. Real-time safe."""
        self._seconds[self.count % KEPT] = seconds
        self.count += 1
        if seconds > self.longest_s:
            self.longest_s = seconds

    def newest(self, count: int) -> NDArray[np.float64]:
        """A copy of the newest `count` durations in seconds, oldest first; fewer if there are fewer."""
        ends = self.count
        begins = max(0, ends - min(count, KEPT))
        return self._seconds[np.arange(begins, ends) % KEPT]

    def summary(self) -> dict[str, float]:
        """p50 and p99 of the newest durations and the longest of all, in milliseconds."""
        kept = self._seconds[: min(self.count, KEPT)]
        if not len(kept):
            return {"p50": 0.0, "p99": 0.0, "max": 0.0}
        p50, p99 = np.percentile(kept, [50, 99])
        return {"p50": 1e3 * float(p50), "p99": 1e3 * float(p99), "max": 1e3 * self.longest_s}


@dataclass
class Counters:
    """Writer: audio thread. Readers: any.

    bad_samples: instants at which the input was replaced, see dsp/bad_samples.py.
    nonfinite_blocks: blocks, of the device or of a hop, that held one or more of them.
    xruns: by PortAudio's names. xrun_times_s: when the newest were, in Unix time.
    """

    hops: int = 0
    late_masks: int = 0
    bad_samples: int = 0
    nonfinite_blocks: int = 0
    xruns: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            ("input_overflow", "input_underflow", "output_overflow", "output_underflow"), 0
        )
    )
    xrun_times_s: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_XRUNS))

    def set_to(self, other: Counters) -> None:
        """Take over what an engine counts; the device's xruns stay."""
        self.hops, self.late_masks = other.hops, other.late_masks
        self.bad_samples, self.nonfinite_blocks = other.bad_samples, other.nonfinite_blocks

    def add_rise(self, before: Counters, now: Counters) -> None:
        """Add what an engine has counted from `before` to `now`."""
        self.hops += now.hops - before.hops
        self.late_masks += now.late_masks - before.late_masks
        self.bad_samples += now.bad_samples - before.bad_samples
        self.nonfinite_blocks += now.nonfinite_blocks - before.nonfinite_blocks

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
            self.xrun_times_s.append(time.time())


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
