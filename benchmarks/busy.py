"""Other busy programs beside what is measured: processes that do nothing but arithmetic.

    python -m rtsep.benchmarks.busy

works until its standard input is closed, so that none outlives the program that started it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

# 8 MB: more than one core's own caches, so that the memory is kept busy, too.
SAMPLES = 1 << 20


@contextmanager
def busy_programs(count: int) -> Iterator[list[subprocess.Popen]]:
    """`count` busy processes, of the priority of this one, as long as the block lasts."""
    programs: list[subprocess.Popen] = []
    try:
        for _ in range(count):
            command = [sys.executable, "-m", "rtsep.benchmarks.busy"]
            programs.append(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            )
        for program in programs:
            assert program.stdout is not None
            program.stdout.readline()  # it has begun
        yield programs
    finally:
        for program in programs:
            program.kill()
            program.communicate()


def main() -> None:
    """Run in the child process."""
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    numbers = np.linspace(0.0, 1.0, SAMPLES)
    print("busy", flush=True)
    while True:
        np.multiply(numbers, 0.999, out=numbers)
        np.add(numbers, 0.001, out=numbers)


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
