"""Whether the machine itself stood still: programs that wake up again and again and note how late.

    python watchdog.py CORE

wakes every PERIOD_S on that core until its standard input is closed, then prints every delay beyond
NOTED_S, in seconds, as JSON. They run at the priority of the audio programs (servers.PRIORITY): what
holds them up holds those up, too, and no fault of a program that is tested can.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time

from tests.realtime.servers import PRIORITY

PERIOD_S = 0.001
NOTED_S = 0.001
# Cores watched at most.
MOST_CORES = 4


class Watchdog:
    """Watches the machine from the first line of a `with` block to its end.

    delays_s: the delays noted, the longest first; there after the block.
    """

    def __init__(self) -> None:
        self.delays_s: list[float] = []

    def __enter__(self) -> Watchdog:
        cores = sorted(os.sched_getaffinity(0))[:MOST_CORES]
        self._programs = [
            subprocess.Popen(
                [*PRIORITY, sys.executable, "-m", "tests.realtime.watchdog", str(core)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
            )
            for core in cores
        ]  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        printed = [program.communicate()[0] for program in self._programs]
        self.delays_s = sorted(delay for line in printed for delay in json.loads(line))[::-1]

    def stalls(self, longer_than_s: float) -> int:
        """How many delays were longer."""
        return sum(delay > longer_than_s for delay in self.delays_s)


def main() -> None:
    """Run in the child process."""
    os.sched_setaffinity(0, {int(sys.argv[1])})
    ended = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    delays_s = []
    before = time.monotonic()
    while not ended.is_set():
        time.sleep(PERIOD_S)
        now = time.monotonic()
        if now - before - PERIOD_S > NOTED_S:
            delays_s.append(now - before - PERIOD_S)
        before = now
    print(json.dumps(delays_s))


if __name__ == "__main__":
    main()
