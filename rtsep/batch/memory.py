"""How much memory there is, and how much of it a process has to itself."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

_PROCESS = Path("/proc/self/status")
_MACHINE = Path("/proc/meminfo")
# Limits of the container or the batch system's job, version 2 and 1, and what is used of them.
_GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)


def private_bytes() -> int | None:
    """Memory that this process shares with no other; None where the system does not say (not Linux)."""
    return _kilobytes(_PROCESS, "RssAnon")


def available_bytes() -> int | None:
    """Memory that new processes may take; None where the system does not say."""
    amounts = [_kilobytes(_MACHINE, "MemAvailable")]
    for limit, used in _GROUPS:
        with contextlib.suppress(OSError, ValueError):  # "max" is no number: there is no limit
            amounts.append(int(Path(limit).read_text()) - int(Path(used).read_text()))
    known = [amount for amount in amounts if amount is not None]
    if known:
        return max(0, min(known))
    if sys.platform != "win32":
        with contextlib.suppress(OSError, ValueError):
            return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return None


def _kilobytes(path: Path, name: str) -> int | None:
    """A line such as `RssAnon:   123 kB`, in bytes."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in path.read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return None
