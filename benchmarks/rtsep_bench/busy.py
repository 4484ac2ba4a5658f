"""Other busy programs beside what is measured: processes that do nothing but arithmetic.

    python -m rtsep_bench.busy

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

from rtsep.errors import RtsepError
from rtsep_bench import child

MODULE = "rtsep_bench.busy"
# 8 MB: more than one core's own caches, so that the memory is kept busy, too.
SAMPLES = 1 << 20


@contextmanager
def busy_programs(count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """`count` busy processes, of the priority of this one, as long as the block lasts.

    Raises RtsepError where one does not start, or has ended before the block has: what was measured
    was then measured without its load.
    """
    programs = child.start_beside([child.command(MODULE)] * count, "a busy program")
    try:
        yield programs
        for program in programs:
            if program.poll() is not None:
                raise RtsepError(
                    f"a busy program ended before its time: {child.last_words(program)}"
                )
    finally:
        child.kill(programs)


def main() -> None:
    """Run in the child process."""
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    numbers = np.linspace(0.0, 1.0, SAMPLES)
    child.say_begun()
    while True:
        np.multiply(numbers, 0.999, out=numbers)
        np.add(numbers, 0.001, out=numbers)


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
