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

MODULE = "rtsep_bench.busy"
# What a busy program says when it has begun.
BEGUN = b"busy"
# 8 MB: more than one core's own caches, so that the memory is kept busy, too.
SAMPLES = 1 << 20


@contextmanager
def busy_programs(count: int) -> Iterator[list[subprocess.Popen]]:
    """`count` busy processes, of the priority of this one, as long as the block lasts.

    Raises RtsepError where one does not start, or has ended before the block has: what was measured
    was then measured without its load.
    """
    programs: list[subprocess.Popen] = []
    try:
        for _ in range(count):
            command = [sys.executable, "-m", MODULE]
            programs.append(
                subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
                )
            )
        for program in programs:
            assert program.stdout is not None
            if program.stdout.readline().strip() != BEGUN:
                raise RtsepError(f"a busy program did not start: {_last_words(program)}")
        yield programs
        for program in programs:
            if program.poll() is not None:
                raise RtsepError(f"a busy program ended before its time: {_last_words(program)}")
    finally:
        for program in programs:
            program.kill()
            program.communicate()


def main() -> None:
    """Run in the child process."""
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    numbers = np.linspace(0.0, 1.0, SAMPLES)
    print(BEGUN.decode(), flush=True)
    while True:
        np.multiply(numbers, 0.999, out=numbers)
        np.add(numbers, 0.001, out=numbers)


def _last_words(program: subprocess.Popen) -> str:
    """What a process that has ended said last, and its status."""
    program.kill()
    _, said = program.communicate()
    lines = said.decode(errors="replace").strip().splitlines()
    return f"exit status {program.returncode}, {lines[-1] if lines else 'it said nothing'}"


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
