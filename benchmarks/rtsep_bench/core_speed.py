"""Whether cores or memory were slow: programs that do the same small work again and again and time it.

    python -m rtsep_bench.core_speed CORE

does it every PERIOD_S on that core until its standard input is closed, then prints as JSON when it was
slow: from and to, on the monotonic clock, in seconds, how many times as long as usually it took, and
what was slow. A virtual core that shares a real one with somebody else's is that: it stands still for
no moment, its programs' clocks run on as if all were well, and they need twice the time. Caches and
memory are shared with still more.
"""

from __future__ import annotations

import itertools
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from rtsep_bench import child
from rtsep_bench.watchdog import start_on_cores

MODULE = "rtsep_bench.core_speed"
NAME = "a program that times the cores"
PERIOD_S = 0.01
# For the core: products of square matrices that fit its first cache, some 30 us. For memory: floats that
# are read, the next ones each time of more than its own caches hold, some 50 us. Both are 1 % of a core.
SIDE, PRODUCTS = 48, 10
READ, OF_FLOATS = 1 << 18, 1 << 22
# The median of so many times counts: one alone is long where the machine stood still, or another
# program had the cache.
WINDOW = 10
# What takes this many times as long as in this part of all windows is slow.
USUAL_PART, SLOW_TIMES = 0.25, 1.4
CORE, MEMORY = "core", "memory"


@dataclass(frozen=True)
class Slow:
    """From when to when, on the monotonic clock, what (CORE, MEMORY) needed how many times its time."""

    from_s: float
    to_s: float
    times: float
    what: str


class CoreSpeed:
    """Watches the cores from the first line of a `with` block to its end.

    slow: by time, of all cores; there after the block.

    Entering and leaving raise RtsepError where one of its programs does not start, or has ended by
    itself.
    """

    def __init__(self) -> None:
        self.slow: list[Slow] = []
        self._programs: list[subprocess.Popen[str]] = []

    def __enter__(self) -> CoreSpeed:
        self._programs = start_on_cores(MODULE, NAME)
        return self

    def __exit__(self, *error: object) -> None:
        try:
            if error[0] is None:
                found = [child.noted_by(program, NAME) for program in self._programs]
                self.slow = sorted(
                    (Slow(*phase) for phases in found for phase in phases),
                    key=lambda slow: slow.from_s,
                )
        finally:
            child.kill(self._programs)


def slow_phases(begun_s: Sequence[float], took_s: Sequence[float], what: str) -> list[Slow]:
    """When work on `what` that began at `begun_s` and took `took_s`, in seconds, was slow."""
    count = len(took_s) // WINDOW
    begun = np.reshape(begun_s[: count * WINDOW], (count, WINDOW))
    took = np.median(np.reshape(took_s[: count * WINDOW], (count, WINDOW)), axis=1)
    if not count:
        return []
    times = took / np.quantile(took, USUAL_PART)
    phases = []
    edges = np.flatnonzero(np.diff(times > SLOW_TIMES, prepend=False, append=False))
    for first, end in edges.reshape(-1, 2):
        to_s = begun[end, 0] if end < count else begun[-1, -1]
        taken = float(np.median(times[first:end]))
        phases.append(Slow(float(begun[first, 0]), float(to_s), taken, what))
    return phases


def _multiply(
    left: NDArray[np.float32], right: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    for _ in range(PRODUCTS):
        np.matmul(left, right, out=out)


def main() -> None:
    """Run in the child process."""
    os.sched_setaffinity(0, {int(sys.argv[1])})
    matrices = np.random.default_rng(0).random((3, SIDE, SIDE), np.float32)
    parts = itertools.cycle(np.ones(OF_FLOATS, np.float32).reshape(-1, READ))
    begun_s, multiplied_s, read_s = [], [], []
    child.say_begun()
    while not select.select([sys.stdin], [], [], PERIOD_S)[0]:
        _multiply(*matrices)  # brings what others had thrown out of the caches
        begin = time.monotonic()
        _multiply(*matrices)
        multiplied = time.monotonic()
        next(parts).sum()
        begun_s.append(begin)
        multiplied_s.append(multiplied - begin)
        read_s.append(time.monotonic() - multiplied)
    found = slow_phases(begun_s, multiplied_s, CORE) + slow_phases(begun_s, read_s, MEMORY)
    print(json.dumps([astuple(slow) for slow in found]))


if __name__ == "__main__":
    main()
