"""The memory of this process, now and at its peak."""

from __future__ import annotations

import sys
from pathlib import Path


def peak_rss_mb() -> float | None:
    """The largest resident set of this process so far, in MB (10^6 bytes); None where unknown.

    On Linux from VmHWM: getrusage's ru_maxrss is handed down through fork and exec, so a child
    would report its parent's peak where that is larger.
    """
    if sys.platform == "linux":
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
        return None
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # bytes, on macOS
    return None


def rss_mb() -> float | None:
    """The resident set of this process as it is now, in MB (10^6 bytes); None where unknown."""
    if sys.platform == "linux":
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024 / 1e6
    return None
