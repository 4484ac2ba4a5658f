"""Which threads of the Linux kernel ran, and when: most often they are what has a machine stand still.

    python -m rtsep_bench.kernel_threads

notes from every PERIOD_S to the next which of them ran for longer than NOTED_S, until its standard
input is closed, and prints that as JSON: from and to, on the monotonic clock, name, and how long it ran,
in seconds. A kernel without preemption lets nobody else on the core meanwhile, of whatever priority.
Kernel threads that are not to be seen, as from within a container, are not noted.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path

from rtsep_bench import child

MODULE = "rtsep_bench.kernel_threads"
NAME = "a program that watches the kernel's threads"
PERIOD_S, NOTED_S = 0.05, 0.001
# New ones are looked for so often: the kernel starts further workers where it has more to do.
REFRESHED_S = 5.0
# The parent of all of the kernel's threads.
KTHREADD = 2
# A thread that ran for this part of the time that the machine stood still is what held it up.
MOST_OF_IT = 0.5

# From, to, name, and how long it ran, in seconds.
Run = tuple[float, float, str, float]


class KernelThreads:
    """Notes what the kernel's threads do from the first line of a `with` block to its end.

    runs: by time; there after the block.

    Entering and leaving raise RtsepError where the program that notes it does not start, or has ended
    by itself.
    """

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self._programs: list[subprocess.Popen[str]] = []

    def __enter__(self) -> KernelThreads:
        self._programs = child.start_beside([child.command(MODULE)], NAME, start_new_session=True)
        return self

    def __exit__(self, *error: object) -> None:
        (program,) = self._programs
        try:
            if error[0] is None:
                self.runs = [tuple(run) for run in child.noted_by(program, NAME)]
        finally:
            child.kill([program])

    def held_up(self, over_s: float, length_s: float) -> str:
        """Who ran while the machine stood still for `length_s` until `over_s`; "" if unknown."""
        ran_s, name = max(
            (
                (ran_s, name)
                for begun_s, ended_s, name, ran_s in self.runs
                if begun_s < over_s and ended_s > over_s - length_s
            ),
            default=(0.0, ""),
        )
        return name if ran_s >= MOST_OF_IT * length_s else ""


def main() -> None:
    """Run in the child process."""
    files: dict[Path, tuple[str, int]] = {}
    runs: list[Run] = []
    child.say_begun()
    looked_s, ran_before, before = 0.0, dict[Path, float](), time.monotonic()
    while not select.select([sys.stdin], [], [], PERIOD_S)[0]:
        now = time.monotonic()
        if now - looked_s > REFRESHED_S:
            looked_s = now
            _look_for_new(files)
        ran = {folder: _ran_s(file) for folder, (_, file) in files.items()}
        for folder, ran_s in ran.items():
            new_s = ran_s - ran_before.get(folder, ran_s)
            if new_s > NOTED_S:
                runs.append((before, now, files[folder][0], new_s))
        ran_before, before = ran, now
    print(json.dumps(runs))


def _look_for_new(files: dict[Path, tuple[str, int]]) -> None:
    """Open what tells of threads that are new. files: by the thread's folder: name, open file."""
    for folder in Path("/proc").glob("[0-9]*"):
        if folder in files:
            continue
        try:
            # Behind the name, which may hold brackets and spaces: state, parent.
            name, _, further = (folder / "stat").read_text().rpartition(")")
            if int(further.split()[1]) == KTHREADD:
                file = os.open(folder / "schedstat", os.O_RDONLY)
                files[folder] = (name.partition("(")[2], file)
        except OSError:
            continue  # it has just ended


def _ran_s(file: int) -> float:
    """For how long a thread has run so far; 0 once it has ended."""
    try:
        return int(os.pread(file, 100, 0).split()[0]) / 1e9
    except (OSError, IndexError):
        return 0.0


if __name__ == "__main__":
    main()
