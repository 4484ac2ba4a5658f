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

PERIOD_S = 0.001
NOTED_S = 0.001
# Cores watched at most.
MOST_CORES = 4


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


class Watchdog:
    """Watches the machine from the first line of a `with` block to its end.

    delays: (when it was over on the monotonic clock, length), in seconds; there after the block.
    """

    def __init__(self) -> None:
        self.delays: list[tuple[float, float]] = []
        self.programs: list[subprocess.Popen] = []

    def __enter__(self) -> Watchdog:
        cores = sorted(os.sched_getaffinity(0))[:MOST_CORES]
        self.programs = [
            subprocess.Popen(
                [*priority(), sys.executable, "-m", "rtsep_bench.watchdog", str(core)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
            )
            for core in cores
        ]  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        printed = [program.communicate()[0] for program in self.programs]
        self.delays = sorted(
            (over, length) for line in printed for over, length in json.loads(line)
        )

    @property
    def longest_s(self) -> float:
        """The longest delay; 0 where there was none."""
        return max((length for _, length in self.delays), default=0.0)

    def stalls(self, longer_than_s: float) -> list[float]:
        """When the delays that were longer were over, on the monotonic clock."""
        return [over for over, length in self.delays if length > longer_than_s]


def main() -> None:
    """Run in the child process."""
    os.sched_setaffinity(0, {int(sys.argv[1])})
    ended = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    delays = []
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
