"""How much memory is needed: by this process, and by a contender in a process of its own.

    python -m rtsep_bench.memory CONTENDER FOLDER

prints the peak resident set in MB after three runs of the case in FOLDER (see net_case.py), or
``null`` where the system does not tell.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from rtsep.errors import RtsepError
from rtsep_bench import child

MODULE = "rtsep_bench.memory"
RUNS = 3


def peak_rss_mb() -> float | None:
    """The largest resident set of this process so far, in MB (10^6 bytes); None where unknown.

    On Linux from VmHWM: getrusage's ru_maxrss is handed down through fork and exec, so a child
    would report its parent's peak where that is larger.
    """
    if sys.platform == "linux":
        return _from_status("VmHWM:")
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # bytes, on macOS
    return None


def rss_mb(process: int | str = "self") -> float | None:
    """The resident set of a process as it is now, in MB (10^6 bytes); None where unknown.

    process: its number; by default this one.
    """
    return _from_status("VmRSS:", process) if sys.platform == "linux" else None


def held_by(process: int | str = "self") -> dict[str, float]:
    """What a process of Linux holds: `rss_mb`, `threads` and open `files`; by default this one."""
    folder = Path(f"/proc/{process}")
    return {
        "rss_mb": rss_mb(process) or 0.0,
        "threads": len(list((folder / "task").iterdir())),
        "files": len(list((folder / "fd").iterdir())),
    }


def contender_peak_rss_mb(name: str, folder: Path) -> float | None:
    """The peak resident set of contender `name` on the case in `folder`, in MB (10^6 bytes).

    Raises RtsepError, with the last line that the process wrote, where it fails.
    """
    words = child.command(MODULE, name, str(folder))
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        reason = child.last_line(done.stderr, f"exit status {done.returncode}")
        raise RtsepError(f"measuring the memory of {name} failed: {reason}")
    peak_mb: float | None = json.loads(done.stdout)
    return peak_mb


def main() -> None:
    """Run in the child process."""
    from rtsep_bench.contenders import open_contender

    name, folder = sys.argv[1:]
    contender = open_contender(name, Path(folder))
    for _ in range(RUNS):
        contender.run()
    contender.close()
    print(json.dumps(peak_rss_mb()))


def _from_status(field: str, process: int | str = "self") -> float | None:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024 / 1e6
    return None


if __name__ == "__main__":
    main()
