"""Whether the machine itself stood still: programs that wake up again and again and note how late.

    python -m rtsep_bench.watchdog CORE

wakes every PERIOD_S on that core until its standard input is closed, then prints every delay beyond
NOTED_S as JSON: when it was over, on the monotonic clock, and its length, in seconds. They run before
all other programs: what holds them up holds those up, too, and no fault of a program that is measured
can.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from functools import cache
from typing import Any

from rtsep.errors import UsageError
from rtsep_bench import child

MODULE = "rtsep_bench.watchdog"
NAME = "a program that watches the machine"
PERIOD_S = 0.001
NOTED_S = 0.001
# Cores watched at most.
MOST_CORES = 4
# Delays that end within so much of each other are one.
AT_ONCE_S = 0.002
# A stall is long from this part of the workers' deadline on; within so much after it they are back.
LONG_STALL, RECOVERED_S = 0.2, 0.5


def allowed(*command: str) -> bool:
    """Whether `command` can be run without a complaint."""
    try:
        done = subprocess.run(command, capture_output=True)
    except FileNotFoundError:
        return False
    return done.returncode == 0 and not done.stderr


# As sound servers are run, before rtsep's own threads (live/priority.py).
_REAL_TIME = ("chrt", "--rr", "5")
_RAISE = '{ echo -15 > /proc/self/autogroup; } 2> /dev/null; exec nice -n -15 "$@"'
_RAISED = ("sh", "-c", _RAISE, "sh")


@cache
def priority() -> tuple[str, ...]:
    """What to put in front of a command to run it before other programs; empty where that is denied.

    As audio programs are run on any machine set up for audio. To be started in a session of its own,
    because Linux shares out time among sessions first (autogroup).
    """
    for raised in _REAL_TIME, _RAISED:
        if allowed("setsid", *raised, "true"):
            return raised
    return ()


def start_on_cores(module: str, name: str) -> list[subprocess.Popen[str]]:
    """Start `module` for each core, whose number it is told, to run before other programs: child.py."""
    cores = sorted(os.sched_getaffinity(0))[:MOST_CORES]
    return child.start_beside(
        [[*priority(), *child.command(module, str(core))] for core in cores],
        name,
        start_new_session=True,
    )


class Watchdog:
    """Watches the machine from the first line of a `with` block to its end.

    delays: (when it was over on the monotonic clock, length), in seconds; there after the block.

    Entering and leaving raise RtsepError where one of its programs does not start, or has ended by
    itself.
    """

    def __init__(self) -> None:
        self.delays: list[tuple[float, float]] = []
        self.programs: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Watchdog:
        self.programs = start_on_cores(MODULE, NAME)
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is not None:
            child.kill(self.programs)
            return
        try:
            self.delays = sorted(
                (over, length)
                for program in self.programs
                for over, length in child.noted_by(program, NAME)
            )
        finally:
            child.kill(self.programs)

    @property
    def longest_s(self) -> float:
        """The longest delay; 0 where there was none."""
        return max((length for _, length in self.delays), default=0.0)

    def stalls(self, longer_than_s: float) -> list[float]:
        """When the delays that were longer were over, on the monotonic clock."""
        return [over for over, length in self.delays if length > longer_than_s]

    def on_all_cores(self, over_s: float) -> bool:
        """Whether a delay that was over at `over_s` was one of every core, of which there are several.

        No thread of the kernel does that: the host of a virtual machine does, that lets it wait.
        """
        at_once = sum(abs(other_s - over_s) < AT_ONCE_S for other_s, _ in self.delays)
        return at_once >= len(self.programs) > 1

    def figures(
        self, deadline_s: float, late_masks_seen: list[tuple[float, int]]
    ) -> dict[str, Any]:
        """Which late masks are the machine's doing: those seen right after it stood still.

        late_masks_seen: (when, how many), `when` in seconds on the monotonic clock.
        Returns `stalls`, `longest_stall_ms` and `late_masks_beside_stalls`, after the `with` block.
        """
        stalls = self.stalls(LONG_STALL * deadline_s)
        beside = sum(
            count
            for seen_s, count in late_masks_seen
            if any(0 <= seen_s - over_s < RECOVERED_S for over_s in stalls)
        )
        return {
            "stalls": len(stalls),
            "longest_stall_ms": 1000 * self.longest_s,
            "late_masks_beside_stalls": beside,
        }


def watch_for_stalls() -> Watchdog:
    """A watchdog to enter; raises UsageError where it may not go before other programs."""
    if not priority():
        raise UsageError("--watch needs Linux and leave to go before all other programs (nice -15)")
    return Watchdog()


def main() -> None:
    """Run in the child process."""
    os.sched_setaffinity(0, {int(sys.argv[1])})
    ended = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    delays = []
    child.say_begun()
    before = time.monotonic()
    while not ended.is_set():
        time.sleep(PERIOD_S)
        now = time.monotonic()
        if now - before - PERIOD_S > NOTED_S:
            delays.append((now, now - before - PERIOD_S))
        before = now
    print(json.dumps(delays))


if __name__ == "__main__":
    main()
