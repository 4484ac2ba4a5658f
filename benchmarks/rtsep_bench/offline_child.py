"""Start-up and memory of a separation, measured in a process that does nothing else.

    python -m rtsep_bench.offline_child MODEL SOUND.npy THREADS PRECISION

separates SOUND (samples, 2) at 44.1 kHz block by block, as `rtsep-separate` does, and drops the
stems. It says `first output` on a line of its own when the first samples come out, and at the end
prints {"peak_rss_mb": ...}. The parent looks at its clock.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sized
from dataclasses import dataclass
from pathlib import Path

from rtsep.errors import RtsepError
from rtsep_bench import child
from rtsep_kernels.precision import Precision

MODULE = "rtsep_bench.offline_child"
FIRST_OUTPUT = "first output"
BLOCK_SAMPLES = 65_536


@dataclass(frozen=True)
class StartUp:
    """first_output_s: from starting the interpreter to the first samples of the stems."""

    first_output_s: float
    peak_rss_mb: float | None


def measure_start_up(model: str, sound: Path, threads: int, precision: Precision) -> StartUp:
    """Separate in a child process; it takes its weights where this process does.

    Raises RtsepError, with the last line that the process wrote, where it fails.
    """
    words = child.command(MODULE, model, str(sound), str(threads), precision)
    # To a file: a pipe that nobody reads while the other is waited for could fill up.
    with tempfile.TemporaryFile("w+") as complaints:
        started = time.perf_counter()
        with subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=complaints, text=True
        ) as program:
            assert program.stdout is not None
            try:
                first = program.stdout.readline()
                first_output_s = time.perf_counter() - started
                rest = program.stdout.read()
            except BaseException:
                program.kill()
                raise
        complaints.seek(0)
        complained = complaints.read()
    if program.returncode or first.strip() != FIRST_OUTPUT:
        reason = child.last_line(complained, f"exit status {program.returncode}")
        raise RtsepError(f"measuring the start-up of {model} failed: {reason}")
    return StartUp(first_output_s, json.loads(rest)["peak_rss_mb"])


def main() -> None:
    """Run in the child process."""
    import numpy as np

    from rtsep.offline.separator import Separator

    model, sound, threads, precision = sys.argv[1:]
    audio = np.load(sound, mmap_mode="r")
    stream = Separator(model, jobs=int(threads), precision=precision).stream()
    pending = True
    for first in range(0, len(audio), BLOCK_SAMPLES):
        stems = stream.push(np.array(audio[first : first + BLOCK_SAMPLES]))
        pending = pending and not _say_first_output(stems)
    stems = stream.flush()
    if pending:
        _say_first_output(stems)

    from rtsep_bench.memory import peak_rss_mb

    print(json.dumps({"peak_rss_mb": peak_rss_mb()}))


def _say_first_output(stems: Mapping[str, Sized]) -> bool:
    if not any(len(part) for part in stems.values()):
        return False
    print(FIRST_OUTPUT, flush=True)
    return True


if __name__ == "__main__":
    main()
