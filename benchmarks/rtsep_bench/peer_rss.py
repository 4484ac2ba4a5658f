"""How much memory one contender needs, measured in a process that does nothing else.

    python -m rtsep_bench.peer_rss CONTENDER FOLDER

prints the peak resident set in MB after three runs of the case in FOLDER (see net_case.py), or
``null`` where the system does not tell.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from rtsep.errors import RtsepError
from rtsep_bench.contenders import open_contender
from rtsep_bench.memory import peak_rss_mb

RUNS = 3


def measure_peak_rss_mb(name: str, folder: Path) -> float | None:
    """The peak resident set of contender `name` on the case in `folder`, in MB (10^6 bytes).

    Raises RtsepError, with the last line that the process wrote, where it fails.
    """
    command = [sys.executable, "-m", "rtsep_bench.peer_rss", name, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise RtsepError(f"measuring the memory of {name} failed: {lines[-1]}")
    return json.loads(done.stdout)


def main() -> None:
    """Run in the child process."""
    name, folder = sys.argv[1:]
    contender = open_contender(name, Path(folder))
    for _ in range(RUNS):
        contender.run()
    contender.close()
    print(json.dumps(peak_rss_mb()))


if __name__ == "__main__":
    main()
