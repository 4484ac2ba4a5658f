"""How the calling thread is scheduled on Linux: among ordinary threads, or before them.

On other systems every thread counts as ordinary, and nothing is changed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

IS_LINUX = sys.platform == "linux"
if IS_LINUX:
    import resource

# 0 is the calling thread in all of these.


def is_real_time(thread: int = 0) -> bool:
    """Whether a thread, by its number, has a real-time priority."""
    if not IS_LINUX:
        return False
    policy = os.sched_getscheduler(thread) & ~os.SCHED_RESET_ON_FORK
    return policy in (os.SCHED_FIFO, os.SCHED_RR)


def set_real_time(priority: int) -> None:
    """Give the calling thread a real-time priority; raises OSError where that is denied."""
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(priority))


def set_ordinary(thread: int = 0) -> None:
    """Make a thread an ordinary one, which nobody denies."""
    # A flag that RealtimeKit sets: that its children are ordinary is not to be changed without leave.
    kept = os.sched_getscheduler(thread) & os.SCHED_RESET_ON_FORK
    os.sched_setscheduler(thread, os.SCHED_OTHER | kept, os.sched_param(0))


def threads() -> set[int]:
    """Numbers of this process's threads, those of libraries too."""
    return {int(task.name) for task in Path("/proc/self/task").iterdir()}


def run_time_is_limited() -> bool:
    """Whether the system kills programs whose real-time threads run on for long, as a net may."""
    return resource.getrlimit(resource.RLIMIT_RTTIME)[0] != resource.RLIM_INFINITY


def limit_run_time(warned_us: int, killed_us: int) -> None:
    """Have the system send SIGXCPU, later SIGKILL, if a real-time thread runs on without waiting.

    Only ever lowers the limits: nothing but root can raise them again.
    """
    limits = resource.getrlimit(resource.RLIMIT_RTTIME)
    warned, killed = (
        wanted if limit == resource.RLIM_INFINITY else min(limit, wanted)
        for limit, wanted in zip(limits, (warned_us, killed_us))
    )
    resource.setrlimit(resource.RLIMIT_RTTIME, (warned, killed))
